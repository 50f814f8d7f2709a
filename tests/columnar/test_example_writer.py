import os

import pyarrow as pa
import pytest
import tensorflow as tf

from columnar import example_writer
from columnar.example_writer import SplitWriter, each_bytes


def records(*values):
    return pa.array(values, pa.large_binary())


def read(folder):
    paths = sorted(os.path.join(folder, name) for name in os.listdir(folder))
    return list(tf.data.TFRecordDataset(paths, "GZIP").as_numpy_iterator())


def test_tensorflow_reads_what_was_written(tmp_path):
    folder = os.fspath(tmp_path / "Split-train")
    with SplitWriter(folder) as writer:
        writer.write(records(b"", b"a" * 300))
        writer.write(records(b"b"))

    assert os.listdir(folder) == ["data_tfrecord-00000-of-00001.gz"]
    assert read(folder) == [b"", b"a" * 300, b"b"]
    assert writer.num_examples == 3


def test_large_splits_have_several_shards_in_order(tmp_path, monkeypatch):
    monkeypatch.setattr(example_writer, "_EXAMPLES_PER_SHARD", 3)
    folder = os.fspath(tmp_path)
    with SplitWriter(folder, "span-7") as writer:
        for number in range(4):
            writer.write(records(b"%d" % number, b"-"))

    assert sorted(os.listdir(folder)) == [f"span-7-{index:05d}-of-00004.gz" for index in range(4)]
    assert read(folder)[::2] == [b"0", b"1", b"2", b"3"]


def test_a_split_without_examples_is_an_empty_shard(tmp_path):
    with SplitWriter(os.fspath(tmp_path)):
        pass

    assert read(os.fspath(tmp_path)) == []
    assert os.listdir(tmp_path) == ["data_tfrecord-00000-of-00001.gz"]


def test_a_failure_leaves_nothing_that_looks_like_a_shard(tmp_path):
    def fail_midway():
        with SplitWriter(os.fspath(tmp_path)) as writer:
            writer.write(records(b"a"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_midway()

    assert os.listdir(tmp_path) == []


def test_shards_of_an_earlier_attempt_are_removed(tmp_path):
    for name in ("data_tfrecord-00001-of-00002.gz", ".data_tfrecord-00000.partial", "span-3-00000-of-00001.gz"):
        (tmp_path / name).write_bytes(b"old")
    with SplitWriter(os.fspath(tmp_path)) as writer:
        writer.write(records(b"new"))

    assert sorted(os.listdir(tmp_path)) == ["data_tfrecord-00000-of-00001.gz", "span-3-00000-of-00001.gz"]


def test_bytes_never_vary(tmp_path):
    for name in ("a", "b"):
        with SplitWriter(os.fspath(tmp_path / name)) as writer:
            writer.write(records(b"same", b"bytes"))
    shard = "data_tfrecord-00000-of-00001.gz"

    assert (tmp_path / "a" / shard).read_bytes() == (tmp_path / "b" / shard).read_bytes()


def test_each_bytes_of_a_slice():
    assert list(each_bytes(records(b"a", b"", b"ccc", b"d").slice(1, 2))) == [b"", b"ccc"]
    assert list(each_bytes(records())) == []
