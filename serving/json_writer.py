"""Arrays to the text of an answer, with the contract's spelling of numbers."""

import base64
import json
from collections.abc import Mapping, Sequence
from json.encoder import encode_basestring
from typing import Any

import numpy as np
import numpy.typing as npt

from serving.errors import invalid

Array = npt.NDArray[Any]

_INTEGERS = frozenset({"int8", "int16", "int32", "int64", "uint8", "uint32", "uint64"})
_DIGITS = {"float32": 9, "float64": 17}
_NON_FINITE = {"nan": "NaN", "-nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


def rows(outputs: Mapping[str, Array]) -> bytes:
    """Returns `{"predictions": [...]}`, one element per index of the first dimension.

    Raises:
      ServingError: an output without a first dimension, or of another length than the others.
    """
    sizes = {array.shape[0] if array.ndim else None for array in outputs.values()}
    if None in sizes or len(sizes) > 1:
        shapes = ", ".join(f"{name} {list(array.shape)}" for name, array in outputs.items())
        raise invalid(f"The outputs must have the same first dimension for the row format. Received: {shapes}")
    texts = {name: _elements(array, name) for name, array in outputs.items()}
    if len(texts) == 1:
        (lines,) = texts.values()
    else:
        # One format for a whole row; a percent sign in a name must survive it.
        row = "{" + ", ".join(f"{json.dumps(name).replace('%', '%%')}: %s" for name in texts) + "}"
        lines = [row % values for values in zip(*texts.values(), strict=True)]
    return f'{{"predictions": [{", ".join(lines)}]}}'.encode("utf-8", errors="surrogateescape")


def columns(outputs: Mapping[str, Array]) -> bytes:
    """Returns `{"outputs": ...}`: a bare tensor, or one per output name."""
    texts = {name: _text(array, name) for name, array in outputs.items()}
    if len(texts) == 1:
        (value,) = texts.values()
    else:
        value = "{" + ", ".join(f"{json.dumps(name)}: {text}" for name, text in texts.items()) + "}"
    return f'{{"outputs": {value}}}'.encode("utf-8", errors="surrogateescape")


def classifications(results: Sequence[Sequence[tuple[bytes, str]]]) -> bytes:
    """Returns the answer of classify: per example, labels with the text of their scores."""
    lines = ("[" + ", ".join(f"[{string(label)}, {score}]" for label, score in example) + "]" for example in results)
    return f'{{"results": [{", ".join(lines)}]}}'.encode("utf-8", errors="surrogateescape")


def regressions(values: Array) -> bytes:
    """Returns the answer of regress, float32 (n,)."""
    return f'{{"results": [{", ".join(numbers(values))}]}}'.encode()


def numbers(array: Array) -> list[str]:
    """Returns the text of each value of a float array, (n,): six significant digits if they read back, else more."""
    values = array.tolist()
    texts = ("%.6g\n" * len(values) % tuple(values)).split()
    with np.errstate(over="ignore"):
        back = np.array(list(map(float, texts)), np.float64).astype(array.dtype)
    if not (same := back == array).all():
        more = f"%.{_DIGITS[array.dtype.name]}g"
        for i in np.flatnonzero(~same).tolist():
            texts[i] = more % values[i]
    return [text if "." in text or "e" in text else _NON_FINITE.get(text) or text + ".0" for text in texts]


def string(value: bytes) -> str:
    """Returns a JSON string with the bytes unchanged, whether they are UTF-8 or not."""
    return encode_basestring(value.decode("utf-8", errors="surrogateescape"))


def _elements(array: Array, name: str) -> list[str]:
    """Returns the text of each element along the first dimension."""
    if array.ndim == 1:
        return _scalars(array, name)
    size = array.size // array.shape[0] if array.shape[0] else 0
    flat = _scalars(array.reshape(-1), name)
    return [_nested(flat[i * size : (i + 1) * size], array.shape[1:]) for i in range(array.shape[0])]


def _nested(flat: list[str], shape: tuple[int, ...]) -> str:
    """Joins the texts of an array's values into nested lists."""
    if not shape:
        return flat[0]
    if 0 in shape[1:]:
        return "[" + ", ".join(_nested([], shape[1:]) for _ in range(shape[0])) + "]"
    for size in reversed(shape):
        if size == 0:
            return "[]"
        flat = ["[" + ", ".join(flat[i : i + size]) + "]" for i in range(0, len(flat), size)]
    return flat[0]


def _text(array: Array, name: str) -> str:
    return _nested(_scalars(array.reshape(-1), name), array.shape)


def _scalars(array: Array, name: str) -> list[str]:
    dtype = array.dtype.name
    if dtype in _DIGITS:
        return numbers(array)
    if dtype in _INTEGERS:
        return list(map(str, array.tolist()))
    if dtype == "bool":
        return ["true" if value else "false" for value in array.tolist()]
    if dtype == "object":
        if name.endswith("_bytes"):
            return [f'{{"b64": "{base64.b64encode(value).decode()}"}}' for value in array.tolist()]
        return list(map(string, array.tolist()))
    raise invalid(f"Failed to write JSON value for tensor type: {dtype}")
