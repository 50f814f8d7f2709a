"""Tensors of the v2 inference protocol: its datatypes, their JSON and their bytes.

Source: the Open Inference Protocol, "Tensor Data Types", and its binary tensor data extension.
"""

import math
import struct
from collections.abc import Mapping, Set
from typing import NamedTuple

import numpy as np

from serving.errors import Code, ServingError, invalid
from serving.values import json_tensor, json_writer
from serving.values.json_reader import Json, quoted
from serving.values.tensors import (
    BFLOAT16,
    BOOL,
    DOUBLE,
    FLOAT,
    HALF,
    INT8,
    INT16,
    INT32,
    INT64,
    STORAGE,
    STRING,
    UINT8,
    UINT16,
    UINT32,
    UINT64,
    Array,
    Tensor,
    dtype_name,
    strings,
)  # fmt: skip

DATATYPES: Mapping[int, str] = {
    BOOL: "BOOL", UINT8: "UINT8", UINT16: "UINT16", UINT32: "UINT32", UINT64: "UINT64", INT8: "INT8", INT16: "INT16",
    INT32: "INT32", INT64: "INT64", HALF: "FP16", FLOAT: "FP32", DOUBLE: "FP64", STRING: "BYTES", BFLOAT16: "BF16",
}  # fmt: skip
_SHORT_INTEGERS = frozenset({UINT8, UINT16, UINT32, INT8, INT16, INT32})
_MAX_RANK = 64
_LENGTH = struct.Struct("<I")


def datatype(dtype: int) -> str:
    """Returns the protocol's name of a dtype; TensorFlow's where it has none."""
    return DATATYPES.get(dtype) or f"TF_{dtype_name(dtype).upper()}"


class Declared(NamedTuple):
    """What a request says of an input, checked."""

    name: str
    dtype: int
    shape: tuple[int, ...]


def declared(name: Json, said: Json, shape: Json, number: int, dtypes: Mapping[str, int], seen: Set[str]) -> Declared:
    """Checks what a request says of an input.

    Args:
      number: the input's place in the request.
      dtypes: the signature's inputs.
      seen: the inputs before it.

    Raises:
      ServingError: the signature has no such input, or the input is of another datatype.
    """
    if not isinstance(name, str) or name in seen:
        raise invalid(f"Input {number} must have a 'name' of its own, a string")
    if name not in dtypes:
        raise invalid(f"The model has no input {name[:64]!r}. Expected: {', '.join(dtypes)}")
    dtype = dtypes[name]
    if dtype not in DATATYPES:
        raise ServingError(Code.UNIMPLEMENTED, f"The protocol has no datatype for the input {name!r}")
    is_list = isinstance(shape, list) and len(shape) <= _MAX_RANK
    if not is_list or not all(type(size) is int and 0 <= size < 2**63 for size in shape):
        raise invalid(f"The shape of the input {name!r} must be a list of at most {_MAX_RANK} numbers of elements")
    if said != datatype(dtype):
        raise invalid(f"The input {name!r} has the datatype {datatype(dtype)}. Received: {quoted(said)}")
    return Declared(name, dtype, tuple(shape))


def from_json(data: Json, given: Declared, nan_is_none: bool) -> Tensor:
    """Returns the tensor of `data`, a list of the elements in row-major order, nested or not.

    Args:
      nan_is_none: see `json_reader.Document`.

    Raises:
      ServingError: a value that the datatype does not hold, or another number of elements than the shape has.
    """
    name, dtype, shape = given
    if dtype == BFLOAT16:
        raise invalid(f"The input {name!r} of the datatype BF16 can be sent as binary data alone")
    if not isinstance(data, list):
        raise invalid(f"The data of the input {name!r} must be a list")
    read_as = INT64 if dtype in _SHORT_INTEGERS else DOUBLE if dtype == HALF else dtype
    array = json_tensor.to_tensor(data, read_as, name, nan_is_none=nan_is_none).array.ravel()
    if dtype in _SHORT_INTEGERS and array.size:
        bounds = np.iinfo(STORAGE[dtype])
        if array.min() < bounds.min or array.max() > bounds.max:
            raise invalid(f"A value of the input {name!r} does not fit into {datatype(dtype)}")
    with np.errstate(over="ignore"):
        return _shaped(Tensor(dtype, array.astype(STORAGE[dtype], copy=False)), shape, name)


