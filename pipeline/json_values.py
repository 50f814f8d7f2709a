"""Frozen dataclasses to JSON values and back, by their type hints; infinities survive as strings."""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import functools
import math
import types
import typing
from collections.abc import Hashable, Mapping
from typing import Any, TypeVar

T = TypeVar("T")

_SPECIAL = {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}


def to_json_values(value: Any) -> Any:  # Any: JSON.
    """Returns what `dataclasses.asdict` made, with JSON types only."""
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): to_json_values(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_json_values(item) for item in value]
    return value


def from_json_values(cls: type[T], value: object) -> T:
    """Returns the dataclass `cls` that `to_json_values(dataclasses.asdict(...))` described.

    A missing key takes the field's default, so that what was written before a field existed stays readable.

    Raises:
      ValueError: a key is missing or unknown, or a value is of another type; names the key.
    """
    if not isinstance(value, Mapping):
        raise ValueError(f"Expected an object for {cls.__name__}. Received: {value!r}.")
    hints, required = _fields(typing.cast(Hashable, cls))
    wrong = sorted((required - set(value)) | (set(value) - set(hints)))
    if wrong:
        fault = "unknown" if wrong[0] in value else "missing"
        raise ValueError(f"{cls.__name__}: the key {wrong[0]!r} is {fault}.")
    return cls(**{name: _read(hints[name], item, f"{cls.__name__}.{name}") for name, item in value.items()})


@functools.cache
def _fields(cls: Any) -> tuple[Mapping[str, Any], frozenset[str]]:  # Any: a dataclass; type hints.
    """Returns the fields' type hints, and the names of those without a default."""
    hints = typing.get_type_hints(cls)
    fields = dataclasses.fields(cls)
    required = (f.name for f in fields if f.default is f.default_factory is dataclasses.MISSING)
    return {f.name: hints[f.name] for f in fields}, frozenset(required)


def _read(hint: Any, value: Any, where: str) -> Any:  # Any: a type hint and JSON.
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        if value is None and type(None) in args:
            return None
        *forms, last = [arg for arg in args if arg is not type(None)]
        for form in forms:
            with contextlib.suppress(ValueError):
                return _read(form, value, where)
        return _read(last, value, where)
    if origin is typing.Literal:
        if value not in args:
            raise ValueError(f"{where}: expected one of {', '.join(map(str, args))}. Received: {value!r}.")
        return value
    if origin is tuple:
        if not isinstance(value, list):
            raise ValueError(f"{where}: expected a list. Received: {value!r}.")
        inner = [args[0]] * len(value) if args[-1] is Ellipsis else list(args)
        if len(inner) != len(value):
            raise ValueError(f"{where}: expected {len(inner)} values. Received: {value!r}.")
        return tuple(_read(kind, item, where) for kind, item in zip(inner, value, strict=True))
    if origin is Mapping:
        if not isinstance(value, Mapping):
            raise ValueError(f"{where}: expected an object. Received: {value!r}.")
        return {name: _read(args[1], item, f"{where}[{name!r}]") for name, item in value.items()}
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return from_json_values(hint, value)
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return hint(value)
    if hint is float:
        if isinstance(value, str) and value in _SPECIAL:
            return _SPECIAL[value]
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
    elif type(value) is hint:
        return value
    raise ValueError(f"{where}: expected {getattr(hint, '__name__', hint)}. Received: {value!r}.")
