import numpy as np
import pytest
import tensorflow as tf

from models import label
from models.errors import LabelError

NAN, INF = float("nan"), float("inf")


def test_label_columns_are_the_names_in_the_expression():
    assert label.label_columns("tips > 0.2 * (fare + tolls)") == {"tips", "fare", "tolls"}
    assert label.label_columns(" late ") == {"late"}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("tips > 0.2 * fare", [0, 1, -1, 0, 0]),
        ("tips >= fare / 5", [1, 1, -1, 0, 0]),
        ("tips == 2", [1, 0, -1, 0, 0]),
        ("tips != 2", [0, 1, -1, 1, 1]),
        ("-tips < 0 - 2.5", [0, 1, -1, 1, 0]),
        ("0.5 <= tips - 2", [0, 1, -1, 1, 0]),
        ("1 / 0 > tips", [1, 1, -1, 1, 1]),
    ],
)
def test_numpy_and_tensorflow_agree(expression, expected):
    columns = {"tips": np.array([2, 3, NAN, 5, 0]), "fare": np.array([10, 10, 10, INF, 10])}
    tensors = {name: tf.constant(values) for name, values in columns.items()}

    in_numpy = label.evaluate(expression, columns)
    in_tensorflow = tf.function(lambda x: label.evaluate(expression, x), autograph=False)(tensors)

    assert in_numpy.dtype == np.int64
    assert in_numpy.tolist() == expected
    assert in_tensorflow.dtype == tf.int64
    assert in_tensorflow.numpy().tolist() == expected


def test_a_row_keeps_its_label_when_it_is_stored_as_float32():
    # In float64, 1.17 > 0.2 * 5.85 is 1.17 > 1.17: false. As float32, 1.17 is 1.16999995..., 5.85 is 5.8499999...
    tips, fare = np.array([1.17, 0.6, 1.4]), np.array([5.85, 3.0, 7.0])

    from_csv = label.evaluate("tips > 0.2 * fare", {"tips": tips, "fare": fare})
    stored = label.evaluate("tips > 0.2 * fare", {"tips": tips.astype(np.float32), "fare": fare.astype(np.float32)})

    assert from_csv.tolist() == stored.tolist()


def test_a_label_column_holds_zero_and_one_or_the_label_is_unknown():
    assert label.evaluate("late", {"late": np.array([0, 1, 2])}).tolist() == [0, 1, label.NO_LABEL]
    assert label.evaluate("late", {"late": np.array([True, False])}).tolist() == [1, 0]
    assert label.evaluate("late", {"late": tf.constant([0.0, 1.0, NAN])}).numpy().tolist() == [0, 1, label.NO_LABEL]


def test_large_integers_are_compared_in_float64():
    assert label.evaluate("x > 16777216", {"x": np.array([16777217])}).tolist() == [1]


@pytest.mark.parametrize(
    ("expression", "culprit"),
    [
        ("a and b", "neither a column nor a comparison"),
        ("a + b", "neither a column nor a comparison"),
        ("a < b < c", "exactly one of < <= > >= == !="),
        ("a in b", "exactly one of"),
        ("f(x) > 1", "'f(x)' is not allowed"),
        ("a.b > 1", "'a.b' is not allowed"),
        ("a[0] > 1", "'a[0]' is not allowed"),
        ("a > 'x'", "is not allowed"),
        ("a > True", "'True' is not allowed"),
        ("a ** 2 > 1", "'a ** 2' is not allowed"),
        ("(a > b) > c", "'a > b' is not allowed"),
        ("1 > 2", "names no column"),
        ("__import__('os').getcwd() > 1", "is not allowed"),
        ("a >", "cannot be parsed"),
        ("", "cannot be parsed"),
    ],
)
def test_anything_else_is_refused(expression, culprit):
    with pytest.raises(LabelError) as error:
        label.label_columns(expression)

    assert culprit in str(error.value)
    assert "tips > 0.2 * fare" in str(error.value)  # What to write instead.


def test_a_column_that_is_not_there_or_not_numeric_is_named():
    with pytest.raises(LabelError, match=r"needs the column 'b', which is not among \['a'\]"):
        label.evaluate("a > b", {"a": np.zeros(1)})
    with pytest.raises(LabelError, match=r"needs numbers in 'a'. Received: object"):
        label.evaluate("a > 1", {"a": np.array(["x"], object)})
    with pytest.raises(LabelError, match=r"needs numbers in 'a'. Received: string"):
        label.evaluate("a > 1", {"a": tf.constant(["x"])})
