import os

import fastavro
import pyarrow as pa
import pytest

from pipeline.ingest.errors import ColumnsError, UnreadableError
from pipeline.ingest.reader import open_span

FIELDS = [
    {"name": "id", "type": "long"},
    {"name": "fare", "type": ["null", "double"]},
    {"name": "company", "type": {"type": "enum", "name": "c", "symbols": ["a", "b"]}},
    {"name": "note", "type": ["null", "bytes"]},
    {"name": "tips", "type": ["float", "null"]},
]
ROWS = [
    {"id": 2**63 - 1, "fare": 2.5, "company": "a", "note": "ü".encode(), "tips": 0.5},
    {"id": 2, "fare": 3.0, "company": "b", "note": None, "tips": 0.0},
]


@pytest.fixture
def write(tmp_path):
    def write(rows=ROWS, fields=FIELDS):
        path = tmp_path / "data.avro"
        with path.open("wb") as file:
            fastavro.writer(file, fastavro.parse_schema({"type": "record", "name": "r", "fields": fields}), rows)
        return os.fspath(path)

    return write


def read(path, columns):
    span = open_span([path], "avro", columns)
    return pa.Table.from_batches(span.batches, span.schema).to_pylist()


def test_unions_enums_and_bytes_are_read(write, columns):
    assert read(write(), columns) == [
        {"id": 2**63 - 1, "fare": 2.5, "company": "a", "note": "ü", "tips": 0.5},
        {"id": 2, "fare": 3.0, "company": "b", "note": None, "tips": 0.0},
    ]


def test_labels_may_come_in_parts(write, columns):
    assert read(write([*ROWS, {**ROWS[0], "tips": None}]), columns)[-1]["tips"] is None


def test_a_span_without_the_labels_own_column_is_unlabelled(write, columns):
    rows = [{name: value for name, value in row.items() if name != "tips"} for row in ROWS]

    assert open_span([write(rows, FIELDS[:-1])], "avro", columns).labelled is False


def test_a_date_is_refused_by_name(write, columns):
    fields = [*FIELDS[:3], {"name": "note", "type": {"type": "int", "logicalType": "date"}}, FIELDS[4]]
    rows = [{**ROWS[0], "note": 1}]

    with pytest.raises(ColumnsError, match="column 'note': expected a plain number or text"):
        read(write(rows, fields), columns)


def test_a_truncated_file_is_one_error(write, columns):
    path = write(ROWS * 1000)
    with open(path, "rb+") as file:
        file.truncate(os.path.getsize(path) - 7)

    with pytest.raises(UnreadableError, match=r"data\.avro: damaged after record"):
        read(path, columns)


def test_another_format_is_one_error(tmp_path, columns):
    path = tmp_path / "data.avro"
    path.write_text("id,fare\n")

    with pytest.raises(UnreadableError, match="not a whole Avro file"):
        read(os.fspath(path), columns)
