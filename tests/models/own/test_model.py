"""Models of an own build_model are trained, judged and exported as the network is."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from models import training
from models.analysis import analyze
from models.errors import OwnCodeError
from models.features import FeatureSpec
from models.own import source
from models.own.model import OwnEnsemble
from models.packed import Layout
from models.predictor import Predictor
from models.training_spec import TrainingSpec
from models.transform_graph import write_transform_graph
from tests.models.conftest import FEATURES, SCHEMA, TRAINING, fn_args, make_table

LAYOUT = Layout(ids={"c_id_xf": 3}, numeric=("a",), cyclical=(), numeric_buckets=4, bags={"w_bag_xf": 2})
SPEC = TrainingSpec(ensemble_size=2)
SHORT = dataclasses.replace(TRAINING, epochs=1)
EXAMPLE = Path(source.__file__).with_name("example.py")


def own_code(folder, text):
    (folder / "model.py").write_text(f"import keras\nfrom keras import layers\n{text}")
    return source.read(folder, "model.py")


def test_the_example_trains_at_once_and_is_served_calibrated(tmp_path, examples_dir, train_table):
    features = FeatureSpec(label=FEATURES.label, numeric=("amount",), categorical=("town",))
    transform_dir = str(tmp_path / "transform")
    write_transform_graph(analyze(train_table.to_batches(), features), features, SCHEMA, transform_dir)
    own = source.OwnCode(entry="model.py", files={"model.py": EXAMPLE.read_text(encoding="utf-8")})
    config = {"features": features.to_json(), "training": SHORT.to_json(), "own": own.to_json()}

    training.run_fn(fn_args(transform_dir, examples_dir, tmp_path, custom_config=config))

    history = json.loads((tmp_path / "run" / "history.json").read_text())
    assert history["learner"] == "build_model"
    assert 0 < history["validation"]["mean_prediction"] < 1
    # Two spans, two members: each is judged on the span that it was not trained on.
    with np.load(tmp_path / "run" / "out_of_time.npz") as out_of_time:
        assert len(out_of_time["predictions"]) == len(out_of_time["labels"])
    predicted = Predictor(str(tmp_path / "Format-Serving")).predict(make_table(50))
    assert ((predicted > 0) & (predicted < 1)).all()


def test_each_feature_is_given_by_its_name_as_it_was_packed(tmp_path):
    own = own_code(
        tmp_path,
        "def build_model(spec):\n"
        "    x = keras.Input((1,), name='c_id_xf', dtype='float32')\n"
        "    w = keras.Input((2,), name='w_bag_xf')\n"
        "    return keras.Model([w, x], layers.Dot(1)([w, layers.Concatenate()([x, x])]))\n",
    )
    # z, quantile, and the bag's two; then the id.
    floats, ids = np.array([[9.0, 8.0, 0.5, 0.25]], np.float32), np.array([[2]], np.int32)

    outputs = OwnEnsemble(own, LAYOUT, SPEC, "binary", 1)((floats, ids))

    # 0.5 * 2 + 0.25 * 2, by both members.
    np.testing.assert_allclose(outputs, [[[1.5], [1.5]]])


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return 7", r"^model\.py: build_model: expected a keras\.Model of Keras 3\. Received: builtins\.int\."),
        ("return spec.nothing", r"^model\.py, line 4: build_model: AttributeError: "),
        (
            "x = keras.Input((1,), name='other')\n    return keras.Model(x, layers.Dense(1)(x))",
            r"the model takes 'other'\. The transformed features are: a_quantile_xf, a_z_xf, c_id_xf, w_bag_xf\.",
        ),
        (
            "x = spec.inputs()['w_bag_xf']\n    return keras.Model(x, layers.Dense(3)(x))",
            r"output has the shape \(rows, 1\), as the task binary needs\. Received: \(rows, 3\)\.",
        ),
        (
            "x = spec.inputs()['w_bag_xf']\n    return keras.Model(x, layers.Dense(1, activation='sigmoid')(x))",
            r"the last layer has the activation sigmoid\. Leave it out",
        ),
    ],
)
def test_what_is_no_model_of_the_task_is_told(tmp_path, body, message):
    own = own_code(tmp_path, f"def build_model(spec):\n    {body}\n")

    with pytest.raises(OwnCodeError, match=message):
        OwnEnsemble(own, LAYOUT, SPEC, "binary", 1)


def test_own_features_train_the_network_too(tmp_path, preprocessing, own_transform_dir, examples_dir):
    config = {"features": FEATURES.to_json(), "training": SHORT.to_json(), "own": preprocessing.to_json()}

    training.run_fn(fn_args(own_transform_dir, examples_dir, tmp_path / "out", custom_config=config))

    table = make_table(50)
    predictor = Predictor(str(tmp_path / "out" / "Format-Serving"))
    assert predictor.inputs == FEATURES.names
    predicted = predictor.predict(table)
    alone = np.concatenate([predictor.predict(table.slice(row, 1)) for row in range(5)])
    np.testing.assert_allclose(alone, predicted[:5], atol=1e-6)
