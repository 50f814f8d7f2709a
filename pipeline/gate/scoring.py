"""The live model, or its predictions, measured on a span's rows."""

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from models.errors import ModelError
from models.target import Target
from models.thresholds import Thresholds
from pipeline.evaluation import judge, metrics, registry
from pipeline.evaluation.intervals import Estimate
from pipeline.evaluation.metrics import Sample
from pipeline.evaluation.registry import CALIBRATION_ERROR
from pipeline.gate import clusters, labels, performance, task_measures
from pipeline.gate.evidence import Challenge, FloorCheck
from pipeline.gate.performance import Evaluation, SliceEvaluation
from pipeline.gate.policy import SMALLEST_COMPARED
from pipeline.gate.settings import Floors, Settings

if TYPE_CHECKING:
    from models.predictor import Predictor

_BINARY, _AS_PROBABLE = Target(label="label"), Thresholds()
Measured = TypeVar("Measured", SliceEvaluation, Challenge)
_REPLICATES = 40
"""Of the bootstrap behind the intervals of the metrics that have a floor."""


@dataclass(frozen=True, kw_only=True)
class Answers:
    """A model's answers on labelled rows.

    Attributes:
      labels: as `Target.evaluate` answers them, none unknown, (rows,).
      predictions: as `Predictor.predict` answers them, (rows,) or (rows, ...).
      thresholds: which class the model answers.
    """

    table: pa.Table
    labels: npt.NDArray[Any]  # Any: int64, or float64 of a regression.
    predictions: npt.NDArray[Any]
    thresholds: Thresholds = _AS_PROBABLE


def predictor_for(model_dir: Path | str, settings: Settings) -> "Predictor":
    """Returns a SavedModel's predictor.

    Raises:
      ModelError: it is none, or of another task than the dataset's.
    """
    from models.predictor import predictor_of  # Loads TensorFlow, which most decisions do without.

    predictor, task = predictor_of(str(model_dir)), settings.features.task
    if predictor.task != task:
        raise ModelError(f"The live model is of task {predictor.task}, and the dataset's is {task}.")
    return predictor


def ask(model_dir: Path | str, table: pa.Table, settings: Settings) -> Answers:
    """Returns a SavedModel's answers on the labelled rows of `table`."""
    table, values = labels.labelled(table, settings.features.target)
    predictor = predictor_for(model_dir, settings)
    return Answers(table=table, labels=values, predictions=predictor.predict(table), thresholds=predictor.thresholds)


def evaluate_model(model_dir: Path | str, table: pa.Table, settings: Settings) -> Evaluation:
    """Measures a SavedModel on the labelled rows of `table`, overall and per slice."""
    return evaluate_answers(ask(model_dir, table, settings), settings)


def evaluate_answers(answers: Answers, settings: Settings) -> Evaluation:
    """Measures what a model has answered, overall and per slice."""
    return evaluate(
        answers.table,
        answers.labels,
        answers.predictions,
        settings.slices,
        cluster=settings.policy.cluster,
        target=settings.features.target,
    )


def evaluate(
    table: pa.Table,
    labels_: np.ndarray,
    predictions: np.ndarray,
    slices: tuple[tuple[str, ...], ...],
    *,
    cluster: str | None = None,
    target: Target = _BINARY,
) -> Evaluation:
    """Measures predictions, (rows,) or (rows, ...), overall and on the slices that the dataset file names.

    Rows count as their weights say. Where they come in groups, every interval is as wide as the groups make that of the
    mean residual.
    """
    columns = {name: table.column(name) for crossed in slices for name in crossed}
    masks = {name: mask for crossed in slices for name, mask in performance.slice_masks(columns, crossed).items()}
    weights = labels.weights(table, target)
    measured = performance.evaluate(labels_, predictions, masks, task=target.task, weights=weights)
    factor = widening(table, labels_, predictions, cluster, target)
    if factor == 1:
        return measured
    return dataclasses.replace(measured, slices=tuple(widened(item, factor) for item in measured.slices))


def hold_to_floors(answers: Answers, settings: Settings, floors: Floors) -> tuple[FloorCheck, ...]:
    """Holds the live model on a span to the dataset file's floors and limits, as the Evaluator holds a candidate.

    Nothing is said of a handful of rows, nor of a metric that is not defined on them.
    """
    rows = len(answers.labels)
    if rows < SMALLEST_COMPARED:
        return ()
    target = settings.features.target
    weights = labels.weights(answers.table, target)
    sample = Sample(
        labels=np.asarray(answers.labels, np.float64),
        predictions={"": np.asarray(answers.predictions, np.float64)},
        weights=np.ones(rows) if weights is None else weights,
        thresholds={"": answers.thresholds},
    )
    factor = widening(answers.table, answers.labels, answers.predictions, settings.policy.cluster, target)
    measured, checks = metrics.measure(sample, target, _REPLICATES, seed=0)[""], []
    for name, limit in judge.floors_on(measured, floors.limits, target.task).items():
        # Where all labels are equal there is no AUC.
        if metrics.value_of(measured, name) is not None:
            of, chance = measured[name].deviation, measured[name].chance
            wide = dataclasses.replace(measured[name], deviation=factor * (of or 0.0), chance=factor * chance)
            checks.append(_check(name, wide, limit, rows))
    return tuple(checks)


def _check(name: str, metric: metrics.Metric, limit: float, rows: int) -> FloorCheck:
    below, above = judge.noise(metric)
    low = max(metric.value - below, 0.0) if name == CALIBRATION_ERROR else metric.value - below
    current = Estimate(value=metric.value, low=low, high=metric.value + above, rows=rows)
    return FloorCheck(
        metric=name, current=current, limit=limit, missed=judge.misses(registry.METRICS[name], metric, limit)
    )


def widening(
    table: pa.Table, labels_: np.ndarray, predictions: np.ndarray, cluster: str | None, target: Target
) -> float:
    """Returns how many times as wide an interval is as that of single rows."""
    groups = clusters.of(table, cluster)
    if groups is None:
        return 1.0
    y, p = np.asarray(labels_, np.float64), np.asarray(predictions, np.float64)
    return math.sqrt(clusters.design_effect(task_measures.residuals(y, p, target.task), groups))


def widened(item: Measured, factor: float) -> Measured:
    """Returns its estimates with intervals this many times as wide."""
    wide: dict[str, Any] = {}  # Any: estimates, by the names of fields of several types.
    for field in dataclasses.fields(item):
        value = getattr(item, field.name)
        if isinstance(value, Estimate):
            low, high = (value.value + factor * (end - value.value) for end in (value.low, value.high))
            wide[field.name] = dataclasses.replace(value, low=low, high=high)
    return dataclasses.replace(item, **wide)
