"""A task's metrics on a sample of rows, with deviations, for one model or for two on the same rows.

Deviations come from TFMA's method: the standard deviation over Poisson bootstrap replicates, with Student's t at as
many degrees of freedom as there are replicates, less one. Both models meet the same replicates, so the deviation of
their difference leaves out what they have in common.

Source: TensorFlow Model Analysis 0.52, `poisson_bootstrap`.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from models.target import Target
from models.thresholds import Thresholds
from pipeline.evaluation import binary_metrics, class_metrics, number_metrics
from pipeline.evaluation.binary_metrics import CALIBRATION_BINS
from pipeline.evaluation.registry import AUC, CALIBRATION_ERROR, EXAMPLE_COUNT
from pipeline.evaluation.slicing import Column, groups

Floats = npt.NDArray[np.float64]
SliceKey = tuple[tuple[str, object], ...]

_DRAWS = 2_000


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A metric's value.

    Attributes:
      deviation: bootstrap standard deviation; None where no replicates were drawn.
      difference_deviation: that of this model's value less the first model's; None for the first, and without
        replicates.
      chance: what chance adds to an error of calibration where nothing is wrong, exceeded once in 40 times; 0 for other
        metrics.
    """

    value: float
    deviation: float | None = None
    difference_deviation: float | None = None
    chance: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Rows to evaluate.

    Attributes:
      labels: as `Target.evaluate` answers them, none unknown, float64 (rows,).
      predictions: of each model, as `Predictor.predict` answers them, float64 (rows,) or (rows, ...).
      weights: float64 (rows,), each above 0.
      thresholds: of each model, which class it answers; the default of one that is not there.
    """

    labels: Floats
    predictions: Mapping[str, Floats]
    weights: Floats
    thresholds: Mapping[str, Thresholds] = field(default_factory=dict)

    def part(self, rows: npt.NDArray[np.int64]) -> Sample:
        """Returns some of the rows."""
        predictions = {name: values[rows] for name, values in self.predictions.items()}
        return dataclasses.replace(self, labels=self.labels[rows], predictions=predictions, weights=self.weights[rows])


def measure(sample: Sample, target: Target, bootstraps: int, seed: int) -> dict[str, dict[str, Metric]]:
    """Returns model to metric name to value, over all rows of `sample`.

    Args:
      target: what the labels are.
      bootstraps: Poisson replicates; 0 for no deviations. The same replicates are drawn for every model.
    """
    rng = np.random.default_rng(seed)
    rows = len(sample.labels)
    counts = [rng.poisson(1.0, rows).astype(np.float64) for _ in range(bootstraps)]
    replicates = [sample.weights * count for count in counts if count.any()]
    measured: dict[str, dict[str, Metric]] = {}
    first: dict[str, Floats] = {}
    for model, predictions in sample.predictions.items():
        compute = _weighing(target, sample.labels, predictions, sample.thresholds.get(model, Thresholds()))
        values = compute(sample.weights) | {EXAMPLE_COUNT: float(rows)}
        drawn = [compute(weights) for weights in replicates]
        by_name = {name: np.array([replicate[name] for replicate in drawn]) for name in values}
        chance = _calibration_chance(predictions, sample.weights) if CALIBRATION_ERROR in values else 0.0
        measured[model] = {
            name: Metric(
                value=value,
                deviation=_deviation(by_name[name]),
                difference_deviation=_deviation(by_name[name] - first[name]) if name in first else None,
                chance=chance if name == CALIBRATION_ERROR else 0.0,
            )
            for name, value in values.items()
        }
        first = first or by_name
    return measured


def value_of(values: Mapping[str, Metric], name: str) -> float | None:
    """Returns a metric; None where it is undefined, for which TFMA writes 0 in some, or was not measured."""
    if name not in values or math.isnan(values[name].value):
        return None
    if "mean_label" in values and values["mean_label"].value in _ZERO_OF_TFMA.get(name, ()):
        return None
    return values[name].value


_ZERO_OF_TFMA: Mapping[str, tuple[float, ...]] = {
    AUC: (0.0, 1.0),
    "auc_precision_recall": (0.0,),
    "recall_at_precision": (0.0,),
}
"""Shares of positive labels at which a metric is undefined, and TFMA writes 0."""


def _weighing(
    target: Target, labels: Floats, predictions: Floats, thresholds: Thresholds
) -> Callable[[Floats], dict[str, float]]:
    """Returns what measures these rows, as a function of their weights."""
    if target.task == "multiclass":
        return class_metrics.weighing(labels, predictions, thresholds)
    if target.task == "regression":
        return number_metrics.weighing(labels, predictions, target.interval)
    return binary_metrics.weighing(labels, predictions, thresholds)


def _calibration_chance(predictions: Floats, weights: Floats) -> float:
    """Returns `Metric.chance` of the calibration error of probabilities (rows,) or (rows, classes)."""
    confidence = predictions if predictions.ndim == 1 else predictions.max(axis=1)
    if np.isnan(confidence).any():
        return 0.0
    bins = np.clip((confidence * CALIBRATION_BINS).astype(np.int64), 0, CALIBRATION_BINS - 1)
    variances = np.bincount(bins, weights**2 * confidence * (1 - confidence), CALIBRATION_BINS)
    return chance_of(np.asarray(variances, np.float64), float(weights.sum()))


def chance_of(variances: Floats, total: float) -> float:
    """Returns what chance adds to a calibration error, exceeded once in 40 times.

    A bin's gap is normal around 0 where its probabilities are right; the sum of the gaps' sizes is drawn.

    Args:
      variances: of each bin, the sum of weight² * p * (1 - p) over its rows, (bins,).
      total: weight of all rows.
    """
    return float(np.quantile(_gaps(len(variances)) @ np.sqrt(variances), 0.975) / total)


@functools.cache
def _gaps(bins: int) -> Floats:
    """Sizes of normal gaps, the same for every slice and model, (draws, bins)."""
    return np.abs(np.random.default_rng(0).standard_normal((_DRAWS, bins)))


def _deviation(replicates: Floats) -> float | None:
    """Returns the standard deviation of the replicates in which the metric is defined; None for fewer than two."""
    defined = replicates[~np.isnan(replicates)]
    return float(np.std(defined, ddof=1)) if len(defined) > 1 else None


def slices(columns: Mapping[str, Column], crossed: Sequence[str]) -> Iterator[tuple[SliceKey, npt.NDArray[np.int64]]]:
    """Yields the rows of each slice of crossed columns, ordered by key; a row with a missing value is in none."""
    names = sorted(crossed)
    found = dict(groups([columns[name] for name in names]))
    for values in sorted(found, key=lambda key: tuple((str(type(v)), v) for v in key)):
        yield tuple(zip(names, values, strict=True)), found[values]
