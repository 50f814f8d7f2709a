import math
import os

import pyarrow as pa
import pytest
import tensorflow as tf
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from columnar import examples
from columnar.errors import ExamplesError


@pytest.fixture
def schema():
    text = """feature { name: "i" type: INT } feature { name: "f" type: FLOAT } feature { name: "s" type: BYTES }"""
    return text_format.Parse(text, schema_pb2.Schema())


@pytest.fixture
def write(tmp_path):
    def write(*texts, split="train", shard=0):
        folder = tmp_path / f"Split-{split}"
        folder.mkdir(exist_ok=True)
        path = os.fspath(folder / f"data_tfrecord-{shard:05d}-of-00002.gz")
        with tf.io.TFRecordWriter(path, tf.io.TFRecordOptions(compression_type="GZIP")) as writer:
            for text in texts:
                example = text_format.Parse("features {" + text + "}", tf.train.Example())
                writer.write(example.SerializeToString())
        return path

    return write


FULL = """
feature { key: "i" value { int64_list { value: -9223372036854775808 } } }
feature { key: "f" value { float_list { value: 0.5 } } }
feature { key: "s" value { bytes_list { value: "Z\\303\\274rich" } } }
"""


def test_values_and_every_way_of_being_missing(write, schema):
    path = write(
        FULL,
        "",
        'feature { key: "i" value {} } feature { key: "f" value { float_list {} } }',
        'feature { key: "f" value { float_list { value: nan } } }'
        'feature { key: "s" value { bytes_list { value: "" } } }',
    )

    table = examples.read_table([path], schema)

    assert table.schema == pa.schema([("i", pa.int64()), ("f", pa.float64()), ("s", pa.large_string())])
    assert table["i"].to_pylist() == [-(2**63), None, None, None]
    assert table["s"].to_pylist() == ["Zürich", None, None, ""]
    assert table["f"].to_pylist()[:3] == [0.5, None, None]
    assert math.isnan(table["f"].to_pylist()[3])


def test_only_the_columns_asked_for_come_in_their_order(write, schema):
    table = examples.read_table([write(FULL)], schema, ["s", "i"])

    assert table.to_pylist() == [{"s": "Zürich", "i": -(2**63)}]


def test_a_column_that_no_example_has_is_missing_in_every_row(write, schema):
    path = write('feature { key: "i" value { int64_list { value: 1 } } }', 'feature { key: "i" value {} }')

    assert examples.read_table([path], schema, ["s"])["s"].to_pylist() == [None, None]


def test_batches_follow_the_files_and_never_exceed_the_size(write, schema):
    first = 'feature { key: "i" value { int64_list { value: %d } } }'
    paths = [write(*[first % n for n in range(5)]), write(*[first % n for n in range(5, 7)], shard=1)]

    batches = list(examples.iter_batches(paths, schema, batch_size=2))

    assert [batch.num_rows for batch in batches] == [2, 2, 1, 2]
    assert [row["i"] for batch in batches for row in batch.to_pylist()] == list(range(7))


def test_lists_keep_the_types_of_the_data(write):
    batch = next(examples.iter_list_batches([write(FULL, 'feature { key: "n" value {} }')]))

    assert batch.schema.field("i").type == pa.large_list(pa.int64())
    assert batch.schema.field("f").type == pa.large_list(pa.float32())
    assert batch.schema.field("n").type == pa.null()


def test_shards_of_a_split_are_found_in_order(write, tmp_path):
    paths = [write(FULL, shard=1), write(FULL, shard=0)]
    (tmp_path / "Split-train" / ".data_tfrecord-00000.partial").write_bytes(b"")

    assert examples.split_paths(os.fspath(tmp_path), "train") == sorted(paths)


def test_a_split_that_is_not_there_is_an_error_that_names_those_that_are(write, tmp_path):
    write(FULL)

    with pytest.raises(ExamplesError, match=r"No examples in .*Split-test\. Splits of this artifact: train"):
        examples.split_paths(os.fspath(tmp_path), "test")


def test_splits_are_read_one_after_the_other_and_one_without_rows_adds_none(write, schema, tmp_path):
    one = 'feature { key: "i" value { int64_list { value: %d } } }'
    write(one % 1, one % 2)
    write(one % 3, split="eval")
    uris = [os.fspath(tmp_path)]

    assert examples.read_splits(uris, ["eval", "test", "train"], schema)["i"].to_pylist() == [3, 1, 2]
    assert examples.read_splits(uris, ["test"], schema).num_rows == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('feature { key: "i" value { int64_list { value: 1 value: 2 } } }', "column 'i' has 2 values in one example"),
        ('feature { key: "i" value { float_list { value: 1 } } }', r"not the tf\.Examples that the schema describes"),
        ('feature { key: "s" value { bytes_list { value: "\\377" } } }', "column 's' is not large_string"),
    ],
    ids=["two values", "another type", "not UTF-8"],
)
def test_what_the_schema_does_not_allow_is_an_error_that_names_the_file(write, schema, text, message):
    path = write(FULL, text)

    with pytest.raises(ExamplesError, match=message) as caught:
        examples.read_table([path], schema)

    assert path in str(caught.value)


def test_a_truncated_shard_is_one_clear_error(write, schema):
    path = write(*[FULL] * 100)
    with open(path, "rb+") as file:
        file.truncate(os.path.getsize(path) - 4)

    with pytest.raises(ExamplesError, match=r"the gzip file is truncated\. Write the artifact again"):
        examples.read_table([path], schema)


def test_an_unknown_column_and_a_struct_are_refused(schema):
    with pytest.raises(ExamplesError, match=r"no column 'x'\. It has: i, f, s"):
        examples.flat_schema(schema, ["x"])
    schema.feature.add(name="struct", type=schema_pb2.STRUCT)
    with pytest.raises(ExamplesError, match="Column 'struct' has type STRUCT"):
        examples.flat_schema(schema)


@pytest.mark.parametrize("name", ["a[b]", "a*", "a?"])
def test_shards_are_listed_in_a_folder_whose_name_would_be_a_wildcard(tmp_path, name):
    shard = tmp_path / name / "Split-train" / "data.gz"
    shard.parent.mkdir(parents=True)
    shard.touch()

    assert examples.split_paths(str(tmp_path / name), "train") == [str(shard)]
