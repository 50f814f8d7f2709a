"""What a person looks at beside an AUC: ROC, precision against recall, and calibration, as a few points each.

All three are read off one histogram of the predictions, TFMA's: so the local engine's curves and those of the Beam
engine's plots are the same, and a million rows take no more room than a thousand.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models.target import Target
from models.thresholds import Thresholds
from pipeline import json_values
from pipeline.evaluation import intervals
from pipeline.evaluation.binary_metrics import BUCKETS, CALIBRATION_BINS
from pipeline.evaluation.class_metrics import confusion
from pipeline.evaluation.metrics import Floats, Metric, Sample, value_of
from pipeline.evaluation.registry import EXAMPLE_COUNT

FILE = "curves.json"
ERROR_LEVELS = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)
"""Shares of the rows whose error lies at or below each of `ModelCurves.errors`."""
_MOST_BINS, _LEAST_BIN_ROWS = 20, 40
_LEAST_STEP = 1 / 400
"""Points that are nearer to each other than this, in both directions, look like one."""

Point = tuple[float, float]
_AT_HALF = Thresholds()


@dataclass(frozen=True, kw_only=True)
class CalibrationBin:
    """Rows whose predictions lie in one tenth of [0, 1].

    Attributes:
      predicted: mean prediction.
      observed: share of positive labels; `low` and `high` are its 95 % Wilson interval.
    """

    examples: int
    predicted: float
    observed: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class NumberBin:
    """Rows of a regression with about the same prediction.

    Attributes:
      rows: their weight.
      predicted, actual: mean prediction and mean label.
      low, high: quantiles of the labels that the interval stands for: of an interval of 90 %, 5 and 95 %.
      lower, upper: means of the predicted ends.
      covered: share of the rows within their own ends.
    """

    rows: float
    predicted: float
    actual: float
    low: float
    high: float
    lower: float
    upper: float
    covered: float


@dataclass(frozen=True, kw_only=True)
class ModelCurves:
    """One model on the whole eval split.

    Attributes:
      metrics: by TFMA's names, those that are defined.
      deviations: bootstrap standard deviations, by the same names.
      roc: (false positive rate, true positive rate), from (0, 0) to (1, 1); empty where all labels are equal.
      precision_recall: (recall, precision), recall ascending, from (0, 1) on: where nothing is called positive nothing
        is called so wrongly, as scikit-learn has it. Empty where no label is positive; files of earlier releases begin
        with the highest prediction.
      calibration: bins that hold rows, ascending; of several classes, by the probability of the class that is answered
        and the share of right answers.
      classes: of a multiclass task, in order.
      confusion: weight of the rows by true class (outer) and answered class; of a binary model those of 0 and 1.
      thresholds: which class is answered, and how that was chosen; None of a regression, and in older files.
      undefined: the metrics that were measured and have no value on these rows; registry.py says why.
      numbers: of a regression, about equally filled bins of the prediction, ascending.
      errors: of a regression, label less prediction at the levels of ERROR_LEVELS.
    """

    metrics: tuple[tuple[str, float], ...]
    deviations: tuple[tuple[str, float], ...]
    roc: tuple[Point, ...]
    precision_recall: tuple[Point, ...]
    calibration: tuple[CalibrationBin, ...]
    classes: tuple[str, ...] = ()
    confusion: tuple[tuple[float, ...], ...] = ()
    numbers: tuple[NumberBin, ...] = ()
    errors: tuple[float, ...] = ()
    thresholds: Thresholds | None = None
    undefined: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class EvaluationCurves:
    """Both models on the same rows; `live` is None where no model was live."""

    candidate: ModelCurves
    live: ModelCurves | None

    def to_json(self) -> str:
        """Serializes to JSON."""
        value = json_values.to_json_values(dataclasses.asdict(self))
        return json.dumps(value, sort_keys=True, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> EvaluationCurves:
        """Reads what `to_json` wrote.

        Raises:
          ValueError: it is something else.
        """
        return json_values.from_json_values(cls, json.loads(text))


@dataclass(frozen=True, kw_only=True)
class Histogram:
    """Rows by prediction, buckets ascending: rows, positive rows and summed predictions, each float64 (buckets,)."""

    rows: Floats
    positives: Floats
    predictions: Floats


def histogram_of(labels: Floats, probabilities: Floats, weights: Floats) -> Histogram:
    """Returns TFMA's histogram of 10,000 equal buckets of the probability, and one from 1 on.

    Args:
      labels: 0 or 1, (rows,).
      probabilities: in [0, 1], (rows,).
      weights: (rows,).
    """
    buckets = np.clip((probabilities * BUCKETS).astype(np.int64), 0, BUCKETS)

    def summed(values: Floats) -> Floats:
        return np.asarray(np.bincount(buckets, values * weights, BUCKETS + 1), np.float64)

    return Histogram(rows=summed(np.ones(len(labels))), positives=summed(labels), predictions=summed(probabilities))


def draw(target: Target, sample: Sample, model: str, metrics: Mapping[str, Metric]) -> ModelCurves:
    """Returns what a person looks at beside a model's metrics, on the whole eval split.

    Args:
      metrics: of the sample's rows.
    """
    labels, predictions, weights = sample.labels, sample.predictions[model], sample.weights
    thresholds = sample.thresholds.get(model, Thresholds())
    if target.task == "binary":
        return curves_of(histogram_of(labels, predictions, weights), metrics, thresholds)
    if target.task == "regression":
        errors = np.quantile(labels - predictions[:, 0], ERROR_LEVELS)
        return without_curves(
            metrics,
            numbers=_number_bins(labels, predictions, weights, target.interval),
            errors=tuple(float(error) for error in errors),
        )
    truth = labels.astype(np.int64)
    matrix = confusion(truth, thresholds.answers(predictions), weights, len(target.classes))
    right = histogram_of((truth == predictions.argmax(axis=1)).astype(np.float64), predictions.max(axis=1), weights)
    return without_curves(
        metrics,
        calibration=_calibration(right),
        classes=target.classes,
        confusion=tuple(tuple(row) for row in matrix.tolist()),
        thresholds=thresholds,
    )


def without_curves(metrics: Mapping[str, Metric], **drawn: Any) -> ModelCurves:  # Any: fields of ModelCurves.
    """Returns a model's metrics, and what else is known of it."""
    values: dict[str, Any] = {"roc": (), "precision_recall": (), "calibration": (), **_known(metrics), **drawn}
    return ModelCurves(**values)


