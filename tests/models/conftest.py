"""A small dataset with every kind of feature and every way of being missing, and one model trained on it."""

from __future__ import annotations

import types

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from models import training
from models.analysis import analyze
from models.features import FeatureSpec
from models.training_spec import TrainingSpec
from models.transform_graph import write_transform_graph

SCHEMA = text_format.Parse(
    """
    feature { name: "amount" type: FLOAT }
    feature { name: "count" type: INT }
    feature { name: "degrees" type: FLOAT }
    feature { name: "town" type: BYTES }
    feature { name: "code" type: INT }
    feature { name: "plate" type: BYTES }
    feature { name: "number" type: INT }
    feature { name: "hour" type: INT }
    feature { name: "empty" type: FLOAT }
    feature { name: "born" type: BYTES }
    feature { name: "seen_at" type: INT }
    feature { name: "left" type: BYTES }
    feature { name: "kinds" type: BYTES }
    feature { name: "remark" type: BYTES }
    feature { name: "paid" type: FLOAT }
    feature { name: "unused" type: BYTES }
    """,
    schema_pb2.Schema(),
)
FEATURES = FeatureSpec(
    label="paid > 0.5 * amount",
    numeric=("amount", "count", "empty"),
    bucketized={"degrees": 4},
    categorical=("town", "code"),
    hashed={"plate": 16, "number": 8},
    cyclical={"hour": 24},
    multivalued={"kinds": "|"},
    text={"remark": 32},
    dates=("born",),
    timestamps=("seen_at",),
    derived={
        "share": "if(amount > 0 and not (code == 7), log(count) / -amount, max(degrees, hour * .5e1) - min(count, 3))",
        "stay": "days_between(born, left)",
        "place": "town * code * hour",
        "size": 'if(amount < 10 or town in ["Oslo", "a ""b"""], "small", "large")',
        "is early": 'days_between("2001-02-03T04:05+06:00", born) <= abs(-3) * 100',
        "leaves": "weekday(left)",
    },
    numeric_buckets=8,
    multivalued_size=4,
    vocabulary_size=6,
    vocabulary_min_count=2,
)
TRAINING = TrainingSpec(
    batch_size=32,
    epochs=3,
    learning_rate=0.03,
    hidden_units=(8,),
    embedding_size=4,
    ensemble_size=2,
    validation_fraction=0.5,
)
TOWNS = ["Zürich", "Oslo", "東京", "New York, NY", "Łódź", "", "a\nb", "seldom", "Aix", "Bonn"]
DATES = [
    *(
        "2001-02-03",
        "1999-12-31T23:59:59.9",
        "2000-02-29 01:30",
        "2001-02-28T22:00:00-05:00",
        "2001-06-07 08:09:10 UTC",
    ),
    *("", "2001-02-29", "2001-13-01", "tomorrow", "2001-2-3", "1969-07-20T20:17:40+0000"),
]
KINDS = ["a|b", "b", " c | a|", "|", "", "a|a|d", "e|f", "ä b|c\nd", "e"]
WORDS = ["Größe:", "IS", "not", "is,not", "東京", "a-b", "\n", "x1", "ÅNGSTRÖM", "..."]
DAYS = ["2001-02-03", "2005-12-31", "2001-11-30", "", "31.12.2005", "2005-02-31"]
CODES = [-(2**63), 2**63 - 1, 0, -1, 7, 10, 9]


