import dataclasses
import json
import os
import shutil

import numpy as np
import pytest
import tensorflow as tf

from models import recalibration, training
from models.calibration import Calibration
from models.errors import ModelError, TrainingError
from models.predictor import Predictor
from models.repair import cross_fitted, line
from models.scores import logit, sigmoid
from models.target import Target
from models.tasks import Binary, Multiclass, Regression
from tests.models.conftest import FEATURES, TRAINING, fn_args, make_table


def test_the_new_version_answers_with_the_new_slope_and_offset_and_nothing_else_differs(tmp_path, model_dir):
    # As it lies among the served versions, with what was added before the push.
    shutil.copytree(model_dir, tmp_path / "live")
    (tmp_path / "live" / "assets.extra" / "baseline").mkdir()
    (tmp_path / "live" / "assets.extra" / "baseline" / "baseline.json").write_text("{}")
    before = recalibration.calibration_of(str(model_dir))
    target = tmp_path / "model"

    recalibration.write(str(tmp_path / "live"), str(target), Calibration(slope=(2 * before.slope[0],), offset=(1.0,)))

    table = make_table(200, seed=9)
    old, new = Predictor(str(model_dir)).predict(table), Predictor(str(target)).predict(table)
    # logit = slope * z + offset, so z is known from the old answers.
    z = (logit(old) - before.offset[0]) / before.slope[0]
    np.testing.assert_allclose(logit(new), 2 * before.slope[0] * z + 1.0, atol=1e-3)
    for folder, _, names in os.walk(model_dir):
        for name in names:
            path = os.path.relpath(os.path.join(folder, name), model_dir)
            if not path.startswith("variables") and name != "fingerprint.pb":
                assert (target / path).read_bytes() == (model_dir / path).read_bytes()
    # The version that is live is not written to, and its baseline is not the new one's.
    assert recalibration.calibration_of(str(tmp_path / "live")) == before
    assert not (target / "assets.extra" / "baseline").exists()


def test_examples_and_other_loaders_see_the_new_calibration_too(tmp_path, model_dir):
    recalibration.write(str(model_dir), str(tmp_path / "m"), Calibration(slope=(1.0,), offset=(30.0,)))

    loaded = tf.saved_model.load(str(tmp_path / "m"))
    example = tf.constant([tf.train.Example().SerializeToString()])
    assert loaded.signatures["serve_examples"](examples=example)["class"].numpy().tolist() == [1]


def test_a_model_without_a_calibration_is_not_recalibrated(tmp_path):
    module = tf.Module()
    module.weight = tf.Variable(1.0)
    tf.saved_model.save(module, str(tmp_path / "other"))

    assert recalibration.calibration_of(str(tmp_path / "other")) is None
    assert recalibration.calibration_of(str(tmp_path / "nothing")) is None
    with pytest.raises(ModelError, match="has no slope and offset"):
        recalibration.write(str(tmp_path / "other"), str(tmp_path / "m"), Calibration())


def test_a_shift_of_the_odds_is_repaired():
    # A calibrated model of odds that are now e^1.5 times as large: by Bayes' rule the offset rises by 1.5.
    rng = np.random.default_rng(0)
    z = rng.normal(-1, 1.5, 200_000)
    labels = (rng.random(z.size) < sigmoid(z + 1.5)).astype(int)

    task, rows = Binary(), np.ones(z.size)
    change = task.repair(task.outputs_of(sigmoid(z)), labels, rows)
    after = Calibration(slope=(2.0,), offset=(0.5,)).then(change)

    # Of the network's own logit: z = 2 x + 0.5.
    assert after.slope[0] == pytest.approx(2.0, abs=0.05)
    assert after.offset[0] == pytest.approx(2.0, abs=0.05)
    repaired = cross_fitted(task, sigmoid(z), labels, rows)
    assert abs(repaired.mean() - labels.mean()) < 0.002


def test_a_shift_of_the_classes_is_repaired_by_their_offsets():
    # By Bayes' rule a class that is e times as frequent has its logit raised by 1.
    rng = np.random.default_rng(1)
    z, task, rows = rng.normal(0, 1.5, (100_000, 3)), Multiclass(("a", "b", "c")), np.ones(100_000)
    shifted = z + np.array([0.0, 1.0, 0.0])
    labels = (shifted - np.log(-np.log(rng.random(z.shape)))).argmax(axis=1)  # Gumbel's way to draw from a softmax.
    answered = task.predictions(z)

    change = task.repair(task.outputs_of(answered), labels, rows)
    before = Calibration(slope=(2.0, 2.0, 2.0), offset=(0.5, 0.0, -0.5))

    assert change.slope == pytest.approx((1.0, 1.0, 1.0), abs=0.02)
    assert change.offset[1] - change.offset[0] == pytest.approx(1.0, abs=0.05)
    assert change.offset[2] == pytest.approx(change.offset[0], abs=0.05)
    x = rng.normal(size=(5, 3))
    np.testing.assert_allclose(before.then(change).apply(x), change.apply(before.apply(x)))
    shares = cross_fitted(task, answered, labels, rows).mean(axis=0)
    np.testing.assert_allclose(shares, np.bincount(labels) / len(labels), atol=0.005)


