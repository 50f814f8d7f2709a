"""JSON values to arrays, by the dtype that the signature declares. No coercion: see the contract's table of values.

Everything works on whole lists, level by level: the interpreter's own loops do the work, not ours.
"""

import base64
import binascii
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from serving.errors import Code, ServingError, invalid
from serving.json_exact import Json
from serving.json_reader import Document, quoted

Form = Literal["row", "columnar"]
Array = npt.NDArray[Any]
Arrays = dict[str, Array]

_MAX_RANK = 64  # As many dimensions as a NumPy array has.
_INT32 = (-(2**31), 2**31 - 1)
# Narrow integers are read through int32 and cut to their width afterwards, as TensorFlow Serving does.
_INTEGER_RANGES: Mapping[str, tuple[int, int]] = {
    "int8": _INT32,
    "uint8": _INT32,
    "int16": _INT32,
    "int32": _INT32,
    "int64": (-(2**63), 2**63 - 1),
    "uint32": (0, 2**32 - 1),
    "uint64": (0, 2**64 - 1),
}
_FLOATS = {"float32": np.float32, "float64": np.float64}


@dataclass(frozen=True)
class Request:
    """A decoded predict request: its arrays by input name, and the form that the answer takes."""

    arrays: Arrays
    form: Form


def decode(document: Document, inputs: Mapping[str, str]) -> Request:
    """Decodes `instances` or `inputs`.

    Args:
      inputs: the signature's input names and dtypes, such as `float32`; at least one.

    Raises:
      ServingError: by the contract's rules, 400 or 501.
    """
    body = document.value
    if "instances" in body:
        if "inputs" in body:
            raise invalid("Not formatted correctly: expected only one of the keys 'inputs' and 'instances'")
        return Request(_decode_rows(body["instances"], inputs, document.null_is_nan), "row")
    if "inputs" not in body:
        raise invalid("Missing 'inputs' or 'instances' key")
    return Request(_decode_columns(body["inputs"], inputs, document.null_is_nan), "columnar")


def _decode_rows(instances: Json, inputs: Mapping[str, str], null_is_nan: bool) -> Arrays:
    if not isinstance(instances, list):
        raise invalid(f"'instances' must be a list. Received: {quoted(instances)}")
    if not instances:
        raise invalid("'instances' is empty: at least one instance is expected")
    if not _are_named(instances):
        if len(inputs) > 1:
            raise invalid(f"instances must be objects with the keys {', '.join(sorted(inputs))}")
        ((name, dtype),) = inputs.items()
        return {name: to_array(instances, dtype, name, "row", null_is_nan)}
    names = list(inputs)
    try:
        if set(map(len, instances)) != {len(names)}:
            raise KeyError
        rows: Iterable[Any] = map(itemgetter(*names), instances)  # Any: JSON.
        columns = [list(rows)] if len(names) == 1 else [list(column) for column in zip(*rows, strict=True)]
    except KeyError:
        raise _misnamed(instances, inputs) from None
    return {
        name: to_array(column, inputs[name], name, "row", null_is_nan)
        for name, column in zip(names, columns, strict=True)
    }


def _are_named(instances: list[Json]) -> bool:
    """Tells objects of `{input: value}` from plain values; a `{"b64": ...}` is a value.

    Raises:
      ServingError: both among the instances.
    """
    kinds = set(map(type, instances))
    if dict not in kinds:
        return False
    b64 = sum(1 for row in instances if is_b64(row))
    if b64 == 0 and kinds == {dict}:
        return True
    if b64 == sum(1 for row in instances if type(row) is dict):
        return False
    raise invalid("All instances must be of one kind: either all objects or all values")


def _misnamed(instances: list[dict[str, Json]], inputs: Mapping[str, str]) -> ServingError:
    expected = inputs.keys()
    row = next(row for row in instances if row.keys() != expected)
    absent, unknown = sorted(expected - row.keys()), sorted(row.keys() - expected)
    what = f"missing the input {absent[0]!r}" if absent else f"has the unknown input {unknown[0][:256]!r}"
    return invalid(f"Instance {what}. Expected the keys: {', '.join(sorted(expected))}")


