"""`[spans.csv]`: files are read as they are written, and what does not fit is said with the setting that would."""

import io

import pyarrow as pa
import pytest
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from pipeline.config.dataset import load_dataset
from pipeline.errors import ConfigError, DataError
from pipeline.ingest.columns import columns_of
from pipeline.ingest.config import IngestConfig
from pipeline.ingest.csv_format import PLAIN, CsvFormat
from pipeline.ingest.errors import ColumnsError, UnreadableError, ValueTypeError
from pipeline.ingest.infer import infer_schema
from pipeline.ingest.reader import open_span
from pipeline.predict.rows import open_text, read_rows

SCHEMA = """
feature { name: "id" type: INT }
feature { name: "fee" type: FLOAT }
feature { name: "town" type: BYTES }
feature { name: "since" type: BYTES }
feature { name: "seen" type: INT }
feature { name: "left" type: INT presence { min_fraction: 1.0 } }
"""
EXCEL = CsvFormat(
    delimiter=";",
    encoding="cp1252",
    decimal=",",
    nulls=("-", "k.A."),
    true=("Ja",),
    false=("Nein",),
    dates={"since": "%d.%m.%Y", "seen": "%d.%m.%Y %H:%M"},
)
HEAD = "id;fee;town;since;seen;left\n"


@pytest.fixture
def columns():
    return columns_of(text_format.Parse(SCHEMA, schema_pb2.Schema()), label="left", features=["fee", "town"])


@pytest.fixture
def write(tmp_path):
    def write(text, encoding="cp1252"):
        path = tmp_path / "data.csv"
        path.write_bytes(text.encode(encoding))
        return str(path)

    return write


def read(path, columns, given=EXCEL):
    span = open_span([path], given, columns)
    return pa.Table.from_batches(span.batches, span.schema).to_pylist()


def test_a_table_as_excel_writes_it_in_germany(write, columns):
    path = write(
        HEAD + '1;2,5;Köln;31.03.2024;01.01.1970 00:01;Ja\n2;-;k.A.;;01.01.1970 01:00;Nein\n3,0;"7";a,b;-;;Ja\n'
    )

    assert read(path, columns) == [
        {"id": 1, "fee": 2.5, "town": "Köln", "since": "2024-03-31", "seen": 60, "left": 1},
        {"id": 2, "fee": None, "town": None, "since": None, "seen": 3600, "left": 0},
        {"id": 3, "fee": 7.0, "town": "a,b", "since": None, "seen": None, "left": 1},
    ]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "latin-1", "shift_jis", "utf-8-sig"])
def test_any_encoding_of_python_is_read_whole(write, columns, encoding):
    town = "東京" if encoding == "shift_jis" else "Ærø"
    rows = 40_000  # Larger than a block of the recoding reader, so that characters are cut in two.
    path = write("id,town,left\n" + f"1,{town},1\n" * rows, encoding)

    table = read(path, columns, CsvFormat(encoding=encoding))

    assert len(table) == rows
    assert {row["town"] for row in table} == {town}


def test_a_tab_is_a_separator(write, columns):
    assert read(write("id\tleft\n1\t0\n"), columns, CsvFormat(delimiter="\t"))[0]["id"] == 1


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("1;2.5;a;;;Ja", "line 2, column 'fee': expected FLOAT. Received: '2.5'."),
        (
            "1;2,5;a;2024-03-31;;Ja",
            "line 2, column 'since': expected a date written as %d.%m.%Y. Received: '2024-03-31'.",
        ),
        (
            "1;2,5;a;31.02.2024;;Ja",
            "line 2, column 'since': expected a date written as %d.%m.%Y. Received: '31.02.2024'.",
        ),
        ("1;2,5;a;;31.03.2024;Ja", "column 'seen': expected a date written as %d.%m.%Y %H:%M. Received: '31.03.2024'."),
        ("1;2,5;a;;;vielleicht", "line 2, column 'left': expected INT. Received: 'vielleicht'."),
        ("1;2,5;a;;;7", "line 2, column 'left': expected a label of 0 or 1. Received: 7."),
        ("1;2,5;a", "line 2, column 'since': expected 6 fields, as in the header. Received: 3."),
    ],
)
def test_a_fault_is_found_in_the_files_own_notation(write, columns, row, said):
    with pytest.raises(DataError) as caught:
        read(write(HEAD + row + "\n"), columns)

    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("text", "given", "said"),
    [
        (
            HEAD + "1;2,5;a;;;1\n",
            PLAIN,
            "the fields are separated by ';', and ',' was expected. Say so in dataset.toml, ",
        ),
        ("id\tfee\tleft\n1\t2\t1\n", PLAIN, '[spans.csv] delimiter = "\\t"'),
        ("id,left\n1,1\n", EXCEL, "the fields are separated by ',', and ';' was expected."),
    ],
)
def test_another_separator_than_expected_is_said_in_those_words(write, columns, text, given, said):
    with pytest.raises(ColumnsError) as caught:
        read(write(text), columns, given)

    assert ", line 1: " in str(caught.value)
    assert said in str(caught.value)


def test_another_separator_is_said_where_there_is_no_schema_yet(write):
    with pytest.raises(ColumnsError, match="the fields are separated by ';'"):
        infer_schema([write(HEAD)], PLAIN)


