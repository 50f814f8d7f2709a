"""The language of derived columns: what is refused and where, and one value in Arrow and in TensorFlow."""

import datetime
import math

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from models import expressions
from models.errors import ExpressionError
from models.expression_values import TensorRows, arrow_column, evaluate

NAN = float("nan")
TABLE = pa.table(
    {
        "x": pa.array([4.0, 0.0, -2.0, None], pa.float64()),
        "n": pa.array([2, 0, -1, None], pa.int64()),
        "way": pa.array(["cash", "a b", "", None], pa.large_string()),
        "a day": pa.array(["2024-02-29", "2024-03-31T14:30:15+02:00", "2023-02-29", None], pa.large_string()),
        "seconds": pa.array([0, 951_782_400, -1, None], pa.int64()),
    }
)


def in_tensorflow(expression, table=TABLE, as_stored=()):
    """The values of a graph of dense tensors, as the transform graph makes them."""
    tree = expressions.parse(expression)

    def read(name, is_number):
        column = table.column(name)
        if is_number:
            return tf.constant([NAN if x is None else x for x in column.to_pylist()], tf.float64)
        missing = -1 if pa.types.is_integer(column.type) else ""
        return tf.constant([missing if x is None else x for x in column.to_pylist()])

    graph = tf.function(lambda: evaluate(tree, TensorRows(read, as_stored)), autograph=False)
    values = graph().numpy().tolist()
    return [x.decode() or None if isinstance(x, bytes) else None if math.isnan(x) else x for x in values]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("x / n + 1", [3, None, 3, None]),
        ("-x * 2 - -1", [-7, 1, 5, None]),
        ("1 / x", [0.25, math.inf, -0.5, None]),
        ("log(x)", [math.log(4), -math.inf, None, None]),
        ("abs(x) + max(x, n, 1) - min(x, n)", [4 + 4 - 2, 0 + 1 - 0, 2 + 1 - -2, None]),
        ("x > 1 or x / 0 > 5", [1, None, 0, None]),
        ("n == 0 and x == 0", [0, 1, 0, None]),
        ("n != 0 and not x < 0", [1, 0, 0, None]),
        ("not (n in [2, -1])", [0, 1, 0, None]),
        ('way == "cash"', [1, 0, None, None]),
        ('way in ["cash", "a b"]', [1, 1, None, None]),
        ('if(way != "cash", x, 7)', [7, 0, None, None]),
        ('if(x, way, "none")', ["cash", "none", None, None]),
        ('if(x > 0, "up", "down")', ["up", "down", "down", None]),
        ('if(way == "cash", "a", way) == "a"', [1, 0, None, None]),
        ("cross(way, n)", ["cash × 2", "a b × 0", None, None]),
        ("year(`a day`) * 100 + month(`a day`)", [202402, 202403, None, None]),
        ("day(`a day`) + hour(`a day`) / 100", [29, 31.12, None, None]),
        ("weekday(`a day`)", [4, 7, None, None]),
        ("days(`a day`)", [19782, 19813, None, None]),
        ('days_between("2024-02-28T12:00", `a day`)', [0.5, 32 + (12 * 3600 + 30 * 60 + 15) / 86400 - 0.5, None, None]),
        ("year(seconds) + weekday(seconds) / 10", [1970.4, 2000.2, None, None]),
    ],
)
def test_arrow_and_tensorflow_give_the_value_by_hand(expression, expected):
    in_arrow = arrow_column(expressions.parse(expression), TABLE, ()).to_pylist()

    for values in (in_arrow, in_tensorflow(expression)):
        assert [value is None for value in values] == [value is None for value in expected]
        present = [(value, wanted) for value, wanted in zip(values, expected, strict=True) if wanted is not None]
        assert all(value == pytest.approx(wanted) for value, wanted in present), values


