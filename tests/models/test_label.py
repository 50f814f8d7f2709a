import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from models import label, label_grammar
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


def test_names_of_any_text_stand_in_backticks():
    columns = {"Loan Status": np.array([1, 3]), "a`b": np.array([2, 2]), "class": np.array([0, 1])}

    assert label.evaluate("`Loan Status` > `a``b` * .5e0 + class", columns).tolist() == [0, 1]
    assert label.evaluate("class", columns).tolist() == [0, 1]
    assert label.label_columns("`Loan Status` > 3 - größe") == {"Loan Status", "größe"}


@pytest.mark.parametrize(
    ("column", "expression"),
    [
        ("late", "late"),
        ("class", "class"),
        ("größe", "größe"),
        ("Loan Status", "`Loan Status`"),
        ("y.1", "`y.1`"),
        ("1st", "`1st`"),
        ("a > b", "`a > b`"),
        ("a`b", "`a``b`"),
    ],
)
def test_the_expression_of_a_label_column(column, expression):
    assert label_grammar.column_expression(column) == expression
    assert label.label_columns(expression) == {column}
    assert label.is_column(expression)


def test_signs_and_parentheses_bind_as_in_arithmetic():
    columns = {"a": np.array([2.0]), "b": np.array([8.0])}

    # 8 - 2 - 1 = 5, 8 / 2 / 2 = 2, 2 + 2 * 8 = 18, (2 + 2) * 8 = 32, -2 * -8 = 16
    for expression in ("b - a - 1 == 5", "b / 2 / a == 2", "a + a * b == 18", "(a + a) * b == 32", "-a * -b == 1_6"):
        assert label.evaluate(expression, columns).tolist() == [1], expression


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ('churn == "Yes"', [1, 0, 0, -1, -1, 0]),
        ('churn != "Yes"', [0, 1, 1, -1, -1, 1]),
        ('churn in ["Yes", "y""es"]', [1, 0, 0, -1, -1, 1]),
        ('`churn` in ["größe"]', [0, 0, 1, -1, -1, 0]),
    ],
)
def test_texts_are_compared_alike_in_arrow_and_tensorflow(expression, expected):
    # A tf.Example holds a missing value and an empty one alike, so neither has a label.
    values = ["Yes", "No", "größe", "", None, 'y"es']
    arrow = pa.array(values, pa.large_string())
    tensor = tf.constant([value or "" for value in values])

    in_arrow = label.evaluate(expression, {"churn": arrow})
    in_tensorflow = tf.function(lambda x: label.evaluate(expression, x), autograph=False)({"churn": tensor})

    assert in_arrow.dtype == np.int64
    assert in_arrow.tolist() == expected
    assert label.evaluate(expression, {"churn": pa.chunked_array([arrow.dictionary_encode()])}).tolist() == expected
    assert in_tensorflow.dtype == tf.int64
    assert in_tensorflow.numpy().tolist() == expected
    assert label.label_columns(expression) == {"churn"}
    assert not label.is_column(expression)


def test_whole_numbers_are_compared_alike_in_arrow_numpy_and_tensorflow():
    expected = [0, 1, 1, 0, label.NO_LABEL]

    for column in (
        pa.array([1, 2, -3, 4, None]),
        np.array([1, 2, -3, 4, NAN]),
        tf.constant([1, 2, -3, 4, NAN]),
    ):
        assert np.asarray(label.evaluate("class in [2, -3]", {"class": column})).tolist() == expected


@pytest.mark.parametrize(
    ("column", "values", "expression"),
    [
        ("churn", ["Yes"], 'churn == "Yes"'),
        ("Loan Status", ['a"b', "c"], '`Loan Status` in ["a""b", "c"]'),
        ("class", [2], "class == 2"),
        ("class", [2, -1], "class in [2, -1]"),
    ],
)
def test_the_expression_of_a_label_column_and_its_positive_values(column, values, expression):
    assert label_grammar.values_expression(column, values) == expression
    assert label.label_columns(expression) == {column}
    assert label.texts(expression, column) == tuple(value for value in values if isinstance(value, str))


@pytest.mark.parametrize(
    ("expression", "culprit"),
    [
        ("a + b", "'a + b': expected a comparison, or one column"),
        ("if(a > b, 1, 0)", "expected a comparison, or one column"),
        ("a < b < c", "character 7, '<': expected an operator or the end"),
        ("a in b", "character 6, 'b': expected ["),
        ("a in []", "character 7, ']': expected a number or a text in quotes"),
        ('a in ["x", 2]', "character 12, '2': expected a text in double quotes"),
        ('a in [2, "x"]', "character 10, '\"': expected a number"),
        ('a in ["x"] + 1', "character 12, '+': expected an operator or the end"),
        ('a == "x" + 1', "character 6, '\"': expected a number"),
        ('a < "x"', "character 5, '\"': expected a number"),
        ('a + b == "x"', "character 3, '+': expected a text"),
        ('a == ""', "character 6, '\"': is not allowed"),
        ("f(x) > 1", "character 1, 'f': there is no function 'f'"),
        ("a.b > 1", "character 2, '.': is not allowed"),
        ("a[0] > 1", "character 2, '[': expected an operator or the end"),
        ("a > 'x'", 'character 5, "\'": is not allowed'),
        ("a ** 2 > 1", "character 4, '*': expected a column, a number"),
        ("a > 1st", "character 5, '1': is not allowed"),
        ("1 > 2", "names no column"),
        ("a >", "character 4, the end: expected a column"),
        ("", "character 1, the end: expected a column"),
        ("`a > 1", "character 1, '`': is not allowed"),
        ("`` > 1", "character 1, '`': is not allowed"),
        ("(" * 300 + "a" + ")" * 300, "expected at most 100"),
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


def test_a_text_is_compared_with_text_only():
    with pytest.raises(LabelError, match=r"needs text in 'a'. Received: int64"):
        label.evaluate('a == "1"', {"a": pa.array([1])})
    with pytest.raises(LabelError, match=r"needs text in 'a'. Received: int64"):
        label.evaluate('a == "1"', {"a": tf.constant([1], tf.int64)})
    with pytest.raises(LabelError, match=r"needs the column 'b', which is not among \['a'\]"):
        label.evaluate('b == "1"', {"a": pa.array(["1"])})


def test_a_label_may_say_what_a_derived_column_may():
    columns = {
        "paid": pa.array(["2024-01-31", "2024-03-05", None]),
        "due": pa.array(["2024-01-01", "2024-03-04", "2024-03-04"]),
        "way": pa.array(["card", "cash", "card"]),
    }
    expression = 'days_between(due, paid) > 14 or way == "cash"'

    assert label.evaluate(expression, columns).tolist() == [1, 1, label.NO_LABEL]
    assert label.label_columns(expression) == {"paid", "due", "way"}
    assert label.texts(expression, "way") == ("cash",)
    assert label.texts(expression, "due") == ()
