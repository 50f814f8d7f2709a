import math
import os

import pyarrow as pa
import pytest
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from models.target import Target
from pipeline.ingest.columns import columns_of
from pipeline.ingest.csv_format import PLAIN
from pipeline.ingest.errors import (
    ColumnsError,
    IngestError,
    LabelValueError,
    UnreadableError,
    ValueTypeError,
)
from pipeline.ingest.reader import open_span

HEADER = "id,fare,company,note,tips\n"


@pytest.fixture
def write(tmp_path):
    def write(content):
        path = tmp_path / "data.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return write


def read(path, columns):
    span = open_span([path], PLAIN, columns)
    return pa.Table.from_batches(span.batches, span.schema).to_pylist()


def test_quoted_commas_quotes_and_newlines_are_part_of_the_value(write, columns):
    path = write(HEADER + '1,2.5,"Cab, Inc.","two\nlines",0.5\r\n2,3,"say ""hi""","crlf\r\ninside",0\n')

    assert read(path, columns) == [
        {"id": 1, "fare": 2.5, "company": "Cab, Inc.", "note": "two\nlines", "tips": 0.5},
        {"id": 2, "fare": 3.0, "company": 'say "hi"', "note": "crlf\r\ninside", "tips": 0.0},
    ]


@pytest.mark.parametrize("shift", range(-2, 3))
def test_a_line_break_of_two_characters_survives_where_the_reader_divides_the_file(write, columns, shift, monkeypatch):
    # pyarrow 18 loses the LF of a quoted CR LF that its blocks of bytes come between.
    monkeypatch.setattr("pipeline.ingest.csv_reader._BLOCK_BYTES", 1024)
    row = "2,2.5,a,b,0.5\n"
    for block in (1, 2, 3):
        before = (1024 * block - 300) // len(row)
        start = HEADER + row * before + '1,2.5,"'
        value = "x" * (1024 * block - len(start) - 1 + shift) + "\r\ny"
        path = write(start + value + '",0x,0.5\n' + row * 200)

        rows = read(path, columns)

        assert rows[before]["company"] == value
        assert rows[before]["note"] == "0x"
        assert len(rows) == before + 201


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["without", "with"])
def test_utf8_is_read_with_and_without_byte_order_mark(write, columns, mark):
    path = write(mark + (HEADER + "1,2.5,Zürich 🚕,日本,0.5\n").encode())

    assert read(path, columns) == [{"id": 1, "fare": 2.5, "company": "Zürich 🚕", "note": "日本", "tips": 0.5}]


def test_an_empty_field_is_missing_whether_quoted_or_not(write, columns):
    path = write(HEADER + ',1,,"",0\n')

    assert read(path, columns) == [{"id": None, "fare": 1.0, "company": None, "note": None, "tips": 0.0}]


def test_words_for_nothing_are_text(write, columns):
    path = write(HEADER + "1,1,NA,null,0\n")

    assert read(path, columns)[0]["company"] == "NA"
    assert read(path, columns)[0]["note"] == "null"


def test_extreme_integers_and_infinities_pass(write, columns):
    path = write(HEADER + "9223372036854775807,inf,a,b,0\n-9223372036854775808,-inf,a,b,1e300\n")

    rows = read(path, columns)

    assert [row["id"] for row in rows] == [2**63 - 1, -(2**63)]
    assert [row["fare"] for row in rows] == [math.inf, -math.inf]


def test_nan_stays_a_value_outside_the_label(write, schema):
    from pipeline.ingest.columns import columns_of

    path = write(HEADER + "1,nan,a,b,0\n")

    assert math.isnan(read(path, columns_of(schema))[0]["fare"])


def test_labels_may_come_in_parts(write, columns):
    # The label's own column, an input of it, and what is no number.
    rows = read(write(HEADER + "1,2,a,b,0\n2,3,a,b,\n3,,a,b,1\n4,2,a,b,NaN\n"), columns)

    assert [row["id"] for row in rows] == [1, 2, 3, 4]


def test_columns_may_come_in_any_order_and_optional_ones_may_be_absent(write, columns):
    path = write("tips,id,company,fare\n0.5,1,a,2.5\n")

    assert read(path, columns) == [{"id": 1, "fare": 2.5, "company": "a", "note": None, "tips": 0.5}]


