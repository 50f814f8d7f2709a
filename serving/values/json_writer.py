"""Tensors to the text of an answer, with the contract's spelling of numbers."""

import base64
import json
import re
from collections.abc import Mapping

import numpy as np

from serving.errors import invalid
from serving.values.tensors import (
    BOOL,
    DOUBLE,
    FLOAT,
    INT8,
    INT16,
    INT32,
    INT64,
    STRING,
    UINT8,
    UINT32,
    UINT64,
    Array,
    Tensor,
    dtype_name,
)  # fmt: skip

_INTEGERS = frozenset({INT8, INT16, INT32, INT64, UINT8, UINT32, UINT64})
_DIGITS = {FLOAT: 9, DOUBLE: 17}
_SAME_IN_JSON = re.compile(rb"[ !#-\[\]-~]*")
_TOKENS = {"nan": "NaN", "-nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


def rows(outputs: Mapping[str, Tensor]) -> bytes:
    """Returns `{"predictions": [...]}`, one element per index of the first dimension.

    Raises:
      ServingError: an output without a first dimension, of another length than the others, or of another dtype than
        REST writes.
    """
    sizes = {tensor.array.shape[0] if tensor.array.ndim else None for tensor in outputs.values()}
    if None in sizes or len(sizes) > 1:
        shapes = ", ".join(f"{name} {list(tensor.array.shape)}" for name, tensor in sorted(outputs.items()))
        raise invalid(f"The outputs must have the same first dimension for the row format. Received: {shapes}")
    texts = {name: elements(tensor, name) for name, tensor in outputs.items()}
    if len(texts) == 1:
        (lines,) = texts.values()
    else:
        row = "{" + ", ".join(json.dumps(name).replace("%", "%%") + ": %s" for name in texts) + "}"
        lines = list(map(row.__mod__, zip(*texts.values(), strict=True)))
    return f'{{"predictions": [{", ".join(lines)}]}}'.encode("utf-8", errors="surrogateescape")


def columns(outputs: Mapping[str, Tensor]) -> bytes:
    """Returns `{"outputs": ...}`: a bare tensor, or one per output name.

    Raises:
      ServingError: an output of another dtype than REST writes.
    """
    texts = {name: _text(tensor, name) for name, tensor in outputs.items()}
    if len(texts) == 1:
        (value,) = texts.values()
    else:
        value = "{" + ", ".join(f"{json.dumps(name)}: {text}" for name, text in texts.items()) + "}"
    return f'{{"outputs": {value}}}'.encode("utf-8", errors="surrogateescape")


def results(values: list[str]) -> bytes:
    """Returns `{"results": [...]}` of texts made by this module."""
    return f'{{"results": [{", ".join(values)}]}}'.encode("utf-8", errors="surrogateescape")


def numbers(array: Array, dtype: int) -> list[str]:
    """Returns floating values, shape (n,), as texts: six significant digits if they read back the same, else nine or
    seventeen."""
    values = array.tolist()
    texts = ("%.6g " * len(values) % tuple(values)).split()
    with np.errstate(over="ignore"):
        read_back = np.array(list(map(float, texts)), np.float64).astype(array.dtype)
    longer = f"%.{_DIGITS[dtype]}g"
    for index in np.flatnonzero(read_back != array).tolist():
        texts[index] = longer % values[index]
    return [text if "." in text or "e" in text else _TOKENS.get(text) or text + ".0" for text in texts]


def string(value: bytes) -> str:
    """Returns bytes as a JSON string; what is no UTF-8 stays as it is."""
    if _SAME_IN_JSON.fullmatch(value):
        return f'"{value.decode()}"'
    return json.dumps(value.decode("utf-8", errors="surrogateescape"), ensure_ascii=False)


def elements(tensor: Tensor, name: str) -> list[str]:
    """Returns one text per index of the first dimension.

    Raises:
      ServingError: a dtype that REST cannot write.
    """
    dtype, array = tensor
    if array.ndim > 1:
        return [_text(Tensor(dtype, part), name) for part in array]
    if dtype in _DIGITS:
        return numbers(array, dtype)
    if dtype in _INTEGERS:
        return list(map(str, array.tolist()))
    if dtype == BOOL:
        return ["true" if value else "false" for value in array.tolist()]
    if dtype == STRING:
        if name.endswith("_bytes"):
            return [f'{{"b64": "{base64.b64encode(value).decode()}"}}' for value in array.tolist()]
        return list(map(string, array.tolist()))
    raise invalid(f"Failed to write JSON value for tensor type: {dtype_name(dtype)}")


def _text(tensor: Tensor, name: str) -> str:
    if tensor.array.ndim == 0:
        return elements(Tensor(tensor.dtype, tensor.array.reshape(1)), name)[0]
    return "[" + ", ".join(elements(tensor, name)) + "]"
