"""A new version from the live one by a new slope and offset alone: the network, its weights and its graph stay.

The calibration is a variable of the exported graph. So the new SavedModel is the old one's files with another variables
file, and whatever loads one loads the other. What is fitted is a slope and an offset over what the live model's answers
tell of its outputs (`Task.repair`), which is the same as over the network's, because one straight line of another is a
straight line. The classes share a slope and have an offset each; the ends of an interval cover anew what they say.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import tensorflow as tf

from models import feature_defaults, serving_graph, thresholds, warm_start
from models.calibration import Calibration
from models.errors import ModelError, TrainingError
from models.predictor import predictor_of
from models.repair import cross_fitted
from models.target import Target
from models.tasks import task_of
from models.thresholds import Held, Thresholds
from models.training_spec import TrainingSpec

KEY = "calibration/.ATTRIBUTES/VARIABLE_VALUE"
"""Of the slope and the offset, in the SavedModel's checkpoint."""
_THRESHOLDS_KEY = "thresholds/.ATTRIBUTES/VARIABLE_VALUE"
_VARIABLES = os.path.join("variables", "variables")
_OWN = (feature_defaults.PATH, thresholds.PATH, warm_start.FOLDER, serving_graph.PATH)
"""In assets.extra: what belongs to the network and its graph."""


def calibration_of(model_dir: str) -> Calibration | None:
    """Returns a model's slopes and offsets; None where it keeps none, as one that someone else pushed may not."""
    path = os.path.join(model_dir, _VARIABLES)
    if not tf.io.gfile.exists(f"{path}.index"):
        return None
    checkpoint = tf.train.load_checkpoint(path)
    if checkpoint.get_variable_to_shape_map().get(KEY, [])[:1] != [2]:
        return None
    slope, offset = checkpoint.get_tensor(KEY).reshape(2, -1).tolist()
    return Calibration(slope=tuple(slope), offset=tuple(offset))


def write(source_dir: str, target_dir: str, calibration: Calibration, chosen: Thresholds | None = None) -> None:
    """Writes a SavedModel like the one in `source_dir`, but for its slope and offset and, where given, its threshold.

    One that was pushed before thresholds were kept goes on to answer 1 from 0.5 on.

    Raises:
      ModelError: the source keeps none.
    """
    if calibration_of(source_dir) is None:
        raise ModelError(f"The model in {source_dir} has no slope and offset in its variables. Train a new one.")
    for folder, _, names in tf.io.gfile.walk(source_dir):
        within = os.path.relpath(folder, source_dir)
        for name in names:
            path = os.path.normpath(os.path.join(within, name))
            if _is_kept(path):
                tf.io.gfile.makedirs(os.path.dirname(os.path.join(target_dir, path)))
                tf.io.gfile.copy(os.path.join(source_dir, path), os.path.join(target_dir, path), overwrite=True)
    tf.io.gfile.makedirs(os.path.join(target_dir, os.path.dirname(_VARIABLES)))
    checkpoint = tf.train.load_checkpoint(os.path.join(source_dir, _VARIABLES))
    tensors = {name: checkpoint.get_tensor(name) for name in sorted(checkpoint.get_variable_to_shape_map())}
    as_stored = tensors[KEY]
    tensors[KEY] = np.array([calibration.slope, calibration.offset], as_stored.dtype).reshape(as_stored.shape)
    if chosen is not None and _THRESHOLDS_KEY in tensors:
        tensors[_THRESHOLDS_KEY] = chosen.variable(len(calibration.slope))
        chosen.write(target_dir)
    tf.raw_ops.SaveV2(
        prefix=os.path.join(target_dir, _VARIABLES),
        tensor_names=list(tensors),
        shape_and_slices=[""] * len(tensors),
        tensors=[tf.constant(value) for value in tensors.values()],
    )


def _is_kept(path: str) -> bool:
    """Whether a file of the old version is one of the new: the model's own are, but for those that are written anew."""
    # The fingerprint is of the variables as they were; a SavedModel needs none.
    if path.startswith("variables" + os.sep) or path == "fingerprint.pb":
        return False
    # What was added on the way to the push, such as its baseline, is the old version's alone.
    return not path.startswith("assets.extra" + os.sep) or path.startswith(_OWN)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recalibrated:
    """What a recalibration brought.

    Attributes:
      newest_labels: of the newest span's labelled rows, in order.
      newest_predictions: of these rows, each by slope and offset that were not fitted to it.
      history: what history.json holds.
    """

    newest_labels: np.ndarray
    newest_predictions: np.ndarray
    history: Mapping[str, Any]  # Any: JSON.


_BINARY = Target(label="label")
Labelled = tuple[pa.RecordBatch, np.ndarray, np.ndarray]
"""Rows that have a label, their labels as `Target.evaluate` answers them, and how much each row counts."""


def recalibrate(
    base_dir: str,
    batches: Iterable[tuple[int, Labelled]],
    spec: TrainingSpec,
    output_dir: str,
    target: Target = _BINARY,
) -> Recalibrated:
    """Writes the base model with a slope and an offset that fit these rows, and a threshold that is chosen on them.

    Args:
      batches: of spans that the base model was not trained on, each with its span, which ascend.
      target: what says how the threshold is chosen.

    Raises:
      TrainingError: there is no base model that keeps a slope and an offset, or no row with a label.
    """
    before = calibration_of(base_dir) if base_dir else None
    if before is None:
        raise TrainingError("A recalibration needs a live model with a slope and an offset. Train a new one: --force.")
    predictor, parts = predictor_of(base_dir), []
    for span, (rows, labels, weights) in batches:
        if rows.num_rows:
            parts.append((np.full(rows.num_rows, span), labels, weights, predictor.predict(rows)))
    if not parts:
        raise TrainingError("None of the rows to recalibrate on has a label. Wait for labels, or train anew: --force.")
    spans, labels, weights, predictions = (np.concatenate(column) for column in zip(*parts, strict=True))
    task = task_of(target, spec.loss, labels, weights)
    after = before.then(task.repair(task.outputs_of(predictions), labels, weights))
    newest = spans == spans.max()
    repaired = cross_fitted(task, predictions, labels, weights)
    rows = Held(predictions=repaired, labels=labels, weights=weights)
    chosen = thresholds.choose(target, rows, rows) if target.task != "regression" else None
    write(base_dir, output_dir, after, chosen)
    history = {
        "rows": len(labels),
        "task": task.name,
        "spec": json.loads(spec.to_json()),
        "curve": [],
        "best_epoch": 0,
        "calibration": dataclasses.asdict(after),
        "recalibrated_from": dataclasses.asdict(before),
        "thresholds": dataclasses.asdict(thresholds.read(output_dir)),
        "validation": {"rows": len(labels)} | task.summary(task.outputs_of(repaired), labels, weights),
        "warm_start": True,
        "warm_start_reason": "recalibrated: only the slope and the offset of its outputs are new",
    }
    return Recalibrated(newest_labels=labels[newest], newest_predictions=repaired[newest], history=history)
