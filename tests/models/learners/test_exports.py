"""One model of every learner, exported: the predictor and a TF1 session answer as its members do."""

import json

import numpy as np
import pytest
import tensorflow as tf

from models import signatures, training
from models.analysis import analyze
from models.calibration import Calibration
from models.features import FeatureSpec
from models.fitting import fit
from models.learners.several import BlendMembers
from models.model_spec import ModelSpec
from models.packed import pack
from models.predictor import Predictor
from models.training_spec import TrainingSpec
from models.transform_graph import TransformGraph, write_transform_graph
from tests.models.conftest import SCHEMA, make_table, to_examples

# Numbers, categories, sets of categories and texts.
FEATURES = FeatureSpec(
    label="paid > 0.5 * amount",
    numeric=("amount",),
    categorical=("town",),
    cyclical={"hour": 24},
    multivalued={"kinds": "|"},
    text={"remark": 8},
    numeric_buckets=8,
)
SPEC = TrainingSpec(
    batch_size=64, epochs=1, hidden_units=(8,), ensemble_size=2, trees=10, tree_rows=5, l2=(10.0,), learning_rate=0.03
)


@pytest.fixture(scope="module")
def blend(tmp_path_factory):
    """Task, members of all three learners, transform graph, and the exported model."""
    folder, table = tmp_path_factory.mktemp("blend"), make_table(600)
    write_transform_graph(analyze(table.to_batches(), FEATURES), FEATURES, SCHEMA, str(folder / "transform"))
    graph = TransformGraph(str(folder / "transform"), FEATURES)
    layout, _ = training.packed_layout(None, graph, str(folder / "transform"))
    rows = training.pack_batches([(str(i), batch) for i, batch in enumerate(table.to_batches(300))], graph, layout)
    parts = [
        fit(rows, layout, SPEC, target=FEATURES.target, model=ModelSpec(learner=learner))
        for learner in ("network", "trees", "linear")
    ]
    members = BlendMembers([each.members for each in parts])
    signatures.export(members, parts[0].task, Calibration(), graph, FEATURES, str(folder / "model"), table.slice(0, 50))
    return parts[0].task, members, graph, folder / "model"


def test_an_exported_model_answers_as_its_members_do_also_where_bulk_inferrer_asks(blend):
    task, members, graph, exported = blend
    chosen = json.loads((exported / "assets.extra" / "serving_graph.json").read_text(encoding="utf-8"))
    assert chosen["graph"] == "stacked", chosen
    table = make_table(400, seed=4)
    expected = task.predictions(members.predict(*pack(graph.transform_batch(table), members.layout)).mean(axis=1))
    assert np.std(expected) > 0.05

    np.testing.assert_allclose(Predictor(str(exported)).predict(table), expected, rtol=0, atol=1e-5)

    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        signature = tf.compat.v1.saved_model.load(session, ["serve"], str(exported)).signature_def["serve_examples"]
        (given,) = signature.inputs.values()
        answers = session.run(signature.outputs["probability"].name, {given.name: to_examples(table)})
    np.testing.assert_allclose(answers, expected, rtol=0, atol=1e-5)
