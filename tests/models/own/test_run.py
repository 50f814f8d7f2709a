"""What an own run_fn has exported is asked before it is taken."""

from types import SimpleNamespace

import pyarrow as pa
import pytest
import tensorflow as tf

from models.errors import OwnCodeError
from models.features import FeatureSpec
from models.own import run
from models.own.source import OwnCode
from models.predictor import Predictor

OWN = OwnCode(entry="model.py", files={})
FEATURES = FeatureSpec(label="tipped", numeric=("fare",))
GRAPH = SimpleNamespace(features=FEATURES, serving_inputs={"fare": tf.TensorSpec([None], tf.float32, "fare")})
SAMPLE = pa.RecordBatch.from_pydict({"fare": [0.25, 4.0]})


def export(folder, answer):
    class Model(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="fare")])
        def serve(self, fare):
            return {"outputs": answer(fare)[:, None]}

    model = Model()
    tf.saved_model.save(model, str(folder), signatures={"serving_default": model.serve})
    return str(folder)


def test_probabilities_are_taken(tmp_path):
    model = export(tmp_path, lambda fare: fare / 5)

    run.check_export(OWN, model, GRAPH, SAMPLE)

    assert Predictor(model).predict(SAMPLE).tolist() == pytest.approx([0.05, 0.8])


def test_logits_are_refused(tmp_path):
    with pytest.raises(OwnCodeError, match=r"^model\.py: run_fn: expected probabilities\. Received: from 0\.25 to 4\."):
        run.check_export(OWN, export(tmp_path, lambda fare: fare), GRAPH, SAMPLE)


def test_no_model_is_refused(tmp_path):
    with pytest.raises(OwnCodeError, match=r"^model\.py: run_fn has exported no model that can be served: No Saved"):
        run.check_export(OWN, str(tmp_path), GRAPH, SAMPLE)


def test_a_keras_model_is_found_by_a_session_once_it_is_saved_again(tmp_path):
    keras = tf.keras
    network = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, activation="sigmoid")])
    network.compile("adam", "binary_crossentropy")

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="fare")])
    def serve(fare):
        return {"outputs": network(fare[:, None])}

    tf.saved_model.save(network, str(tmp_path), signatures={"serving_default": serve})
    expected = network(tf.constant([[0.25], [4.0]]))[:, 0].numpy()

    run.check_export(OWN, str(tmp_path), GRAPH, SAMPLE)

    assert Predictor(str(tmp_path)).predict(SAMPLE).tolist() == pytest.approx(expected.tolist())
