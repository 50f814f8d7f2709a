"""The live model, or its predictions, measured on a span's rows."""

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from models.errors import ModelError
from models.target import TaskName
from pipeline.evaluation.intervals import Estimate
from pipeline.gate import clusters, labels, performance, task_measures
from pipeline.gate.performance import Evaluation, SliceEvaluation
from pipeline.gate.settings import Settings


def evaluate_model(model_dir: Path | str, table: pa.Table, settings: Settings) -> Evaluation:
    """Measures a SavedModel on the labelled rows of `table`, overall and per slice."""
    from models.predictor import predictor_of  # Loads TensorFlow, which most decisions do without.

    table, values = labels.labelled(table, settings.features.target)
    predictor, task = predictor_of(str(model_dir)), settings.features.task
    if predictor.task != task:
        raise ModelError(f"The live model is of task {predictor.task}, and the dataset's is {task}.")
    answers = predictor.predict(table)
    return evaluate(table, values, answers, settings.slices, cluster=settings.policy.cluster, task=task)


def evaluate(
    table: pa.Table,
    labels_: np.ndarray,
    predictions: np.ndarray,
    slices: tuple[tuple[str, ...], ...],
    *,
    cluster: str | None = None,
    task: TaskName = "binary",
) -> Evaluation:
    """Measures predictions, (rows,) or (rows, ...), overall and on the slices that the dataset file names.

    Where rows come in groups, every interval is as wide as the groups make that of the mean residual.
    """
    columns = {name: table.column(name) for crossed in slices for name in crossed}
    masks = {name: mask for crossed in slices for name, mask in performance.slice_masks(columns, crossed).items()}
    measured = performance.evaluate(labels_, predictions, masks, task=task)
    groups = clusters.of(table, cluster)
    if groups is None:
        return measured
    residuals = task_measures.residuals(np.asarray(labels_, np.float64), np.asarray(predictions, np.float64), task)
    factor = math.sqrt(clusters.design_effect(residuals, groups))
    return dataclasses.replace(measured, slices=tuple(_widened(item, factor) for item in measured.slices))


def _widened(item: SliceEvaluation, factor: float) -> SliceEvaluation:
    """Returns a slice's metrics with intervals this many times as wide."""
    wide: dict[str, Any] = {}  # Any: estimates, by the names of fields of several types.
    for field in dataclasses.fields(item):
        value = getattr(item, field.name)
        if isinstance(value, Estimate):
            low, high = (value.value + factor * (end - value.value) for end in (value.low, value.high))
            wide[field.name] = dataclasses.replace(value, low=low, high=high)
    return dataclasses.replace(item, **wide)