def test_blank_lines_are_skipped(write, columns):
    path = write(HEADER + "\n1,2.5,a,b,0.5\n\n")

    assert len(read(path, columns)) == 1


def test_a_quote_inside_an_unquoted_field_is_text(write, columns):
    path = write(HEADER + '1,2.5,5" pipe,b,0.5\n')

    assert read(path, columns)[0]["company"] == '5" pipe'


def test_a_span_without_the_labels_own_column_is_unlabelled(write, columns):
    path = write("id,fare,company,note\n1,2.5,a,b\n")

    span = open_span([path], PLAIN, columns)

    assert span.labelled is False
    assert next(span.batches).to_pylist() == [{"id": 1, "fare": 2.5, "company": "a", "note": "b", "tips": None}]


# What is wrong, what the message says after the path, which error. Lines count from 1, the header's line.
FAULTS = {
    "ragged, too short": (HEADER + "1,2,a,b,0\n2,3,a\n", UnreadableError, ", line 3, column 'note': expected 5 fields"),
    "ragged, too long": (
        HEADER + "1,2,a,b,0,9\n",
        UnreadableError,
        ", line 2: expected 5 fields, as in the header. Received: 6",
    ),
    "wrong type, float": (
        HEADER + "1,2,a,b,0\n2,cheap,a,b,0\n",
        ValueTypeError,
        ", line 3, column 'fare': expected FLOAT. Received: 'cheap'",
    ),
    "wrong type, integer": (
        HEADER + "8.0,2,a,b,0\n8.5,2,a,b,0\n",
        ValueTypeError,
        ", line 3, column 'id': expected INT. Received: '8.5'",
    ),
    "hexadecimal beside a whole number with a point": (
        HEADER + "8.0,2,a,b,0\n0x10,2,a,b,0\n",
        ValueTypeError,
        ", line 3, column 'id': expected INT. Received: '0x10'",
    ),
    "hexadecimal": (HEADER + "1,2,a,0x1,0\n0x10,2,a,b,0\n", ValueTypeError, ", line 3, column 'id': expected INT"),
    "a no-break space in a whole number": (
        HEADER + "1\u00a0000,2,a,b,0\n",
        ValueTypeError,
        ", line 2, column 'id': expected INT. Received: '1\\xa0000'",
    ),
    "a no-break space after a number": (
        HEADER + "1,2\u00a0,a,b,0\n",
        ValueTypeError,
        ", line 2, column 'fare': expected FLOAT. Received: '2\\xa0'",
    ),
    "integer too large": (
        HEADER + "9223372036854775808,2,a,b,0\n",
        ValueTypeError,
        ", line 2, column 'id': expected INT",
    ),
    "after a record of three lines": (
        HEADER + '1,2,a,"x\ny\nz",0\nx,2,a,b,0\n',
        ValueTypeError,
        ", line 5, column 'id'",
    ),
    "duplicated column": (
        "id,fare,fare,company,tips\n1,2,2,a,0\n",
        ColumnsError,
        ", line 1, column 'fare': the column is there 2 times",
    ),
    "no column of the schema": (
        "a,b\n1,2\n",
        ColumnsError,
        ", line 1: no column of the schema is here. Expected: id, fare, company, note, tips. Found: a, b.",
    ),
    "a fault beside an unknown column": (
        "id,extra,fare,company,tips\n1,x,2,a,0\n1,y,free,a,0\n",
        ValueTypeError,
        ", line 3, column 'fare': expected FLOAT. Received: 'free'.",
    ),
    "required column absent": (
        "id,company,tips\n1,a,0\n",
        ColumnsError,
        ", line 1, column 'fare': the column is missing. Found: id, company, tips",
    ),
    "empty file": ("", UnreadableError, ", line 1: the file is empty"),
    "only a byte order mark": (b"\xef\xbb\xbf", UnreadableError, ", line 1: the file is empty"),
    "no rows": (HEADER, UnreadableError, ": no rows. A span needs at least one"),
    "unclosed quote": (
        HEADER + '1,2,a,b,0\n2,3,a,"b,0\n3,4,a,b,0\n',
        UnreadableError,
        ", line 3: a quote is opened here and never closed",
    ),
    "unclosed quote in the last field": (
        'id,fare,tips,company\n1,2,0,a\n2,3,0,"b\n',
        UnreadableError,
        ", line 3: a quote is opened here",
    ),
    "not UTF-8": (
        HEADER.encode() + b"1,2,Z\xfcrich,b,0\n",
        UnreadableError,
        ", line 2, column 'company': expected UTF-8",
    ),
    "a NUL byte in a text": (
        HEADER.encode() + b"1,2,a,b,0\n2,2,a\0,b,0\n",
        UnreadableError,
        ", line 3, column 'company': the value holds a NUL byte",
    ),
    "a NUL byte in a number": (
        HEADER.encode() + b"1,2,a,b,0\n2\0,2,a,b,0\n",
        UnreadableError,
        ", line 3, column 'id': the value holds a NUL byte",
    ),
    "UTF-16 without its mark": ("id,fare\n1,2\n".encode("utf-16-le"), UnreadableError, ", line 1: expected UTF-8"),
    "header not UTF-8": ("id,fare\n".encode("utf-16"), UnreadableError, ", line 1: expected UTF-8"),
}


