"""Losses and answers against TensorFlow's and hand-made ones; what is learned, against what made the data."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from models import scores
from models.errors import TrainingError
from models.fitting import fit
from models.packed import Layout, Rows
from models.target import Target
from models.tasks import Regression, predictions_of, task_of
from models.thresholds import Thresholds
from models.training_spec import TrainingSpec

LAYOUT = Layout(ids={"kind_id_xf": 3}, numeric=("x",), cyclical=(), numeric_buckets=4)
SPEC = TrainingSpec(epochs=30, learning_rate=0.02, hidden_units=(16,), dropout=0.0, ensemble_size=2)
CLASSES = Target(label="y", task="multiclass", classes=("a", "b", "c"))
NUMBER = Target(label="y", task="regression", interval=0.8)
POSITIVE = Target(label="y", task="regression", transform="log1p")

ONES = np.ones(6)


def rows_of(labels_of, n=4000, seed=0, weights=None):
    """Rows of three spans with one normal column `x`; `labels_of(x, random)` are their labels."""
    random = np.random.default_rng(seed)
    x = random.normal(size=n)
    position = np.clip((x + 2), 0, 4)
    floats = np.stack([x, position], axis=1).astype(np.float32)
    ids = random.integers(1, 3, (n, 1)).astype(np.int32)
    return Rows(floats=floats, ids=ids, labels=labels_of(x, random), spans=np.arange(n) % 3, weights=weights)


def answers(fitted, rows):
    """What would be served."""
    outputs = tf.reduce_mean(fitted.members.predict(rows.floats, rows.ids), axis=1)
    calibrated = tf.constant(fitted.calibration.apply(outputs.numpy()), tf.float32)
    held = Thresholds().variable(fitted.task.outputs)
    return {name: value.numpy() for name, value in fitted.task.answer(calibrated, held).items()}


@pytest.mark.parametrize(
    ("target", "loss", "targets"),
    [
        (Target(label="y"), "squared", np.array([0, 1, 1, 0, 1, 0])),
        (CLASSES, "squared", np.array([0, 1, 2, 0, 2, 1])),
        (NUMBER, "squared", np.array([1.0, 5.0, -2.0, 0.5, 9.0, 1.0])),
        (NUMBER, "absolute", np.array([1.0, 5.0, -2.0, 0.5, 9.0, 1.0])),
        (POSITIVE, "huber", np.array([1.0, 5.0, 200.0, 0.5, 9.0, 1.0])),
    ],
)
def test_the_loss_that_is_minimised_is_the_loss_that_is_reported(target, loss, targets):
    task = task_of(target, loss, targets, ONES)
    outputs = np.random.default_rng(0).normal(size=(6, 1, task.outputs)).astype(np.float32) * 3
    encoded = task.encode(targets)

    minimised = task.loss(tf.constant(encoded), tf.constant(outputs)).numpy()

    assert minimised.shape == (6, 1)
    np.testing.assert_allclose(minimised[:, 0], task.losses(encoded, outputs[:, 0]), rtol=1e-5)


def test_losses_by_hand():
    assert task_of(CLASSES, "squared", np.arange(3), np.ones(3)).losses(
        np.array([1.0]), np.array([[0.0, np.log(2.0), 0.0]])
    ) == pytest.approx(np.log(2))
    # Mean 0 and spread 1; a miss of 2 by huber is 1.5, and by the ends, which lie on it, nothing.
    task = Regression(NUMBER, "huber", np.array([-1.0, 1.0]), np.ones(2))
    assert task.losses(np.array([2.0]), np.array([[0.0, 2.0, 2.0]])) == pytest.approx([1.5])
    # Ends at levels 0.1 and 0.9, each missed by 1 from the wrong side: 0.9 each.
    assert task.losses(np.array([0.0]), np.array([[0.0, 1.0, -1.0]])) == pytest.approx([1.8])


def test_classes_are_learned_and_calibrated():
    def labels_of(x, random):
        logits = np.stack([2 * x, np.zeros_like(x), -x], axis=1)
        return (scores.log_softmax(logits) + random.gumbel(size=logits.shape)).argmax(axis=1)

    fitted = fit(rows_of(labels_of), LAYOUT, SPEC, target=CLASSES)
    served = answers(fitted, rows_of(labels_of, seed=1))
    truth = rows_of(labels_of, seed=1).labels

    assert served["classes"][0].tolist() == [b"a", b"b", b"c"]
    np.testing.assert_allclose(served["probabilities"].sum(axis=1), 1, rtol=1e-5)
    assert (served["class"] == np.array([b"a", b"b", b"c"])[served["probabilities"].argmax(axis=1)]).all()
    # What made the labels is right in so many rows; the model may lose two points.
    x = rows_of(labels_of, seed=1).floats[:, 0]
    best = (np.stack([2 * x, 0 * x, -x], axis=1).argmax(axis=1) == truth).mean()
    assert (served["probabilities"].argmax(axis=1) == truth).mean() > best - 0.02
    shares = np.bincount(truth, minlength=3) / len(truth)
    np.testing.assert_allclose(served["probabilities"].mean(axis=0), shares, atol=0.03)
    np.testing.assert_array_equal(predictions_of(served), served["probabilities"])


@pytest.mark.parametrize(
    ("target", "noise"),
    [(NUMBER, lambda x, random: 3 * x + random.normal(size=len(x)) * (1 + (x > 0))),
     (POSITIVE, lambda x, random: np.exp(x + 0.5 * random.normal(size=len(x))))],
)  # fmt: skip
def test_a_number_is_learned_with_an_interval_that_covers_what_it_says(target, noise):
    fitted = fit(rows_of(noise), LAYOUT, SPEC, target=target)
    test = rows_of(noise, n=10_000, seed=1)
    served = answers(fitted, test)

    assert (served["lower"] <= served["value"]).all()
    assert (served["value"] <= served["upper"]).all()
    covered = (served["lower"] <= test.labels) & (test.labels <= served["upper"])
    # Held-out rows choose the ends: of 4,000, their share errs by 0.6 points.
    assert covered.mean() == pytest.approx(target.interval, abs=0.02)
    spread = served["upper"] - served["lower"]
    x = test.floats[:, 0]
    assert spread[x > 1].mean() > 1.5 * spread[x < -1].mean()  # Wide where the noise is.
    assert np.corrcoef(served["value"], test.labels)[0, 1] > 0.8
    np.testing.assert_array_equal(predictions_of(served)[:, 1], served["lower"])


def test_weights_count_as_rows():
    def labels_of(x, random):
        return (random.random(len(x)) < 0.5).astype(np.int64)

    plain = rows_of(labels_of)
    weighted = dataclasses.replace(plain, weights=np.where(plain.labels == 1, 3.0, 1.0))

    probabilities = [answers(fit(rows, LAYOUT, SPEC), plain)["probability"].mean() for rows in (plain, weighted)]

    assert probabilities == pytest.approx([0.5, 0.75], abs=0.03)


@pytest.mark.parametrize(
    ("target", "targets", "message"),
    [
        (CLASSES, np.array([0, 0, 1, 1, 1]), r"too few are of: c \(0\)"),
        (NUMBER, np.full(5, 2.5), "two different numbers to predict. Received: 5 rows from 2.5 to 2.5"),
        (POSITIVE, np.array([3.0, -1.0, 2.0, 4.0]), "log1p takes numbers above -1. Received: -1"),
    ],
)
def test_targets_that_hold_nothing_to_learn_are_refused(target, targets, message):
    rows = dataclasses.replace(rows_of(lambda x, _: np.zeros(len(x), np.int64), n=len(targets)), labels=targets)

    with pytest.raises(TrainingError, match=message):
        fit(rows, LAYOUT, SPEC, target=target)
