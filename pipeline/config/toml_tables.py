"""Turns a TOML table into a frozen dataclass, and every mistake in it into one clear sentence."""

import dataclasses
from collections.abc import Collection, Mapping
from typing import TypeVar

from models import settings
from models.errors import ModelError
from pipeline.errors import ConfigError

T = TypeVar("T")


def build(
    cls: type[T], table: object, where: str, *, given: Mapping[str, object] | None = None, also: Collection[str] = ()
) -> T:
    """Returns `cls(**table, **given)` with every key, type and range checked; lists become tuples.

    Args:
      cls: a dataclass whose fields are declared as models/settings.py reads them.
      table: what tomllib read.
      where: how messages name the table, such as `data/taxi/dataset.toml [gate]`.
      given: the fields that are no keys.
      also: keys of the table that belong to somebody else.

    Raises:
      ConfigError: not a table, an unknown or missing key, a wrong type, or what the dataclass itself refuses.
    """
    if not isinstance(table, Mapping):
        raise ConfigError(f"{where}: expected a table. Received: {settings.received(table)}.")
    hints = settings.hints(cls)
    unknown = sorted(set(table) - set(hints) - set(also))
    if unknown:
        allowed = ", ".join(sorted({*hints, *also}))
        raise ConfigError(f"{where}: unknown key {settings.received(unknown[0])}. Allowed: {allowed}.")
    for field in dataclasses.fields(cls):  # type: ignore[arg-type]  # T is a dataclass.
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if required and field.name in hints and field.name not in table:
            raise ConfigError(f"{where}: the key {field.name!r} is missing ({settings.describe(hints[field.name])}).")
    try:
        values = {name: settings.read(table[name], hint, name) for name, hint in hints.items() if name in table}
        return cls(**values, **(given or {}))
    except (ValueError, ModelError) as error:
        raise ConfigError(f"{where}: {error}") from error
