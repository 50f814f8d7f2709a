"""Which graph answers requests: the stacked one, or TFT's own where the two were found to differ.

Both lead from dense serving inputs to the raw outputs of the model's members; what a task makes of these is added by
models/signatures.py. They are compared before a model is exported, and what came of it stays with the version.
"""

from __future__ import annotations

import dataclasses
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import tensorflow as tf

from models import extra_files
from models.errors import FeatureError
from models.extreme_rows import extreme_rows
from models.features import FeatureSpec
from models.learners.protocol import Members
from models.stacked_features import StackedFeatures, packed
from models.transform_graph import TransformGraph, serving_arrays

logger = logging.getLogger(__name__)

PATH = os.path.join(extra_files.FOLDER, "serving_graph.json")
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
        extra_files.write_json(model_dir, PATH, dataclasses.asdict(self))


class PlainGraph(tf.Module):
    """TFT's graph and the members, as they were trained; traceable."""

    def __init__(self, members: Members, graph: TransformGraph) -> None:
        super().__init__()
        self._graph = graph
        self._layout = members.layout
        self._members = members.on_packed()

    def __call__(self, inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Raw outputs of each member, from dense inputs, (rows,) each."""
        transformed = self._graph.transform(inputs)
        one_each = _stack(transformed, self._layout.floats, tf.float32)
        plain = [
            tf.reshape(tf.cast(transformed[name], tf.float32), [-1, width])
            for name, width in self._layout.plain.items()
        ]
        floats = tf.concat([one_each, *(transformed[name] for name in self._layout.bags), *plain], axis=1)
        from_zero = {name: transformed[name] - self._layout.least.get(name, 0) for name in self._layout.ids}
        return self._members(floats, _stack(from_zero or transformed, tuple(self._layout.ids), tf.int32))


class StackedGraph(tf.Module):
    """The same from stacked features; traceable."""

    def __init__(self, members: Members, features: FeatureSpec, graph: TransformGraph) -> None:
        """Makes the graph.

        Raises:
          FeatureError: see `StackedFeatures`.
        """
        super().__init__()
        self._layout = members.layout
        self._features = StackedFeatures(features, graph)
        self._on_stacked = members.on_stacked(self._features.names)
        self._on_packed = members.on_packed() if self._on_stacked is None else None

    def __call__(self, inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Raw outputs of each member, from dense inputs, (rows,) each."""
        stacked = self._features(inputs)
        if self._on_stacked is not None:
            return self._on_stacked(stacked)
        assert self._on_packed is not None, "one of the two is there"
        return self._on_packed(*packed(stacked, self._features.names, self._layout))


def choose(
    members: Members, features: FeatureSpec, graph: TransformGraph, rows: pa.RecordBatch | pa.Table
) -> tuple[PlainGraph | StackedGraph, Comparison]:
    """Returns the graph to export: the stacked one, if it answers as the plain one does.

    Args:
      rows: some of the training window; they are compared with changes that bring in every kind of odd value.
    """
    plain = PlainGraph(members, graph)
    if members.layout.is_own:
        return plain, Comparison(graph="plain", reason="own code transforms the features")
    try:
        stacked = StackedGraph(members, features, graph)
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
