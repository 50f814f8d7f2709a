import os

import pyarrow as pa
import pytest
import tensorflow as tf

from pipeline.ingest.errors import ColumnsError, UnreadableError
from pipeline.ingest.reader import open_span


def example(text):
    from google.protobuf import text_format

    return text_format.Parse("features {" + text + "}", tf.train.Example()).SerializeToString()


FULL = """
feature { key: "id" value { int64_list { value: -7 } } } feature { key: "fare" value { float_list { value: 2.5 } } }
feature { key: "company" value { bytes_list { value: "a" } } }
feature { key: "tips" value { float_list { value: 0.5 } } }
"""
NO_TIPS = FULL[: FULL.index('feature { key: "tips"')]


@pytest.fixture(params=["", "GZIP"], ids=["plain", "gzip"])
def write(tmp_path, request):
    def write(*texts):
        path = os.fspath(tmp_path / "data.tfrecord")
        with tf.io.TFRecordWriter(path, tf.io.TFRecordOptions(compression_type=request.param)) as writer:
            for text in texts:
                writer.write(example(text))
        return path

    return write


def read(path, columns):
    span = open_span([path], "tfrecord", columns)
    return pa.Table.from_batches(span.batches, span.schema).to_pylist()


def test_absent_features_features_of_no_kind_and_empty_lists_are_missing(write, columns):
    path = write(
        FULL,
        FULL.replace("value: -7", ""),
        FULL.replace('feature { key: "company" value { bytes_list { value: "a" } } }', ""),
        FULL.replace('bytes_list { value: "a" }', ""),
    )

    rows = read(path, columns)

    assert rows[0] == {"id": -7, "fare": 2.5, "company": "a", "note": None, "tips": 0.5}
    assert [row["id"] for row in rows] == [-7, None, -7, -7]
    assert [row["company"] for row in rows] == ["a", "a", None, None]


def test_labels_may_come_in_parts(write, columns):
    assert read(write(FULL, NO_TIPS), columns)[-1]["tips"] is None


def test_a_span_without_the_labels_own_feature_is_unlabelled(write, columns):
    assert open_span([write(NO_TIPS)], "tfrecord", columns).labelled is False


def test_a_list_of_several_values_is_refused(write, columns):
    with pytest.raises(UnreadableError, match="column 'id' has 2 values in one example"):
        read(write(FULL.replace("value: -7", "value: 1 value: 2")), columns)


def test_a_feature_that_the_schema_does_not_have_is_read_over_and_named(write, columns):
    rows = read(write(FULL), columns)
    path = write(FULL + 'feature { key: "extra" value { float_list { value: 1 value: 2 } } }')

    assert open_span([path], "tfrecord", columns).unexpected == ("extra",)
    assert read(path, columns) == rows


def test_another_type_than_the_schemas_is_refused(write, columns):
    with pytest.raises(ColumnsError, match="column 'fare': expected FLOAT"):
        read(write(FULL.replace("float_list { value: 2.5 }", 'bytes_list { value: "x" }')), columns)


def test_records_that_are_no_examples_are_one_error(tmp_path, columns):
    path = os.fspath(tmp_path / "data.tfrecord")
    with tf.io.TFRecordWriter(path) as writer:
        writer.write(b"\xff\xff not a proto")

    with pytest.raises(UnreadableError, match=r"not a file of tf\.Examples"):
        read(path, columns)


def test_a_truncated_file_is_one_error(write, columns):
    path = write(*[FULL] * 100)
    with open(path, "rb+") as file:
        file.truncate(os.path.getsize(path) - 5)

    with pytest.raises(UnreadableError, match=r"truncated|ends inside"):
        read(path, columns)


def test_an_empty_shard_beside_others_is_fine(tmp_path, write, columns):
    empty = os.fspath(tmp_path / "empty.tfrecord")
    tf.io.TFRecordWriter(empty).close()

    span = open_span([empty, write(FULL)], "tfrecord", columns)

    assert span.labelled is True
    assert [row["id"] for batch in span.batches for row in batch.to_pylist()] == [-7]


def test_an_empty_file_has_no_rows(write, columns):
    with pytest.raises(UnreadableError, match="no rows"):
        read(write(), columns)
