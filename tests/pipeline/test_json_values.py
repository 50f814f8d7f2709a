import dataclasses
import enum
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from pipeline import json_values


class Colour(enum.StrEnum):
    RED = "red"


@dataclass(frozen=True)
class Inner:
    share: float
    pair: tuple[int, int] | None


@dataclass(frozen=True)
class Outer:
    colour: Colour
    parts: tuple[Inner, ...]
    name: str | None


def through_json(value):
    return json.loads(json.dumps(json_values.to_json_values(dataclasses.asdict(value)), allow_nan=False))


@pytest.mark.parametrize(
    "value",
    [
        Outer(Colour.RED, (Inner(0.5, (1, 2)), Inner(math.inf, None)), None),
        Outer(Colour.RED, (), "x"),
    ],
)
def test_what_is_written_is_read(value):
    assert json_values.from_json_values(Outer, through_json(value)) == value


def test_a_whole_number_is_read_as_the_float_it_was():
    assert json_values.from_json_values(Inner, {"share": 1, "pair": None}) == Inner(1.0, None)


def test_what_was_written_before_a_field_existed_takes_its_default():
    @dataclass(frozen=True)
    class Grown:
        name: str
        added: int = 7

    assert json_values.from_json_values(Grown, {"name": "x"}) == Grown("x", 7)


def test_a_mapping_is_read_value_by_value():
    @dataclass(frozen=True)
    class Seconds:
        by_name: Mapping[str, float]

    assert json_values.from_json_values(Seconds, {"by_name": {"a": 1}}) == Seconds({"a": 1.0})
    with pytest.raises(ValueError, match=r"Seconds.by_name\['a'\]: expected float. Received: 'x'."):
        json_values.from_json_values(Seconds, {"by_name": {"a": "x"}})
    with pytest.raises(ValueError, match=r"Seconds.by_name: expected an object. Received: \[\]."):
        json_values.from_json_values(Seconds, {"by_name": []})


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"share": 1.0}, "Inner: the key 'pair' is missing."),
        ({"share": 1.0, "pair": None, "odd": 1}, "Inner: the key 'odd' is unknown."),
        ({"share": "much", "pair": None}, "Inner.share: expected float. Received: 'much'."),
        ({"share": True, "pair": None}, "Inner.share: expected float. Received: True."),
        ({"share": 1.0, "pair": [1]}, r"Inner.pair: expected 2 values. Received: \[1\]."),
        ({"share": 1.0, "pair": 3}, "Inner.pair: expected a list. Received: 3."),
        ([], r"Expected an object for Inner. Received: \[\]."),
    ],
)
def test_what_does_not_fit_is_refused_by_name(value, message):
    with pytest.raises(ValueError, match=message):
        json_values.from_json_values(Inner, value)