def test_types_are_inferred_in_the_files_own_notation(write):
    inferred = infer_schema([write(HEAD + "1;2,5;a;31.03.2024;;Ja\n-;3;b;;;Nein\n")], EXCEL)

    kinds = {feature.name: schema_pb2.FeatureType.Name(feature.type) for feature in inferred.feature}
    assert kinds == {"id": "INT", "fee": "FLOAT", "town": "BYTES", "since": "BYTES", "seen": "BYTES", "left": "INT"}


def test_a_decimal_comma_that_nobody_announced_names_its_setting(write, columns):
    with pytest.raises(ValueTypeError) as caught:
        read(write('id,fee,left\n1,"2,5",1\n'), columns, PLAIN)

    assert "Received: '2,5'. If that is a decimal comma, say so in dataset.toml: [spans.csv] decimal = \",\"" in str(
        caught.value
    )


@pytest.mark.parametrize(
    ("given", "said"),
    [(PLAIN, "expected UTF-8. Save the file as UTF-8, or name its encoding"), (CsvFormat(encoding="ascii"), "UTF-8")],
)
def test_another_encoding_than_expected_names_its_setting(write, columns, given, said):
    with pytest.raises(UnreadableError, match=said):
        read(write("id,town,left\n1,Köln,1\n"), columns, given)


def test_bytes_that_an_encoding_does_not_have_are_a_fault(tmp_path, columns):
    path = tmp_path / "data.csv"
    path.write_bytes(b"id,town,left\n1,\x81,1\n")

    with pytest.raises(UnreadableError, match=r"line 2, column 'town': expected cp1252, as \[spans.csv\] says"):
        read(str(path), columns, CsvFormat(encoding="cp1252"))


def test_compiled_files_without_the_setting_stay_what_they_are():
    plain = IngestConfig(file_format="csv")
    german = IngestConfig(file_format="csv", csv=EXCEL)

    assert "csv" not in _fields(plain)
    for config in (plain, german):
        assert IngestConfig.from_json(_json(config)) == config
    assert IngestConfig(file_format="parquet", csv=EXCEL).format == "parquet"


def _json(config):
    from google.protobuf import json_format

    return json_format.MessageToJson(config.to_proto())


def _fields(config):
    from google.protobuf import struct_pb2

    packed = struct_pb2.Struct()
    config.to_proto().custom_config.Unpack(packed)
    return dict(packed)


def test_rows_for_a_served_model_are_read_in_the_same_way(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_bytes((HEAD + "1;2,5;Köln;31.03.2024;-;Ja\n1;2,5;a;gestern;-;Ja\n").encode("cp1252"))
    inputs = {"id": "DT_INT64", "fee": "DT_FLOAT", "town": "DT_STRING", "since": "DT_STRING", "left": "DT_INT64"}

    with open_text(str(path), EXCEL) as file:
        first, second = read_rows(file, "rows", EXCEL, inputs)

    assert first.plain(inputs) == {"id": "1", "fee": "2.5", "town": "Köln", "since": "2024-03-31", "left": "1"}
    with pytest.raises(pa.ArrowInvalid, match="gestern"):
        second.plain(inputs)


def test_json_rows_are_utf8_and_as_they_are(tmp_path):
    path = tmp_path / "rows.json"
    path.write_text('{"fee": "2,5", "town": "Köln"}\n', encoding="utf-8")

    with open_text(str(path), EXCEL) as file:
        (row,) = read_rows(file, "rows", EXCEL)

    assert row.plain({"fee": "DT_FLOAT"}) == {"fee": "2,5", "town": "Köln"}


def test_rows_with_another_separator_are_refused_in_those_words():
    text = io.StringIO("x;c;h\n1;red;red\n2;red;red\n")

    with pytest.raises(DataError, match="rows: the fields are separated by ';', and ',' was expected"):
        list(read_rows(text, "rows", PLAIN, {"x": "DT_FLOAT", "c": "DT_STRING", "h": "DT_STRING"}))


TOML = """name = "shop"
{above}
[label]
column = "y"
[features]
numeric = ["x"]
[serving]
model_name = "shop"
"""


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('delimiter = ";;"', "delimiter: expected one character that separates fields. Received: ';;'"),
        ('delimiter = ","\ndecimal = ","', "delimiter and decimal are both ','"),
        ('encoding = "klingon"', "encoding: expected one that Python knows. Received: 'klingon'"),
        ('true = ["1"]\nfalse = ["1"]', "'1' is in true and in false"),
        ('dates = { x = "tomorrow" }', "dates.x: expected a form of strptime, such as %d.%m.%Y. Received: 'tomorrow'"),
        (
            'separator = ";"',
            "[spans.csv]: unknown key 'separator'. Allowed: dates, decimal, delimiter, encoding, false",
        ),
    ],
)
def test_a_wrong_setting_is_one_line(tmp_path, table, said):
    (tmp_path / "dataset.toml").write_text(TOML.format(above=f"[spans.csv]\n{table}"))

    with pytest.raises(ConfigError) as caught:
        load_dataset(str(tmp_path))

    assert said in str(caught.value)


def test_the_setting_needs_csv(tmp_path):
    text = '[spans]\nformat = "parquet"\n[spans.csv]\ndelimiter = ";"'
    (tmp_path / "dataset.toml").write_text(TOML.format(above=text))

    with pytest.raises(ConfigError, match=r"\[spans.csv\]: the format of \[spans\] is parquet, so nothing reads it"):
        load_dataset(str(tmp_path))
