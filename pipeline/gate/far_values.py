"""Values far beyond anything in the training window: a few rows in cents, or a sensor's error code.

Over bins they are a few rows in the last one, however far out they lie. So the distance that they would have to be
carried back is measured: the Wasserstein distance of the span from itself with those values moved to the nearest end of
the window's range, in units of the window's spread.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from columnar.numbers import as_float64
from pipeline.gate.bins import FeatureBins
from pipeline.gate.distances import Floats
from pipeline.gate.evidence import Finding
from pipeline.gate.formats import LEVELS
from pipeline.gate.policy import GatePolicy

FAR = 0.05
"""The mean of all rows is moved by so much of the spread by the rows beyond the range alone."""
_SPREAD = (0.05, 0.95)


def find(table: pa.Table, bins: Sequence[FeatureBins], grid: Floats, policy: GatePolicy) -> tuple[Finding, ...]:
    """Finds the numeric columns whose values beyond the training window's range lie far out.

    Args:
      grid: the window's quantiles at formats.LEVELS, NaN for what is no number, float64 (features, levels).
    """
    found = []
    low, high = (int(np.searchsorted(LEVELS, level)) for level in _SPREAD)
    for feature, before in zip(bins, grid, strict=True):
        if feature.kind != "numeric" or feature.name in policy.exclude or feature.name not in table.column_names:
            continue
        values = as_float64(table.column(feature.name))
        values = values[np.isfinite(values)]
        spread = before[high] - before[low] or before[-1] - before[0]
        if len(values) == 0 or not spread > 0:
            continue
        carried = np.maximum(values - before[-1], 0.0) + np.maximum(before[0] - values, 0.0)
        distance = float(carried.mean() / spread)
        if distance > FAR:
            count = int((carried > 0).sum())
            text = (
                f"`{feature.name}`: {count:,} of {table.num_rows:,} rows lie beyond the training window's range "
                f"{before[0]:g} to {before[-1]:g}, the farthest at {values[carried.argmax()]:g} "
                f"(Wasserstein distance {distance:.2f} of its spread, threshold {FAR:g})"
            )
            severity = policy.severity_of(feature.name, "far_values", "warn")
            share = count / table.num_rows
            found.append(Finding(feature=feature.name, kind="far_values", severity=severity, text=text, share=share))
    return tuple(item for item in found if item.severity != "ignore")
