"""A JSON schema of dataset.toml, for editors: completion, a key's meaning where it is pointed at, mistakes underlined.

Made from the dataclasses that read the file, as docs/config.md is. It says what one key may be; what keys and columns
must fit together, only `load_dataset` knows.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import math
import re
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

from models import settings
from models.settings import Form, Range
from pipeline.config.dataset import REQUIRED_TABLES, TABLES

FILE: Final = Path(__file__).with_name("dataset.schema.json")
"""The schema as it is published, beside this module; `make docs` writes it."""
_PLAIN = {int: "integer", float: "number", str: "string", bool: "boolean"}

Json = dict[str, Any]  # Any: JSON.


def text() -> str:
    """Returns the schema as its file has it."""
    return json.dumps(schema(), indent=1, ensure_ascii=False) + "\n"


def schema() -> Json:
    """Returns the schema, in JSON Schema 2020-12."""
    root = _table(TABLES[""], required=REQUIRED_TABLES)
    for name, classes in TABLES.items():
        *outer, last = name.split(".")
        parent = root["properties"] if not outer else root["properties"][outer[0]]["properties"]
        if name:
            parent[last] = _table(classes)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "dataset.toml of driftgate",
        **root,
    }


def meanings(cls: type) -> dict[str, str]:
    """Returns what a docstring's `Attributes:` say of each key: an entry is `name: text`, and deeper lines go on."""
    attributes = inspect.cleandoc(cls.__doc__ or "").partition("Attributes:\n")[2]
    entries = re.findall(r"^  (\w+): (.*(?:\n    .*)*)", attributes, flags=re.MULTILINE)
    return {name: re.sub(r"\s+", " ", meaning) for name, meaning in entries}


def _table(classes: tuple[type, ...], required: tuple[str, ...] = ()) -> Json:
    """Returns the schema of one table, whose keys several dataclasses may declare."""
    properties: Json = {}
    needed = list(required)
    for cls in classes:
        said = meanings(cls)
        fields = {field.name: field for field in dataclasses.fields(cls)}
        for name, hint in settings.hints(cls).items():
            properties[name] = {"description": said[name], **_value(hint), **_default(fields[name])}
            # Where several dataclasses share a table, which of them reads it is not known here.
            if len(classes) == 1 and _is_required(fields[name]):
                needed.append(name)
    table: Json = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**table, "required": needed} if needed else table


def _is_required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _default(field: dataclasses.Field[Any]) -> Json:
    value = field.default
    if value is dataclasses.MISSING or value is None or (isinstance(value, float) and not math.isfinite(value)):
        return {}
    return {"default": list(value) if isinstance(value, tuple) else value}


def _value(hint: Any) -> Json:  # Any: typing's own forms have no common type.
    """Returns what one declaration of models/settings.py allows."""
    extras: tuple[Any, ...] = ()
    if typing.get_origin(hint) is typing.Annotated:
        hint, *rest = typing.get_args(hint)
        extras = tuple(rest)
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        forms = [_value(arg) for arg in args if arg is not type(None)]
        return forms[0] if len(forms) == 1 else {"anyOf": forms}
    if origin is Literal:
        return {"enum": list(args)}
    if origin is tuple:
        return {"type": "array", "items": _value(args[0])}
    if origin is not None and issubclass(origin, Mapping):
        return {"type": "object", "additionalProperties": _value(args[1])}
    kind: Json = {"type": _PLAIN[hint]}
    for extra in extras:
        if isinstance(extra, Range):
            kind |= _limits(extra)
        if isinstance(extra, Form) and hint is str:
            # Editors' regular expressions take no escape that escapes nothing.
            kind["pattern"] = f"^(?:{extra.pattern})$".replace('\\"', '"')
    return kind


def _limits(allowed: Range) -> Json:
    limits: Json = {}
    if math.isfinite(allowed.least):
        limits["exclusiveMinimum" if allowed.excluded in ("least", "both") else "minimum"] = allowed.least
    if math.isfinite(allowed.most):
        limits["exclusiveMaximum" if allowed.excluded in ("most", "both") else "maximum"] = allowed.most
    return limits