@pytest.mark.parametrize(("content", "error", "message"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_one_error_that_names_file_line_and_column(write, columns, content, error, message):
    path = write(content)

    with pytest.raises(error) as caught:
        read(path, columns)

    assert str(caught.value).startswith(path + message)
    assert isinstance(caught.value, IngestError)
    assert caught.value.exit_status == 3
    assert caught.value.path == path


# The label, the type of its column `y`, the column's cell in line 3, what is said of it.
LABEL_FAULTS = {
    "a code for unknown": ("y", "INT", "2", "expected a label of 0 or 1. Received: 2. Correct or remove the row"),
    "a numeric target": ("y", "FLOAT", "0.25", 'else is predicted: task = "regression" or "multiclass"'),
    "yes": ("y", "INT", "Yes", "expected INT. Received: 'Yes'"),
    "nothing divided by nothing": (
        "y / x > 0.5",
        "INT",
        "0",
        "the label `y / x > 0.5` is neither true nor false where x = 0, y = 0. Correct or remove the row",
    ),
}


@pytest.mark.parametrize(("label", "kind", "cell", "message"), LABEL_FAULTS.values(), ids=LABEL_FAULTS)
def test_a_label_that_is_neither_0_nor_1_is_a_fault(write, label, kind, cell, message):
    text = f'feature {{ name: "x" type: INT }} feature {{ name: "y" type: {kind} }}'
    path = write(f"x,y\n1,1\n0,{cell}\n1,0\n")

    with pytest.raises(IngestError) as caught:
        read(path, columns_of(text_format.Parse(text, schema_pb2.Schema()), label, ["x"]))

    assert str(caught.value).startswith(f"{path}, line 3, column ")
    assert message in str(caught.value)
    assert caught.value.exit_status == 3
    assert isinstance(caught.value, LabelValueError | ValueTypeError)


@pytest.mark.parametrize(
    ("target", "kind", "cell", "message"),
    [
        (
            Target(label="y", task="multiclass", classes=("low", "high")),
            "BYTES",
            "middle",
            "expected one of the classes low, high. Received: middle. Correct or remove the row, or add its class",
        ),
        (Target(label="y", task="regression"), "FLOAT", "inf", "expected a number that is not infinite. Received: inf"),
        (Target(label="y / x", task="regression"), "FLOAT", "1", "`y / x` is no finite number where x = 0, y = 1"),
    ],
)
def test_a_label_that_is_none_of_its_task_is_a_fault(write, target, kind, cell, message):
    text = f'feature {{ name: "x" type: INT }} feature {{ name: "y" type: {kind} }}'
    good = "low" if kind == "BYTES" else "2.5"
    path = write(f"x,y\n1,{good}\n0,{cell}\n1,\n")  # The last has no label, which is no fault.

    with pytest.raises(LabelValueError) as caught:
        read(path, columns_of(text_format.Parse(text, schema_pb2.Schema()), target, ["x"]))

    assert str(caught.value).startswith(f"{path}, line 3, column ")
    assert message in str(caught.value)


def test_whole_numbers_may_be_written_as_pandas_writes_them(write, columns):
    # Parquet's floating point and Boolean columns fit an INT feature; CSV files hold the same columns.
    cells = ["7", "8.0", " -3.00 ", "9223372036854775807", "True", "FALSE", "true", ""]
    values = [7, 8, -3, 2**63 - 1, 1, 0, 1, None]

    rows = read(write(HEADER + "".join(f"{cell},2.5,True,8.0,0.5\n" for cell in cells)), columns)

    assert [row["id"] for row in rows] == values
    assert {(row["company"], row["note"]) for row in rows} == {("True", "8.0")}


def test_whole_numbers_of_another_form_may_begin_far_into_the_file(write, columns, monkeypatch):
    monkeypatch.setattr("pipeline.ingest.csv_reader._BLOCK_BYTES", 1024)
    path = write(HEADER + "".join(f"{number}{'.0' * (number > 200)},2.5,a,b,0.5\n" for number in range(500)))

    assert [row["id"] for row in read(path, columns)] == list(range(500))


def test_rows_that_need_no_label_may_lack_it_or_hold_anything(write, columns):
    path = write(HEADER + "1,2.5,a,b,\n2,0,a,b,0\n3,2.5,a,b,nan\n")

    assert [row["id"] for row in read(path, columns.without_label())] == [1, 2, 3]


def test_a_fault_in_rows_that_need_no_label_is_found_behind_a_row_without_one(write, columns):
    path = write(HEADER + "1,2.5,a,b,\n2,cheap,a,b,0\n")

    with pytest.raises(ValueTypeError) as caught:
        read(path, columns.without_label())

    assert (caught.value.line, caught.value.column) == (3, "fare")


def test_the_first_of_two_faults_is_the_one_reported(write, columns):
    path = write(HEADER + "1,2,a,b,0\nx,2,a,b,0\n2,3,a\n")

    with pytest.raises(ValueTypeError) as caught:
        read(path, columns)

    assert (caught.value.line, caught.value.column) == (3, "id")


def test_a_fault_far_into_the_file_is_found(write, columns):
    rows = "".join(f"{number},2.5,a,b,0.5\n" for number in range(100_000))
    path = write(HEADER + rows + "x,2.5,a,b,0.5\n")

    with pytest.raises(ValueTypeError) as caught:
        read(path, columns)

    assert (caught.value.line, caught.value.column) == (100_002, "id")


def test_files_of_one_span_agree_on_being_labelled(tmp_path, columns):
    labelled, bare = tmp_path / "a.csv", tmp_path / "b.csv"
    labelled.write_text(HEADER + "1,2,a,b,0\n")
    bare.write_text("id,fare,company\n1,2,a\n")

    with pytest.raises(ColumnsError, match="other files of this span have the label") as caught:
        open_span([os.fspath(labelled), os.fspath(bare)], PLAIN, columns)

    assert (caught.value.path, caught.value.column) == (os.fspath(bare), "tips")


def test_files_of_one_span_are_read_in_order(tmp_path, columns):
    paths = []
    for number in (1, 2):
        path = tmp_path / f"{number}.csv"
        path.write_text(HEADER + f"{number},2,a,b,0\n")
        paths.append(os.fspath(path))
    span = open_span(paths, PLAIN, columns)

    assert [row["id"] for batch in span.batches for row in batch.to_pylist()] == [1, 2]


def test_500_columns_are_read(tmp_path):
    from tensorflow_metadata.proto.v0 import schema_pb2

    from pipeline.ingest.columns import columns_of

    names = [f"c{index}" for index in range(500)]
    schema = schema_pb2.Schema(feature=[schema_pb2.Feature(name=name, type=schema_pb2.INT) for name in names])
    path = tmp_path / "wide.csv"
    path.write_text(",".join(names) + "\n" + ",".join(map(str, range(500))) + "\n")

    assert read(os.fspath(path), columns_of(schema)) == [{f"c{index}": index for index in range(500)}]


def test_no_files_are_refused(columns):
    with pytest.raises(UnreadableError, match="no files"):
        open_span([], PLAIN, columns)
