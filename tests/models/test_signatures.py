import json

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from models.predictor import Predictor
from models.transform_graph import TransformGraph, serving_arrays
from tests.models.conftest import FEATURES, make_table, to_examples


@pytest.fixture(scope="module")
def loaded(model_dir):
    return tf.saved_model.load(str(model_dir))


@pytest.fixture(scope="module")
def table():
    return make_table(1000, seed=4)


def test_signatures_have_named_tensors_of_one_dimension(loaded):
    inputs = loaded.signatures["serving_default"].structured_input_signature[1]

    assert {name: (spec.dtype.name, spec.shape.as_list()) for name, spec in inputs.items()} == {
        "amount": ("float32", [None]),
        "born": ("string", [None]),
        "code": ("int64", [None]),
        "count": ("float32", [None]),
        "degrees": ("float32", [None]),
        "empty": ("float32", [None]),
        "hour": ("float32", [None]),
        "kinds": ("string", [None]),
        "left": ("string", [None]),
        "number": ("int64", [None]),
        "plate": ("string", [None]),
        "remark": ("string", [None]),
        "seen_at": ("int64", [None]),
        "town": ("string", [None]),
    }
    for signature in ("serving_default", "serve_examples"):
        outputs = loaded.signatures[signature].structured_outputs
        assert {name: (spec.dtype.name, spec.shape.as_list()) for name, spec in outputs.items()} == {
            "probability": ("float32", [None]),
            "class": ("int64", [None]),
        }


def test_served_and_offline_predictions_agree(loaded, model_dir, table):
    served = loaded.signatures["serve_examples"](examples=tf.constant(to_examples(table)))
    offline = Predictor(str(model_dir)).predict(table)

    assert offline.shape == (1000,)
    assert np.abs(served["probability"].numpy() - offline).max() < 1e-6
    assert served["class"].numpy().tolist() == (offline >= 0.5).astype(int).tolist()
    assert np.std(offline) > 0.05


def test_documented_defaults_mean_the_same_as_absent_features(loaded, model_dir, table):
    defaults = json.loads((model_dir / "assets.extra" / "feature_defaults.json").read_text(encoding="utf-8"))
    absent = [
        "amount",
        "town",
        "code",
        "hour",
        "degrees",
        "plate",
        "number",
        "born",
        "seen_at",
        "left",
        "kinds",
        "remark",
    ]
    without = table.drop_columns(absent)

    by_examples = loaded.signatures["serve_examples"](examples=tf.constant(to_examples(without)))["probability"]
    arrays = serving_arrays(table, serving_inputs(loaded))
    for name in absent:
        value = float("nan") if defaults[name]["missing"] == "NaN" else defaults[name]["missing"]
        arrays[name] = np.full(len(table), value, dtype=object if isinstance(value, str) else None)
    by_default = loaded.signatures["serving_default"](
        **{name: tf.constant(value, defaults[name]["dtype"]) for name, value in arrays.items()}
    )["probability"]

    np.testing.assert_array_equal(by_examples.numpy(), by_default.numpy())


def serving_inputs(loaded):
    return dict(loaded.signatures["serving_default"].structured_input_signature[1])


def test_every_input_is_documented(model_dir):
    defaults = json.loads((model_dir / "assets.extra" / "feature_defaults.json").read_text(encoding="utf-8"))

    assert sorted(defaults) == list(FEATURES.names)
    assert defaults["hour"] == {"dtype": "float32", "missing": "NaN", "description": "Number with a period of 24."}
    assert defaults["born"] == {
        "dtype": "string",
        "missing": "",
        "description": "Date, such as 2024-03-31; a whole number is seconds since 1970.",
    }
    assert defaults["left"]["description"] == "Read by leaves, stay."
    assert defaults["kinds"]["separator"] == "|"
    assert (defaults["code"]["dtype"], defaults["code"]["missing"]) == ("int64", -1)
    assert (defaults["town"]["dtype"], defaults["town"]["missing"]) == ("string", "")


def test_transform_features_gives_the_transform_graphs_features_and_the_label(loaded, transform_dir, table):
    outputs = loaded.signatures["transform_features"](examples=tf.constant(to_examples(table)))

    expected = TransformGraph(str(transform_dir), FEATURES).transform_batch(table)
    assert set(outputs) == {*expected, "label_xf"}
    for name, values in expected.items():
        np.testing.assert_array_equal(outputs[name].numpy(), values, err_msg=name)
    labels = (table["paid"].to_numpy() > 0.5 * table["amount"].to_numpy()).astype(int)
    assert outputs["label_xf"].numpy().tolist() == labels.tolist()


def test_examples_without_label_have_none(loaded, table):
    unlabelled = to_examples(table.slice(0, 3).drop_columns(["paid"]))

    outputs = loaded.signatures["transform_features"](examples=tf.constant(unlabelled))

    assert outputs["label_xf"].numpy().tolist() == [-1, -1, -1]


def test_a_tf1_session_loads_it_with_the_signatures_of_tensorflow_servings_older_apis(model_dir, table):
    """BulkInferrer loads models this way; variables owned by Keras 3 are not found there."""
    answers = {}
    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        signatures = tf.compat.v1.saved_model.load(session, ["serve"], str(model_dir)).signature_def
        for name in ("serve_examples", "classify", "regress"):
            (given,) = signatures[name].inputs.values()
            fetches = {key: info.name for key, info in signatures[name].outputs.items()}
            answers[name] = session.run(fetches, {given.name: to_examples(table)})

    assert [signatures[name].method_name for name in ("classify", "regress")] == [
        "tensorflow/serving/classify",
        "tensorflow/serving/regress",
    ]
    expected = Predictor(str(model_dir)).predict(table)
    examples, classified = answers["serve_examples"], answers["classify"]
    assert (set(examples), set(classified)) == ({"class", "probability"}, {"classes", "scores"})
    np.testing.assert_allclose(examples["probability"], expected, rtol=0, atol=1e-6)
    assert classified["classes"].tolist() == [[b"0", b"1"]] * len(table)
    np.testing.assert_allclose(classified["scores"], np.stack([1 - expected, expected], axis=1), rtol=0, atol=1e-6)
    np.testing.assert_allclose(answers["regress"]["outputs"], expected, rtol=0, atol=1e-6)


def test_zero_rows(loaded, model_dir):
    assert loaded.signatures["serve_examples"](examples=tf.constant([], tf.string))["probability"].shape == (0,)
    assert Predictor(str(model_dir)).predict(pa.table({"amount": pa.array([], pa.float64())})).shape == (0,)
