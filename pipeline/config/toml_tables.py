"""Turns a TOML table into a frozen dataclass, and every mistake in it into one clear sentence."""

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from models.errors import ModelError
from pipeline.errors import ConfigError

T = TypeVar("T")


def build(cls: type[T], table: object, where: str) -> T:
    """Returns `cls(**table)` with every key and type checked; lists become tuples.

    Args:
      cls: a dataclass whose fields are scalars, tuples, mappings or optional ones of these.
      table: what tomllib read.
      where: how messages name the table, such as `data/taxi/dataset.toml [gate]`.

    Raises:
      ConfigError: not a table, an unknown or missing key, a wrong type, or what the dataclass itself refuses.
    """
    if not isinstance(table, Mapping):
        raise ConfigError(f"{where}: expected a table. Received: {table!r}.")
    hints = typing.get_type_hints(cls)
    fields = {field.name: field for field in dataclasses.fields(cls) if field.init}  # type: ignore[arg-type]  # T is one.
    unknown = sorted(set(table) - set(fields))
    if unknown:
        raise ConfigError(f"{where}: unknown key {unknown[0]!r}. Allowed: {', '.join(sorted(fields))}.")
    for name, field in fields.items():
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if required and name not in table:
            raise ConfigError(f"{where}: the key {name!r} is missing ({describe(hints[name])}).")
    values = {name: convert(value, hints[name], f"{where}: {name}") for name, value in table.items()}
    try:
        return cls(**values)
    except (ValueError, ModelError) as error:
        raise ConfigError(f"{where}: {error}") from error


def describe(hint: Any) -> str:  # Any: typing's own forms have no common type.
    """Returns how a message names a type, in TOML's words."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(describe(arg) for arg in args if arg is not type(None))
    if origin is typing.Literal:
        return " or ".join(repr(arg) for arg in args)
    if origin is tuple:
        return f"a list of {describe(args[0])}"
    if origin is not None and issubclass(origin, Mapping):
        return f"a table of {describe(args[1])}"
    return str({int: "an integer", float: "a number", str: "a string", bool: "true or false"}.get(hint, hint.__name__))


def convert(value: object, hint: Any, where: str) -> object:  # Any: as in describe.
    """Returns `value` as `hint` wants it.

    Raises:
      ConfigError: it is something else; names the place, what was expected and what was received.
    """
    wrong = ConfigError(f"{where}: expected {describe(hint)}. Received: {value!r}.")
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        for arg in args:
            if arg is not type(None):
                try:
                    return convert(value, arg, where)
                except ConfigError:
                    continue
        raise wrong
    if origin is typing.Literal:
        if value not in args:
            raise wrong
        return value
    if origin is tuple:
        if not isinstance(value, list):
            raise wrong
        return tuple(convert(item, args[0], f"{where}[{index}]") for index, item in enumerate(value))
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(value, Mapping):
            raise wrong
        return {str(key): convert(item, args[1], f"{where}.{key}") for key, item in value.items()}
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise wrong
    return value
