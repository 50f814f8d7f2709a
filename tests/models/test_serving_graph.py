import json
import logging

import numpy as np
import pytest
import tensorflow as tf

from models import serving_graph, signatures
from models.calibration import Calibration
from models.learners.network import NetworkMembers
from models.network import Ensemble
from models.packed import Layout
from models.predictor import Predictor
from models.tasks import Binary
from models.training_spec import TrainingSpec
from models.transform_graph import TransformGraph, serving_arrays
from serving.errors import ServingError
from serving.servables.batching import BatchingParameters, BatchScheduler
from serving.servables.loaded_model import LoadedModel
from serving.values import json_reader, json_tensor
from serving.values.tensors import STRING
from tests.models.conftest import FEATURES, make_table


@pytest.fixture(scope="module")
def graph(transform_dir):
    return TransformGraph(str(transform_dir), FEATURES)


@pytest.fixture(scope="module")
def layout(graph):
    return Layout.of(FEATURES, {one.name: len(graph.vocabulary(one.name)) for one in FEATURES.having("vocabulary")})


def network_of(layout, **settings):
    network = Ensemble(layout, TrainingSpec(**{"hidden_units": (8,), "ensemble_size": 2} | settings))
    random = np.random.default_rng(5)
    for variable in network.trainable_variables:
        variable.assign(random.normal(0, 0.3, variable.shape))
    return NetworkMembers(network, np.arange(2))


@pytest.mark.parametrize("settings", [{}, {"cross_layers": 1, "cross_rank": 2}, {"hidden_units": ()}])
def test_the_stacked_graph_answers_as_tfts_own(settings, graph, layout):
    chosen, comparison = serving_graph.choose(network_of(layout, **settings), FEATURES, graph, make_table(300))

    assert isinstance(chosen, serving_graph.StackedGraph)
    assert (comparison.graph, comparison.rows) == ("stacked", 4096)
    assert comparison.largest_difference < 1e-5


def test_a_graph_that_would_answer_differently_is_not_exported(graph, layout, tmp_path, monkeypatch, caplog):
    # A naive version leaves out what int64 makes of infinities in integer columns.
    monkeypatch.setattr("models.stacked_features.StackedFeatures._as_stored", lambda self, x: x)
    network = network_of(layout)

    with caplog.at_level(logging.WARNING):
        comparison = signatures.export(
            network, Binary(), Calibration(), graph, FEATURES, str(tmp_path), make_table(300)
        )

    assert comparison.graph == "plain"
    assert comparison.largest_difference > 1e-3
    assert "answers through TFT's graph" in caplog.text
    stored = json.loads((tmp_path / "assets.extra" / "serving_graph.json").read_text(encoding="utf-8"))
    assert stored["graph"] == "plain"
    assert "differ by up to" in stored["reason"]
    table = make_table(50, seed=9)
    expected = Predictor(str(tmp_path)).predict(table)
    outputs = serving_graph.PlainGraph(network, graph)(
        {k: tf.constant(v) for k, v in serving_arrays(table, graph.serving_inputs).items()}
    )
    np.testing.assert_allclose(expected, tf.sigmoid(tf.reduce_mean(outputs, axis=1))[:, 0].numpy(), atol=1e-6)


def test_the_version_says_how_its_graph_was_chosen(trained):
    stored = json.loads((trained / "Format-Serving" / "assets.extra" / "serving_graph.json").read_text("utf-8"))

    assert stored == json.loads((trained / "run" / "history.json").read_text("utf-8"))["serving_graph"]
    assert {key: stored[key] for key in ("graph", "reason", "rows", "tolerance")} == {
        "graph": "stacked",
        "reason": "",
        "rows": 4096,
        "tolerance": 1e-5,
    }


def test_inputs_of_different_lengths_are_refused_by_name(model_dir):
    signature = tf.saved_model.load(str(model_dir)).signatures["serving_default"]
    inputs = signature.structured_input_signature[1]
    one = {
        name: tf.zeros([1], spec.dtype) if spec.dtype != tf.string else tf.constant(["x"])
        for name, spec in inputs.items()
    }

    assert signature(**one)["probability"].shape == (1,)
    for name in ("town", "amount", "code"):
        two = one | {name: tf.repeat(one[name], 2)}
        with pytest.raises(tf.errors.InvalidArgumentError, match=r"amount, .*town.* must have the same"):
            signature(**two)


def test_the_embedded_server_refuses_them_too_alone_and_in_batches(model_dir):
    scheduler = BatchScheduler(BatchingParameters(), lambda _: None)
    for batched in (None, scheduler.batched):
        model = LoadedModel(model_dir, batched=batched)
        signature = model.signature("serving_default")
        body = {name: ["7"] if dtype == STRING else [7] for name, dtype in signature.inputs.items()}
        text = json.dumps({"inputs": body | {"town": ["a", "b"]}}).encode()
        unequal = json_tensor.decode(json_reader.parse(text, max_values=1000), signature.inputs)

        with pytest.raises(ServingError, match=r"amount.*town") as raised:
            signature(unequal.tensors)
        assert raised.value.http_status == 400
        model.close()
