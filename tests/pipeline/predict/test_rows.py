"""Rows as people have them, and what is said of those that are none."""

import io

import pytest

from pipeline.errors import DataError
from pipeline.predict.rows import Row, open_text, read_rows


def read(text):
    return list(read_rows(io.StringIO(text, newline=""), "rows"))


def test_csv_has_texts_and_leaves_empty_fields_out():
    assert read('\ufefffare,company\n12.5,"Blue, ""Cab"""\n,\n') == [
        Row(1, {"fare": "12.5", "company": 'Blue, "Cab"'}),
        Row(2, {}),
    ]


def test_a_ragged_csv_row_does_not_lose_the_others():
    rows = read("a,b\n1,2\n1,2,3\n4,5\n")

    assert rows == [
        Row(1, {"a": "1", "b": "2"}),
        Row(2, {}, "expected 2 fields, as in the header. Received: 3"),
        Row(3, {"a": "4", "b": "5"}),
    ]


def test_a_field_may_be_longer_than_pythons_default_allows():
    # Python's own limit is 131,072 characters; `run` reads longer ones.
    assert read(f"a,b\n{'x' * 131_073},1\n") == [Row(1, {"a": "x" * 131_073, "b": "1"})]


def test_a_nul_byte_is_a_fault_with_its_line():
    assert read('a,b\n"1\n",2\n1,x\0\n4,5\n')[1:] == [
        Row(2, {}, "b: the value holds a NUL byte (line 4)"),
        Row(3, {"a": "4", "b": "5"}),
    ]
    assert read('{"a": 1}\n{"a": "x\0"}\n')[1].error.startswith("not JSON: Invalid control character")
    with pytest.raises(DataError, match=r"line 1 holds a NUL byte\. Expected UTF-8"):
        read("a\0,\0b\0\n")


def test_in_a_csv_of_one_column_an_empty_line_is_a_row():
    assert read("a\n1\n\n2\n") == [Row(1, {"a": "1"}), Row(2, {}), Row(3, {"a": "2"})]
    assert read("a,b\n1,2\n\n3,4\n") == [Row(1, {"a": "1", "b": "2"}), Row(2, {"a": "3", "b": "4"})]


def test_json_lines_with_null_for_missing():
    rows = read('\n{"a": 1, "b": null}\n{"a": NaN}\nnope\n[1]\n')

    assert rows[0] == Row(1, {"a": 1})
    assert rows[1].values["a"] != rows[1].values["a"]
    assert rows[2].error.startswith("not JSON: Expecting value")
    assert rows[3] == Row(4, {}, "expected an object of columns. Received: [1]")


@pytest.mark.parametrize(
    "text",
    [
        '[{"a": 1},\n {"a": 2}]',
        '{"instances": [{"a": 1}, {"a": 2}]}',
        '{\n "signature_name": "s",\n "instances": [{"a": 1}, {"a": 2}]\n}',
        '{"a": 1}\n{"a": 2}',
    ],
)
def test_an_array_and_a_predict_request_are_rows_too(text):
    assert read(text) == [Row(1, {"a": 1}), Row(2, {"a": 2})]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"rows: the input is empty. Expected CSV with a header, JSON lines or a JSON array\."),
        ("[1, 2", "rows: not JSON: Expecting"),
        ("[" * 100_000, "rows: not JSON"),
        ("a,b,a\n1,2,3\n", "rows: the header has column 'a' more than once"),
        ("a,,b\n", "rows: a column of the header has no name"),
    ],
)
def test_a_file_that_is_no_table_is_one_error(text, message):
    with pytest.raises(DataError, match=message):
        read(text)


def test_what_is_not_utf_8_is_said(tmp_path):
    path = tmp_path / "latin.csv"
    path.write_bytes("a\nGenève\n".encode("latin-1"))

    with open_text(str(path)) as file, pytest.raises(DataError, match=r"latin\.csv: expected UTF-8"):
        list(read_rows(file, str(path)))
    with pytest.raises(DataError, match=r"none\.csv: No such file or directory"):
        open_text("none.csv")
