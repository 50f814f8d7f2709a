"""Rows and transformed features as serialized tf.Examples, for code that reads or takes them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import tensorflow as tf

from columnar.example_encoder import encode


def encode_columns(batch: pa.RecordBatch | pa.Table, names: Collection[str]) -> pa.LargeBinaryArray:
    """Encodes those of the flat columns `names` that are there; a missing value is a feature without a value."""
    columns = {}
    for name in names:
        index = batch.schema.get_field_index(name)
        column = batch.column(index) if index >= 0 else None
        if column is not None and not pa.types.is_null(column.type):
            columns[name] = _as_written(column)
    if not columns:
        return pa.array([b""] * batch.num_rows, pa.large_binary())
    return encode(pa.RecordBatch.from_pydict(columns)).records


def _as_written(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    if isinstance(column, pa.ChunkedArray):
        column = pa.concat_arrays(column.chunks) if column.num_chunks != 1 else column.chunk(0)
    if pa.types.is_integer(column.type):
        return column.cast(pa.int64())
    return column.cast(pa.float64() if pa.types.is_floating(column.type) else pa.large_string())


def encode_tensors(transformed: Mapping[str, Any]) -> pa.LargeBinaryArray:
    """Encodes what a transform graph answers, dense or sparse, (rows, ...)."""
    # Loads a large shared library.
    from tfx_bsl.coders.example_coder import RecordBatchToExamples

    columns = {name: _lists(x) for name, x in transformed.items()}
    return pa.array(RecordBatchToExamples(pa.RecordBatch.from_pydict(columns)), pa.large_binary())


def _lists(x: Any) -> pa.Array:
    """A tensor as a list for each row."""
    if isinstance(x, tf.SparseTensor):
        x = tf.RaggedTensor.from_sparse(x)
    if isinstance(x, tf.RaggedTensor):
        values, offsets = x.flat_values.numpy(), x.row_splits.numpy()
    else:
        array = x.numpy()
        width = int(np.prod(array.shape[1:], dtype=np.int64))
        values, offsets = array.reshape(-1), np.arange(len(array) + 1, dtype=np.int64) * width
    kind = {"f": pa.float32(), "O": pa.large_binary()}.get(values.dtype.kind, pa.int64())
    return pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), pa.array(values, kind))
