"""The trees, and their graph of TensorFlow's operations, against LightGBM's own answers."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from models.errors import TrainingError
from models.fitting import fit
from models.learners import trees
from models.model_spec import ModelSpec
from models.packed import Layout, Rows
from models.target import Target
from models.training_spec import TrainingSpec

LAYOUT = Layout(
    ids={"hour_id_xf": 4, "town_id_xf": 30, "size_id_xf": 5},
    numeric=("x", "free"),
    cyclical=("hour",),
    numeric_buckets=4,
    bags={"b_bag_xf": 2},
    ordered=("size_id_xf",),
)
SPEC = TrainingSpec(ensemble_size=3, trees=30, tree_rows=5, tree_rate=0.2)
TREES = ModelSpec(learner="trees")
CLASSES = Target(label="label", task="multiclass", classes=("a", "b", "c"))
NUMBER = Target(label="label", task="regression", interval=0.8)


def rows_of(label, count=900, seed=0, spans=3):
    """`label` is a function of x, NaN where missing, the town, and a noise of 1; `free` is never missing."""
    random = np.random.default_rng(seed)
    x = np.where(random.random(count) < 0.2, np.nan, random.normal(size=count))
    free = random.normal(size=count)
    hour, town, size = random.integers(0, 4, count), random.integers(0, 30, count), random.integers(0, 5, count)
    phase = np.where(hour > 0, (hour - 1) / 3, 0)
    columns = [np.nan_to_num(x), free, np.where(np.isnan(x), -1, 1), np.ones(count), phase, *random.random((2, count))]
    return Rows(
        floats=np.stack(columns, axis=1).astype(np.float32),
        ids=np.stack([hour, town, size], axis=1).astype(np.int32),
        labels=label(x, town, random.normal(size=count)),
        spans=np.arange(count) * spans // count,
        weights=random.uniform(0.5, 2, count),
    )


def number(x, town, noise):
    """Towns of an odd number are 4 more, and a missing x is 6 more: nothing that has an order."""
    return 10 + np.where(np.isnan(x), 6, 2 * x) + 4 * (town % 2) + noise


def binary(x, town, noise):
    return (number(x, town, noise) > 12.5).astype(np.int64)


def classes(x, town, noise):
    return np.digitize(number(x, town, noise), [11, 14])


@pytest.fixture(scope="module")
def fitted():
    return {
        task: fit(rows_of(label), LAYOUT, SPEC, target=target, model=TREES)
        for task, (label, target) in {
            "binary": (binary, Target(label="label")),
            "multiclass": (classes, CLASSES),
            "regression": (number, NUMBER),
        }.items()
    }


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_tensorflows_operations_answer_as_lightgbm_does(task, fitted):
    members = fitted[task].members
    # More rows than are answered at once, and values that no training has seen.
    rows = rows_of(number, count=1500, seed=2)
    rows.floats[:8, :2] = np.array([10, -10, 9.999999, 0, -0.0, 1e-40, 5, np.nan])[:, None]  # z is limited to 10.
    rows.floats[:8, 2] = 1.0

    served = members.on_packed()(tf.constant(rows.floats), tf.constant(rows.ids)).numpy()

    expected = members.predict(rows.floats, rows.ids).mean(axis=1, keepdims=True)
    assert served.shape == expected.shape == (1500, 1, fitted[task].task.outputs)
    np.testing.assert_allclose(served, expected, rtol=1e-5, atol=1e-5)
    none = members.on_packed()(tf.constant(rows.floats[:0]), tf.constant(rows.ids[:0]))
    assert none.shape == (0, 1, fitted[task].task.outputs)


def test_every_task_is_learned(fitted):
    test = {task: rows_of(label, seed=1) for task, label in (("binary", binary), ("multiclass", classes))}
    for task, rows in test.items():
        outputs = fitted[task].members.predict(rows.floats, rows.ids).mean(axis=1)
        answers = outputs[:, 0] > 0 if task == "binary" else outputs.argmax(axis=1)
        assert np.mean(answers == rows.labels) > 0.75

    rows, one = rows_of(number, seed=1), fitted["regression"]
    value, lower, upper = one.task.predictions(
        one.calibration.apply(one.members.predict(rows.floats, rows.ids).mean(axis=1))
    ).T
    assert np.abs(value - rows.labels).mean() < 1.1  # The noise alone has 0.8.
    assert np.mean((lower <= rows.labels) & (rows.labels <= upper)) == pytest.approx(0.8, abs=0.07)
    assert one.newest_predictions.shape == (300, 3)


def test_it_says_which_columns_tell(fitted):
    told = fitted["regression"].members.explain(None, (), fitted["regression"].calibration)

    shares = {row["column"]: row["share"] for row in told["columns"]}
    assert {"x", "free", "hour", "size", "town", "b"} == set(shares)
    assert [row["column"] for row in told["columns"][:2]] == ["x", "town"]
    assert sum(row["share"] for row in told["columns"]) == pytest.approx(1)


def test_a_constraint_holds_everywhere():
    # The label falls with x on the left, where a constraint forbids it.
    rows = rows_of(lambda x, town, noise: np.abs(np.nan_to_num(x)) * 5 + noise)
    model = ModelSpec(learner="trees", monotonic={"x": "up"})

    members = fit(rows, LAYOUT, SPEC, target=NUMBER, model=model).members

    ladder = np.repeat(rows.floats[:1], 200, axis=0)
    ladder[:, 0], ladder[:, 2] = np.linspace(-3, 3, 200), 1.0
    outputs = members.predict(ladder, np.repeat(rows.ids[:1], 200, axis=0))[:, :, 0]
    assert (np.diff(outputs, axis=0) >= 0).all()
    assert (outputs[-1] > outputs[0] + 0.1).all()


def test_weights_count_as_rows_do_and_values_of_a_set_are_told_apart():
    # Where the last value of the column of several is, the label is 1; elsewhere a coin, of which a 1 weighs three.
    rows = rows_of(lambda x, town, noise: (noise > 0).astype(np.int64), count=1800)
    there = rows.floats[:, -1] > 0.5
    rows.labels[there] = 1
    rows = dataclasses.replace(rows, weights=np.where(there | (rows.labels == 0), 1.0, 3.0))

    fitted = fit(rows, LAYOUT, dataclasses.replace(SPEC, tree_rows=150), model=TREES)

    outputs = fitted.members.predict(rows.floats, rows.ids).mean(axis=1)
    probabilities = fitted.task.predictions(fitted.calibration.apply(outputs))
    assert probabilities[there].mean() > 0.97
    assert probabilities[~there].mean() == pytest.approx(0.75, abs=0.05)


def test_a_span_is_judged_by_members_that_have_not_seen_it():
    # The newest span's labels are turned round. Whatever has not learned from it gets them wrong.
    rows = rows_of(binary, count=1500, spans=5)
    turned = rows.spans == 4
    rows.labels[turned] = 1 - rows.labels[turned]

    newest = fit(rows, LAYOUT, dataclasses.replace(SPEC, ensemble_size=5), model=TREES).newest_predictions

    assert np.mean((newest > 0.5) == rows.labels[turned]) < 0.35


def test_without_the_library_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "lightgbm", None)

    with pytest.raises(TrainingError, match=r"pip install 'driftgate\[trees\]'"):
        trees.TreesLearner().train(None)
