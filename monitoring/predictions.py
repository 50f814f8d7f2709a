"""The answers themselves: their distribution now against the model's at push, needing no label.

The reference are this very model's predictions of held-out rows of the newest span that it was trained on, which
pipeline/components/infra_validator.py keeps beside the baseline.
See docs/decisions/0702-predictions-of-the-same-model.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from tensorflow_metadata.proto.v0 import schema_pb2

from models.features import FeatureSpec
from models.target import Target
from monitoring.request_rows import PREDICTION, answers_of
from pipeline.evaluation import intervals
from pipeline.evaluation.intervals import Estimate
from pipeline.gate import drift, tfdv
from pipeline.gate.baseline import Baseline, BaselineError
from pipeline.gate.evidence import FeatureDrift, NotCompared
from pipeline.gate.measuring import build_baseline
from pipeline.gate.policy import GatePolicy
from pipeline.state.version_folder import PREDICTIONS_FILE

Floats = npt.NDArray[np.float64]

_NAME, _CLASS = "prediction", "answered class"
# A baseline wants a label; predictions have none, and it says so.
_SPEC = FeatureSpec(label="no_label", numeric=(_NAME,))
_SPEC_OF_CLASSES = FeatureSpec(label="no_label", numeric=(_NAME,), categorical=(_CLASS,))
_SCHEMA = schema_pb2.Schema(
    feature=[
        schema_pb2.Feature(name=_NAME, type=schema_pb2.FLOAT),
        schema_pb2.Feature(name=_CLASS, type=schema_pb2.BYTES),
    ]
)


@dataclass(frozen=True, kw_only=True)
class ClassMean:
    """One of several classes in the answers of a window: its mean probability, now and in the reference."""

    name: str
    mean: Estimate
    mean_at_push: Estimate | None


@dataclass(frozen=True, kw_only=True)
class PredictionChange:
    """The answers of a window.

    Attributes:
      mean: of the number by which the task's answers are watched, see `models.tasks.one_number`.
      mean_at_push: the same of the reference; None where there is none.
      drift: Jensen-Shannon over bins frozen in the reference, with its calibrated threshold; of several classes that of
        the most probable class where it moved more. None likewise.
      classes: of a multiclass task, in order.
    """

    mean: Estimate
    mean_at_push: Estimate | None
    drift: FeatureDrift | None
    classes: tuple[ClassMean, ...] = ()


@dataclass(frozen=True, kw_only=True)
class AtPush:
    """The reference: its distribution, measured as a baseline of its columns, and its means.

    Attributes:
      spec: of these columns: a version that an earlier release pushed has no classes.
      classes: mean probability of each class; empty where it is not known.
    """

    distribution: Baseline
    mean: Estimate
    spec: FeatureSpec
    classes: tuple[Estimate, ...] = ()


def reference(baseline_dir: Path, policy: GatePolicy, target: Target) -> AtPush | None:
    """Returns the predictions at push; None where the version holds none, or too few to compare with."""
    path = baseline_dir / PREDICTIONS_FILE
    if not path.exists():
        return None
    with np.load(path, allow_pickle=False) as arrays:
        values = arrays["probabilities"].astype(np.float64)
        of_classes = arrays["classes"].astype(np.float64) if "classes" in arrays else np.empty((0, 0))
    has_classes = of_classes.shape == (len(values), len(target.classes)) and len(target.classes) > 0
    spec = _SPEC_OF_CLASSES if has_classes else _SPEC
    table = _columns(values, of_classes if has_classes else None, target)
    try:
        measured = build_baseline({0: table}, _SCHEMA, spec, policy, evaluation=None, statistics=None)
    except BaselineError:
        return None
    means = tuple(intervals.mean(column) for column in of_classes.T) if has_classes else ()
    return AtPush(distribution=measured, mean=intervals.mean(values), spec=spec, classes=means)


def _columns(values: Floats, of_classes: Floats | None, target: Target) -> pa.Table:
    """Returns the answers as columns that are compared like features."""
    columns: dict[str, Any] = {_NAME: values}  # Any: arrays of two libraries.
    if of_classes is not None:
        columns[_CLASS] = pa.array(target.classes, pa.large_string()).take(pa.array(of_classes.argmax(axis=1)))
    return pa.table(columns)


def compare(
    rows: pa.Table, at_push: AtPush | None, policy: GatePolicy, target: Target
) -> tuple[PredictionChange | None, list[NotCompared]]:
    """Compares the answers of a window with those at push.

    Returns:
      What the answers were, None where the log holds none; and what could not be compared.
    """
    rows = rows.filter(pc.is_valid(rows.column(PREDICTION)))
    if rows.num_rows == 0:
        return None, [NotCompared(subject="skew", text="the predictions were not compared: the log holds no answers")]
    values = rows.column(PREDICTION).to_numpy()
    mean = intervals.mean(values)
    answers = answers_of(rows, target) if target.task == "multiclass" else None
    if answers is not None and np.isnan(answers).any():
        answers = None  # Rows that an earlier release kept, or of a server that names no classes.
    classes = _class_means(answers, at_push, target) if answers is not None else ()
    if at_push is None:
        text = "the predictions were not compared: none were stored with this version when it was pushed"
        change = PredictionChange(mean=mean, mean_at_push=None, drift=None, classes=classes)
        return change, [NotCompared(subject="skew", text=text)]
    table = _columns(values, answers, target)
    compared = drift.compare(table, at_push.distribution, at_push.spec, policy, measure=tfdv.measure_skew)
    measured = sorted(compared.drift.features, key=lambda item: -item.excess) if compared.drift else []
    gaps = [gap for gap in compared.not_compared if gap.subject != "label"]
    return PredictionChange(
        mean=mean, mean_at_push=at_push.mean, drift=measured[0] if measured else None, classes=classes
    ), gaps


def _class_means(answers: Floats, at_push: AtPush | None, target: Target) -> tuple[ClassMean, ...]:
    before: Sequence[Estimate | None] = (at_push.classes if at_push else ()) or [None] * len(target.classes)
    return tuple(
        ClassMean(name=name, mean=intervals.mean(column), mean_at_push=earlier)
        for name, column, earlier in zip(target.classes, answers.T, before, strict=True)
    )
