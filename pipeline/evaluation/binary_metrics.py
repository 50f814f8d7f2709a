"""The metrics of a binary classifier, from arrays of weighted rows.

The definitions are TFMA's, down to the histogram of 10,000 buckets that its AUC is read from, so results agree with
the stock Evaluator's (tests hold them to 1e-4).

Source: TensorFlow Model Analysis 0.52, `calibration_histogram`, `binary_confusion_matrices`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from models.thresholds import Thresholds
from pipeline.evaluation.registry import AUC, CALIBRATION_ERROR, EXAMPLE_COUNT, PRECISION

Floats = npt.NDArray[np.float64]

BUCKETS = 10_000
_EDGE_BUCKETS = 2  # Below 0 and from 1 on.
EPSILON = 1e-7
CALIBRATION_BINS = 10


def _threshold_of_bucket() -> npt.NDArray[np.int64]:
    """Which of TFMA's 10,000 thresholds each bucket of its histogram falls to."""
    thresholds = np.concatenate([[-EPSILON], np.arange(1, BUCKETS - 1) / (BUCKETS - 1), [1 + EPSILON]]) + EPSILON
    lower = np.concatenate([[-np.inf], np.arange(BUCKETS) / BUCKETS, [np.inf]])
    return np.maximum(np.searchsorted(thresholds, lower, side="right") - 1, 0)


_AT_HALF = Thresholds()
_THRESHOLD = _threshold_of_bucket()


def weighted(
    labels: Floats, probabilities: Floats, weights: Floats, thresholds: Thresholds = _AT_HALF
) -> dict[str, float]:
    """Returns each metric; NaN where it is not defined, such as AUC with one class.

    Args:
      labels: 0 or 1, (rows,).
      probabilities: of label 1, (rows,).
      weights: (rows,), at least one above 0.
      thresholds: from which probability on the model answers 1, where a metric is of its answers.
    """
    return weighing(labels, probabilities, thresholds)(weights)


def weighing(
    labels: Floats, probabilities: Floats, thresholds: Thresholds = _AT_HALF
) -> Callable[[Floats], dict[str, float]]:
    """Returns `weighted` of these rows as a function of their weights: what needs no weight is computed once."""
    histogram = Buckets(labels, probabilities)
    bins = _bins(histogram.of_rows)
    clipped = np.clip(probabilities, EPSILON, 1 - EPSILON)
    losses = -np.where(labels == 1, np.log(clipped), np.log1p(-clipped))
    called = thresholds.answers(probabilities) == 1
    of_rows = np.stack(
        [called == (labels == 1), called * labels, called, losses, (probabilities - labels) ** 2, probabilities]
    )  # (metrics, rows)

    def measured(weights: Floats) -> dict[str, float]:
        totals, positives = histogram.weighed(weights)
        total, positive = float(totals.sum()), float(positives.sum())
        true_positives, false_positives = _at_thresholds(positives), _at_thresholds(totals - positives)
        right, hits, calls, lost, squares, predicted = (of_rows @ weights).tolist()
        gaps = np.bincount(bins, weights * (probabilities - labels), CALIBRATION_BINS)
        return {
            EXAMPLE_COUNT: total,
            AUC: _roc_auc(true_positives, false_positives),
            "auc_precision_recall": _pr_auc(true_positives, false_positives),
            "recall_at_precision": _recall_at_precision(true_positives, false_positives),
            "binary_accuracy": right / total,
            "precision": hits / calls if calls else float("nan"),
            "recall": hits / positive if positive else float("nan"),
            "f1_score": 2 * hits / (calls + positive) if calls + positive else float("nan"),
            "matthews_correlation_coefficient": _matthews(hits, calls, positive, total),
            "binary_crossentropy": lost / total,
            "brier_score": squares / total,
            "calibration": predicted / positive if positive else float("nan"),
            "mean_label": positive / total,
            "mean_prediction": predicted / total,
            CALIBRATION_ERROR: float(np.abs(gaps).sum() / total),
        }

    return measured