def _known(metrics: Mapping[str, Metric]) -> dict[str, Any]:  # Any: fields of ModelCurves.
    """Returns the metrics, and their deviations, as `ModelCurves` holds them."""
    known = {
        name: metric
        for name, metric in sorted(metrics.items())
        if math.isfinite(metric.value) and value_of(metrics, name) is not None
    }
    return {
        "undefined": tuple(sorted(set(metrics) - set(known))),
        "metrics": tuple((name, metric.value) for name, metric in known.items()),
        "deviations": tuple((name, m.deviation) for name, m in known.items() if m.deviation is not None),
    }


def _number_bins(labels: Floats, predictions: Floats, weights: Floats, interval: float) -> tuple[NumberBin, ...]:
    bins = []
    parts = min(_MOST_BINS, max(1, len(labels) // _LEAST_BIN_ROWS))
    for rows in np.array_split(np.argsort(predictions[:, 0], kind="stable"), parts):
        y, (value, lower, upper), share = labels[rows], predictions[rows].T, weights[rows] / weights[rows].sum()
        low, high = np.quantile(y, [(1 - interval) / 2, (1 + interval) / 2])
        bins.append(
            NumberBin(
                rows=float(weights[rows].sum()),
                predicted=float(value @ share),
                actual=float(y @ share),
                low=float(low),
                high=float(high),
                lower=float(lower @ share),
                upper=float(upper @ share),
                covered=float(((lower <= y) & (y <= upper)) @ share),
            )
        )
    return tuple(bins)


def curves_of(histogram: Histogram, metrics: Mapping[str, Metric], thresholds: Thresholds = _AT_HALF) -> ModelCurves:
    """Returns the curves of one binary model, thinned to what can be seen, and the confusion of what it answers."""
    called = np.concatenate([[0.0], np.cumsum(histogram.rows[::-1])])  # Rows above each threshold, the highest first.
    right = np.concatenate([[0.0], np.cumsum(histogram.positives[::-1])])
    rows, positives = called[-1], right[-1]
    roc: tuple[Point, ...] = ()
    precision_recall: tuple[Point, ...] = ()
    if positives and positives < rows:
        roc = _thinned((called - right) / (rows - positives), right / positives)
    if positives:
        # Before the first that is found, every threshold has a recall of 0: the curve has one point there.
        some = right > 0
        recall, precision = right[some] / positives, right[some] / called[some]
        precision_recall = _thinned(np.append(0.0, recall), np.append(1.0, precision))
    return ModelCurves(
        **_known(metrics),
        roc=roc,
        precision_recall=precision_recall,
        calibration=_calibration(histogram),
        confusion=_confusion_of(metrics),
        thresholds=thresholds,
    )


def _confusion_of(metrics: Mapping[str, Metric]) -> tuple[tuple[float, ...], ...]:
    """Returns a binary model's confusion from what both engines measure; () where a prediction was no number."""
    known = {name: metric.value for name, metric in metrics.items() if math.isfinite(metric.value)}
    if not {EXAMPLE_COUNT, "mean_label", "binary_accuracy", "mean_prediction"} <= set(known):
        return ()
    rows = known[EXAMPLE_COUNT]
    positives, right = rows * known["mean_label"], rows * known["binary_accuracy"]
    hits = positives * known.get("recall", 0.0)
    cells = ((rows - positives - right + hits, positives - hits), (right - hits, hits))
    (false_positives, false_negatives), (true_negatives, true_positives) = (
        tuple(round(max(cell, 0.0), 3) for cell in pair) for pair in cells
    )
    return (true_negatives, false_positives), (false_negatives, true_positives)


def _thinned(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> tuple[Point, ...]:
    """Returns the first and the last point, and between them those that are far enough from the one kept before."""
    kept = [(float(x[0]), float(y[0]))]
    last = (float(x[-1]), float(y[-1]))
    for point in zip(x[1:].tolist(), y[1:].tolist(), strict=True):
        if max(abs(point[0] - kept[-1][0]), abs(point[1] - kept[-1][1])) >= _LEAST_STEP:
            kept.append(point)
    if kept[-1] != last:
        kept.append(last)
    return tuple((round(a, 5), round(b, 5)) for a, b in kept)


def _calibration(histogram: Histogram) -> tuple[CalibrationBin, ...]:
    size = len(histogram.rows)
    index = np.minimum(np.arange(size) * CALIBRATION_BINS // BUCKETS, CALIBRATION_BINS - 1)
    rows, positives, predictions = (
        np.bincount(index, part, CALIBRATION_BINS)
        for part in (histogram.rows, histogram.positives, histogram.predictions)
    )
    bins = []
    for n, positive, predicted in zip(rows.tolist(), positives.tolist(), predictions.tolist(), strict=True):
        if n:
            share = intervals.wilson(positive, n)
            bins.append(
                CalibrationBin(
                    examples=share.rows, predicted=predicted / n, observed=share.value, low=share.low, high=share.high
                )
            )
    return tuple(bins)
