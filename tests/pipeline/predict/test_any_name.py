"""A model whose columns have every kind of name, asked in each of the ways in which models are asked."""

import json

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from tensorflow_metadata.proto.v0 import schema_pb2

from models import training
from models.analysis import analyze
from models.features import FeatureSpec
from models.label_grammar import values_expression
from models.predictor import Predictor
from models.training_spec import TrainingSpec
from models.transform_graph import write_transform_graph
from pipeline.predict.instances import instances, write_warmup
from tests.helpers.model_server import start, stop
from tests.models.conftest import fn_args, to_examples

NUMBERS = (
    *("hours-per-week", "concave points (mean)", "50%", "f(x)", "$x", "a:b", "#1", "a[0]", "it's", 'say "x"', "größe"),
    *("_lead", "class", "self", "None", "x", "X", "a/b", "a.b", "1st", "a\\b", "a=b;c", "%s{}", " ", "label_xf"),
)
CATEGORIES = ("Town/City", "東京", "probability", "bias", "town" * 100)
LABEL = "Loan Status"
POSITIVE = 'paid, "in full"'
FEATURES = FeatureSpec(
    label=values_expression(LABEL, [POSITIVE]), numeric=NUMBERS, categorical=CATEGORIES, numeric_buckets=4
)


@pytest.fixture(scope="module")
def table() -> pa.Table:
    random = np.random.default_rng(7)
    columns = {name: pa.array(random.normal(size=300).round(2)) for name in NUMBERS}
    columns |= {name: pa.array(random.choice(["a", "b", None], 300).tolist(), pa.large_string()) for name in CATEGORIES}
    # Each feature counts, so a feature that is lost or taken for another changes the answers.
    score = sum(columns[name].to_numpy() for name in NUMBERS) + random.normal(size=300)
    return pa.table(columns | {LABEL: pa.array(np.where(score > 0, POSITIVE, "open").tolist(), pa.large_string())})


@pytest.fixture(scope="module")
def version(tmp_path_factory, table):
    """A trained version below a base path, with its warm-up requests."""
    schema = _types(table)
    folder = tmp_path_factory.mktemp("any_name")
    write_transform_graph(analyze(table.to_batches(), FEATURES), FEATURES, schema, str(folder / "transform"))
    shard = folder / "examples" / "Split-train" / "span-1-00000-of-00001.gz"
    shard.parent.mkdir(parents=True)
    with tf.io.TFRecordWriter(str(shard), tf.io.TFRecordOptions(compression_type="GZIP")) as writer:
        for example in to_examples(table, schema):
            writer.write(example)
    spec = TrainingSpec(batch_size=32, epochs=3, hidden_units=(8,), embedding_size=4, ensemble_size=2)
    config = {"features": FEATURES.to_json(), "training": spec.to_json()}
    version = folder / "base" / "1"
    training.run_fn(
        fn_args(folder / "transform", folder / "examples", folder, serving_model_dir=str(version), custom_config=config)
    )
    write_warmup(version, "m", [instances(table.slice(0, 2), version)])
    return version


@pytest.fixture(scope="module")
def offline(version, table) -> np.ndarray:
    return Predictor(str(version)).predict(table)


def test_every_column_is_an_input_by_its_own_name(version, table, offline):
    predictor = Predictor(str(version))

    assert set(predictor.inputs) == {*NUMBERS, *CATEGORIES}
    for name in NUMBERS:
        gone = table.set_column(table.schema.get_field_index(name), name, [pa.nulls(300, pa.float64())])
        assert not np.array_equal(predictor.predict(gone), offline), name


def test_examples_keep_the_columns_names(version, table, offline):
    loaded = tf.saved_model.load(str(version))
    examples = tf.constant(to_examples(table, _types(table)))

    served = loaded.signatures["serve_examples"](examples=examples)["probability"].numpy()
    transformed = loaded.signatures["transform_features"](examples=examples)

    np.testing.assert_allclose(served, offline, rtol=0, atol=1e-6)
    assert len(transformed) == 2 * len(NUMBERS) + len(CATEGORIES) + 1
    assert transformed["label_xf"].numpy().tolist() == [int(text == POSITIVE) for text in table[LABEL].to_pylist()]
    assert loaded.signatures["transform_features"](examples=tf.constant([b""]))["label_xf"].numpy().tolist() == [-1]


def test_a_server_takes_and_describes_the_columns_names(version, table, offline):
    server = start(version.parent)  # A version whose warm-up requests fail would not come up.
    try:
        reply = server.predict(json.dumps({"instances": instances(table, version)}))
        metadata = server.ask("/v1/models/m/metadata").json["metadata"]["signature_def"]["signature_def"]
    finally:
        stop(server)

    assert reply.status == 200, reply.body
    served = [answer["probability"] for answer in reply.json["predictions"]]
    np.testing.assert_allclose(served, offline, rtol=0, atol=1e-6)
    assert set(metadata["serving_default"]["inputs"]) == {*NUMBERS, *CATEGORIES}


def _types(table: pa.Table) -> schema_pb2.Schema:
    schema = schema_pb2.Schema()
    for field in table.schema:
        kind = {pa.int64(): schema_pb2.INT, pa.float64(): schema_pb2.FLOAT}.get(field.type, schema_pb2.BYTES)
        schema.feature.add(name=field.name, type=kind)
    return schema
