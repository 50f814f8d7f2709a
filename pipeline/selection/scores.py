"""What folds say of configurations: metrics with intervals, per fold and overall, and differences between two."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.target import Target, TaskName
from pipeline import json_values
from pipeline.evaluation import intervals, metrics, registry
from pipeline.evaluation.intervals import Estimate
from pipeline.evaluation.metrics import Metric, Sample
from pipeline.evaluation.spec import EvaluationSpec
from pipeline.selection.fold_rows import FoldRows

NO_MODEL = "no model"
"""The name of the contender that looks at no row: far behind, so it is not drawn beside the others."""


@dataclass(frozen=True, kw_only=True)
class FoldScore:
    """One configuration on one fold.

    Attributes:
      metrics: by name; with the interval that the fold's own rows leave. Those that are not defined are left out.
      fit_seconds: from rows in memory to a model: what is computed from the train rows, and the training.
      predict_seconds: of predicting the fold's rows; 0 where nobody asked for it.
      size_bytes: of what would be deployed; 0 where nobody asked for it.
      note: what the configuration has to say of itself, such as which model it chose.
    """

    span: int
    trained_on: tuple[int, ...]
    train_rows: int
    rows: int
    metrics: Mapping[str, Estimate]
    fit_seconds: float
    predict_seconds: float = 0.0
    size_bytes: int = 0
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Score:
    """One configuration on all folds.

    Attributes:
      overall: of each metric the mean over the folds in which it is defined, with the interval of that mean.
    """

    name: str
    folds: tuple[FoldScore, ...]
    overall: Mapping[str, Estimate]

    def left_out(self, metric: str) -> str:
        """Which spans a metric's mean is without, and why; empty where it has all."""
        spans = [fold.span for fold in self.folds if metric not in fold.metrics]
        return f"{undefined_on(metric, spans)}; the mean is over the others." if spans else ""

    def values(self, metric: str) -> list[float]:
        """Returns a metric by fold; NaN where it is not defined."""
        return [fold.metrics[metric].value if metric in fold.metrics else math.nan for fold in self.folds]


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Configurations on the same folds.

    Attributes:
      metric: the task's main one.
      window: on how many spans a model is trained, at most.
    """

    dataset: str
    task: TaskName
    metric: str
    window: int
    contenders: tuple[Score, ...]

    def to_dict(self) -> dict[str, Any]:  # Any: JSON.
        """Returns JSON values."""
        value: dict[str, Any] = json_values.to_json_values(dataclasses.asdict(self))
        return value


def undefined_on(metric: str, spans: Sequence[int]) -> str:
    """Returns in words that a metric has no value on some spans, and why."""
    definition = registry.METRICS[metric]
    where = f"span{'' if len(spans) == 1 else 's'} {', '.join(map(str, spans))}"
    return f"{definition.title} is not defined on {where}, where {definition.undefined}"


def measure(
    rows: FoldRows, predictions: Mapping[str, np.ndarray], spec: EvaluationSpec
) -> dict[str, dict[str, Metric]]:
    """Returns the task's metrics of several configurations on the same rows, by configuration and metric."""
    answers = {name: np.asarray(answer, np.float64) for name, answer in predictions.items()}
    sample = Sample(labels=rows.labels, predictions=answers, weights=rows.weights)
    return metrics.measure(sample, rows.features.target, spec.bootstraps, spec.seed)


def estimates(measured: Mapping[str, Metric], rows: int, target: Target) -> dict[str, Estimate]:
    """Returns those metrics of a task that are defined, with their intervals."""
    names = [item.name for item in registry.of_task(target.task) if item.name != registry.EXAMPLE_COUNT]
    found = {name: measured[name] for name in names if name in measured}
    return {
        name: intervals.around(metric.value, metric.deviation or 0.0, rows)
        for name, metric in found.items()
        if math.isfinite(metric.value)
    }


def total(name: str, folds: Sequence[FoldScore]) -> Score:
    """Returns a configuration's score over its folds, each of which counts alike."""
    by_metric: dict[str, list[Estimate]] = {}
    for fold in folds:
        for metric, estimate in fold.metrics.items():
            by_metric.setdefault(metric, []).append(estimate)
    return Score(
        name=name, folds=tuple(folds), overall={metric: over_folds(found) for metric, found in by_metric.items()}
    )


def over_folds(found: Sequence[Estimate]) -> Estimate:
    """Returns the mean of a metric over folds: how it differs between spans makes its interval, by Student's t.

    One fold alone says nothing of that; its interval stays that of its own rows. Folds share training rows, so the
    interval is somewhat too narrow; no unbiased one exists.

    Source: Bengio and Grandvalet, "No unbiased estimator of the variance of k-fold cross-validation", JMLR 5, 2004.
    """
    if len(found) == 1:
        return found[0]
    return intervals.mean_of_few([one.value for one in found], sum(one.rows for one in found))


def paired(first: Score, second: Score, metric: str) -> Estimate | None:
    """Returns by how much `first` is better than `second` in a metric, as the mean over the folds of both.

    What the spans have in common drops out, fold by fold. Above 0 is better, whichever direction the metric has. None
    where no fold has a value of both.
    """
    sign = registry.METRICS[metric].sign
    pairs = [
        (sign * (a - b), fold.rows)
        for a, b, fold in zip(first.values(metric), second.values(metric), first.folds, strict=True)
        if math.isfinite(a) and math.isfinite(b)
    ]
    return intervals.mean_of_few([ahead for ahead, _ in pairs], sum(rows for _, rows in pairs)) if pairs else None
