"""Numbers that are written otherwise, and mean the same: rounded, cut off, or with noise behind the last decimal.

A value that many rows share has a bin of its own, so fares that lose their cents move far by every distance over bins.
Here both sides are rounded to the coarser of the two decimal grids and counted again: the span's values, and the
thousand quantiles that stand for the training window's. What then agrees has another format, and a training repairs
nothing.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from columnar.numbers import as_float64
from pipeline.gate import distances
from pipeline.gate.bins import FeatureBins
from pipeline.gate.distances import Floats

LEVELS = np.linspace(0.0, 1.0, 1001)
MOST_DECIMALS = 6
NO_GRID = -1
_NEARLY_ALL = 0.995


def quantiles(values: Floats) -> Floats:
    """Returns a column's quantiles at LEVELS, from its smallest to its largest finite value; NaN where it has none."""
    finite = values[np.isfinite(values)]
    return np.quantile(finite, LEVELS) if len(finite) else np.full(len(LEVELS), np.nan)


def decimals(values: Floats) -> int:
    """Returns with how many decimals nearly all finite values are written, as float32; NO_GRID for more than six."""
    finite = values[np.isfinite(values)]
    if len(finite) == 0:
        return NO_GRID
    tolerance = np.finfo(np.float32).eps * np.maximum(np.abs(finite), 1e-30)
    for number in range(MOST_DECIMALS + 1):
        if (np.abs(finite - np.round(finite, number)) <= tolerance).mean() >= _NEARLY_ALL:
            return number
    return NO_GRID


def changed(
    column: pa.ChunkedArray | pa.Array, feature: FeatureBins, before: Floats, written: int, threshold: float
) -> str | None:
    """Says how a numeric column's format changed, where that explains its distance; None where it does not.

    Args:
      column: the span's.
      before: the training window's quantiles.
      written: its decimals.
      threshold: of the column's distance.
    """
    values = as_float64(column)
    now = decimals(values)
    if now == written or not np.isfinite(before).all():
        return None
    coarser = min(number for number in (now, written) if number != NO_GRID)
    missing = float(np.isnan(values).mean())
    for rounded in (_rounded, _cut_off):
        p = _shares(rounded(values[np.isfinite(values)], coarser), feature, missing)
        q = _shares(rounded(before, coarser), feature, missing)
        if distances.jensen_shannon(p, q) <= threshold:
            return f"`{feature.name}`: written with {_places(now)}, in the training window with {_places(written)}"
    return None


def _shares(values: Floats, feature: FeatureBins, missing: float) -> Floats:
    rows = np.bincount(feature.codes(pa.array(values)), minlength=feature.size)
    shares: Floats = rows * (1 - missing) / max(len(values), 1)
    shares[0] = missing
    return shares


def _rounded(values: Floats, places: int) -> Floats:
    return np.asarray(np.round(values, places).astype(np.float32), np.float64)


def _cut_off(values: Floats, places: int) -> Floats:
    # A float32 may lie a little below the decimal that it stands for.
    return np.asarray((np.floor(values * 10.0**places + 1e-4) / 10.0**places).astype(np.float32), np.float64)


def _places(number: int) -> str:
    if number == NO_GRID:
        return f"more than {MOST_DECIMALS} decimals"
    return "1 decimal" if number == 1 else f"{number} decimals"