def _decode_columns(columns: Json, inputs: Mapping[str, str], null_is_nan: bool) -> Arrays:
    if isinstance(columns, dict) and not is_b64(columns):
        for name in inputs:
            if name not in columns:
                raise invalid(f"Missing named input: {name} in 'inputs' object.")
        return {name: to_array(columns[name], dtype, name, "columnar", null_is_nan) for name, dtype in inputs.items()}
    if len(inputs) > 1:
        raise invalid(f"'inputs' must be an object with the keys {', '.join(sorted(inputs))}")
    ((name, dtype),) = inputs.items()
    return {name: to_array(columns, dtype, name, "columnar", null_is_nan)}


def to_array(value: Json, dtype: str, name: str, form: Form = "columnar", null_is_nan: bool = False) -> Array:
    """Decodes nested lists into an array of `dtype`; a scalar gives rank 0.

    Raises:
      ServingError: ragged lists, or a value that the dtype does not take.
    """
    flat, shape = _flatten(value, name)
    if dtype in _FLOATS:
        allowed = {int, float, type(None)} if null_is_nan else {int, float}
        _require(flat, allowed, dtype, name)
        with np.errstate(over="ignore"):
            return np.array(flat, np.float64).astype(_FLOATS[dtype], copy=False).reshape(shape)
    if dtype == "string":
        decoded = np.empty(len(flat), object)
        decoded[:] = _all_bytes(flat, name)
        return decoded.reshape(shape)
    if dtype in _INTEGER_RANGES:
        return _integers(flat, dtype, name).reshape(shape)
    if dtype == "bool":
        _require(flat, {bool}, dtype, name)
        return np.array(flat, np.bool_).reshape(shape)
    code = Code.UNIMPLEMENTED if form == "columnar" else Code.INVALID_ARGUMENT
    raise ServingError(code, f"The dtype {dtype} of the input {name!r} cannot be given as JSON")


def _flatten(value: Json, name: str) -> tuple[list[Json], tuple[int, ...]]:
    shape: list[int] = []
    level = [value]
    kinds = {type(value)}
    while list in kinds:
        sizes = set(map(len, level)) if len(kinds) == 1 else set()
        if len(sizes) != 1:
            raise invalid(f"The lists of the input {name!r} are ragged: expected the same shape everywhere")
        shape.append(sizes.pop())
        if len(shape) > _MAX_RANK:
            raise invalid(f"The input {name!r} is nested too deeply: at most {_MAX_RANK} dimensions are possible")
        level = list(chain.from_iterable(level))
        kinds = set(map(type, level))
    return level, tuple(shape)


def _integers(flat: list[Json], dtype: str, name: str) -> Array:
    _require(flat, {int}, dtype, name)
    low, high = _INTEGER_RANGES[dtype]
    if flat and (min(flat) < low or max(flat) > high):
        wrong = next(item for item in flat if not low <= item <= high)
        raise invalid(f"The value {wrong} of the input {name!r} does not fit into {dtype}")
    wide = np.uint64 if dtype == "uint64" else np.int64
    return np.array(flat, wide).astype(dtype)


def _require(flat: list[Json], kinds: set[type], dtype: str, name: str) -> None:
    """Refuses what is not of one of `kinds` exactly: a bool is an int to Python, not to JSON."""
    if set(map(type, flat)) <= kinds:
        return
    wrong = next(item for item in flat if type(item) not in kinds)
    raise invalid(f"JSON Value: {quoted(wrong)} of the input {name!r} is not of expected type: {dtype}")


def is_b64(value: Json) -> bool:
    """Tells whether a value is `{"b64": text}`."""
    return type(value) is dict and len(value) == 1 and isinstance(value.get("b64"), str)


def _all_bytes(flat: Sequence[Json], name: str) -> list[bytes]:
    if set(map(type, flat)) <= {str}:
        return [text.encode("utf-8", errors="surrogateescape") for text in flat]
    return [to_bytes(item, name) for item in flat]


def to_bytes(value: Json, name: str) -> bytes:
    """Returns a string value's bytes, or those of a b64 object.

    Raises:
      ServingError: any other value.
    """
    if isinstance(value, str):
        return value.encode("utf-8", errors="surrogateescape")
    if is_b64(value):
        return decode_b64(value["b64"])
    raise invalid(f"JSON Value: {quoted(value)} of the input {name!r} is not of expected type: string")


def decode_b64(text: str) -> bytes:
    """Decodes the standard alphabet; white space and missing padding are fine.

    Raises:
      ServingError: another alphabet.
    """
    packed = "".join(text.split()).rstrip("=")
    try:
        return base64.b64decode(packed + "=" * (-len(packed) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise invalid(f"Unable to base64 decode: {quoted(text)}") from error