def make_table(rows: int, seed: int = 0) -> pa.Table:
    """Flat rows: nulls, NaN, infinities, int64 extremes, unicode, empty strings, newlines."""
    random = np.random.default_rng(seed)

    def with_nulls(values: list[object], share: float = 0.1) -> list[object]:
        return [None if random.random() < share else value for value in values]

    amount = np.round(random.gamma(2.0, 10.0, rows), 2)
    count = random.integers(-50, 50, rows)
    hour = random.integers(0, 24, rows)
    paid = amount * random.uniform(0, 1, rows) * np.where(hour > 12, 1.2, 0.6)
    columns = {
        "amount": pa.array([float(x) for x in amount], pa.float64()),
        "count": pa.array(with_nulls([*[2**63 - 1, -(2**63)], *count[2:].tolist()]), pa.int64()),
        "degrees": pa.array(with_nulls([*[np.nan, np.inf, -np.inf], *random.normal(41, 1, rows)[3:].tolist()])),
        "town": pa.array(with_nulls(random.choice(TOWNS, rows).tolist()), pa.large_string()),
        "code": pa.array(with_nulls([CODES[i] for i in random.integers(0, len(CODES), rows)]), pa.int64()),
        "plate": pa.array(with_nulls([f"ÄB {i}" for i in random.integers(0, 99, rows)]), pa.large_string()),
        "number": pa.array(with_nulls(random.integers(-5, 10**12, rows).tolist()), pa.int64()),
        "hour": pa.array(with_nulls(hour.tolist()), pa.int64()),
        "empty": pa.nulls(rows, pa.float64()),
        "born": pa.array(with_nulls(random.choice(DATES, rows).tolist()), pa.large_string()),
        "seen_at": pa.array(with_nulls(random.integers(-(10**10), 10**10, rows).tolist()), pa.int64()),
        "left": pa.array(with_nulls(random.choice(DAYS, rows).tolist()), pa.large_string()),
        "paid": pa.array(paid.tolist(), pa.float64()),
        "kinds": pa.array(with_nulls(random.choice(KINDS, rows).tolist()), pa.large_string()),
        "remark": pa.array(
            with_nulls([" ".join(random.choice(WORDS, count)) for count in random.integers(0, 6, rows)]),
            pa.large_string(),
        ),
        "unused": pa.array(["x"] * rows, pa.large_string()),
    }
    return pa.table(columns)


def to_examples(table: pa.Table, schema: schema_pb2.Schema = SCHEMA) -> list[bytes]:
    """Serialized tf.Examples; null is an absent feature."""
    kinds = {feature.name: feature.type for feature in schema.feature}
    serialized = []
    for row in table.to_pylist():
        example = tf.train.Example()
        for name, value in row.items():
            if value is None:
                continue
            feature = example.features.feature[name]
            if kinds[name] == schema_pb2.BYTES:
                feature.bytes_list.value.append(value.encode("utf-8"))
            elif kinds[name] == schema_pb2.INT:
                feature.int64_list.value.append(value)
            else:
                feature.float_list.value.append(value)
        serialized.append(example.SerializeToString())
    return serialized


def write_shard(path, table: pa.Table) -> None:
    """Writes one gzipped shard of an Examples artifact."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path), tf.io.TFRecordOptions(compression_type="GZIP")) as writer:
        for example in to_examples(table):
            writer.write(example)


def fn_args(transform_dir, examples_dir, output_dir, **changes) -> types.SimpleNamespace:
    """What TFX's GenericExecutor gives to run_fn, as far as run_fn may read it."""
    settings = {
        "train_files": [str(examples_dir / "Split-train" / "*")],
        "eval_files": [str(examples_dir / "Split-eval" / "*")],
        "transform_output": str(transform_dir),
        "serving_model_dir": str(output_dir / "Format-Serving"),
        "model_run_dir": str(output_dir / "run"),
        "base_model": None,
        "hyperparameters": None,
        "custom_config": {"features": FEATURES.to_json(), "training": TRAINING.to_json()},
    }
    return types.SimpleNamespace(**settings | changes)


@pytest.fixture(scope="session")
def train_table() -> pa.Table:
    return make_table(600)


@pytest.fixture(scope="session")
def transform_dir(tmp_path_factory, train_table):
    folder = tmp_path_factory.mktemp("transform")
    write_transform_graph(analyze(train_table.to_batches(), FEATURES), FEATURES, SCHEMA, str(folder))
    return folder


@pytest.fixture(scope="session")
def examples_dir(tmp_path_factory, train_table):
    """Two spans' shards in one artifact. The eval split is no TFRecord: whoever reads it fails."""
    folder = tmp_path_factory.mktemp("examples")
    write_shard(folder / "Split-train" / "span-00001-00000-of-00001.gz", train_table.slice(0, 300))
    write_shard(folder / "Split-train" / "span-00002-00000-of-00001.gz", train_table.slice(300))
    (folder / "Split-eval").mkdir()
    (folder / "Split-eval" / "span-00002-00000-of-00001.gz").write_bytes(b"not to be read by training")
    return folder


@pytest.fixture(scope="session")
def trained(tmp_path_factory, transform_dir, examples_dir):
    """The output folder of one run of run_fn: Format-Serving/ and run/."""
    output_dir = tmp_path_factory.mktemp("trained")
    training.run_fn(fn_args(transform_dir, examples_dir, output_dir))
    return output_dir


@pytest.fixture(scope="session")
def model_dir(trained):
    return trained / "Format-Serving"
