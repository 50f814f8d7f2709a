"""The linear learner, against scikit-learn's ridge regressions on the same rows."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from sklearn.linear_model import LogisticRegression, Ridge

from models.errors import TrainingError
from models.fitting import fit
from models.learners.linear import Fit
from models.model_spec import ModelSpec
from models.packed import Layout, Rows
from models.target import Target
from models.tasks import task_of
from models.training_spec import TrainingSpec

LAYOUT = Layout(
    ids={"hour_id_xf": 4, "town_id_xf": 5}, numeric=("x",), cyclical=("hour",), numeric_buckets=4, bags={"b_bag_xf": 2}
)
LINEAR = ModelSpec(learner="linear")
CLASSES = Target(label="label", task="multiclass", classes=("a", "b", "c"))
NUMBER = Target(label="label", task="regression", interval=0.8)


def rows_of(label, count=600, seed=0, spans=3):
    """`label` is a function of x, the town, and a noise of 1."""
    random = np.random.default_rng(seed)
    missing = random.random(count) < 0.1
    x = np.where(missing, 0, random.normal(size=count))
    hour, town = random.integers(0, 4, count), random.integers(0, 5, count)
    phase = np.where(hour > 0, (hour - 1) / 3, 0)
    bag = random.random((count, 2))
    position = np.where(missing, -1, np.clip(x + 2, 0, 4))
    return Rows(
        floats=np.stack([x, position, phase, *bag.T], axis=1).astype(np.float32),
        ids=np.stack([hour, town], axis=1).astype(np.int32),
        labels=label(x, town, random.normal(size=count)),
        spans=np.arange(count) * spans // count,
        weights=random.uniform(0.5, 2, count),
    )


def binary(x, town, noise):
    return (2 * x + town - 2 + noise > 0).astype(np.int64)


def classes(x, town, noise):
    return np.digitize(x + town / 2 + noise, [0.5, 1.5])


def number(x, town, noise):
    return 10 + 3 * x + town + noise


def inputs_by_hand(rows):
    """x, is it missing, sine, cosine, the bag, and a one for the value of each id."""
    x, position, phase, *bag = rows.floats.T
    hour, town = rows.ids.T
    known = hour > 0
    waves = [np.sin(2 * np.pi * phase) * known, np.cos(2 * np.pi * phase) * known]
    return np.stack([x, position < 0, *waves, *bag, *np.eye(4)[hour].T, *np.eye(5)[town].T], axis=1)


@pytest.mark.parametrize(("label", "target"), [(binary, Target(label="label")), (classes, CLASSES)])
def test_of_classes_it_is_scikit_learns_logistic_regression(label, target):
    rows = rows_of(label)
    task = task_of(target, "squared", rows.labels, rows.shares)
    start = np.zeros((15 + 1, task.outputs))

    found = Fit(task, rows, LAYOUT).minimize(10.0, start)

    reference = LogisticRegression(C=1 / 10.0, tol=1e-8, max_iter=1000)
    reference.fit(inputs_by_hand(rows), rows.labels, sample_weight=rows.shares)
    np.testing.assert_allclose(found[:-1], reference.coef_.T, atol=2e-3)
    # Of several classes the intercepts may all move together.
    spread = found[-1] - found[-1].mean() if task.outputs > 1 else found[-1]
    np.testing.assert_allclose(
        spread, reference.intercept_ - reference.intercept_.mean() * (task.outputs > 1), atol=2e-3
    )


def test_of_a_number_its_value_is_scikit_learns_ridge():
    rows = rows_of(number)
    task = task_of(NUMBER, "squared", rows.labels, rows.shares)

    found = Fit(task, rows, LAYOUT).minimize(10.0, np.zeros((16, 3)))

    encoded = task.encode(rows.labels)
    reference = Ridge(alpha=10.0).fit(inputs_by_hand(rows), encoded, sample_weight=rows.shares)
    np.testing.assert_allclose(found[:-1, 0], reference.coef_, atol=2e-3)
    assert found[-1, 0] == pytest.approx(reference.intercept_, abs=2e-3)


@pytest.mark.parametrize(
    ("label", "target", "least"),
    [(binary, Target(label="label"), 0.8), (classes, CLASSES, 0.55), (number, NUMBER, 0.6)],
)
def test_every_task_is_learned_and_exported_as_it_predicts(label, target, least):
    fitted = fit(rows_of(label), LAYOUT, TrainingSpec(ensemble_size=3, l2=(1.0,)), target=target, model=LINEAR)

    test = rows_of(label, seed=1)
    outputs = fitted.members.predict(test.floats, test.ids)
    assert outputs.shape == (600, 3, fitted.task.outputs)
    served = fitted.members.on_packed()(tf.constant(test.floats), tf.constant(test.ids)).numpy()
    np.testing.assert_allclose(served.mean(axis=1), outputs.mean(axis=1), atol=1e-5)
    predictions = fitted.task.predictions(fitted.calibration.apply(served.mean(axis=1)))
    if target is NUMBER:
        value, lower, upper = predictions.T
        assert np.abs(value - test.labels).mean() < 0.9  # The noise alone has 0.8.
        assert np.mean((lower <= test.labels) & (test.labels <= upper)) == pytest.approx(0.8, abs=0.06)
    else:
        answers = predictions >= 0.5 if target is not CLASSES else predictions.argmax(axis=1)
        assert np.mean(answers == test.labels) > least
    assert fitted.newest_predictions.shape[0] == 200


def test_a_span_is_judged_by_members_that_have_not_seen_it():
    # Labels are noise, and an id gives every row away: only a member that has seen a row can know its label.
    random = np.random.default_rng(5)
    rows = Rows(
        floats=np.zeros((400, 0), np.float32),
        ids=np.arange(400, dtype=np.int32)[:, None],
        labels=random.integers(0, 2, 400),
        spans=np.arange(400) % 2,
    )
    layout = Layout(ids={"row_id_xf": 400}, numeric=(), cyclical=(), numeric_buckets=2)

    fitted = fit(rows, layout, TrainingSpec(ensemble_size=2, l2=(0.01,), calibrate=False), model=LINEAR)

    held_out = (fitted.validation_outputs[:, 0] > 0) == fitted.validation_labels
    assert abs(held_out.mean() - 0.5) < 0.1
    assert ((fitted.members.predict(rows.floats, rows.ids).mean(axis=1)[:, 0] > 0) == rows.labels).mean() > 0.95


def test_the_strength_is_chosen_by_rows_that_were_not_trained_on():
    # Nothing but noise: the strongest regularisation is the best.
    rows = rows_of(lambda x, town, noise: (noise > 0).astype(np.int64))
    spec = TrainingSpec(ensemble_size=3, l2=(0.1, 1000.0))

    members = fit(rows, LAYOUT, spec, model=LINEAR).members

    assert list(members.strengths) == [1000.0, 0.1]
    assert members.strengths[1000.0] < members.strengths[0.1]
    assert np.abs(members.coefficients[:, :-1]).max() < 0.05


def test_without_a_strength_there_is_nothing_to_choose():
    with pytest.raises(TrainingError, match="l2: expected at least one strength"):
        dataclasses.replace(TrainingSpec(), l2=())
