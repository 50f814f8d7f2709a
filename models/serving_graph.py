"""Which graph answers requests: the stacked one, or TFT's own where the two were found to differ.

Both lead from dense serving inputs to the outputs of the network's members; what a task makes of these is added by
models/signatures.py. They are compared before a model is exported, and what came of it stays with the version.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import tensorflow as tf

from models.errors import FeatureError
from models.extreme_rows import extreme_rows
from models.features import FeatureSpec
from models.folded_network import FoldedNetwork, can_fold, held
from models.network import Ensemble
from models.stacked_features import StackedFeatures, packed
from models.transform_graph import TransformGraph, serving_arrays

logger = logging.getLogger(__name__)

PATH = os.path.join("assets.extra", "serving_graph.json")
TOLERANCE = 1e-5
"""Largest difference of an output, as a share of 1 + its magnitude: what float32's rounding makes of other orders of
addition in the sums of a layer."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What came of comparing the stacked graph with TFT's.

    Attributes:
      graph: the one that is exported, `stacked` or `plain`.
      reason: why the plain one is; empty for the stacked one.
      rows: how many rows were compared; 0 where there was no stacked graph to compare.
      largest_difference: of any output of any member, as a share of 1 + its magnitude.
      tolerance: the largest that is let pass.
    """

    graph: str
    reason: str = ""
    rows: int = 0
    largest_difference: float = 0.0
    tolerance: float = TOLERANCE

    def write(self, model_dir: str) -> None:
        """Writes it into a SavedModel's folder."""
        path = os.path.join(model_dir, PATH)
        tf.io.gfile.makedirs(os.path.dirname(path))
        with tf.io.gfile.GFile(path, "w") as file:
            file.write(json.dumps(dataclasses.asdict(self), indent=2, sort_keys=True) + "\n")


class PlainGraph(tf.Module):
    """TFT's graph and the network, as they were trained; traceable.

    The weights are copied into tensors and variables of this module and given to the network call by call: variables
    that Keras 3 owns cannot be found in a TF1 session, which is how BulkInferrer and TFX's older tools load a model.
    """

    def __init__(self, network: Ensemble, graph: TransformGraph) -> None:
        super().__init__()
        self._graph = graph
        self._layout = network.layout
        self._network = _Network(network)

    def __call__(self, inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Outputs as the network gives them, from dense inputs, (rows,) each."""
        transformed = self._graph.transform(inputs)
        one_each = _stack(transformed, self._layout.floats, tf.float32)
        floats = tf.concat([one_each, *(transformed[name] for name in self._layout.bags)], axis=1)
        return self._network(floats, _stack(transformed, tuple(self._layout.ids), tf.int32))


class StackedGraph(tf.Module):
    """The same from stacked features; traceable."""

    def __init__(self, network: Ensemble, features: FeatureSpec, graph: TransformGraph) -> None:
        """Makes the graph.

        Raises:
          FeatureError: see `StackedFeatures`.
        """
        super().__init__()
        self._layout = network.layout
        self._features = StackedFeatures(features, graph)
        weights = network.weights_by_place
        self._folded = FoldedNetwork(weights, self._features.names, network.layout) if can_fold(weights) else None
        self._network = None if self._folded is not None else _Network(network)

    def __call__(self, inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Outputs as the network gives them, from dense inputs, (rows,) each."""
        stacked = self._features(inputs)
        if self._folded is not None:
            return self._folded(stacked)
        assert self._network is not None, "one of the two is there"
        return self._network(*packed(stacked, self._features.names, self._layout))


class _Network(tf.Module):
    """The network with weights of its own."""

    def __init__(self, network: Ensemble) -> None:
        super().__init__()
        # A function, not the network: attributes that are Keras objects would be saved with the module.
        self._call = network.stateless_call
        self._state = [tf.constant(variable.numpy()) for variable in network.non_trainable_variables]
        self._weights = [held(variable.numpy()) for variable in network.trainable_variables]

    def __call__(self, floats: tf.Tensor, ids: tf.Tensor) -> tf.Tensor:
        weights = [tf.convert_to_tensor(weight) for weight in self._weights]
        outputs, _ = self._call(weights, self._state, (floats, ids), training=False)
        return outputs


def choose(
    network: Ensemble, features: FeatureSpec, graph: TransformGraph, rows: pa.RecordBatch | pa.Table
) -> tuple[PlainGraph | StackedGraph, Comparison]:
    """Returns the graph to export: the stacked one, if it answers as the plain one does.

    Args:
      rows: some of the training window; they are compared with changes that bring in every kind of odd value.
    """
    plain = PlainGraph(network, graph)
    try:
        stacked = StackedGraph(network, features, graph)
    except FeatureError as error:
        return plain, _told(Comparison(graph="plain", reason=str(error)))
    inputs = extreme_rows(serving_arrays(rows, graph.serving_inputs), graph.constants().boundaries)
    found, expected = (
        tf.function(one, input_signature=[graph.serving_inputs], autograph=False)(inputs).numpy()
        for one in (stacked, plain)
    )
    difference = float(np.nanmax(np.abs(found - expected) / (1 + np.abs(expected)), initial=0.0))
    compared = Comparison(graph="stacked", rows=len(found), largest_difference=difference)
    odd = np.isnan(found) != np.isnan(expected)
    if odd.any() or not difference <= TOLERANCE:
        reason = f"its outputs differ by up to {difference:.1e} of 1 + their magnitude, {int(odd.sum())} in being NaN"
        return plain, _told(dataclasses.replace(compared, graph="plain", reason=reason))
    return stacked, compared


def _told(comparison: Comparison) -> Comparison:
    logger.warning("The model answers through TFT's graph, not the faster stacked one: %s", comparison.reason)
    return comparison


def _stack(transformed: Mapping[str, tf.Tensor], names: tuple[str, ...], dtype: tf.DType) -> tf.Tensor:
    if not names:
        rows = tf.shape(next(iter(transformed.values())))[0]
        return tf.zeros([rows, 0], dtype)
    return tf.stack([tf.cast(transformed[name], dtype) for name in names], axis=1)
