"""What dataset.toml's [evaluation] says: which slices are measured, and what a candidate must reach.

Nothing here imports TensorFlow, so a wrong file is refused in milliseconds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from models import settings
from models.settings import Column, Form, Range
from models.target import TaskName
from pipeline.evaluation import registry
from pipeline.evaluation.registry import AUC, CALIBRATION_ERROR, EXAMPLE_COUNT

_DROP, _RELATIVE_DROP = 0.01, 0.05
"""Of metrics, and of those of which a drop is a share of the live model's value."""
_SLICE_DROP, _RELATIVE_SLICE_DROP = 0.05, 0.2
_MetricName = Annotated[str, Form(r"[a-z0-9_]+", "a metric's name")]
_RULES = ("floors", "slice_floors", "max_drop", "max_slice_drop")


@dataclass(frozen=True, kw_only=True)
class EvaluationSpec:
    """Slices and thresholds of an evaluation.

    Attributes:
      slices: each entry names the columns that are crossed into one family of slices; the whole split is always
        evaluated and is not listed.
      metrics: of the task, by name, those that matter besides its main one: they are shown beside it, overall and on
        every slice, and held to the live model as `max_drop` and `max_slice_drop` say; where those do not name them,
        within 0.01 and 0.05, or shares of 0.05 and 0.2 for metrics in the label's unit.
      min_slice_examples: a slice with fewer examples is reported and not judged.
      min_auc: the candidate's AUC over the whole eval split must reach this.
      max_auc_drop: by how much the candidate's AUC may lie below the live model's, over the whole eval split.
      max_slice_auc_drop: the same on each slice that has `min_slice_examples`.
      max_calibration_error: upper limit of the candidate's expected calibration error over the whole eval split:
        the mean distance between predicted and observed rate, in probability; of a classifier.
      floors: of any metric of the task, by name, what the candidate must reach over the whole eval split: at least
        where higher is better, at most where lower is.
      slice_floors: the same on each slice that has `min_slice_examples`, where the metric is defined.
      max_drop: of any metric of the task, by how much the candidate may be worse than the live model over the whole
        eval split; a share of the live model's value for metrics in the label's unit.
      max_slice_drop: the same on each slice that has `min_slice_examples`.
      must_beat: the model that the candidate must be better than, beyond chance, on the eval split: `majority` is no
        model at all, the classes' shares or the mean; `linear` and `trees` are scikit-learn's, fitted to the same train
        rows.
      bootstraps: Poisson bootstrap replicates behind the 95 % confidence intervals; 0 for no intervals. The Beam
        engine takes TFMA's fixed 20 for any number above 0.
      seed: of the replicates, so that a repeated evaluation writes the same intervals.
    """

    slices: tuple[tuple[Column, ...], ...] = ()
    metrics: tuple[_MetricName, ...] = ()
    min_slice_examples: Annotated[int, Range(1, 1_000_000_000, "examples")] = 100
    min_auc: Annotated[float, Range(0, 1)] = 0.5
    max_auc_drop: Annotated[float, Range(0, 1)] = 0.01
    max_slice_auc_drop: Annotated[float, Range(0, 1)] = 0.05
    max_calibration_error: Annotated[float, Range(0, 1, "probability")] = 0.05
    floors: Mapping[str, Annotated[float, Range(-math.inf, math.inf, "the metric's")]] = field(default_factory=dict)
    slice_floors: Mapping[str, Annotated[float, Range(-math.inf, math.inf, "the metric's")]] = field(
        default_factory=dict
    )
    max_drop: Mapping[str, Annotated[float, Range(0, math.inf, "the metric's")]] = field(default_factory=dict)
    max_slice_drop: Mapping[str, Annotated[float, Range(0, math.inf, "the metric's")]] = field(default_factory=dict)
    must_beat: Literal["majority", "linear", "trees"] = "majority"
    bootstraps: Annotated[int, Range(0, 10_000, "replicates")] = 20
    seed: Annotated[int, Range(0, 2**31 - 1)] = 20_130_101

    def __post_init__(self) -> None:
        settings.check(self)
        if self.bootstraps == 1:
            raise ValueError("bootstraps must be 0 (no confidence intervals) or at least 2. Received: 1.")
        for columns in self.slices:
            if not columns:
                raise ValueError("slices holds an empty list. The whole split is always evaluated: remove it.")
            if len(set(columns)) != len(columns):
                raise ValueError(f"slices crosses a column with itself. Received: {list(columns)!r}.")
        families = [tuple(sorted(columns)) for columns in self.slices]
        twice = sorted({columns for columns in families if families.count(columns) > 1})
        if twice:
            raise ValueError(f"slices lists the same columns twice. Received: {list(twice[0])!r}.")
        again = sorted({name for name in self.metrics if self.metrics.count(name) > 1})
        if again:
            raise ValueError(f"metrics lists a metric twice. Received: {again[0]!r}.")

    def check_metrics(self, task: TaskName) -> None:
        """Refuses metrics that the task does not have, and floors and drops of those that have no better direction.

        Raises:
          ValueError: names the first, and those that there are.
        """
        for key in ("metrics", *_RULES):
            allowed = [item.name for item in registry.of_task(task) if item.better or key == "metrics"]
            for name in getattr(self, key):
                if name not in allowed:
                    raise ValueError(
                        f"{key}: expected metrics of the task {task}. Received: {name!r}. "
                        f"There are: {', '.join(allowed)}."
                    )

    def beside(self, task: TaskName) -> tuple[str, ...]:
        """Returns the metrics that are shown beside a task's main one and its calibration error: all that are named."""
        named = {*self.metrics, *(name for key in _RULES for name in getattr(self, key))}
        named -= {registry.MAIN[task], CALIBRATION_ERROR, EXAMPLE_COUNT}
        return tuple(item.name for item in registry.of_task(task) if item.name in named)

    def floors_of(self, task: TaskName) -> dict[str, float]:
        """Returns the floors and limits of a task's metrics: what the file says, and how a model beats no model."""
        standing: Mapping[TaskName, dict[str, float]] = {
            "binary": {AUC: self.min_auc, CALIBRATION_ERROR: self.max_calibration_error},
            "multiclass": {"mcfadden_r_squared": 0.0, CALIBRATION_ERROR: self.max_calibration_error},
            "regression": {"r_squared": 0.0},
        }
        return standing[task] | dict(self.floors)

    def drops_of(self, task: TaskName) -> dict[str, float]:
        """Returns by how much each metric of a task may fall behind the live model's, over the whole split."""
        standing = self._standing_drops(task, _DROP, _RELATIVE_DROP)
        return standing | ({AUC: self.max_auc_drop} if task == "binary" else {}) | dict(self.max_drop)

    def slice_drops_of(self, task: TaskName) -> dict[str, float]:
        """Returns by how much each metric of a task may fall behind the live model's, on a slice."""
        standing = self._standing_drops(task, _SLICE_DROP, _RELATIVE_SLICE_DROP)
        return standing | ({AUC: self.max_slice_auc_drop} if task == "binary" else {}) | dict(self.max_slice_drop)

    def _standing_drops(self, task: TaskName, drop: float, relative: float) -> dict[str, float]:
        """Returns what the main metric and `metrics` are held to where nothing else is said."""
        held = (registry.METRICS[name] for name in (registry.MAIN[task], *self.metrics))
        return {item.name: relative if item.is_relative else drop for item in held if item.better}

    @property
    def slice_columns(self) -> tuple[str, ...]:
        """All columns that slices are made of, sorted."""
        return tuple(sorted({column for columns in self.slices for column in columns}))
