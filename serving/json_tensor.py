"""JSON values to arrays, by the dtype that the signature declares. No coercion: see the contract's table of values."""

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from serving.errors import Code, ServingError, invalid
from serving.json_reader import quoted

Json = Any  # What a JSON reader returns.
Form = Literal["row", "columnar"]
Arrays = dict[str, npt.NDArray[Any]]

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


@dataclass(frozen=True)
class Request:
    """A decoded predict request: its arrays by input name, and the form that the answer takes."""

    arrays: Arrays
    form: Form


def decode(body: Mapping[str, Json], inputs: Mapping[str, str]) -> Request:
    """Decodes `instances` or `inputs`.

    Args:
      inputs: the signature's input names and dtypes, such as `float32`.

    Raises:
      ServingError: by the contract's rules, 400 or 501.
    """
    if ("instances" in body) == ("inputs" in body):
        raise invalid(
            "Not formatted correctly: expected exactly one of the keys 'inputs' and 'instances' in the request"
        )
    if "instances" in body:
        return Request(_decode_rows(body["instances"], inputs), "row")
    return Request(_decode_columns(body["inputs"], inputs), "columnar")


def _decode_rows(instances: Json, inputs: Mapping[str, str]) -> Arrays:
    if not isinstance(instances, list):
        raise invalid(f"'instances' must be a list. Received: {quoted(instances)}")
    if not instances:
        raise invalid("'instances' is empty: at least one instance is expected")
    named = [isinstance(row, dict) and not _is_b64(row) for row in instances]
    if any(named) != all(named):
        raise invalid("All instances must be of one kind: either all objects or all values")
    if not named[0]:
        if len(inputs) > 1:
            raise invalid(f"instances must be objects with the keys {', '.join(sorted(inputs))}")
        (name,) = inputs
        return {name: to_array(instances, inputs[name], name, "row")}
    expected = inputs.keys()
    for row in instances:
        if row.keys() != expected:
            absent, unknown = sorted(expected - row.keys()), sorted(row.keys() - expected)
            what = f"missing the input {absent[0]!r}" if absent else f"has the unknown input {unknown[0]!r}"
            raise invalid(f"Instance {what}. Expected the keys: {', '.join(sorted(expected))}")
    return {name: to_array([row[name] for row in instances], dtype, name, "row") for name, dtype in inputs.items()}


def _decode_columns(columns: Json, inputs: Mapping[str, str]) -> Arrays:
    if isinstance(columns, dict) and not _is_b64(columns):
        for name in inputs:
            if name not in columns:
                raise invalid(f"The input {name!r} is missing in 'inputs'")
        return {name: to_array(columns[name], dtype, name, "columnar") for name, dtype in inputs.items()}
    if len(inputs) > 1:
        raise invalid(f"'inputs' must be an object with the keys {', '.join(sorted(inputs))}")
    (name,) = inputs
    return {name: to_array(columns, inputs[name], name, "columnar")}


def to_array(value: Json, dtype: str, name: str, form: Form = "columnar") -> npt.NDArray[Any]:
    """Decodes nested lists into an array of `dtype`; a scalar gives rank 0.

    Raises:
      ServingError: ragged lists, or a value that the dtype does not take.
    """
    shape = _shape(value)
    if len(shape) > _MAX_RANK:
        raise invalid(f"The input {name!r} is nested {len(shape)} levels deep; at most {_MAX_RANK} are possible")
    flat: list[Json] = []
    _flatten(value, shape, flat, name)
    if dtype == "string":
        decoded = np.empty(len(flat), object)
        decoded[:] = [_to_bytes(item, name) for item in flat]
        return decoded.reshape(shape)
    if dtype in ("float32", "float64"):
        _check(flat, (int, float), dtype, name)
        with np.errstate(over="ignore"):
            return np.array(flat, np.float64).astype(dtype).reshape(shape)
    if dtype == "bool":
        _check(flat, (bool,), dtype, name)
        return np.array(flat, np.bool_).reshape(shape)
    if dtype in _INTEGER_RANGES:
        return _integers(flat, dtype, name).reshape(shape)
    code = Code.UNIMPLEMENTED if form == "columnar" else Code.INVALID_ARGUMENT
    raise ServingError(code, f"The dtype {dtype} of the input {name!r} cannot be given as JSON")


def _integers(flat: Sequence[Json], dtype: str, name: str) -> npt.NDArray[Any]:
    _check(flat, (int,), dtype, name)
    low, high = _INTEGER_RANGES[dtype]
    for item in flat:
        if not low <= item <= high:
            raise invalid(f"The value {item} of the input {name!r} does not fit into {dtype}")
    wide = np.uint64 if dtype == "uint64" else np.int64
    return np.array(flat, wide).astype(dtype)


def _check(flat: Sequence[Json], kinds: tuple[type, ...], dtype: str, name: str) -> None:
    """Refuses what is not of one of `kinds` exactly: a bool is an int to Python, not to JSON."""
    if set(map(type, flat)) <= set(kinds):
        return
    wrong = next(item for item in flat if type(item) not in kinds)
    raise invalid(f"JSON value {quoted(wrong)} is not of the type {dtype} of the input {name!r}")


def _shape(value: Json) -> tuple[int, ...]:
    shape = []
    while isinstance(value, list):
        shape.append(len(value))
        if not value:
            break
        value = value[0]
    return tuple(shape)


def _flatten(value: Json, shape: tuple[int, ...], flat: list[Json], name: str) -> None:
    if not shape:
        if isinstance(value, list):
            raise invalid(f"The lists of the input {name!r} are ragged")
        flat.append(value)
        return
    if not isinstance(value, list) or len(value) != shape[0]:
        raise invalid(f"The lists of the input {name!r} are ragged: expected {shape[0]} elements at one level")
    if len(shape) == 1:
        if any(isinstance(item, list) for item in value):
            raise invalid(f"The lists of the input {name!r} are ragged")
        flat.extend(value)
        return
    for item in value:
        _flatten(item, shape[1:], flat, name)


def _is_b64(value: Mapping[str, Json]) -> bool:
    return len(value) == 1 and isinstance(value.get("b64"), str)


def _to_bytes(value: Json, name: str) -> bytes:
    if isinstance(value, str):
        try:
            return value.encode("utf-8", errors="surrogateescape")
        except UnicodeEncodeError as error:
            raise invalid(f"JSON Parse error: the surrogate pair in the input {name!r} is invalid") from error
    if isinstance(value, dict) and _is_b64(value):
        return decode_b64(value["b64"])
    raise invalid(f"JSON value {quoted(value)} is not of the type string of the input {name!r}")


def decode_b64(text: str) -> bytes:
    """Decodes the standard alphabet; white space and missing padding are fine.

    Raises:
      ServingError: another alphabet.
    """
    packed = "".join(text.split())
    try:
        return base64.b64decode(packed.rstrip("=") + "=" * (-len(packed.rstrip("=")) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise invalid(f"Unable to base64 decode: {quoted(text)}") from error
