"""The metrics of a classifier of several classes, from arrays of weighted rows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from models.thresholds import Thresholds
from pipeline.evaluation.binary_metrics import CALIBRATION_BINS, EPSILON, Buckets
from pipeline.evaluation.registry import CALIBRATION_ERROR, EXAMPLE_COUNT

Floats = npt.NDArray[np.float64]

TOP = 3
_MOST_PROBABLE = Thresholds()


def weighted(
    labels: Floats, probabilities: Floats, weights: Floats, thresholds: Thresholds = _MOST_PROBABLE
) -> dict[str, float]:
    """Returns each metric; NaN where it is not defined.

    Accuracy and calibration error are of the most probable class, as TFMA has them; precision, recall, F1 and
    Matthews correlation of the class that the model answers.

    Means over classes are those of the classes that have rows. A class that no row is predicted to be of has a
    precision of 0, as in scikit-learn.

    Args:
      labels: index of the class of each row, (rows,).
      probabilities: (rows, classes).
      weights: (rows,), at least one above 0.
      thresholds: which class the model answers.
    """
    return weighing(labels, probabilities, thresholds)(weights)


def weighing(
    labels: Floats, probabilities: Floats, thresholds: Thresholds = _MOST_PROBABLE
) -> Callable[[Floats], dict[str, float]]:
    """Returns `weighted` of these rows as a function of their weights: what needs no weight is computed once."""
    classes = probabilities.shape[1]
    summed = _summing(labels, probabilities, thresholds)
    areas = [Buckets((labels == index).astype(np.float64), probabilities[:, index]) for index in range(classes)]
    truth = labels.astype(np.int64)

    def measured(weights: Floats) -> dict[str, float]:
        occur = np.flatnonzero(np.bincount(truth, weights))
        # Of each class that has rows, against the rest.
        found = [areas[index].auc(weights) for index in occur]
        return {**of_sums(summed(weights), classes), "auc_macro": float(np.mean(found)) if found else float("nan")}

    return measured


def sums(labels: Floats, probabilities: Floats, weights: Floats, thresholds: Thresholds = _MOST_PROBABLE) -> Floats:
    """Returns what the metrics are computed from, but for areas: sums over rows, so those of parts add up.

    (classes² + 4 + bins,): the confusion matrix, then the weight of right most probable classes, of log losses, of
    Brier scores and of classes among the first three, then by bin of the confidence that less the right answers.
    """
    return _summing(labels, probabilities, thresholds)(weights)


def _summing(labels: Floats, probabilities: Floats, thresholds: Thresholds) -> Callable[[Floats], Floats]:
    """Returns `sums` of these rows as a function of their weights."""
    classes = probabilities.shape[1]
    truth, predicted = labels.astype(np.int64), probabilities.argmax(axis=1)
    right, confidence = predicted == truth, probabilities.max(axis=1)
    cells = truth * classes + thresholds.answers(probabilities)
    own = np.clip(probabilities[np.arange(len(truth)), truth], EPSILON, 1.0)
    one_hot = np.zeros_like(probabilities)
    one_hot[np.arange(len(truth)), truth] = 1.0
    first = np.argpartition(-probabilities, min(TOP, classes) - 1, axis=1)[:, :TOP]
    squares = ((probabilities - one_hot) ** 2).sum(axis=1)
    among_first = (first == truth[:, None]).any(axis=1)
    of_rows = np.stack([right, -np.log(own), squares, among_first])  # (sums, rows)
    is_number = not np.isnan(confidence).any()
    bins = np.minimum((np.where(is_number, confidence, 0) * CALIBRATION_BINS).astype(np.int64), CALIBRATION_BINS - 1)
    gaps = confidence - right

    def summed(weights: Floats) -> Floats:
        matrix = np.bincount(cells, weights, classes * classes)
        return np.concatenate([matrix, of_rows @ weights, np.bincount(bins, gaps * weights, CALIBRATION_BINS)])

    return summed


def of_sums(summed: Floats, classes: int) -> dict[str, float]:
    """Returns each metric but for areas from what `sums` returned; NaN where it is not defined."""
    matrix = summed[: classes**2].reshape(classes, classes)
    (hits, losses, squares, among_first), gaps = summed[classes**2 :][:4], summed[classes**2 + 4 :]
    total, occurs = matrix.sum(), matrix.sum(axis=1) > 0
    recall = _ratio(np.diag(matrix), matrix.sum(axis=1))
    precision = _ratio(np.diag(matrix), matrix.sum(axis=0))
    f1 = _ratio(2 * np.diag(matrix), matrix.sum(axis=1) + matrix.sum(axis=0))
    shares = matrix.sum(axis=1) / total
    entropy = float(-(shares[occurs] * np.log(shares[occurs])).sum())
    return {
        EXAMPLE_COUNT: float(total),
        "sparse_categorical_accuracy": float(hits / total),
        "top_3_accuracy": float(among_first / total) if classes > TOP else float("nan"),
        "precision_macro": float(precision[occurs].mean()),
        "precision_weighted": float(precision @ shares),
        "recall_macro": float(recall[occurs].mean()),
        "recall_weighted": float(recall @ shares),
        "f1_macro": float(f1[occurs].mean()),
        "f1_weighted": float(f1 @ shares),
        "matthews_correlation_coefficient": matthews(matrix),
        "sparse_categorical_crossentropy": float(losses / total),
        "mcfadden_r_squared": float(1 - losses / total / entropy) if entropy > 0 else float("nan"),
        "brier_score": float(squares / total),
        # Source: Guo et al., "On calibration of modern neural networks", 2017, over ten equal bins of the confidence.
        CALIBRATION_ERROR: float(np.abs(gaps).sum() / total),
    }


def confusion(truth: npt.NDArray[np.int64], predicted: npt.NDArray[np.int64], weights: Floats, classes: int) -> Floats:
    """Returns the weight of the rows by true class (first axis) and predicted class."""
    cells = np.bincount(truth * classes + predicted, weights, classes * classes)
    return np.asarray(cells, np.float64).reshape(classes, classes)


def matthews(matrix: Floats) -> float:
    """Returns the correlation of true and predicted class; 0 where either is always the same.

    Source: Gorodkin, "Comparing two K-category assignments by a K-category correlation coefficient", 2004.
    """
    total, true, predicted = matrix.sum(), matrix.sum(axis=1), matrix.sum(axis=0)
    spread = np.sqrt((total**2 - predicted @ predicted) * (total**2 - true @ true))
    return float((np.trace(matrix) * total - true @ predicted) / spread) if spread > 0 else 0.0


def _ratio(part: Floats, whole: Floats) -> Floats:
    return np.asarray(np.divide(part, whole, out=np.zeros_like(part), where=whole > 0))
