"""A column that suddenly tells the label usually holds the answer: it was written after the fact, or joined by it.

Each feature alone is asked how well it orders the rows by their label, over the frozen bins: every half of the span is
scored by the shares of positive labels that the other half has per bin. A new concept changes which values are
positive; it does not make one column know nearly everything. A model that is trained on a leak looks better than any
before it, so the evaluation cannot see it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from models.label import NO_LABEL
from pipeline.gate import bins as frozen_bins
from pipeline.gate import discrimination, labels
from pipeline.gate.bins import FeatureBins
from pipeline.gate.distances import Floats
from pipeline.gate.evidence import Finding
from pipeline.gate.policy import GatePolicy, Severity

MOST_ROWS = 20_000
LEAST_ROWS = 100
SUSPICIOUS = 0.9
"""An AUC that hardly any single column reaches honestly ..."""
RISE = 0.1
"""... and that is so much higher than it was."""


def strengths(
    parts: Sequence[npt.NDArray[np.uint16]],
    values: Sequence[npt.NDArray[np.int64]],
    bins: Sequence[FeatureBins],
    told: Mapping[str, float],
) -> Floats:
    """Returns the AUC of each feature alone in that span of a training window where it tells most, or in an earlier
    window; NaN where no span has a label of each kind.

    Span by span: a window that mixes two concepts hides, all in all, what a column tells within each of them. While the
    concept changes little by little, no span of the window shows it, and the windows before do.

    Args:
      parts: of each span, uint16 (rows, features).
      values: of each span, the labels, 0, 1 or NO_LABEL.
      told: what was measured of the live model's window, by feature.
    """
    found = np.array([_of_span(codes, labels_, bins) for codes, labels_ in zip(parts, values, strict=True)])
    return np.asarray(np.fmax(np.fmax.reduce(found, axis=0), [told.get(one.name, np.nan) for one in bins]))


def _of_span(codes: npt.NDArray[np.uint16], values: npt.NDArray[np.int64], bins: Sequence[FeatureBins]) -> Floats:
    known = values != NO_LABEL
    codes, truth = codes[known], values[known].astype(np.float64)
    found = np.full(len(bins), np.nan)
    if 0 < truth.sum() < len(truth):
        for index, feature in enumerate(bins):
            rows, positive = _counts(codes[:, index], truth, feature.size)
            shares = _shares(rows, positive, truth.mean())
            found[index] = discrimination.auc_of_groups(shares, positive, rows - positive)
    return found


def find(
    table: pa.Table, label: str, before: Floats, bins: Sequence[FeatureBins], policy: GatePolicy, *, seed: int = 0
) -> tuple[Finding, ...]:
    """Finds the columns that tell the label now and did not before.

    Args:
      before: as `strengths` measured them.
      bins: of the baseline.
    """
    rng = np.random.default_rng(seed)
    if table.num_rows > MOST_ROWS:
        table = table.take(pa.array(np.sort(rng.choice(table.num_rows, MOST_ROWS, replace=False))))
    values = labels.evaluate(table, label)
    known = values != NO_LABEL
    truth = values[known].astype(np.float64)
    if len(truth) < LEAST_ROWS or not 0 < truth.sum() < len(truth):
        return ()
    codes = frozen_bins.encode(table.filter(pa.array(known)), bins)
    half = rng.permutation(len(truth)) % 2 == 0
    found = {}
    for index, feature in enumerate(bins):
        if feature.name == label or feature.column in policy.exclude or np.isnan(before[index]):
            continue
        scores = np.empty(len(truth))
        for part in (half, ~half):
            others = _counts(codes[~part, index], truth[~part], feature.size)
            scores[part] = _shares(*others, truth[~part].mean())[codes[part, index]]
        now = discrimination.auc(truth, scores)
        if now is not None and now.value >= SUSPICIOUS and now.low > before[index] + RISE:
            text = (
                f"`{feature.column}` tells the label as it did not before: alone, its AUC is {now.value:.3f} "
                f"(interval {now.low:.3f} to {now.high:.3f}), in the training window it was {before[index]:.3f}; "
                "does it hold what is known only afterwards?"
            )
            severity: Severity = policy.severity_of(feature.column, "label_leak", "block")
            found[feature.column] = Finding(feature=feature.column, kind="label_leak", severity=severity, text=text)
    return tuple(item for item in found.values() if item.severity != "ignore")


def _counts(codes: npt.NDArray[np.uint16], truth: Floats, size: int) -> tuple[Floats, Floats]:
    """Returns the rows of each bin, and how many of them are positive."""
    rows = np.bincount(codes, minlength=size).astype(np.float64)
    return rows, np.asarray(np.bincount(codes, weights=truth, minlength=size), np.float64)


def _shares(rows: Floats, positive: Floats, mean: float) -> Floats:
    """Returns the share of positive labels in each bin, drawn a little to that of all rows."""
    return np.asarray((positive + mean) / (rows + 1))
