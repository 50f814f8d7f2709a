"""Tensors between JSON, protocol buffers and TensorFlow: a dtype by TensorFlow's number, and a NumPy array."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]  # Any: the dtype is the tensor's.

FLOAT, DOUBLE, INT32, UINT8, INT16, INT8, STRING = 1, 2, 3, 4, 5, 6, 7
COMPLEX64, INT64, BOOL, QINT8, QUINT8, QINT32, BFLOAT16 = 8, 9, 10, 11, 12, 13, 14
QINT16, QUINT16, UINT16, COMPLEX128, HALF, RESOURCE, VARIANT = 15, 16, 17, 18, 19, 20, 21
UINT32, UINT64 = 22, 23

# How the elements are stored. NumPy has no bfloat16 and no quantized integers: their bits travel as plain integers.
STORAGE: Mapping[int, np.dtype[Any]] = {
    number: np.dtype(name)
    for number, name in {
        FLOAT: "float32",
        DOUBLE: "float64",
        INT32: "int32",
        UINT8: "uint8",
        INT16: "int16",
        INT8: "int8",
        COMPLEX64: "complex64",
        INT64: "int64",
        BOOL: "bool",
        QINT8: "int8",
        QUINT8: "uint8",
        QINT32: "int32",
        BFLOAT16: "uint16",
        QINT16: "int16",
        QUINT16: "uint16",
        UINT16: "uint16",
        COMPLEX128: "complex128",
        HALF: "float16",
        UINT32: "uint32",
        UINT64: "uint64",
        STRING: "object",
    }.items()
}

_NAMES: Mapping[int, str] = {
    number: name.lower() for name, number in list(globals().items()) if name.isupper() and isinstance(number, int)
}


class Tensor(NamedTuple):
    """A value of a signature's input or output.

    Attributes:
      dtype: TensorFlow's number of it (`tensorflow.DataType`).
      array: elements in row-major order, stored as `STORAGE[dtype]`; strings are an object array of bytes.
    """

    dtype: int
    array: Array


def dtype_name(number: int) -> str:
    """Returns TensorFlow's name of a dtype, such as `float`; a number where it has none here."""
    return _NAMES.get(number, f"type {number}")


def strings(values: list[bytes], shape: tuple[int, ...]) -> Array:
    """Returns an object array of bytes; NumPy alone would guess at the lengths."""
    array = np.empty(len(values), object)
    array[:] = values
    return array.reshape(shape)
