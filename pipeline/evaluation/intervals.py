"""Confidence intervals at 95 %, as the gate, the evaluation, the monitor and the pages write them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # `status` reads evidence, and answers before numpy would be loaded.
    import numpy as np
    import numpy.typing as npt

Z95 = NormalDist().inv_cdf(0.975)
"""Standard errors on either side of a value in a symmetric 95 % interval: 1.96."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A measured value with its confidence interval, and the rows that it was measured on."""

    value: float
    low: float
    high: float
    rows: int


def half_width(error: float | None) -> float:
    """Returns half the length of the interval around a value with this standard error; 0 where none was measured."""
    return Z95 * (error or 0.0)


def around(value: float, error: float, rows: int) -> Estimate:
    """Returns a value with the symmetric interval of its standard error."""
    return Estimate(value=value, low=value - Z95 * error, high=value + Z95 * error, rows=rows)


def standard_error(estimate: Estimate) -> float:
    """Returns the standard error behind a symmetric interval, and a good approximation of it behind Wilson's."""
    return (estimate.high - estimate.low) / (2 * Z95)


def mean(values: npt.NDArray[np.float64], weights: npt.NDArray[np.float64] | None = None) -> Estimate:
    """Returns a mean with its interval; one value alone is given the widest standard error of a share, one half.

    Args:
      weights: how much each value counts, each above 0; None for alike. The error is that of a ratio of two sums.

    Source: Cochran, "Sampling Techniques", 1977, 6.4 (the ratio's variance).
    """
    rows = len(values)
    if weights is None:
        error = float(values.std(ddof=1)) / math.sqrt(rows) if rows > 1 else 0.5
        return around(float(values.mean()), error, rows)
    shares = weights / weights.sum()
    value = float(shares @ values)
    squares = float((shares**2) @ (values - value) ** 2)
    return around(value, math.sqrt(squares * rows / (rows - 1)) if rows > 1 else 0.5, rows)


def effective_rows(weights: npt.NDArray[np.float64]) -> float:
    """Returns how many rows that count alike say as much. Source: Kish, "Survey Sampling", 1965."""
    squares = float(weights @ weights)
    return float(weights.sum()) ** 2 / squares if squares else 0.0


def mean_of_few(values: Sequence[float], rows: int) -> Estimate:
    """Returns the mean of a few values with its interval by Student's t.

    One alone does not say how far it may lie from the mean: its interval has no ends. Of none the value is 0.

    Args:
      rows: that the values were measured on.
    """
    if len(values) < 2:
        return Estimate(value=values[0] if values else 0.0, low=-math.inf, high=math.inf, rows=rows)
    from scipy import special

    count = len(values)
    centre = math.fsum(values) / count
    error = math.sqrt(math.fsum((value - centre) ** 2 for value in values) / (count - 1) / count)
    half = float(special.stdtrit(count - 1, 0.975)) * error
    return Estimate(value=centre, low=centre - half, high=centre + half, rows=rows)


def wilson(positive: float, rows: float) -> Estimate:
    """Returns a share with its interval, which stays within [0, 1]. Source: Wilson, JASA 22, 1927."""
    share, square = positive / rows, Z95**2
    centre = (share + square / (2 * rows)) / (1 + square / rows)
    half = Z95 * math.sqrt(share * (1 - share) / rows + square / (4 * rows**2)) / (1 + square / rows)
    return Estimate(value=share, low=max(0.0, centre - half), high=min(1.0, centre + half), rows=round(rows))
