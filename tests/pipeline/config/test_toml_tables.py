"""Every mistake in a TOML table is one sentence with place, expectation and what was received."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import pytest

from pipeline.config import toml_tables
from pipeline.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Limits:
    rate: float
    count: int = 1
    names: tuple[str, ...] = ()
    crossed: tuple[tuple[str, ...], ...] = ()
    sizes: Mapping[str, int] = field(default_factory=dict)
    mode: Literal["a", "b"] = "a"
    note: str | None = None

    def __post_init__(self):
        if self.rate > 1:
            raise ValueError(f"rate must be at most 1. Received: {self.rate}.")


def test_values_arrive_as_the_dataclass_declares_them():
    table = {"rate": 1, "names": ["x"], "crossed": [["x", "y"]], "sizes": {"x": 3}, "mode": "b", "note": "n"}

    limits = toml_tables.build(Limits, table, "here")

    assert limits == Limits(rate=1.0, names=("x",), crossed=(("x", "y"),), sizes={"x": 3}, mode="b", note="n")
    assert isinstance(limits.rate, float)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"rat": 1}, "here: unknown key 'rat'. Allowed: count, crossed, mode, names, note, rate, sizes."),
        ({}, "here: the key 'rate' is missing (a number)."),
        ({"rate": "1"}, "here: rate: expected a number. Received: '1'."),
        ({"rate": True}, "here: rate: expected a number. Received: True."),
        ({"rate": 1, "count": 1.5}, "here: count: expected an integer. Received: 1.5."),
        ({"rate": 1, "count": True}, "here: count: expected an integer. Received: True."),
        ({"rate": 1, "names": "x"}, "here: names: expected a list, each a string. Received: 'x'."),
        ({"rate": 1, "names": [1]}, "here: names[0]: expected a string. Received: 1."),
        ({"rate": 1, "sizes": {"x": "3"}}, "here: sizes.x: expected an integer. Received: '3'."),
        ({"rate": 1, "sizes": 3}, "here: sizes: expected a table, each value an integer. Received: 3."),
        ({"rate": 1, "mode": "c"}, "here: mode: expected 'a' or 'b'. Received: 'c'."),
        ({"rate": 1, "note": 3}, "here: note: expected a string. Received: 3."),
        ({"rate": 2}, "here: rate must be at most 1. Received: 2.0."),
        ([], "here: expected a table. Received: []."),
    ],
)
def test_a_mistake_is_one_clear_sentence(table, message):
    with pytest.raises(ConfigError) as caught:
        toml_tables.build(Limits, table, "here")

    assert str(caught.value) == message