class Buckets:
    """TFMA's histogram of rows by score, from which areas are read.

    Attributes:
      of_rows: the bucket of each row, (rows,).
    """

    def __init__(self, labels: Floats, scores: Floats) -> None:
        """Finds the bucket of each row, of labels 0 or 1 and scores in [0, 1], both (rows,)."""
        self.of_rows = np.clip((scores * BUCKETS + 1).astype(np.int64), 0, BUCKETS + 1)
        self._cells = 2 * self.of_rows + (labels == 1)

    def weighed(self, weights: Floats) -> tuple[Floats, Floats]:
        """Returns of each bucket the weight of its rows and of its positive rows."""
        cells = np.bincount(self._cells, weights, 2 * (BUCKETS + _EDGE_BUCKETS)).reshape(-1, 2)
        return np.asarray(cells.sum(axis=1)), np.asarray(cells[:, 1])

    def auc(self, weights: Floats) -> float:
        """Returns the area under the ROC curve as TFMA reads it; NaN where all labels are equal."""
        totals, positives = self.weighed(weights)
        return _roc_auc(_at_thresholds(positives), _at_thresholds(totals - positives))


def calibration_error(
    bucket_ids: npt.NDArray[np.int64], examples: Floats, labels: Floats, predictions: Floats
) -> float:
    """Returns the expected calibration error over ten equal bins of the probability, from histogram buckets.

    Source: Naeini, Cooper and Hauskrecht, "Obtaining well calibrated probabilities using Bayesian binning", 2015.
    """
    gaps = np.abs(np.bincount(_bins(bucket_ids), predictions - labels, CALIBRATION_BINS))
    return float(gaps.sum() / examples.sum())


def _bins(bucket_ids: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Returns the bin of calibration that each bucket of the histogram is in."""
    return np.clip((bucket_ids - 1) // (BUCKETS // CALIBRATION_BINS), 0, CALIBRATION_BINS - 1)


def _matthews(hits: float, calls: float, positive: float, total: float) -> float:
    """Returns the correlation of label and call; 0 where either is always the same."""
    spread = calls * (total - calls) * positive * (total - positive)
    return (hits * total - calls * positive) / float(np.sqrt(spread)) if spread > 0 else 0.0


def _at_thresholds(histogram: Floats) -> Floats:
    """Returns the rows above each threshold, from the histogram's buckets."""
    binned = np.bincount(_THRESHOLD, histogram, BUCKETS)
    return np.asarray(np.cumsum(binned[::-1])[::-1])


def _roc_auc(true_positives: Floats, false_positives: Floats) -> float:
    if true_positives[0] == 0 or false_positives[0] == 0:
        return float("nan")
    recall, fall_out = true_positives / true_positives[0], false_positives / false_positives[0]
    return float(-np.diff(fall_out) @ (recall[:-1] + recall[1:]) / 2)


def _recall_at_precision(true_positives: Floats, false_positives: Floats) -> float:
    """Returns the largest recall at which the precision is still enough; 0 where it never is."""
    if true_positives[0] == 0:
        return float("nan")
    enough = (true_positives > 0) & (true_positives >= PRECISION * (true_positives + false_positives))
    return float((true_positives[enough] / true_positives[0]).max(initial=0.0))


def _pr_auc(true_positives: Floats, false_positives: Floats) -> float:
    """Interpolates between thresholds as Davis and Goadrich, "The relationship between precision-recall and ROC
    curves", 2006, and TFMA do."""
    if true_positives[0] == 0:
        return float("nan")
    called = true_positives + false_positives
    gained, called_more = -np.diff(true_positives), -np.diff(called)
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = gained / called_more
        intercept = true_positives[1:] - slope * called[1:]
        ratio = np.where(called[1:] != 0, called[:-1] / called[1:], 1.0)
        area = slope * (gained + intercept * np.log(ratio)) / true_positives[0]
    return float(np.nansum(area))
