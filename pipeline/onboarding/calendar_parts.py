"""Hour and weekday of columns that move with the time: the moment differs in every span, its parts come again."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from models.label_grammar import column_expression
from pipeline.onboarding.cut import Cut
from pipeline.onboarding.label import Label
from pipeline.onboarding.leaks import means_of_others
from pipeline.onboarding.readings import SECONDS_PER_DAY
from pipeline.onboarding.roles import Role, as_numbers
from pipeline.sources.periods import Every

_LEAST_TOLD = 0.002
_DEVIATIONS = 4.0
_FEWEST_ROWS = 200
_SECONDS = (10**8, 5 * 10**9)
"""Seconds since 1970 of our age; years and milliseconds are numbers too, and have no hour."""
_HELD = {"hour": ("day", "week", "month", "quarter", "year"), "weekday": ("week", "month", "quarter", "year")}
"""By part: the lengths of spans that hold all of its values."""
_VALUES = {"hour": 24, "weekday": 7}


@dataclass(frozen=True, kw_only=True)
class Part:
    """A derived column.

    Attributes:
      name: of the derived column.
      column: that it is a part of.
      expression: as [features.derived] takes it.
      why: in words, with the figure that decided.
    """

    name: str
    column: str
    expression: str
    why: str


def calendar_parts(roles: Sequence[Role], label: Label, every: Every | None, result: Cut) -> list[Part]:
    """Returns the parts of columns that move with the time of the spans, where they tell something of the label.

    A part is left out where spans are too short to hold all of its values, since it would move with every span, and
    where a column says it already.
    """
    known = {role.size for role in roles if role.role == "cyclical"}
    found: list[Part] = []
    for role in roles:
        seconds = _seconds(result.sample[role.name]) if role.role == "time" else None
        if seconds is None or len(seconds) < _FEWEST_ROWS:
            continue
        days = np.floor(seconds / SECONDS_PER_DAY)
        parts = {"hour": np.floor(seconds % SECONDS_PER_DAY / 3600), "weekday": (days + 3) % 7}
        for part, values in parts.items():
            if every not in _HELD[part] or _VALUES[part] in known:
                continue
            told = _told(values.astype(np.int64), result.labels, label)
            if told > _LEAST_TOLD + _DEVIATIONS * math.sqrt(2 * _VALUES[part]) / len(values):
                known.add(_VALUES[part])
                expression = f"{part}({column_expression(role.name)})"
                why = f"it tells {told:.1%} of the label's variance"
                found.append(Part(name=f"{role.name}_{part}", column=role.name, expression=expression, why=why))
    taken = {role.name for role in roles}
    return [part for part in found if part.name not in taken]


def _seconds(column: pa.ChunkedArray) -> np.ndarray | None:
    """Returns seconds since 1970; None where a row has none, or the numbers are no such moments."""
    if pa.types.is_string(column.type):
        return None
    seconds = as_numbers(column) * (SECONDS_PER_DAY if pa.types.is_date(column.type) else 1)
    if not (seconds.min() >= _SECONDS[0] and seconds.max() <= _SECONDS[1]):  # NaN is not either.
        return None
    return seconds


def _told(groups: np.ndarray, labels: np.ndarray, label: Label) -> float:
    """Returns the share of the label's variance that the groups' means in the other half of the rows explain."""
    targets = [labels] if label.task == "regression" else [labels == index for index in range(len(label.outcomes))]
    numbers = [target.astype(np.float64) for target in targets]
    errors = sum(float(((means_of_others(groups, one) - one) ** 2).sum()) for one in numbers)
    spread = sum(float(((one - one.mean()) ** 2).sum()) for one in numbers)
    return 1 - errors / spread if spread else 0.0
