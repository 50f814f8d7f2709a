import math

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from models.errors import LabelError
from models.target import Target, is_known

CLASSES = ("on time", "late", "lost")


def as_numpy(columns):
    return {name: column.to_numpy(zero_copy_only=False) for name, column in columns.items()}


def as_tensors(columns):
    filled = {
        name: column.fill_null("") if pa.types.is_string(column.type) else column for name, column in columns.items()
    }
    return {name: tf.constant(column.to_pylist()) for name, column in filled.items()}


@pytest.mark.parametrize(
    ("target", "columns", "expected"),
    [
        (
            Target(label="state", task="multiclass", classes=CLASSES),
            {"state": pa.array(["late", "on time", None, "found", "lost"])},
            [1, 0, -1, -1, 2],
        ),
        (
            Target(label="stars", task="multiclass", classes=("1", "2", "3")),
            {"stars": pa.array([3.0, 1.0, 2.0, 2.5, math.nan])},
            [2, 0, 1, -1, -1],
        ),
        (
            Target(label="fare + tips", task="regression"),
            {"fare": pa.array([1.5, 2.0, math.nan]), "tips": pa.array([0.5, math.inf, 1.0])},
            [2.0, math.nan, math.nan],
        ),
        (
            Target(label="paid", weight="rows"),
            {"paid": pa.array([1.0, 0.0, 1.0, 0.0]), "rows": pa.array([2.0, 0.0, -1.0, math.nan])},
            [1, -1, -1, -1],
        ),
        (
            Target(label="price", task="regression", weight="2 * rows"),
            {"price": pa.array([5.0, 6.0]), "rows": pa.array([0.5, math.nan])},
            [5.0, math.nan],
        ),
    ],
)
def test_labels_of_every_task_in_every_library(target, columns, expected):
    answers = [target.evaluate(columns), target.evaluate(as_tensors(columns)).numpy()]
    if not any(pa.types.is_string(column.type) for column in columns.values()):
        answers.append(target.evaluate(as_numpy(columns)))

    for answer in answers:
        np.testing.assert_array_equal(answer, expected)
        assert answer.dtype == (np.float64 if target.task == "regression" else np.int64)
        np.testing.assert_array_equal(is_known(answer), [value == value and value != -1 for value in expected])


def test_weights_are_numbers_above_nothing():
    weights = Target(label="y", weight="w / 2").weights({"y": pa.array([0.0] * 4), "w": pa.array([3.0, 0, -1, None])})

    np.testing.assert_array_equal(weights, [1.5, 0, 0, 0])
    np.testing.assert_array_equal(Target(label="y").weights({"y": pa.array([0.0] * 2)}), [1, 1])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"label": "a > 1", "task": "regression"}, "a number and not a comparison"),
        ({"label": "1 + 2", "task": "regression"}, "names no column"),
        ({"label": "a", "task": "multiclass"}, "classes belong to task multiclass. Received: task multiclass, 0"),
        ({"label": "a", "classes": ("x", "y")}, "Received: task binary, 2 classes"),
        ({"label": "a", "task": "multiclass", "classes": ("x", "x")}, "at least two, all different"),
        ({"label": "a", "transform": "log1p"}, "since the task is binary"),
        ({"label": "a", "weight": "b > 1"}, "a number and not a comparison"),
    ],
)
def test_contradictions_are_refused(settings, message):
    with pytest.raises(LabelError, match=message):
        Target(**settings)


def test_numbers_are_not_among_texts():
    with pytest.raises(LabelError, match="is a number, and the classes are not: on time, late, lost"):
        Target(label="n", task="multiclass", classes=CLASSES).evaluate({"n": pa.array([1, 2])})
