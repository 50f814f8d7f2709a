"""Hour and weekday of the column that tells the time: the moment itself differs in every span, its parts come again."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.label_grammar import column_expression
from pipeline.onboarding.cut import Cut, Cutting
from pipeline.onboarding.label import Label
from pipeline.onboarding.leaks import means_of_others
from pipeline.onboarding.readings import SECONDS_PER_DAY
from pipeline.onboarding.roles import Role, as_numbers

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
      expression: as [features.derived] takes it.
      why: in words, with the figure that decided.
    """

    name: str
    expression: str
    why: str


def calendar_parts(roles: Sequence[Role], label: Label, cutting: Cutting, result: Cut) -> list[Part]:
    """Returns the parts of the time that tell something of the label.

    A part is left out where spans are too short to hold all of its values, since it would move with every span, and
    where a column says it already.
    """
    if cutting.time is None or result.sample.num_rows < _FEWEST_ROWS:
        return []
    seconds = as_numbers(result.sample[cutting.time])
    if not (seconds.min() >= _SECONDS[0] and seconds.max() <= _SECONDS[1]):
        return []
    known = {role.size for role in roles if role.role == "cyclical"}
    taken = {role.name for role in roles}
    found = []
    for part, held in _HELD.items():
        name = f"{cutting.time}_{part}"
        if cutting.every not in held or _VALUES[part] in known or name in taken:
            continue
        days = np.floor(seconds / SECONDS_PER_DAY)
        values = np.floor(seconds % SECONDS_PER_DAY / 3600) if part == "hour" else (days + 3) % 7
        told = _told(values.astype(np.int64), result.labels, label)
        if told > _LEAST_TOLD + _DEVIATIONS * math.sqrt(2 * _VALUES[part]) / len(values):
            why = f"it tells {told:.1%} of the label's variance"
            found.append(Part(name=name, expression=f"{part}({column_expression(cutting.time)})", why=why))
    return found


def _told(groups: np.ndarray, labels: np.ndarray, label: Label) -> float:
    """Returns the share of the label's variance that the groups' means in the other half of the rows explain."""
    targets = [labels] if label.task == "regression" else [labels == index for index in range(len(label.outcomes))]
    numbers = [target.astype(np.float64) for target in targets]
    errors = sum(float(((means_of_others(groups, one) - one) ** 2).sum()) for one in numbers)
    spread = sum(float(((one - one.mean()) ** 2).sum()) for one in numbers)
    return 1 - errors / spread if spread else 0.0
