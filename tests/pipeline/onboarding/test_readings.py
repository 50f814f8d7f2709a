import pyarrow as pa
import pytest

from pipeline.onboarding.profile import Profile, convert, reading_of


def _read(values, name="x", decimal_comma=False):
    """Returns (kind, values) of a column of text, as `init` reads it."""
    column = Profile(name)
    array = pa.array(values, pa.string())
    column.update(array)
    reading = reading_of(column, decimal_comma)
    return reading.kind, convert(array, reading).to_pylist()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["1", " 2 ", "-3.5", "1e3"], [1, 2, -3.5, 1000]),
        (["8.0", "NA", "n/a", "-", "", "12.0"], [8, None, None, None, None, 12]),
        (["$1,234.50", "($3.00)", "€ 4"], [1234.5, -3, 4]),
        (["12 %", "3.5%"], [12, 3.5]),
        (["1.234,50 €", "2,5"], [1234.5, 2.5]),
        (["CHF 1'234.50", "20"], [1234.5, 20]),
        (["1 234,5", "7"], [1234.5, 7]),
        (["1,234", "12"], [1234, 12]),
        (["5", "unknown", "None"], [5, None, None]),
    ],
)
def test_numbers_are_read_as_people_write_them(values, expected):
    assert _read(values) == ("number", expected)


def test_comma_is_the_decimal_sign_where_the_file_says_so():
    assert _read(["1,234", "2,5"], decimal_comma=True) == ("number", [1.234, 2.5])
    assert _read(["1.234", "2.500"], decimal_comma=True) == ("number", [1234, 2500])
    assert _read(["1.234", "2.500"], decimal_comma=False) == ("number", [1.234, 2.5])


# Seconds since 1970 of 2021-03-04 and of 15:06:00 that day, from `date -u -d ... +%s`.
_DAY, _MOMENT = 1614816000, 1614870360


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2021-03-04", _DAY),
        ("04.03.2021", _DAY),
        ("Mar 04, 2021", _DAY),
        ("04-Mar-2021", _DAY),
        ("Mar-04-2021", _DAY),
        ("2021-03-04T15:06:00Z", _MOMENT),
        ("2021-03-04 17:06:00.250+02:00", _MOMENT),
        ("3/4/2021 3:06 PM", _MOMENT),
        ("Mar-2021", 1614556800),
        ("2021-03", 1614556800),
    ],
)
def test_dates_are_seconds_since_1970(text, expected):
    assert _read([text, "n/a"]) == ("date", [expected, None])


def test_day_above_12_tells_which_number_is_the_month():
    assert _read(["3/4/2021", "25/4/2021"]) == ("date", [1617408000, 1619308800])


def test_eight_digits_are_a_date_where_the_name_says_so():
    assert _read(["20210304"], name="order_date") == ("date", [_DAY])
    assert _read(["20210304"], name="amount") == ("number", [20210304])


@pytest.mark.parametrize(
    "values",
    [
        ["00501", "10001"],  # A postcode.
        ["12%", "13"],  # Per cent, and who knows.
        ["9007199254740993", "1"],  # Beyond 2**53 a float would blur it.
        ["1", "two"],
    ],
)
def test_what_is_no_quantity_stays_text(values):
    assert _read(values) == ("text", values)


def test_words_for_missing_are_missing_in_text_and_none_is_a_word():
    assert _read(["a", "NA", "?", "None", "-"]) == ("text", ["a", None, None, "None", None])


def test_booleans_are_1_and_0():
    assert _read(["TRUE", "False", ""]) == ("boolean", [1, 0, None])


def test_one_late_value_makes_a_column_text():
    column = Profile("x")
    column.update(pa.array(["1", "2"]))
    column.update(pa.array(["x"]))

    assert reading_of(column, decimal_comma=False).kind == "text"
    assert column.refusal == "x"
