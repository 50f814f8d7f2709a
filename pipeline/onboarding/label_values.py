"""What the values of a label say: their order as classes, and whether numbers are skewed."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.onboarding import readings
from pipeline.onboarding.profile import Profile
from pipeline.onboarding.readings import Reading

_SCALES = (
    ("none", "very low", "low", "medium", "moderate", "high", "very high"),
    ("very small", "small", "medium", "large", "very large"),
    ("xs", "s", "m", "l", "xl", "xxl"),
    ("never", "rarely", "sometimes", "often", "always"),
    ("bad", "poor", "fair", "good", "very good", "excellent"),
    ("strongly disagree", "disagree", "neutral", "agree", "strongly agree"),
    ("mon", "tue", "wed", "thu", "fri", "sat", "sun"),
    ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"),
)
"""Words that have an order of their own."""
_STRONG_SKEW = 1.5
"""An exponential distribution has 2, a normal one 0."""
_SMALL_SKEW = 1.0


@dataclass(frozen=True)
class Numbers:
    """The different numbers of a column in order, and the rows of each.

    Attributes:
      values: float64.
      counts: int64.
    """

    values: npt.NDArray[np.float64]
    counts: npt.NDArray[np.int64]

    @property
    def least(self) -> float:
        """The smallest."""
        return float(self.values[0])

    @property
    def greatest(self) -> float:
        """The largest."""
        return float(self.values[-1])

    @property
    def are_numbered(self) -> bool:
        """Whether they count the rows: 1, 2, 3, each once."""
        return bool(self.counts.max() == 1 and self.greatest - self.least + 1 == len(self.values))

    @property
    def gain_by_log(self) -> bool:
        """Whether they are amounts of very different sizes, which log1p makes comparable."""
        if self.least < 0:
            return False
        return self._skew(self.values) > _STRONG_SKEW and abs(self._skew(np.log1p(self.values))) < _SMALL_SKEW

    @property
    def why_log(self) -> str:
        """In words, with the skewness of both; empty where the numbers are learned as they are."""
        if not self.gain_by_log:
            return ""
        before, after = self._skew(self.values), self._skew(np.log1p(self.values))
        return f"none is below 0, and the skewness is {before:.1f}, of log1p {after:.1f}"

    @property
    def centre_r_squared(self) -> float:
        """The R² of always answering the mean of log1p, turned back: at most 0, since R² is the mean's own measure."""
        mean = float(np.average(self.values, weights=self.counts))
        variance = float(np.average((self.values - mean) ** 2, weights=self.counts))
        centre = math.expm1(float(np.average(np.log1p(self.values), weights=self.counts)))
        return -((mean - centre) ** 2) / variance

    def _skew(self, values: npt.NDArray[np.float64]) -> float:
        """The third standardized moment, weighted by rows."""
        off = values - np.average(values, weights=self.counts)
        deviation = math.sqrt(float(np.average(off**2, weights=self.counts)))
        return float(np.average((off / deviation) ** 3, weights=self.counts)) if deviation > 0 else 0.0


def numbers_of(profile: Profile, reading: Reading) -> Numbers:
    """Returns the numbers that were counted of a column."""
    counts = np.fromiter(profile.counts.values(), np.int64)
    if profile.typed is None:
        parsed = readings.parse(pa.array([str(value) for value in profile.counts]), reading)
    else:
        parsed = pa.array(list(profile.counts)).cast(pa.float64(), safe=False)
    numbers = parsed.to_numpy(zero_copy_only=False).astype(np.float64)
    given = np.isfinite(numbers)
    values, index = np.unique(numbers[given], return_inverse=True)
    return Numbers(values, np.bincount(index, counts[given]).astype(np.int64))


def in_order(classes: Sequence[str]) -> tuple[str, ...]:
    """Returns classes as people list them: along a scale of words, else by the numbers in them, then by letters."""
    words = {name.strip().casefold() for name in classes}
    for scale in _SCALES:
        if words <= set(scale):
            return tuple(sorted(classes, key=lambda name: scale.index(name.strip().casefold())))
    return tuple(sorted(classes, key=_natural))


def _natural(name: str) -> tuple[tuple[bool, float, str], ...]:
    """Compares `10 to 20` after `2 to 10`."""
    parts = re.findall(r"[0-9]+|[^0-9]+", name.casefold())
    return tuple((not part.isdigit(), float(part) if part.isdigit() else 0.0, part) for part in parts)
