"""Arrays to the text of an answer, with the contract's spelling of numbers."""

import base64
import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from serving.errors import invalid

Array = npt.NDArray[Any]

_INTEGERS = frozenset({"int8", "int16", "int32", "int64", "uint8", "uint32", "uint64"})
_DIGITS = {"float32": 9, "float64": 17}


def rows(outputs: Mapping[str, Array]) -> bytes:
    """Returns `{"predictions": [...]}`, one element per index of the first dimension.

    Raises:
      ServingError: an output without a first dimension, or of another length than the others.
    """
    sizes = {name: array.shape[0] if array.ndim else None for name, array in outputs.items()}
    if None in sizes.values() or len(set(sizes.values())) > 1:
        raise invalid(
            "The outputs must have the same first dimension for the row format. "
            f"Received: {', '.join(f'{name} {array.shape}' for name, array in outputs.items())}"
        )
    texts = {name: _elements(array, name) for name, array in outputs.items()}
    if len(texts) == 1:
        (lines,) = texts.values()
    else:
        keys = [json.dumps(name) for name in texts]
        lines = [
            "{" + ", ".join(f"{key}: {text}" for key, text in zip(keys, row, strict=True)) + "}"
            for row in zip(*texts.values(), strict=True)
        ]
    return f'{{"predictions": [{", ".join(lines)}]}}'.encode("utf-8", errors="surrogateescape")


def columns(outputs: Mapping[str, Array]) -> bytes:
    """Returns `{"outputs": ...}`: a bare tensor, or one per output name."""
    texts = {name: _text(array, name) for name, array in outputs.items()}
    if len(texts) == 1:
        (value,) = texts.values()
    else:
        value = "{" + ", ".join(f"{json.dumps(name)}: {text}" for name, text in texts.items()) + "}"
    return f'{{"outputs": {value}}}'.encode("utf-8", errors="surrogateescape")


def number(value: float, dtype: str) -> str:
    """Returns a floating value as text: six significant digits if they read back the same, else nine or seventeen."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    text = f"{value:.6g}"
    same = np.float32(text) == np.float32(value) if dtype == "float32" else float(text) == value
    if not same:
        text = f"{value:.{_DIGITS[dtype]}g}"
    return text if "." in text or "e" in text else text + ".0"


def _elements(array: Array, name: str) -> list[str]:
    if array.ndim == 1:
        return _scalars(array, name)
    return [_text(part, name) for part in array]


def _text(array: Array, name: str) -> str:
    if array.ndim == 0:
        return _scalars(array.reshape(1), name)[0]
    return "[" + ", ".join(_elements(array, name)) + "]"


def _scalars(array: Array, name: str) -> list[str]:
    dtype = array.dtype.name
    if dtype in _DIGITS:
        return [number(value, dtype) for value in array.tolist()]
    if dtype in _INTEGERS:
        return [str(value) for value in array.tolist()]
    if dtype == "bool":
        return ["true" if value else "false" for value in array.tolist()]
    if dtype == "object":
        return [_string(value, name) for value in array.tolist()]
    raise invalid(f"Failed to write JSON value for tensor type: {dtype}")


def _string(value: bytes, name: str) -> str:
    if name.endswith("_bytes"):
        return json.dumps({"b64": base64.b64encode(value).decode()})
    return json.dumps(value.decode("utf-8", errors="surrogateescape"), ensure_ascii=False)
