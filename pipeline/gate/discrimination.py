"""How well scores tell positive rows from negative ones: the area under the ROC curve with DeLong's intervals.

Sources: DeLong, DeLong and Clarke-Pearson, "Comparing the areas under two or more correlated receiver operating
characteristic curves", Biometrics 44, 1988; Sun and Xu, "Fast implementation of DeLong's algorithm", IEEE Signal
Processing Letters 21, 2014 (midranks).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.evaluation import intervals
from pipeline.evaluation.intervals import Estimate

Floats = npt.NDArray[np.float64]


def auc(labels: Floats, scores: Floats, weights: Floats | None = None) -> Estimate | None:
    """Returns the area under the ROC curve with DeLong's interval; None where one class has no rows.

    With the placement values V of the positive rows and W of the negative ones, the variance is
    var(V) / positives + var(W) / negatives; of weighted rows, that of two weighted means.
    """
    v, w = _placements(labels, scores, weights)
    m, n = len(v), len(w)
    if m == 0 or n == 0:
        return None
    means = _means(labels, v, w, weights)
    # Perfect separation has no spread; one more row of each class could still be misplaced.
    error = max(_error(means), math.sqrt(1 / (4.0 * m * n * (m + n))))
    return intervals.around(means[0].value, error, len(labels))


def auc_of_groups(scores: Floats, positives: Floats, negatives: Floats) -> float:
    """Returns the area under the ROC curve of groups of rows that share a score; each class needs a row.

    Args:
      scores: of each group, (groups,); several may be equal.
      positives, negatives: how many rows of each class a group has, (groups,).
    """
    _, score = np.unique(scores, return_inverse=True)
    positive, negative = np.bincount(score, positives), np.bincount(score, negatives)
    below = np.cumsum(negative) - negative / 2
    return float(positive @ below / (positive.sum() * negative.sum()))


def auc_difference(
    labels: npt.NDArray[Any],  # Any: numbers or booleans.
    one: Floats,
    other: Floats,
    weights: Floats | None = None,
) -> Estimate:
    """Returns by how much `other` has the larger AUC than `one` on the same rows, with DeLong's paired interval.

    Each class needs two rows.
    """
    (v, w), (v_other, w_other) = _placements(labels, one, weights), _placements(labels, other, weights)
    means = _means(labels, v_other - v, w_other - w, weights)
    return intervals.around(means[0].value, _error(means), len(labels))


def _means(labels: npt.NDArray[Any], v: Floats, w: Floats, weights: Floats | None) -> tuple[Estimate, Estimate]:
    """Returns the mean of the positive rows' values, and of the negative ones'."""
    if weights is None:
        return intervals.mean(v), intervals.mean(w)
    return intervals.mean(v, weights[labels == 1]), intervals.mean(w, weights[labels == 0])


def _error(parts: tuple[Estimate, Estimate]) -> float:
    return math.hypot(*(intervals.standard_error(each) for each in parts))


def _placements(labels: npt.NDArray[Any], scores: Floats, weights: Floats | None) -> tuple[Floats, Floats]:
    """Returns the share of the negatives below each positive row, and of the positives above each negative one."""
    count = np.ones(len(labels)) if weights is None else weights
    is_positive, is_negative = labels == 1, labels == 0
    m, n = count[is_positive].sum(), count[is_negative].sum()
    if m == 0 or n == 0:
        return np.empty(int(is_positive.sum())), np.empty(int(is_negative.sum()))
    positive, negative = scores[is_positive], scores[is_negative]
    together = weight_below(
        np.concatenate([positive, negative]), np.concatenate([count[is_positive], count[is_negative]])
    )
    rows = len(positive)
    v = (together[:rows] - weight_below(positive, count[is_positive])) / n  # (positives,)
    w = 1 - (together[rows:] - weight_below(negative, count[is_negative])) / m  # (negatives,)
    return v, w


def weight_below(values: Floats, weights: Floats) -> Floats:
    """Returns the weight of all smaller values, and half that of equal ones, the row's own included."""
    _, inverse = np.unique(values, return_inverse=True)
    of_value = np.bincount(inverse, weights)
    return np.asarray((np.cumsum(of_value) - of_value / 2)[inverse], np.float64)
