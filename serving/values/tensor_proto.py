"""`TensorProto`s to tensors and back, for gRPC, warm-up records and the request log."""

import math
from typing import Any

import numpy as np
from tensorflow.core.framework import tensor_pb2, tensor_shape_pb2

from serving.errors import Code, ServingError, invalid
from serving.values.tensors import (
    BFLOAT16,
    BOOL,
    COMPLEX64,
    COMPLEX128,
    DOUBLE,
    FLOAT,
    HALF,
    INT8,
    INT16,
    INT32,
    INT64,
    QINT8,
    QINT16,
    QINT32,
    QUINT8,
    QUINT16,
    STORAGE,
    STRING,
    UINT8,
    UINT16,
    UINT32,
    UINT64,
    Tensor,
    dtype_name,
    strings,
)  # fmt: skip

# A message of a few bytes may declare any shape and give one value for all of it: this much, a request's default limit.
MAX_REPEATED_BYTES = 100 * 2**20
_MAX_ELEMENTS = 2**63 - 1
_MAX_RANK = 64

_FIELDS = {
    FLOAT: "float_val", DOUBLE: "double_val", INT32: "int_val", UINT8: "int_val", INT16: "int_val", INT8: "int_val",
    STRING: "string_val", COMPLEX64: "scomplex_val", INT64: "int64_val", BOOL: "bool_val", QINT8: "int_val",
    QUINT8: "int_val", QINT32: "int_val", QINT16: "int_val", QUINT16: "int_val", UINT16: "int_val",
    COMPLEX128: "dcomplex_val", HALF: "half_val", BFLOAT16: "half_val", UINT32: "uint32_val", UINT64: "uint64_val",
}  # fmt: skip


def read(proto: Any, name: str) -> Tensor:  # Any: the generated messages are untyped.
    """Returns the tensor of a `TensorProto`.

    Args:
      name: the input's name, for messages.

    Raises:
      ServingError: the content does not fit the declared dtype and shape.
    """
    dtype = proto.dtype
    if dtype not in _FIELDS:
        raise invalid(f"The input {name!r} has the dtype {dtype_name(dtype)}, which has no values")
    shape = tuple(dim.size for dim in proto.tensor_shape.dim)
    if proto.tensor_shape.unknown_rank or len(shape) > _MAX_RANK or any(size < 0 for size in shape):
        raise invalid(f"The input {name!r} has no valid shape. Received: {list(shape[:_MAX_RANK])}")
    count = math.prod(shape)
    storage = STORAGE[dtype]
    if count > _MAX_ELEMENTS:
        raise invalid(f"The input {name!r} has a shape of more elements than there can be: {list(shape)}")
    given = (
        len(proto.tensor_content) // storage.itemsize if proto.tensor_content else len(getattr(proto, _FIELDS[dtype]))
    )
    if count > given and count * storage.itemsize > MAX_REPEATED_BYTES:
        raise ServingError(
            Code.RESOURCE_EXHAUSTED,
            f"The input {name!r} repeats its values to {count} elements, more than {MAX_REPEATED_BYTES} bytes",
        )
    if dtype == STRING:
        return Tensor(dtype, strings(_filled(list(proto.string_val), count, b"", name), shape))
    if proto.tensor_content:
        if len(proto.tensor_content) != count * storage.itemsize:
            raise invalid(f"The content of the input {name!r} does not fit its shape {list(shape)}")
        return Tensor(dtype, np.frombuffer(proto.tensor_content, storage).reshape(shape))
    values = getattr(proto, _FIELDS[dtype])
    if dtype in (COMPLEX64, COMPLEX128):
        pairs = np.array(values, np.float32 if dtype == COMPLEX64 else np.float64)
        array = pairs[: len(pairs) // 2 * 2].view(storage)
    elif dtype == HALF:
        array = np.array(values, np.int64).astype(np.uint16).view(storage)
    elif dtype in (INT8, INT16, UINT8, UINT16, BFLOAT16, QINT8, QUINT8, QINT16, QUINT16):
        array = np.array(values, np.int64).astype(storage)
    else:
        array = np.array(values, storage)
    if len(array) != count:
        if len(array) > count:
            raise invalid(_too_many(name, len(array), count))
        array = np.concatenate(
            [array, np.full(count - len(array), array[-1] if len(array) else storage.type(), storage)]
        )
    return Tensor(dtype, array.reshape(shape))


def _filled(values: list[Any], count: int, default: Any, name: str) -> list[Any]:
    """Repeats the last value up to `count`, as the message's definition has it."""
    if len(values) > count:
        raise invalid(_too_many(name, len(values), count))
    return values + [values[-1] if values else default] * (count - len(values))


def _too_many(name: str, values: int, count: int) -> str:
    return f"The input {name!r} has {values} values; its shape has room for {count}"


def write(tensor: Tensor, *, as_content: bool = False) -> Any:
    """Returns the `TensorProto`.

    Args:
      as_content: numbers are the bytes of `tensor_content`; else they are in the field of their dtype, as texts are.
    """
    dtype, array = tensor
    shape = tensor_shape_pb2.TensorShapeProto(
        dim=[tensor_shape_pb2.TensorShapeProto.Dim(size=size) for size in array.shape]
    )
    flat = array.ravel()
    if as_content and dtype != STRING:
        content = flat.astype(STORAGE[dtype].newbyteorder("<"), copy=False).tobytes()
        return tensor_pb2.TensorProto(dtype=dtype, tensor_shape=shape, tensor_content=content)
    if dtype in (COMPLEX64, COMPLEX128):
        flat = flat.view(np.float32 if dtype == COMPLEX64 else np.float64)
    elif dtype == HALF:
        flat = flat.view(np.uint16)
    return tensor_pb2.TensorProto(dtype=dtype, tensor_shape=shape, **{_FIELDS[dtype]: flat.tolist()})
