"""How the outputs of an own `preprocessing_fn` are packed for a learner."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
from tensorflow_metadata.proto.v0 import schema_pb2

from models.errors import OwnCodeError
from models.own.source import PREPROCESSING, OwnCode
from models.own.transform import transformed_schema
from models.packed import Layout
from models.transform_graph import TransformGraph

_UNKNOWN = 0
_NO_BUCKETS = 0


def layout_of(own: OwnCode, graph: TransformGraph, transform_dir: str, *, ids_of_any_size: bool) -> Layout:
    """Returns the layout of own transformed features, in the order of their names.

    An integer whose values TFT knows, as of a vocabulary or of buckets, is an id; another one is a number, or an id of
    unknown size where a model of own code may want to take it so.

    Raises:
      OwnCodeError: a feature that no model here takes; names it, and what to do.
    """
    domains = {feature.name: feature for feature in transformed_schema(transform_dir).feature}
    ids: dict[str, int] = {}
    plain: dict[str, int] = {}
    least: dict[str, int] = {}
    for name, spec in sorted(graph.outputs.items()):
        width = _width(own, name, spec)
        known = _values(domains.get(name))
        if width == 1 and spec.dtype.is_integer and (known is not None or ids_of_any_size):
            low, high = known or (0, _UNKNOWN - 1)
            ids[name] = high + 1 - low
            if low:
                least[name] = low
        else:
            plain[name] = width
    return Layout(ids=ids, numeric=(), cyclical=(), numeric_buckets=_NO_BUCKETS, plain=plain, least=least, is_own=True)


def _width(own: OwnCode, name: str, spec: Any) -> int:
    """How many numbers a feature has for each row."""
    where = f"{own.entry}: {PREPROCESSING}: the output {name!r}"
    if not isinstance(spec, tf.TensorSpec):
        raise OwnCodeError(
            f"{where} is sparse or ragged. Make it dense, such as by tf.sparse.to_dense, or train it by a run_fn of "
            "your own."
        )
    if not (spec.dtype.is_integer or spec.dtype.is_floating or spec.dtype.is_bool):
        raise OwnCodeError(
            f"{where} is {spec.dtype.name}. Expected numbers: map texts by tft.compute_and_apply_vocabulary, or train "
            "by a run_fn of your own."
        )
    rank = spec.shape.rank
    if rank == 1:
        return 1
    if rank != 2 or spec.shape[1] is None:
        raise OwnCodeError(f"{where} has the shape {spec.shape}. Expected (rows,) or (rows, width).")
    return int(spec.shape[1])


def _values(feature: schema_pb2.Feature | None) -> tuple[int, int] | None:
    """The smallest and the largest value that TFT knows of a feature."""
    if feature is None or not feature.int_domain.is_categorical or not feature.int_domain.HasField("max"):
        return None
    return feature.int_domain.min, feature.int_domain.max
