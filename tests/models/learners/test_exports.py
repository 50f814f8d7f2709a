"""One model of every learner, exported: TensorFlow 2, a TF1 session and the predictor answer as its members do."""

import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf

from models import signatures, training
from models.calibration import Calibration
from models.fitting import fit
from models.learners.several import BlendMembers
from models.model_spec import ModelSpec
from models.packed import pack
from models.predictor import Predictor
from models.transform_graph import TransformGraph
from tests.models.conftest import FEATURES, TRAINING, make_table, to_examples

SPEC = dataclasses.replace(TRAINING, epochs=1, trees=10, tree_rows=5, l2=(10.0,))


@pytest.fixture(scope="module")
def graph(transform_dir):
    return TransformGraph(str(transform_dir), FEATURES)


@pytest.fixture(scope="module")
def blend(transform_dir, examples_dir, graph):
    """Members of all three learners, over every kind of feature: categories, sets of them and texts too."""
    layout, _ = training.packed_layout(None, graph, str(transform_dir))
    rows = training.read_rows(sorted(str(path) for path in (examples_dir / "Split-train").glob("*")), graph, layout)
    parts = [
        fit(rows, layout, SPEC, target=FEATURES.target, model=ModelSpec(learner=learner))
        for learner in ("network", "trees", "linear")
    ]
    return parts[0].task, BlendMembers([each.members for each in parts])


@pytest.fixture(scope="module")
def exported(blend, graph, tmp_path_factory):
    folder, (task, members) = tmp_path_factory.mktemp("blend"), blend
    signatures.export(members, task, Calibration(), graph, FEATURES, str(folder), make_table(100, seed=1))
    return folder


def test_the_exported_graph_answers_as_the_members_do(exported, blend, graph):
    task, members = blend
    table = make_table(400, seed=4)
    outputs = members.predict(*pack(graph.transform_batch(table), members.layout)).mean(axis=1)
    expected = task.predictions(outputs)

    answered = Predictor(str(exported)).predict(table)
    np.testing.assert_allclose(answered, expected, rtol=0, atol=1e-5)
    assert np.std(answered) > 0.05
    chosen = json.loads((exported / "assets.extra" / "serving_graph.json").read_text(encoding="utf-8"))
    assert chosen["graph"] == "stacked", chosen


def test_a_tf1_session_as_bulk_inferrer_has_answers_alike(exported):
    table = make_table(400, seed=4)
    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        signature = tf.compat.v1.saved_model.load(session, ["serve"], str(exported)).signature_def["serve_examples"]
        (given,) = signature.inputs.values()
        answers = session.run(signature.outputs["probability"].name, {given.name: to_examples(table)})

    np.testing.assert_allclose(answers, Predictor(str(exported)).predict(table), rtol=0, atol=1e-6)
