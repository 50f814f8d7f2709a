"""JSON values to tensors, by the dtype that the signature declares. No coercion: see the contract's table of values."""

import base64
import binascii
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Literal, NamedTuple

import numpy as np

from serving.errors import Code, ServingError, invalid
from serving.values.json_reader import Document, Json, quoted
from serving.values.tensors import (
    BOOL,
    DOUBLE,
    FLOAT,
    INT8,
    INT16,
    INT32,
    INT64,
    STORAGE,
    STRING,
    UINT8,
    UINT32,
    UINT64,
    Array,
    Tensor,
    dtype_name,
    strings,
)  # fmt: skip

Form = Literal["row", "columnar"]

_MAX_RANK = 64  # As many dimensions as a NumPy array has.
_INT32 = (-(2**31), 2**31 - 1)
# Narrow integers are read through int32 and cut to their width afterwards, as TensorFlow Serving does.
_INTEGER_RANGES: Mapping[int, tuple[int, int]] = {
    INT8: _INT32,
    UINT8: _INT32,
    INT16: _INT32,
    INT32: _INT32,
    INT64: (-(2**63), 2**63 - 1),
    UINT32: (0, 2**32 - 1),
    UINT64: (0, 2**64 - 1),
}
_FLOATS = frozenset({float, int})
_FLOATS_OR_NAN = frozenset({float, int, type(None)})


class Decoded(NamedTuple):
    """A decoded predict request: its tensors by input name, and the form that the answer takes."""

    tensors: dict[str, Tensor]
    form: Form


def decode(document: Document, inputs: Mapping[str, int]) -> Decoded:
    """Decodes `instances` or `inputs`.

    Args:
      inputs: the signature's input names and dtypes; at least one.

    Raises:
      ServingError: by the contract's rules, 400 or 501.
    """
    body, nan = document
    if ("instances" in body) == ("inputs" in body):
        raise invalid(
            "Not formatted correctly: expected exactly one of the keys 'inputs' and 'instances' in the request"
        )
    if "instances" in body:
        form: Form = "row"
        columns = _rows_to_columns(body["instances"], inputs)
    else:
        form = "columnar"
        columns = _columns(body["inputs"], inputs)
    return Decoded({name: to_tensor(columns[name], inputs[name], name, form, nan) for name in inputs}, form)


def _rows_to_columns(instances: Json, inputs: Mapping[str, int]) -> Mapping[str, Json]:
    if not isinstance(instances, list):
        raise invalid(f"'instances' must be a list. Received: {quoted(instances)}")
    if not instances:
        raise invalid("'instances' is empty: at least one instance is expected")
    if set(map(type, instances)) == {dict} and min(map(len, instances)) > 1:
        named = [True]
    else:
        named = [type(row) is dict and not _is_b64(row) for row in instances]
        if any(named) != all(named):
            raise invalid("All instances must be of one kind: either all objects or all values")
    if not named[0]:
        if len(inputs) > 1:
            raise invalid(f"instances must be objects with the keys {_some(inputs)}")
        (name,) = inputs
        return {name: instances}
    names = list(inputs)
    try:
        if set(map(len, instances)) != {len(names)}:
            raise KeyError
        if len(names) == 1:
            return {names[0]: list(map(itemgetter(names[0]), instances))}
        return dict(zip(names, map(list, zip(*map(itemgetter(*names), instances), strict=True)), strict=True))
    except KeyError:
        raise _wrong_keys(instances, inputs) from None


def _wrong_keys(instances: Sequence[Mapping[str, Json]], inputs: Mapping[str, int]) -> ServingError:
    number, row = next((i, row) for i, row in enumerate(instances) if row.keys() != inputs.keys())
    absent = sorted(inputs.keys() - row.keys())
    unknown = min((key for key in row if key not in inputs), default="")
    what = f"is missing the input {absent[0]!r}" if absent else f"has the unknown input {unknown[:64]!r}"
    return invalid(f"Instance {number} {what}. Expected the keys: {_some(inputs)}")


def _columns(columns: Json, inputs: Mapping[str, int]) -> Mapping[str, Json]:
    if isinstance(columns, dict) and not _is_b64(columns):
        for name in inputs:
            if name not in columns:
                raise invalid(f"The input {name!r} is missing in 'inputs'. Expected the keys: {_some(inputs)}")
        return columns
    if len(inputs) > 1:
        raise invalid(f"'inputs' must be an object with the keys {_some(inputs)}")
    (name,) = inputs
    return {name: columns}


