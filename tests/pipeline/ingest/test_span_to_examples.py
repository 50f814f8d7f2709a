import os
import resource

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx.components.example_gen import base_example_gen_executor as stock
from tfx.proto import example_gen_pb2

from columnar import examples
from pipeline.ingest.columns import columns_of
from pipeline.ingest.csv_format import PLAIN
from pipeline.ingest.errors import ValueTypeError
from pipeline.ingest.span_to_examples import assign_splits, write_examples

SCHEMA = text_format.Parse(
    'feature { name: "id" type: INT } feature { name: "fare" type: FLOAT } feature { name: "tips" type: FLOAT }',
    schema_pb2.Schema(),
)
COLUMNS = columns_of(SCHEMA, "tips > 0", ["id", "fare"])


def read(uri, split):
    return examples.read_table(examples.split_paths(uri, split), SCHEMA).to_pylist()


def rows(count):
    return "".join(f"{number},{number / 4},0\n" for number in range(count))


def test_splits_are_tfxs_own():
    keys = [b"", b"a", b"\0" * 1000, *(str(number).encode() for number in range(200))]
    config = example_gen_pb2.SplitConfig()

    # SHA-256 of "" is e3b0c442...7852b855; its hex digits sum to 484, so modulo 3 (16 is 1 there) it is 1: train.
    assigned = assign_splits(pa.array(keys, pa.large_binary()), [2, 1]).tolist()

    assert assigned[0] == 0
    assert assigned == [stock._PartitionFn(key, 2, [2, 3], config) for key in keys]


def test_every_row_is_in_one_split_about_2_to_1(write, tmp_path):
    conversion = write_examples([write("id,fare,tips\n" + rows(3000))], PLAIN, COLUMNS, os.fspath(tmp_path / "out"))

    train, held_out = (read(tmp_path / "out", split) for split in ("train", "eval"))

    assert conversion.labelled is True
    assert conversion.num_examples == {"train": len(train), "eval": len(held_out)}
    assert sorted(row["id"] for row in train + held_out) == list(range(3000))
    # Binomial(3000, 2/3): mean 2000, standard deviation 26.
    assert abs(len(train) - 2000) < 130


def test_a_rows_split_does_not_depend_on_its_neighbours(write, tmp_path):
    lines = rows(500).splitlines(keepends=True)
    for name, chosen in {"all": lines, "backwards": lines[::-1], "half": lines[::2]}.items():
        path = write("id,fare,tips\n" + "".join(chosen), f"{name}.csv")
        write_examples([path], PLAIN, COLUMNS, os.fspath(tmp_path / name))

    train = {name: {row["id"] for row in read(tmp_path / name, "train")} for name in ("all", "backwards", "half")}

    assert train["backwards"] == train["all"]
    assert train["half"] == {number for number in train["all"] if number % 2 == 0}


def test_one_row_leaves_the_other_split_empty(write, tmp_path):
    conversion = write_examples([write("id,fare,tips\n1,2,0\n")], PLAIN, COLUMNS, os.fspath(tmp_path / "out"))

    assert sorted(conversion.num_examples.values()) == [0, 1]
    assert len(read(tmp_path / "out", "train")) == conversion.num_examples["train"]
    assert len(read(tmp_path / "out", "eval")) == conversion.num_examples["eval"]


def test_an_unlabelled_span_is_written_and_said_to_be_so(write, tmp_path):
    conversion = write_examples([write("id,fare\n1,2\n")], PLAIN, COLUMNS, os.fspath(tmp_path / "out"))

    assert conversion.labelled is False
    assert [row["tips"] for split in ("train", "eval") for row in read(tmp_path / "out", split)] == [None]


def test_a_fault_leaves_no_shard(write, tmp_path):
    path = write("id,fare,tips\n" + rows(100_000) + "1,two,0\n")

    with pytest.raises(ValueTypeError, match="line 100002, column 'fare'"):
        write_examples([path], PLAIN, COLUMNS, os.fspath(tmp_path / "out"))

    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == []


def test_memory_does_not_grow_with_the_span(tmp_path):
    # 1.6 million rows are 38 MB of numbers and about 190 MB of tf.Examples; what is in flight is a few batches.
    path = os.fspath(tmp_path / "large.parquet")
    with pq.ParquetWriter(path, COLUMNS.flat) as writer:
        for start in range(0, 1_600_000, 100_000):
            ids = pa.array(range(start, start + 100_000))
            writer.write_table(pa.table({"id": ids, "fare": ids.cast("double"), "tips": ids.cast("double")}))
    small = os.fspath(tmp_path / "small.parquet")
    pq.write_table(pq.ParquetFile(path).read_row_group(0), small)
    write_examples([small], "parquet", COLUMNS, os.fspath(tmp_path / "warm"))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    write_examples([path], "parquet", COLUMNS, os.fspath(tmp_path / "out"))

    grown_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert grown_mb < 60
