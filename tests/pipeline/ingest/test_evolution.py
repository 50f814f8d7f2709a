"""Columns come and go: what the schema does not have is read over and named, and a blame names the right span."""

import os

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from pipeline.errors import DataError
from pipeline.ingest.columns import columns_of
from pipeline.ingest.config import IngestConfig
from pipeline.ingest.csv_format import PLAIN
from pipeline.ingest.errors import ValueTypeError
from pipeline.ingest.reader import open_span
from pipeline.ingest.training_window import WindowSpan, write_window

SCHEMA = 'feature { name: "x" type: INT } feature { name: "y" type: INT }'
CONFIG = IngestConfig(file_format="csv", schema_text=SCHEMA, label="y", features=("x",))


@pytest.fixture
def columns():
    return columns_of(text_format.Parse(SCHEMA, schema_pb2.Schema()), "y", ["x"])


def write_csv(path):
    path.write_text("gone,x,y\nred,1,0\nblue,2,1\n")
    return PLAIN


def write_parquet(path):
    # A struct is no flat column; where nothing reads it, that does not matter.
    gone = pa.array([{"a": 1}, {"a": 2}])
    pq.write_table(pa.table({"gone": gone, "x": [1, 2], "y": [0, 1]}), path)
    return "parquet"


def write_avro(path):
    fields = [{"name": name, "type": kind} for name, kind in (("gone", "string"), ("x", "long"), ("y", "long"))]
    rows = [{"gone": "red", "x": 1, "y": 0}, {"gone": "blue", "x": 2, "y": 1}]
    with path.open("wb") as file:
        fastavro.writer(file, {"type": "record", "name": "row", "fields": fields}, rows)
    return "avro"


@pytest.mark.parametrize("write", [write_csv, write_parquet, write_avro])
def test_a_column_that_left_the_schema_does_not_make_old_files_unreadable(tmp_path, columns, write):
    file_format = write(tmp_path / "data")

    span = open_span([str(tmp_path / "data")], file_format, columns)

    assert span.unexpected == ("gone",)
    assert pa.Table.from_batches(span.batches).to_pylist() == [{"x": 1, "y": 0}, {"x": 2, "y": 1}]


def test_each_unexpected_column_of_several_files_is_named_once(tmp_path, columns):
    for name, header in (("a", "x,y,new"), ("b", "other,x,y,new")):
        (tmp_path / name).write_text(f"{header}\n" + ",".join("1" * len(header.split(","))) + "\n")

    assert open_span([str(tmp_path / "a"), str(tmp_path / "b")], PLAIN, columns).unexpected == ("new", "other")


def spans(tmp_path, *texts):
    made = []
    for number, text in enumerate(texts, 1):
        path = tmp_path / f"span-{number}.csv"
        path.write_text(text)
        made.append(WindowSpan(span=number, paths=(os.fspath(path),)))
    return made


def test_a_window_of_spans_before_and_after_a_column_left(tmp_path):
    window = spans(tmp_path, "gone,x,y\n1,2,0\n3,4,1\n", "x,y\n5,0\n6,1\n")

    write_window(window, CONFIG, str(tmp_path / "out"))

    assert sorted(os.listdir(tmp_path / "out")) == ["Split-eval", "Split-train"]


def test_a_blame_names_the_span_whose_file_is_at_fault(tmp_path):
    window = spans(tmp_path, "x,y\n1,0\n", "x,y\nred,0\n", "x,y\n1,0\n")

    with pytest.raises(DataError) as caught:
        write_window(window, CONFIG, str(tmp_path / "out"))

    assert str(caught.value) == (
        "Span 3 is trained together with span 2, whose file is at fault: "
        f"{tmp_path}/span-2.csv, line 2, column 'x': expected INT. Received: 'red'. "
        "Correct that file of span 2, or lower [spans] window so that span 2 is left out."
    )


def test_a_fault_of_the_newest_span_is_its_own(tmp_path):
    with pytest.raises(ValueTypeError, match=r"^/.*span-2.csv, line 2, column 'x'"):
        write_window(spans(tmp_path, "x,y\n1,0\n", "x,y\nred,0\n"), CONFIG, str(tmp_path / "out"))
