"""Which task a column's values speak for."""

import math

import pyarrow as pa
import pytest

from pipeline.errors import ConfigError
from pipeline.onboarding.label import candidates, choose_label
from pipeline.onboarding.profile import Profile, reading_of


def _read(name, values):
    profile = Profile(name)
    profile.update(pa.array(values))
    return profile, reading_of(profile, decimal_comma=False)


@pytest.mark.parametrize(
    ("name", "values", "task", "classes"),
    [
        ("y", ["yes", "no"] * 20, "binary", ()),
        ("y", ["1.0", "0.0", "NA"] * 20, "binary", ()),
        ("level", ["high", "low", "medium"] * 20, "multiclass", ("low", "medium", "high")),
        ("size", ["10 to 20", "2 to 10", "20 up"] * 20, "multiclass", ("2 to 10", "10 to 20", "20 up")),
        # As pandas writes whole numbers beside missing ones.
        ("digit", ["2.0", "1", "4", "", "3"] * 20, "multiclass", (1, 2, 3, 4)),
        ("digit", [3, 1, 2] * 20, "multiclass", (1, 2, 3)),
        # How many of something is a quantity, and so are numbers far apart, fractions, and where one has nine rows.
        ("visits_count", [3, 1, 2] * 20, "regression", ()),
        ("weight", [10, 200, 3_000] * 20, "regression", ()),
        ("half", [0.5, 1.0, 1.5] * 20, "regression", ()),
        ("quality", [1, 2] * 20 + [3] * 9, "regression", ()),
        ("price", [f"{i},{i % 9}99 €" for i in range(100)], "regression", ()),
    ],
)
def test_values_tell_the_task(name, values, task, classes):
    label = choose_label(*_read(name, values))

    assert (label.task, label.classes) == (task, classes)


@pytest.mark.parametrize(
    ("values", "task", "classes"),
    [
        ([3, 1, 2] * 20, "regression", ()),
        (["1", "0"] * 20, "multiclass", (0, 1)),
        ([0.5, 1.5, 2.5] * 20, "multiclass", ("0.5", "1.5", "2.5")),
    ],
)
def test_task_decides_where_it_is_given(values, task, classes):
    label = choose_label(*_read("y", values), task=task)

    assert (label.task, label.classes) == (task, classes)


@pytest.mark.parametrize(
    ("values", "task", "message"),
    [
        (["a", "b", "c"] * 20, "regression", "--task regression predicts a number, and this column holds texts."),
        (["a", "b", "c"] * 20, "binary", "it has 3 values. Say which count as 1: --positive VALUE"),
        (
            [i % 60 for i in range(600)],
            "multiclass",
            "at most 50 classes apart. --task regression predicts the number.",
        ),
        (
            [f"t{i % 60}" for i in range(600)],
            None,
            "it has 60 values, and a model here tells at most 50 classes apart.",
        ),
        ([*map(str, range(100)), "about 7"], None, "The values would be numbers, but 'about 7' is none: correct it"),
        ([*map(str, range(100)), "about 7"], "regression", "but 'about 7' is none: correct it in the file. Values:"),
        (
            ["a", "b"] * 20 + ["c"] * 9,
            None,
            "a class needs 10 rows to be learned and judged, and these have fewer: 'c'",
        ),
        ([f"id {i}" for i in range(100)], None, "nearly every row has a value of its own, so it is no label."),
        (list(range(1, 101)), None, "nearly every row has a value of its own, so it is no label."),
        ([f"2024-03-{1 + i % 28:02d}" for i in range(100)], None, "it holds dates, and a date is not predicted."),
        (["unknown", "none"] * 20, None, "the label is missing in 40 of 40 rows."),
    ],
)
def test_what_cannot_be_predicted_is_said(values, task, message):
    with pytest.raises(ConfigError) as caught:
        choose_label(*_read("y", values), task=task)

    assert message in str(caught.value)


def test_amounts_of_very_different_sizes_are_learned_as_log1p():
    # Their logarithms are spread as ten throws of a coin: symmetric, while the amounts are not.
    amounts = [2**k for k in range(11) for _ in range(math.comb(10, k))]

    label = choose_label(*_read("amount", amounts))

    assert label.transform == "log1p"
    assert label.transform_why.startswith("none is below 0, and the skewness is ")
    # Beyond the values that are counted one may be below 0.
    assert (label.from_least(0.0), label.from_least(-3.0).transform) == (label, "none")
    logs = math.expm1(sum(math.log1p(amount) for amount in amounts) / 1024)
    mean = sum(amounts) / 1024
    variance = sum((amount - mean) ** 2 for amount in amounts) / 1024
    assert label.floor == pytest.approx(-((mean - logs) ** 2) / variance)


@pytest.mark.parametrize("values", [[-1, *(2**k for k in range(10))] * 9, list(range(100)), [0] * 90 + [1_000, 7, 3]])
def test_other_numbers_are_learned_as_they_are(values):
    assert choose_label(*_read("amount_n", values), task="regression").transform == "none"


def test_candidates_are_of_every_task_the_likeliest_first():
    columns = {
        "id": [f"c{i}" for i in range(100)],
        "bmi": [i * 0.37 for i in range(100)],
        "plan": ["plus", "basic"] * 50,
        "kind": ["x", "y", "z", "z"] * 25,
        "price": [i * 1.5 for i in range(100)],
        "last": ["no", "yes"] * 50,
    }
    read = {name: _read(name, values) for name, values in columns.items()}

    found = candidates({n: p for n, (p, _) in read.items()}, {n: r for n, (_, r) in read.items()})

    assert [(one.column, one.task, one.positive) for one in found] == [
        ("price", "regression", ""),
        ("last", "binary", ""),
        ("plan", "binary", "plus"),
        ("kind", "multiclass", ""),
        ("bmi", "regression", ""),
    ]
    assert found[0].described == "0 to 148.5"