def from_texts(texts: list[bytes], given: Declared) -> Tensor:
    """Returns the tensor of texts, in row-major order.

    Raises:
      ServingError: another number of elements than the shape has.
    """
    return _shaped(Tensor(STRING, strings(texts, (len(texts),))), given.shape, given.name)


def from_bytes(data: memoryview, given: Declared, max_values: int) -> Tensor:
    """Returns the tensor of binary data: little-endian elements, texts with four bytes of length before each.

    Args:
      max_values: texts that one tensor may hold.

    Raises:
      ServingError: the bytes are not as many as the shape asks for.
    """
    name, dtype, shape = given
    if dtype == STRING:
        return from_texts(_texts(data, name, max_values), given)
    storage = np.dtype(np.uint8) if dtype == BOOL else STORAGE[dtype].newbyteorder("<")
    if len(data) != math.prod(shape) * storage.itemsize:
        raise invalid(
            f"The input {name!r} came with {len(data)} bytes; its shape {list(shape)} asks for "
            f"{math.prod(shape) * storage.itemsize}"
        )
    array = np.frombuffer(data, storage)
    return _shaped(Tensor(dtype, array != 0 if dtype == BOOL else array.astype(STORAGE[dtype])), shape, name)


def _texts(data: memoryview, name: str, max_values: int) -> list[bytes]:
    texts: list[bytes] = []
    start = 0
    while start < len(data):
        end = start + _LENGTH.size
        end += _LENGTH.unpack_from(data, start)[0] if end <= len(data) else len(data)
        if end > len(data):
            raise invalid(f"The bytes of the input {name!r} end within an element")
        if len(texts) >= max_values:
            raise ServingError(Code.RESOURCE_EXHAUSTED, f"More than {max_values} values in a request", http_status=413)
        texts.append(bytes(data[start + _LENGTH.size : end]))
        start = end
    return texts


def _shaped(tensor: Tensor, shape: tuple[int, ...], name: str) -> Tensor:
    if tensor.array.size != math.prod(shape):
        raise invalid(f"The input {name!r} has {tensor.array.size} elements; its shape is {list(shape)}")
    if math.prod(size for size in shape if size) >= 2**63:  # Beside a 0.
        raise invalid(f"The input {name!r} has a shape of more elements than there can be: {list(shape)}")
    return Tensor(tensor.dtype, tensor.array.reshape(shape))


def to_json(tensor: Tensor, name: str) -> str:
    """Returns the elements in row-major order, as a JSON list.

    Raises:
      ServingError: a dtype that JSON cannot carry.
    """
    dtype, array = tensor.dtype, tensor.array.ravel()
    if dtype == HALF:
        dtype, array = FLOAT, array.astype(np.float32)
    elif dtype == UINT16:
        dtype, array = INT32, array.astype(np.int32)
    elif dtype not in DATATYPES or dtype == BFLOAT16:
        raise invalid(f"The output {name!r} of the datatype {datatype(dtype)} cannot be written as JSON")
    return f"[{', '.join(json_writer.elements(Tensor(dtype, array), ''))}]"


def to_bytes(tensor: Tensor, name: str) -> bytes:
    """Returns the elements as `from_bytes` reads them.

    Raises:
      ServingError: a dtype that the protocol does not have.
    """
    if tensor.dtype not in DATATYPES:
        raise invalid(f"The output {name!r} of the datatype {datatype(tensor.dtype)} cannot be written")
    array: Array = tensor.array.ravel()
    if tensor.dtype == STRING:
        return b"".join(_LENGTH.pack(len(text)) + text for text in array.tolist())
    return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