@pytest.mark.parametrize("transform", ["none", "log1p"])
def test_numbers_that_moved_and_an_interval_that_is_too_short_are_repaired(transform):
    rng = np.random.default_rng(2)
    value, noise = rng.normal(5, 1, 40_000), rng.normal(0, 0.5, 40_000)
    actual = 1.2 * value + 2 + noise
    labels, back = (actual, lambda x: x) if transform == "none" else (np.expm1(actual), np.expm1)
    predictions = back(np.stack([value, value - 0.1, value + 0.1], axis=1))
    target, rows = Target(label="y", task="regression", interval=0.8, transform=transform), np.ones(40_000)
    task = Regression(target, "squared", labels, rows)

    change = task.repair(task.outputs_of(predictions), labels, rows)

    assert change.slope == pytest.approx((1.2,) * 3, abs=0.01)
    assert change.offset[0] == pytest.approx(2, abs=0.05)
    _, lower, upper = cross_fitted(task, predictions, labels, rows).T
    # A tenth of the rows on either side, give or take three deviations of 0.0015.
    assert np.mean(labels < lower) == pytest.approx(0.1, abs=0.005)
    assert np.mean(labels > upper) == pytest.approx(0.1, abs=0.005)


def test_a_line_is_drawn_by_the_loss_that_the_value_was_learned_by():
    # A tenth of the rows are 100 too high: the mean moves by 10, the median hardly.
    x = np.linspace(0, 1, 2_000)
    y = x + np.where(np.arange(2_000) % 10 == 0, 100.0, 0.0)

    offsets = {loss: line(x, y, None, loss, 1.0)[1] for loss in ("squared", "absolute", "huber")}

    assert offsets["squared"] == pytest.approx(10, abs=0.5)
    assert offsets["absolute"] == pytest.approx(0, abs=0.05)
    # Huber, 1964: nine rows pull down by the offset, one pulls up by 1.
    assert offsets["huber"] == pytest.approx(1 / 9, abs=0.05)


def test_run_fn_recalibrates_on_the_spans_that_the_hyperparameters_name(
    tmp_path, transform_dir, examples_dir, model_dir
):
    features = dataclasses.replace(FEATURES, threshold="max_f1")
    given = {
        "hyperparameters": {"recalibrate": [2], "warm_start": False},
        "base_model": os.fspath(model_dir),
        "custom_config": {"features": features.to_json(), "training": TRAINING.to_json()},
    }

    training.run_fn(fn_args(transform_dir, examples_dir, tmp_path, **given))

    history = json.loads((tmp_path / "run" / "history.json").read_text(encoding="utf-8"))
    arrays = np.load(tmp_path / "run" / "out_of_time.npz")
    table = make_table(600).slice(300)
    assert history["rows"] == 300
    assert history["curve"] == []
    assert (
        arrays["labels"].tolist() == (table["paid"].to_numpy() > 0.5 * table["amount"].to_numpy()).astype(int).tolist()
    )
    predictor = Predictor(str(tmp_path / "Format-Serving"))
    served = predictor.outputs(table)
    before, after = Predictor(str(model_dir)).predict(table), served["probability"]
    assert np.argsort(before, kind="stable").tolist() == np.argsort(after, kind="stable").tolist()
    # The threshold is chosen anew, on the rows that are recalibrated on, and answered.
    chosen = predictor.thresholds
    assert (chosen.rule, chosen.rows, chosen.out_of_time) == ("max_f1", 300, True)
    assert (served["class"] != (after >= 0.5)).any()
    assert (served["class"] == (after >= np.float32(chosen.of_binary))).all()
    assert (served["class"] == chosen.answers(after)).all()
    assert abs(after.mean() - arrays["labels"].mean()) < abs(before.mean() - arrays["labels"].mean()) + 1e-3


def test_a_recalibration_without_a_live_model_is_refused(tmp_path, transform_dir, examples_dir):
    with pytest.raises(TrainingError, match="needs a live model with a slope and an offset"):
        training.run_fn(fn_args(transform_dir, examples_dir, tmp_path, hyperparameters={"recalibrate": [2]}))
