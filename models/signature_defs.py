"""What tf.saved_model.save cannot write: inputs of any name, and the signatures of TensorFlow Serving's older APIs.

    classify   examples: serialized tf.Examples, under `inputs` -> classes, scores: (batch, classes), string and float32
    regress    the same                                         -> outputs: (batch,), float32

| task       | classify                             | regress     |
|------------|--------------------------------------|-------------|
| binary     | 0 and 1, with their probabilities    | probability |
| multiclass | the classes with their probabilities |             |
| regression |                                      | value       |

They share the nodes of `serve_examples`; only a binary model gets five more, which no other signature runs.

Source: TensorFlow Serving, "Classification, Regression"; tensorflow/core/protobuf/meta_graph.proto.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2

from models.target import TaskName

CLASSIFY, REGRESS = "classify", "regress"
_EXAMPLES_SIGNATURE = "serve_examples"
_METHODS = {
    CLASSIFY: tf.compat.v1.saved_model.signature_constants.CLASSIFY_METHOD_NAME,
    REGRESS: tf.compat.v1.saved_model.signature_constants.REGRESS_METHOD_NAME,
}
_REGRESSED: Mapping[TaskName, str] = {"binary": "probability", "regression": "value"}

SignatureDef = Any  # meta_graph_pb2.SignatureDef: the generated messages are untyped.


def edit(model_dir: str, task: TaskName, columns: Mapping[str, str]) -> None:
    """Completes the signatures of a SavedModel in its file.

    Args:
      columns: of `serving_default`, argument to column.
    """
    path = os.path.join(model_dir, tf.saved_model.SAVED_MODEL_FILENAME_PB)
    model = saved_model_pb2.SavedModel()
    with tf.io.gfile.GFile(path, "rb") as file:
        model.ParseFromString(file.read())
    graph = model.meta_graphs[0]
    _name_inputs_like_columns(graph.signature_def["serving_default"], columns)
    examples = graph.signature_def[_EXAMPLES_SIGNATURE]
    if task == "binary":
        probability = examples.outputs["probability"].name
        graph.graph_def.node.extend(_nodes_of_two_classes(probability))
        _add(graph, CLASSIFY, {"classes": _matrix("classes", tf.string), "scores": _matrix("scores", tf.float32)})
    if task == "multiclass":
        _add(graph, CLASSIFY, {"classes": examples.outputs["classes"], "scores": examples.outputs["probabilities"]})
    if task in _REGRESSED:
        _add(graph, REGRESS, {"outputs": examples.outputs[_REGRESSED[task]]})
    with tf.io.gfile.GFile(path, "wb") as file:
        file.write(model.SerializeToString(deterministic=True))
    # The fingerprint is of the file as it was; a SavedModel needs none.
    fingerprint = os.path.join(model_dir, "fingerprint.pb")
    if tf.io.gfile.exists(fingerprint):
        tf.io.gfile.remove(fingerprint)


def _name_inputs_like_columns(definition: SignatureDef, columns: Mapping[str, str]) -> None:
    """Renames the inputs of a signature, which servers and clients speak, from arguments to columns.

    Only arguments have to be names that TensorFlow takes; the keys of a SignatureDef may be any text.
    """
    saved = meta_graph_pb2.SignatureDef()
    saved.CopyFrom(definition)
    definition.ClearField("inputs")
    for argument, column in columns.items():
        definition.inputs[column].CopyFrom(saved.inputs[argument])


def _add(graph: Any, name: str, outputs: Mapping[str, Any]) -> None:  # Any: MetaGraphDef; TensorInfo.
    definition = graph.signature_def[name]
    definition.method_name = _METHODS[name]
    (examples,) = graph.signature_def[_EXAMPLES_SIGNATURE].inputs.values()
    definition.inputs["inputs"].CopyFrom(examples)
    for key, tensor in outputs.items():
        definition.outputs[key].CopyFrom(tensor)


def _nodes_of_two_classes(probability: str) -> list[Any]:  # Any: NodeDef.
    """Returns the nodes that make classes and scores, (rows, 2) each, of the tensor of a probability, (rows,)."""
    given = "given"
    with tf.Graph().as_default() as graph:
        p = tf.compat.v1.placeholder(tf.float32, [None], name=given)
        scores = tf.stack([1 - p, p], axis=1, name=f"{CLASSIFY}/scores")
        tf.broadcast_to(tf.constant([["0", "1"]]), tf.shape(scores), name=f"{CLASSIFY}/classes")
    nodes = [node for node in graph.as_graph_def().node if node.name != given]
    names = {node.name: node.name if "/" in node.name else f"{CLASSIFY}/{node.name}" for node in nodes}
    for node in nodes:
        node.name = names[node.name]
        renamed = [probability if name == given else names[name] for name in node.input]
        del node.input[:]
        node.input.extend(renamed)
    return nodes


def _matrix(name: str, dtype: tf.DType) -> Any:  # Any: TensorInfo.
    info = meta_graph_pb2.TensorInfo(name=f"{CLASSIFY}/{name}:0", dtype=dtype.as_datatype_enum)
    info.tensor_shape.dim.add(size=-1)
    info.tensor_shape.dim.add(size=2)
    return info