def to_tensor(value: Json, dtype: int, name: str, form: Form = "columnar", nan_is_none: bool = False) -> Tensor:
    """Decodes nested lists; a scalar gives rank 0.

    Args:
      name: the input's name, for messages.
      nan_is_none: None stands for NaN, see `json_reader.Document`.

    Raises:
      ServingError: ragged lists, or a value that the dtype does not take.
    """
    kinds: set[type] = set(map(type, value)) if type(value) is list else {list}
    if list not in kinds:
        flat: list[Json] = value
        shape: tuple[int, ...] = (len(value),)
    else:
        shape = _shape(value)
        if len(shape) > _MAX_RANK:
            raise invalid(f"The input {name!r} is nested {len(shape)} levels deep; at most {_MAX_RANK} are possible")
        flat = _flat(value, shape, name)
        kinds = set(map(type, flat))
    return Tensor(dtype, _elements(flat, kinds, dtype, name, form, nan_is_none).reshape(shape))


def _elements(flat: list[Json], kinds: set[type], dtype: int, name: str, form: Form, nan_is_none: bool) -> Array:
    if dtype in (FLOAT, DOUBLE):
        if not kinds <= (_FLOATS_OR_NAN if nan_is_none else _FLOATS):
            raise _wrong_kind(flat, (int, float), dtype, name, nan_is_none)
        doubles = np.array(flat, np.float64)
        if dtype == DOUBLE:
            return doubles
        with np.errstate(over="ignore"):
            return doubles.astype(np.float32)
    if dtype == STRING:
        if kinds <= {str}:
            try:
                return strings(list(map(str.encode, flat)), (len(flat),))
            except UnicodeEncodeError:
                return strings([_utf8(item, name) for item in flat], (len(flat),))
        return strings([_to_bytes(item, name) for item in flat], (len(flat),))
    if dtype in _INTEGER_RANGES:
        if not kinds <= {int}:
            raise _wrong_kind(flat, (int,), dtype, name, nan_is_none)
        low, high = _INTEGER_RANGES[dtype]
        if flat and not (low <= min(flat) and max(flat) <= high):
            wrong = next(item for item in flat if not low <= item <= high)
            raise invalid(f"The value {wrong} of the input {name!r} does not fit into {dtype_name(dtype)}")
        return np.array(flat, np.uint64 if dtype == UINT64 else np.int64).astype(STORAGE[dtype], copy=False)
    if dtype == BOOL:
        if not kinds <= {bool}:
            raise _wrong_kind(flat, (bool,), dtype, name, nan_is_none)
        return np.array(flat, np.bool_)
    code = Code.UNIMPLEMENTED if form == "columnar" else Code.INVALID_ARGUMENT
    raise ServingError(code, f"The dtype {dtype_name(dtype)} of the input {name!r} cannot be given as JSON")


def _wrong_kind(
    flat: Iterable[Json], kinds: tuple[type, ...], dtype: int, name: str, nan_is_none: bool
) -> ServingError:
    # By exact type: a bool is an int to Python, not to JSON.
    wrong = next(
        item for item in flat if type(item) not in kinds and not (nan_is_none and item is None and dtype in (1, 2))
    )
    text = "NaN" if nan_is_none and wrong is None else quoted(wrong)
    return invalid(f"JSON value {text} is not of the type {dtype_name(dtype)} of the input {name!r}")


def _shape(value: Json) -> tuple[int, ...]:
    shape = []
    while isinstance(value, list):
        shape.append(len(value))
        if not value:
            break
        value = value[0]
    return tuple(shape)


def _flat(value: Json, shape: tuple[int, ...], name: str) -> list[Json]:
    """Returns the elements in row-major order.

    Raises:
      ServingError: lists of one level differ in length, or stand beside values.
    """
    level: list[Json] = [value]
    for size in shape:
        if not all(type(item) is list and len(item) == size for item in level):
            raise invalid(f"The lists of the input {name!r} are ragged: expected {size} elements at one level")
        level = [item for items in level for item in items]
    if list in set(map(type, level)):
        raise invalid(f"The lists of the input {name!r} are ragged: a list stands beside values")
    return level


def _is_b64(value: Mapping[str, Json]) -> bool:
    return len(value) == 1 and isinstance(value.get("b64"), str)


def _utf8(value: str, name: str) -> bytes:
    try:
        return value.encode("utf-8", errors="surrogateescape")
    except UnicodeEncodeError as error:
        raise invalid(f"JSON Parse error: the surrogate pair in the input {name!r} is invalid") from error


def _to_bytes(value: Json, name: str) -> bytes:
    if isinstance(value, str):
        return _utf8(value, name)
    if isinstance(value, dict) and _is_b64(value):
        return decode_b64(value["b64"])
    raise invalid(f"JSON value {quoted(value)} is not of the type string of the input {name!r}")


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


def _some(names: Iterable[str]) -> str:
    """Returns the names as messages list them, the first twenty."""
    listed = sorted(names)
    return ", ".join(listed[:20]) + (", ..." if len(listed) > 20 else "")
