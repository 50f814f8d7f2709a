"""The label: which column is predicted, and which of its values counts as 1."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.errors import ConfigError, clipped
from pipeline.onboarding.profile import Profile, Value
from pipeline.onboarding.readings import MISSING_NUMBER, Reading

_PAIRS = (
    *(("1", "0"), ("true", "false"), ("t", "f"), ("yes", "no"), ("y", "n"), ("positive", "negative"), ("pos", "neg")),
    *(("ja", "nein"), ("oui", "non"), ("si", "no"), ("sí", "no"), ("sim", "não"), ("on", "off")),
)
"""Pairs of words whose first means yes."""
_WORDS_OF_NUMBERS = {"true": "1", "false": "0"}
_TEXT = Reading("text", "words")
_LIKELY = re.compile(
    r"label|target|class|churn|default|outcome|surviv|status|fraud|response|converted|clicked|diagnosis|arrest|^y$",
    re.IGNORECASE,
)
_MOST_CLASSES = 20
_MOST_SHOWN = 6
_LEAST_PRESENT = 0.5


@dataclass(frozen=True, kw_only=True)
class Label:
    """The column that is predicted.

    Attributes:
      positive: its values, as the file has them, that count as 1.
      reading: how the file's values are compared with those.
      is_plain: the spans hold 0 and 1, and 1 counts as 1.
    """

    column: str
    positive: tuple[Value, ...]
    reading: Reading
    is_plain: bool

    @property
    def numbers(self) -> tuple[int, ...]:
        """The positive values where the spans hold the column as INT."""
        return tuple(int(float(_WORDS_OF_NUMBERS.get(_word(value), _word(value)))) for value in self.positive)


def choose_label(column: Profile, reading: Reading, positive: Sequence[str]) -> Label:
    """Returns the label, or says in one line why the column cannot be one.

    Args:
      positive: the values that count as 1; empty to recognise a pair such as Yes and No.

    Raises:
      ConfigError: the column has one value, hardly any, or too many; or a value is not there.
    """
    where = f"--label {column.name!r}"
    values = sorted(column.counts, key=lambda value: (-column.counts[value], str(value)))
    if reading.kind != "text":
        values = [value for value in values if str(value).lower() not in MISSING_NUMBER]
    if column.present < _LEAST_PRESENT * column.rows:
        raise ConfigError(
            f"{where}: the label is missing in {column.rows - column.present:,} of {column.rows:,} rows. "
            "Name a column that most rows have."
        )
    if len(values) < 2:
        missing = column.rows - column.present
        gaps = f" ({missing:,} rows have none: NA, ? and - mean missing)" if missing else ""
        raise ConfigError(f"{where}: every row has the one value {values[0]!r}{gaps}, so there is nothing to predict.")
    if positive:
        return _with_positive(column, reading, values, positive)
    if len(values) == 2:
        words = {_word(value): value for value in values}
        for yes, no in _PAIRS:
            if set(words) == {yes, no}:
                return _label(column, reading, (words[yes],), values)
        options = " or ".join(f'--positive "{value}"' for value in values)
        raise ConfigError(f"{where}: it is not clear which of its two values counts as 1. Add {options}.")
    if column.distinct_share > 0.95:
        raise ConfigError(f"{where}: nearly every row has a value of its own, so it is no label. Name another column.")
    if reading.kind in ("number", "date") and len(values) > _MOST_CLASSES:
        raise ConfigError(
            f"{where}: it is a number to predict ({column.minimum:g} to {column.maximum:g}), and a model here predicts "
            "yes or no. Add a column that says yes or no, such as whether the number is above a limit, and name that."
        )
    shown = ", ".join(f"{clipped(str(value), 30)!r} ({column.counts[value]:,})" for value in values[:_MOST_SHOWN])
    more = f" and {len(values) - _MOST_SHOWN:,} more" if len(values) > _MOST_SHOWN else ""
    raise ConfigError(
        f"{where}: it has {len(values):,} values, and a model here predicts yes or no. Say which count as 1: "
        f"--positive VALUE [VALUE ...]. Values: {shown}{more}."
    )


def _with_positive(column: Profile, reading: Reading, values: list[Value], positive: Sequence[str]) -> Label:
    by_word: dict[str, list[Value]] = {}
    for value in values:
        by_word.setdefault(_word(value), []).append(value)
    chosen: list[Value] = []
    for text in positive:
        exact = [value for value in values if str(value) == text]
        matches = exact or by_word.get(_word(text), [])
        if not matches:
            shown = ", ".join(repr(str(value)) for value in values[:_MOST_SHOWN])
            raise ConfigError(f"--positive {text!r}: the column {column.name!r} has no such value. It has: {shown}.")
        chosen += matches
    if len(chosen) == len(values):
        raise ConfigError(f"--positive: every value of {column.name!r} counts as 1, so there is nothing to predict.")
    return _label(column, reading, tuple(chosen), values)


def _label(column: Profile, reading: Reading, positive: tuple[Value, ...], values: list[Value]) -> Label:
    numbers = {_WORDS_OF_NUMBERS.get(_word(value), _word(value)) for value in values}
    ones = {_WORDS_OF_NUMBERS.get(_word(value), _word(value)) for value in positive}
    is_plain = reading.kind in ("number", "boolean") and numbers == {"0", "1"} and ones == {"1"}
    compared = reading if column.typed else _TEXT
    return Label(column=column.name, positive=positive, reading=compared, is_plain=is_plain)


def candidates(profiles: dict[str, Profile]) -> list[Profile]:
    """Returns the columns that could be a label, the likeliest first: two values, and a name that says so."""
    two = [column for column in profiles.values() if len(column.counts) == 2 and column.present > column.rows / 2]
    few = [
        column
        for column in profiles.values()
        if 2 < len(column.counts) <= _MOST_CLASSES and _LIKELY.search(column.name) and column.present > column.rows / 2
    ]
    return sorted(two, key=lambda column: not _LIKELY.search(column.name)) + few


def is_recognised(column: Profile) -> bool:
    """Whether the two values are a pair whose yes is clear."""
    return {_word(value) for value in column.counts} in [{yes, no} for yes, no in _PAIRS]


def _word(value: Value) -> str:
    """Returns a value as people compare it: 1, 1.0, True and "1" are alike where they are numbers."""
    if isinstance(value, bool):
        return str(value).lower()
    text = str(value).strip().casefold()
    try:
        number = float(text)
    except ValueError:
        return text
    return f"{number:g}" if number == int(number if abs(number) < 1e300 else 0) else text
