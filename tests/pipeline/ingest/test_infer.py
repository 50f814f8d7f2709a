import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tensorflow_metadata.proto.v0 import schema_pb2

from pipeline.ingest.csv_format import PLAIN
from pipeline.ingest.errors import ColumnsError, UnreadableError
from pipeline.ingest.infer import infer_schema


def kinds(schema):
    return {feature.name: schema_pb2.FeatureType.Name(feature.type) for feature in schema.feature}


def test_a_type_is_the_narrowest_that_holds_every_value(write):
    path = write("a,b,c,d,e,f\n1,1,1,,9223372036854775807,1\n-2,2.5,x,,9223372036854775808,nan\n")

    # As stock CsvExampleGen has it: integers beyond 64 bits are text.
    assert kinds(infer_schema([path], PLAIN)) == {
        "a": "INT", "b": "FLOAT", "c": "BYTES", "d": "BYTES", "e": "BYTES", "f": "FLOAT",
    }  # fmt: skip


def test_a_later_file_widens_a_type(write):
    paths = [write("a\n1\n", "1.csv"), write("a\n1.5\n", "2.csv"), write("a\n2\n", "3.csv")]

    assert kinds(infer_schema(paths, PLAIN)) == {"a": "FLOAT"}


def test_declared_types_are_taken(tmp_path):
    path = os.fspath(tmp_path / "data.parquet")
    pq.write_table(pa.table({"a": [True], "b": pa.array([1.5], pa.float32()), "c": ["x"]}), path)

    assert kinds(infer_schema([path], "parquet")) == {"a": "INT", "b": "FLOAT", "c": "BYTES"}


def test_types_that_are_not_flat_are_refused(tmp_path):
    path = os.fspath(tmp_path / "data.parquet")
    pq.write_table(pa.table({"a": [{"b": 1}]}), path)

    with pytest.raises(ColumnsError, match="column 'a': expected a plain number or text"):
        infer_schema([path], "parquet")


def test_a_duplicated_column_and_an_empty_file_are_refused(write):
    with pytest.raises(ColumnsError, match="column 'a': the column is there 2 times"):
        infer_schema([write("a,a\n1,2\n")], PLAIN)
    with pytest.raises(UnreadableError, match="the file is empty"):
        infer_schema([write("")], PLAIN)
