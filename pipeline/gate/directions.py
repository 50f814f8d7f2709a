"""What moved in a feature, in words that an on-call person understands."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from columnar.numbers import as_float64
from pipeline.gate import bins as frozen_bins
from pipeline.gate.baseline import QUANTILE_LEVELS, Baseline
from pipeline.gate.distances import Floats, shares

_LEVEL_NAMES = ("5 % quantile", "lower quartile", "median", "upper quartile", "95 % quantile")
"""Of QUANTILE_LEVELS."""
_LARGE_SHARE, _LARGE_PART = 0.03, 0.4
"""One value whose share moved by the first and makes up the second of the distance is said rather than a quantile."""

_NEARLY = 0.9
_MEDIAN_FIRST = 0.05
"""From this part of the spread on, the median is said, whatever the other quantiles do."""


def describe(table: pa.Table | None, baseline: Baseline, index: int, counts: npt.NDArray[np.int64]) -> str:
    """Returns one sentence on a feature: the share that moved most, or the quantile.

    Args:
      table: the span's rows, the label's column included; None where only the counts are left.
      index: position of the feature in `baseline.bins`.
      counts: the span's, over all frozen bins.
    """
    feature = baseline.bins[index]
    name = feature.name if "`" in feature.name else f"`{feature.name}`"  # A label's expression may hold some.
    starts = frozen_bins.offsets(baseline.bins)
    part = slice(starts[index], starts[index + 1])
    before, after = shares(baseline.counts[part]), shares(counts[part])
    change = np.abs(after - before)
    if feature.name == baseline.label and baseline.predicted.task == "binary":
        positive = 1 + feature.values.index("1") if "1" in feature.values else feature.size - 1
        return f"{name}: share of positive labels {_move(before[positive], after[positive])}"
    if feature.kind == "presence":
        missing = frozen_bins.MISSING
        return f"`{feature.column}`: share of missing {_move(before[missing], after[missing])}"
    if feature.kind == "categorical":
        # What one value lost, another gained: the gain is the news.
        bin_ = int(np.where(change >= _NEARLY * change.max(), after - before, -1.0).argmax())
        return f"{name}: share of {_value(feature, bin_)} {_move(before[bin_], after[bin_])}"
    weight = _contributions(before, after)
    bin_ = int(weight.argmax())
    frozen = _frozen_value(table, feature, before, after) if table is not None else None
    if frozen is not None:
        return frozen
    quantile = _quantile(table, baseline, index) if table is not None else None
    one_value = bin_ <= len(feature.points)  # Missing, or a point mass.
    if quantile is None or (one_value and weight[bin_] >= _LARGE_PART * weight.sum() and change[bin_] >= _LARGE_SHARE):
        return f"{name}: share of {_value(feature, bin_)} {_move(before[bin_], after[bin_])}"
    return f"{name}: {quantile}"


def _frozen_value(table: pa.Table, feature: frozen_bins.FeatureBins, before: Floats, after: Floats) -> str | None:
    """Says the one value that many rows hold now, where it makes up most of the move and had no bin of its own.

    The share that it had before is at most that of its bin.
    """
    column = table.column(feature.name) if feature.name in table.column_names else pa.nulls(0)
    values = as_float64(column)
    distinct, rows = np.unique(values[np.isfinite(values)], return_counts=True)
    if len(distinct) == 0:
        return None
    value = float(distinct[rows.argmax()])
    share, bound = float(rows.max()) / len(values), float(before[feature.codes(pa.array([value]))[0]])
    gained = float(np.maximum(after - before, 0.0).sum())
    if value in feature.points or share - bound < max(_LARGE_SHARE, _LARGE_PART * gained):
        return None
    return f"`{feature.name}`: share of the one value `{value:.7g}` at most {bound:.2f} → {share:.2f}"


def _contributions(p: Floats, q: Floats) -> Floats:
    """Returns what each bin adds to the Jensen-Shannon divergence."""
    middle = (p + q) / 2
    terms = [x * np.log2(np.divide(x, middle, out=np.ones(x.shape), where=x > 0)) for x in (p, q)]
    return np.asarray((terms[0] + terms[1]) / 2)


def _quantile(table: pa.Table, baseline: Baseline, index: int) -> str | None:
    """Says the quantile that moved most, measured in the feature's own spread."""
    before = baseline.quantiles[index]
    name = baseline.bins[index].name
    if name not in table.column_names or np.isnan(before).any():
        return None
    values = as_float64(table.column(name))
    values = values[np.isfinite(values)]
    if len(values) == 0:
        return None
    after: Floats = np.quantile(values, QUANTILE_LEVELS)
    spread = before[-1] - before[0] or 1.0
    moved = np.abs(after - before) / spread
    median = QUANTILE_LEVELS.index(0.5)
    best = median if moved[median] >= _MEDIAN_FIRST else int(moved.argmax())
    if moved[best] < 0.01:
        return None
    digits = next((d for d in (4, 6, 8) if f"{before[best]:.{d}g}" != f"{after[best]:.{d}g}"), 4)
    return f"{_LEVEL_NAMES[best]} {before[best]:.{digits}g} → {after[best]:.{digits}g}"


def _value(feature: frozen_bins.FeatureBins, bin_: int) -> str:
    label = feature.labels()[bin_]
    if label.startswith("= "):
        return f"`{label[2:]}`"
    return f"values {label}" if label.startswith(("below", "above")) or " to " in label else label


def _move(before: float, after: float) -> str:
    digits = 2 if round(before, 2) != round(after, 2) else 4
    return f"{before:.{digits}f} → {after:.{digits}f}"