def test_every_day_of_four_centuries_is_that_of_the_standard_library():
    days = [datetime.date(1800, 1, 1) + datetime.timedelta(days=97 * i) for i in range(1_600)]
    table = pa.table({"d": pa.array([day.isoformat() for day in days], pa.large_string())})
    for part, wanted in (
        ("year(d)", [day.year for day in days]),
        ("month(d)", [day.month for day in days]),
        ("day(d)", [day.day for day in days]),
        ("weekday(d)", [day.isoweekday() for day in days]),
        ("days(d)", [(day - datetime.date(1970, 1, 1)).days for day in days]),
    ):
        assert arrow_column(expressions.parse(part), table, ()).to_pylist() == wanted
        assert in_tensorflow(part, table) == wanted


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        (" 1970-01-01T00:00:00Z ", 0),
        ("1970-01-02", 24),
        ("1970-01-01T05:30+05:30", 0),
        ("1969-12-31 23:00:00,5 -01:00", 0),
        ("1970-01-01T24:00", None),
        ("0000-01-01", None),
        ("02.01.1970", None),
        ("1970-01-01T00:00:00+99", None),
    ],
)
def test_a_moment_is_iso_8601(text, hours):
    table, tree = (
        pa.table({"d": pa.array([text], pa.large_string())}),
        "days_between(`d`, `d`) + 24 * days(d) + hour(d)",
    )

    assert arrow_column(expressions.parse(tree), table, ()).to_pylist() == [hours]
    assert in_tensorflow(tree, table) == [hours]


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("price / ", "character 9, the end: expected a column, a number, a text, a function, - or (."),
        ("a ? b", "character 3, '?': is not allowed."),
        ("sqrt(a)", "character 1, 's': there is no function 'sqrt'. Functions: log, abs, min,"),
        ("1 + log(a, b)", "character 5, 'l': log takes 1 argument. Received: 2."),
        ("max(a)", "character 1, 'm': max takes at least 2 arguments. Received: 1."),
        ("if(a > 1, 2)", "character 1, 'i': if takes 3 arguments. Received: 2."),
        ('log("a") + a', "character 5, '\"': expected a number."),
        ("month(a + b)", "character 9, '+': expected a column of dates or a date in quotes"),
        ("cross(a, b > 1)", "character 12, '>': expected a column."),
        ("a < b < c", "character 7, '<': expected an operator or the end."),
        ('a in [1, "b"]', "character 10, '\"': expected a number."),
        ("a in []", "character 7, ']': expected a number or a text in quotes."),
        ("(a + 1", "character 7, the end: expected )."),
        ("1 + 2", "names no column."),
        ("not", "character 4, the end: expected"),
        ("(" * 101 + "a" + ")" * 101, "expected at most 100 expressions inside one another"),
    ],
)
def test_a_mistake_is_named_with_its_character(expression, problem):
    with pytest.raises(ExpressionError) as error:
        expressions.parse(expression)

    assert problem in str(error.value)


def test_a_column_of_another_kind_is_refused_by_name():
    with pytest.raises(
        ExpressionError, match=r"'way' is used as a number\. Received: large_string\. Declare it INT or FLOAT"
    ):
        arrow_column(expressions.parse("way + 1"), TABLE, ())
    with pytest.raises(
        ExpressionError, match=r"The column 'y' is not in the data\. Its columns: x, n, way, a day, sec"
    ):
        arrow_column(expressions.parse("y + 1"), TABLE, ())


def test_a_value_is_the_one_that_a_tf_example_stores():
    # 1.1 as float32 is 1.10000002384185791015625.
    column = arrow_column(expressions.parse("x * 1e9"), pa.table({"x": [1.1]}), ())

    assert column.to_pylist() == [pytest.approx(np.float64(np.float32(1.1)) * 1e9, abs=0.1)]


def test_minus_one_is_missing_where_a_client_sends_it_for_a_missing_value():
    as_stored = ("n",)

    for values in (
        arrow_column(expressions.parse("n + x"), TABLE, as_stored).to_pylist(),
        in_tensorflow("n + x", as_stored=as_stored),
    ):
        assert values == [6, 0, None, None]
