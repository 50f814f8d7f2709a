"""Arrow columns as numpy numbers: the one place where whole numbers become floating point and missing becomes NaN."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc


def is_numeric(kind: pa.DataType) -> bool:
    """Returns whether a column of this type holds numbers, booleans, or no value at all."""
    return bool(
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind) or pa.types.is_null(kind)
    )


def as_float64(column: pa.ChunkedArray | pa.Array) -> npt.NDArray[np.float64]:
    """Returns a column of numbers as float64 (n,), missing as NaN.

    Floating point values are rounded to float32 first, because that is what a tf.Example stores. A whole number beyond
    2**53, such as a time in nanoseconds, becomes the nearest float64: pyarrow's safe cast would refuse it.
    """
    if pa.types.is_floating(column.type):
        return as_float32(column).astype(np.float64)
    return _converted(column, np.dtype(np.float64))


def as_float32(column: pa.ChunkedArray | pa.Array) -> npt.NDArray[np.float32]:
    """Returns a column of numbers as float32 (n,), missing as NaN. A whole number is rounded once, not through float64.

    A value beyond float32's range becomes infinite.
    """
    return _converted(column, np.dtype(np.float32))


def _converted(column: pa.ChunkedArray | pa.Array, dtype: np.dtype) -> npt.NDArray[Any]:
    if not is_numeric(column.type):
        raise TypeError(f"Expected a column of numbers. Received: {column.type}.")
    if column.null_count == len(column):
        return np.full(len(column), np.nan, dtype)
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    # Nulls are filled before numpy sees them: it would turn a column of whole numbers into float64 on its own terms.
    filled = pc.fill_null(array, False if pa.types.is_boolean(array.type) else 0) if array.null_count else array
    with np.errstate(over="ignore"):
        values = np.asarray(filled.to_numpy(zero_copy_only=False)).astype(dtype)
    if array.null_count:
        values[array.is_null().to_numpy(zero_copy_only=False)] = np.nan
    return values
