"""The SavedModel: three signatures over one transform graph and one model.

    serving_default      a tensor per feature, (None,) each, by column     -> the task's answer, see models/tasks.py
    serve_examples       examples: serialized tf.Examples                  -> the same
    transform_features   examples: serialized tf.Examples                  -> transformed features, label_xf, weight_xf
    classify, regress    inputs: serialized tf.Examples                    -> see models/signature_defs.py

Beside the model, `assets.extra/feature_defaults.json` says what stands for a missing value of each input, so that a
server may leave features out of a request, and `assets.extra/thresholds.json` which class is answered.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import tensorflow as tf

from models import feature_defaults as defaults_file
from models import serving_graph, signature_defs
from models.calibration import Calibration
from models.features import FeatureSpec
from models.learners.protocol import Members
from models.preprocessing import label_feature
from models.tasks import Task
from models.thresholds import Thresholds
from models.transform_graph import TransformGraph

_DEFAULT = Thresholds()
_EXAMPLES = tf.TensorSpec([None], tf.string, name="examples")


def export(
    members: Members,
    task: Task,
    calibration: Calibration,
    graph: TransformGraph,
    features: FeatureSpec,
    output_dir: str,
    rows: pa.RecordBatch | pa.Table,
    thresholds: Thresholds = _DEFAULT,
) -> serving_graph.Comparison:
    """Writes the SavedModel with what goes with it in assets.extra; returns how its graph was chosen.

    Args:
      rows: some of the training window; see `serving_graph.choose`.
      thresholds: which class is answered.
    """
    outputs, comparison = serving_graph.choose(members, features, graph, rows)
    write(outputs, task, calibration, graph, features, output_dir, thresholds)
    comparison.write(output_dir)
    return comparison


def write(
    outputs: serving_graph.PlainGraph | serving_graph.StackedGraph,
    task: Task,
    calibration: Calibration,
    graph: TransformGraph,
    features: FeatureSpec,
    output_dir: str,
    thresholds: Thresholds = _DEFAULT,
) -> None:
    """Writes the SavedModel that answers through `outputs`, its feature_defaults.json and thresholds.json."""
    module = _ServingModule(outputs, task, calibration, graph, features, thresholds)
    signatures = {
        "serving_default": tf.function(module.serve, input_signature=[graph.serving_inputs], autograph=False),
        "serve_examples": tf.function(module.serve_examples, input_signature=[_EXAMPLES], autograph=False),
        "transform_features": tf.function(module.transform_features, input_signature=[_EXAMPLES], autograph=False),
    }
    tf.saved_model.save(module, output_dir, signatures=signatures)
    signature_defs.edit(output_dir, task.name, {spec.name: name for name, spec in graph.serving_inputs.items()})
    defaults_file.write(output_dir, feature_defaults(graph, features))
    if task.name != "regression":
        thresholds.write(output_dir)


def feature_defaults(graph: TransformGraph, features: FeatureSpec) -> dict[str, dict[str, Any]]:
    """Of each serving input: dtype, the value that stands for a missing one ("NaN" is spelled out), and its use.

    Of one that holds several values in one text also the separator between them.
    """
    missing = {tf.float32: "NaN", tf.int64: -1, tf.string: ""}
    inputs = graph.serving_inputs
    described = {}
    for one in features.inputs:
        dtype = inputs[one.name].dtype
        described[one.name] = {"dtype": dtype.name, "missing": missing[dtype], "description": one.description}
        if one.separator:
            described[one.name]["separator"] = one.separator
    return described


class _ServingModule(tf.Module):
    """Holds everything that the signatures need."""

    def __init__(
        self,
        outputs: serving_graph.PlainGraph | serving_graph.StackedGraph,
        task: Task,
        calibration: Calibration,
        graph: TransformGraph,
        features: FeatureSpec,
        thresholds: Thresholds,
    ) -> None:
        super().__init__()
        self._task = task
        self._features = features
        self._graph = graph
        self.transform = graph.loaded
        self.outputs = outputs
        # A variable and no constant: a recalibrated version is this one with another variables file.
        slope_and_offset = np.array([calibration.slope, calibration.offset], np.float32)
        self.calibration = tf.Variable(slope_and_offset, trainable=False, name="calibration")  # (2, outputs)
        self.thresholds = None
        if task.name != "regression":
            self.thresholds = tf.Variable(thresholds.variable(task.outputs), trainable=False, name="thresholds")

    def serve(self, inputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        with tf.control_dependencies([_assert_equal_lengths(inputs)]):
            return self._answer({name: tf.identity(x) for name, x in inputs.items()})

    def _answer(self, inputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        outputs = self.outputs(inputs)  # (batch, members, outputs)
        slope, offset = tf.unstack(self.calibration)
        return self._task.answer(slope * tf.reduce_mean(outputs, axis=1) + offset, self.thresholds)

    def serve_examples(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        return self._answer(self._parse(examples))

    def transform_features(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        transformed = self._graph.transform(self._parse(examples))
        target = self._features.target
        dtypes = {name: self._graph.raw_dtype(name) for name in target.columns}
        parsed = tf.io.parse_example(examples, {name: tf.io.VarLenFeature(dtype) for name, dtype in dtypes.items()})
        # int64 columns in float64: a float32 holds no more than 24 bits of them.
        columns = {
            name: _dense(x, "", tf.string)
            if x.dtype == tf.string
            else _dense(x, float("nan"), tf.float64 if x.dtype == tf.int64 else tf.float32)
            for name, x in parsed.items()
        }
        weights = {"weight_xf": tf.cast(target.weights(columns), tf.float32)} if target.weight else {}
        return transformed | {"label_xf": label_feature(target, columns), **weights}

    def _parse(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        inputs = self._graph.serving_inputs
        parsed = tf.io.parse_example(
            examples, {name: tf.io.VarLenFeature(self._graph.raw_dtype(name)) for name in inputs}
        )
        missing: dict[tf.DType, Any] = {tf.float32: float("nan"), tf.int64: -1, tf.string: ""}
        return {name: _dense(parsed[name], missing[spec.dtype], spec.dtype) for name, spec in inputs.items()}


def _dense(x: tf.SparseTensor, missing: Any, dtype: tf.DType) -> tf.Tensor:
    """The first value of each row as `dtype`, `missing` where there is none; (rows,)."""
    rows = x.dense_shape[0]
    first = tf.sparse.slice(x, [0, 0], tf.stack([rows, 1]))
    values = first.values if first.values.dtype == dtype else tf.cast(first.values, dtype)
    widened = tf.SparseTensor(first.indices, values, tf.stack([rows, tf.constant(1, tf.int64)]))
    return tf.sparse.to_dense(widened, tf.constant(missing, dtype))[:, 0]


def _assert_equal_lengths(inputs: Mapping[str, tf.Tensor]) -> tf.Operation | None:
    """Fails a run whose inputs have different numbers of rows: shorter ones could be repeated for longer ones."""
    names = sorted(inputs, key=lambda name: (inputs[name].dtype.name, name))
    shapes: list[tf.Tensor] = []
    for dtype in sorted({x.dtype for x in inputs.values()}, key=lambda dtype: str(dtype.name)):
        shapes += tf.raw_ops.ShapeN(input=[inputs[name] for name in names if inputs[name].dtype == dtype])
    lengths = tf.concat(shapes, axis=0)
    text = f"The inputs {', '.join(names)} must have the same first dimension. Received in this order:"
    are_equal = tf.equal(tf.reduce_max(lengths), tf.reduce_min(lengths))
    return tf.debugging.Assert(are_equal, [text, lengths], summarize=len(names))
