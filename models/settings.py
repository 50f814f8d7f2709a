"""What a setting may be, declared once, beside its field: a range for a number, a form for a text.

    min_auc: Annotated[float, Range(0, 1)] = 0.5

A dataclass of settings calls `check` when it is made; `read` also takes what TOML and JSON hold; docs/config.md prints
the same declarations.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import re
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

NOT_A_KEY = "not a key"
"""Marks a field that the program fills from elsewhere: `Annotated[str, NOT_A_KEY]` is no key of dataset.toml."""


@dataclass(frozen=True)
class Range:
    """The numbers that a setting may be.

    Attributes:
      least, most: the limits; NaN is never inside.
      unit: of the number, such as `ms`; empty for counts and shares.
      excluded: which of the limits are themselves not allowed.
    """

    least: float
    most: float
    unit: str = ""
    excluded: Literal["", "least", "most", "both"] = ""

    def __contains__(self, value: float) -> bool:
        above = self.least < value if self.excluded in ("least", "both") else self.least <= value
        below = value < self.most if self.excluded in ("most", "both") else value <= self.most
        return above and below

    def __str__(self) -> str:
        opening = "(" if self.excluded in ("least", "both") else "["
        closing = ")" if self.excluded in ("most", "both") else "]"
        return f"{opening}{_number(self.least)}, {_number(self.most)}{closing}"


@dataclass(frozen=True)
class Form:
    """The texts that a setting may be: those that `pattern` matches whole, which `words` describes for people."""

    pattern: str
    words: str


class SettingError(ValueError):
    """A setting outside its declaration; names the key, what is allowed and what was received."""


Column = typing.Annotated[str, Form(r"[^\x00]+", "a column's name")]


def hints(cls: type) -> Mapping[str, Any]:  # Any: typing's own forms have no common type.
    """Returns the declaration of each key of a dataclass of settings, in the order of its fields."""
    declared = typing.get_type_hints(cls, include_extras=True)
    names = [field.name for field in dataclasses.fields(cls) if field.init]
    return {name: declared[name] for name in names if NOT_A_KEY not in _extras(declared[name])}


def check(settings: object, error: type[Exception] = SettingError) -> None:
    """Raises `error` for the first field of a dataclass that is not what its declaration allows."""
    for name, hint in hints(type(settings)).items():
        try:
            read(getattr(settings, name), hint, name)
        except SettingError as fault:
            raise error(str(fault)) from fault


def read(value: Any, hint: Any, where: str) -> Any:  # Any: TOML, JSON or Python, and as in hints.
    """Returns `value`, of TOML, JSON or Python, as `hint` declares it: lists become tuples, integers floats.

    Raises:
      SettingError: it is something else; names the place, what is allowed and what was received.
    """
    wrong = SettingError(f"{where}: expected {describe(hint)}. Received: {received(value)}.")
    bare, extras = _bare(hint), _extras(hint)
    origin, args = typing.get_origin(bare), typing.get_args(bare)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in args:
            return None
        forms = [arg for arg in args if arg is not type(None)]
        if len(forms) == 1:
            return read(value, forms[0], where)
        for form in forms:
            with contextlib.suppress(SettingError):
                return read(value, form, where)
        raise wrong
    if origin is Literal:
        if type(value) is not str or value not in args:
            raise wrong
        return value
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise wrong
        return tuple(read(item, args[0], f"{where}[{index}]") for index, item in enumerate(value))
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(value, Mapping):
            raise wrong
        return {str(key): read(item, args[1], f"{where}.{_key(str(key))}") for key, item in value.items()}
    if type(value) is not bare and not (bare is float and type(value) is int):
        raise wrong
    for extra in extras:
        if isinstance(extra, Range) and value not in extra:
            raise wrong
        if isinstance(extra, Form) and not re.fullmatch(extra.pattern, str(value)):
            raise wrong
    try:
        return bare(value)
    except OverflowError as error:  # An integer that no float can hold.
        raise wrong from error


def describe(hint: Any) -> str:  # Any: as in hints.
    """Returns what `hint` allows, in words that follow "expected"."""
    bare, extras = _bare(hint), _extras(hint)
    origin, args = typing.get_origin(bare), typing.get_args(bare)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(describe(arg) for arg in args if arg is not type(None))
    if origin is Literal:
        return " or ".join(repr(arg) for arg in args)
    if origin is tuple:
        return f"a list, each {describe(args[0])}"
    if origin is not None and issubclass(origin, Mapping):
        return f"a table, each value {describe(args[1])}"
    for extra in extras:
        if isinstance(extra, Form):
            return extra.words
    name = {int: "an integer", float: "a number", str: "a string", bool: "true or false"}[bare]
    for extra in extras:
        if isinstance(extra, Range):
            limits = f"of at least {_number(extra.least)}" if extra.most == math.inf else f"in {extra}"
            return f"{name} {limits}"
    return name


def received(value: object) -> str:
    """Returns a value as messages show it: on one line, and not longer than one."""
    try:
        text = repr(value)
    except ValueError:  # Python refuses to print an integer of more than 4,300 digits.
        text = "an integer of thousands of digits"
    return text if len(text) <= 80 else f"{text[:77]}..."


def _bare(hint: Any) -> Any:
    return typing.get_args(hint)[0] if typing.get_origin(hint) is typing.Annotated else hint


def _extras(hint: Any) -> tuple[Any, ...]:
    return typing.get_args(hint)[1:] if typing.get_origin(hint) is typing.Annotated else ()


def _number(value: float) -> str:
    return f"{int(value):_}" if float(value).is_integer() else f"{value:.4g}"


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else repr(name)
