"""TFMA's metrics of a binary classifier, computed from arrays.

The definitions are TFMA's, down to the histogram of 10,000 buckets that its AUC is read from, so results agree with
the stock Evaluator's (tests hold them to 1e-4). Intervals come from TFMA's method too: the standard deviation over
Poisson bootstrap replicates, with Student's t at as many degrees of freedom as there are replicates, less one.

Source: TensorFlow Model Analysis 0.52, `calibration_histogram`, `binary_confusion_matrices`, `poisson_bootstrap`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.evaluation.slicing import Column, groups

Floats = npt.NDArray[np.float64]
SliceKey = tuple[tuple[str, object], ...]

EXAMPLE_COUNT = "example_count"
AUC = "auc"
CALIBRATION_ERROR = "expected_calibration_error"

BUCKETS = 10_000
_EDGE_BUCKETS = 2  # Below 0 and from 1 on.
_EPSILON = 1e-7
_ECE_BINS = 10


def _threshold_of_bucket() -> npt.NDArray[np.int64]:
    """Which of TFMA's 10,000 thresholds each bucket of its histogram falls to."""
    thresholds = np.concatenate([[-_EPSILON], np.arange(1, BUCKETS - 1) / (BUCKETS - 1), [1 + _EPSILON]]) + _EPSILON
    lower = np.concatenate([[-np.inf], np.arange(BUCKETS) / BUCKETS, [np.inf]])
    return np.maximum(np.searchsorted(thresholds, lower, side="right") - 1, 0)


_THRESHOLD = _threshold_of_bucket()


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A metric's value; `deviation` is its bootstrap standard deviation, None where no replicates were drawn."""

    value: float
    deviation: float | None = None


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Rows to evaluate, by model: labels 0 or 1, float64 (n,); probabilities float64 (n,) of each model."""

    labels: Floats
    probabilities: Mapping[str, Floats]


def measure(sample: Sample, bootstraps: int, seed: int) -> dict[str, dict[str, Metric]]:
    """Returns model to metric name to value, over all rows of `sample`.

    Args:
      bootstraps: Poisson replicates; 0 for no deviations. The same replicates are drawn for every model.
    """
    rng = np.random.default_rng(seed)
    rows = len(sample.labels)
    weights = [rng.poisson(1.0, rows).astype(np.float64) for _ in range(bootstraps)]
    measured = {}
    for model, probabilities in sample.probabilities.items():
        values = weighted(sample.labels, probabilities, np.ones(rows))
        replicates = [weighted(sample.labels, probabilities, weight) for weight in weights if weight.any()]
        measured[model] = {
            name: Metric(
                value=value,
                deviation=_deviation([replicate[name] for replicate in replicates]),
            )
            for name, value in values.items()
        }
    return measured


def _deviation(replicates: list[float]) -> float | None:
    """Returns the standard deviation of the replicates in which the metric is defined; None for fewer than two."""
    defined = [value for value in replicates if not np.isnan(value)]
    return float(np.std(defined, ddof=1)) if len(defined) > 1 else None


def weighted(labels: Floats, probabilities: Floats, weights: Floats) -> dict[str, float]:
    """Returns each metric over weighted rows; NaN where it is not defined, such as AUC with one class."""
    buckets = np.clip((probabilities * BUCKETS + 1).astype(np.int64), 0, BUCKETS + 1)
    size = BUCKETS + _EDGE_BUCKETS
    positives = _histogram(buckets, weights * labels, size)
    totals = _histogram(buckets, weights, size)
    predictions = _histogram(buckets, weights * probabilities, size)
    total, positive, predicted = totals.sum(), positives.sum(), predictions.sum()
    true_positives = _at_thresholds(positives)
    false_positives = _at_thresholds(totals - positives)
    clipped = np.clip(probabilities, _EPSILON, 1 - _EPSILON)
    losses = -np.where(labels == 1, np.log(clipped), np.log1p(-clipped))
    right = (probabilities > 0.5) == (labels == 1)
    return {
        EXAMPLE_COUNT: float(total),
        AUC: _roc_auc(true_positives, false_positives),
        "auc_precision_recall": _pr_auc(true_positives, false_positives),
        "binary_accuracy": float(weights[right].sum() / total),
        "binary_crossentropy": float(losses @ weights / total),
        "calibration": float(predicted / positive) if positive else float("nan"),
        "mean_label": float(positive / total),
        "mean_prediction": float(predicted / total),
        CALIBRATION_ERROR: calibration_error(np.arange(size), totals, positives, predictions),
    }


def calibration_error(
    bucket_ids: npt.NDArray[np.int64], examples: Floats, labels: Floats, predictions: Floats
) -> float:
    """Returns the expected calibration error over ten equal bins of the probability, from histogram buckets.

    Source: Naeini, Cooper and Hauskrecht, "Obtaining well calibrated probabilities using Bayesian binning", 2015.
    """
    bins = np.clip((bucket_ids - 1) // (BUCKETS // _ECE_BINS), 0, _ECE_BINS - 1)
    gaps = np.abs(np.bincount(bins, predictions - labels, _ECE_BINS))
    return float(gaps.sum() / examples.sum())


def slices(columns: Mapping[str, Column], crossed: Sequence[str]) -> Iterator[tuple[SliceKey, npt.NDArray[np.int64]]]:
    """Yields the rows of each slice of crossed columns, ordered by key; a row with a missing value is in none."""
    names = sorted(crossed)
    found = dict(groups([columns[name] for name in names]))
    for values in sorted(found, key=lambda key: tuple((str(type(v)), v) for v in key)):
        yield tuple(zip(names, values, strict=True)), found[values]


def _histogram(buckets: npt.NDArray[np.int64], weights: Floats, size: int) -> Floats:
    return np.asarray(np.bincount(buckets, weights, size), np.float64)


def _at_thresholds(histogram: Floats) -> Floats:
    """Returns the rows above each threshold, from the histogram's buckets."""
    binned = np.bincount(_THRESHOLD, histogram, BUCKETS)
    return np.asarray(np.cumsum(binned[::-1])[::-1])


def _roc_auc(true_positives: Floats, false_positives: Floats) -> float:
    if true_positives[0] == 0 or false_positives[0] == 0:
        return float("nan")
    recall, fall_out = true_positives / true_positives[0], false_positives / false_positives[0]
    return float(-np.diff(fall_out) @ (recall[:-1] + recall[1:]) / 2)


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
