"""Wildcards in the groups of `[features]`: `V*` stands for the schema's columns that begin with V."""

import re
from collections.abc import Collection, Mapping

from tensorflow_metadata.proto.v0 import schema_pb2

from models.kinds import KINDS
from pipeline.errors import ConfigError

_GROUPS = (*KINDS, "never")


def expand(table: object, where: str, schema: schema_pb2.Schema, label_columns: Collection[str]) -> object:
    """Returns `[features]` with columns in the place of wildcards; a table without any as it is.

    A wildcard takes the columns, in the schema's order, that nothing else names: no group by its name, no derived
    column, not `never` by a wildcard of its own, not the label. A name that a column has is no wildcard.

    Args:
      table: what tomllib read.
      where: how messages name the table.
      schema: the curated one; without columns where there is none.

    Raises:
      ConfigError: a wildcard matches no such column, or the same as another one; there is no schema to match with.
    """
    if not isinstance(table, Mapping) or not any("*" in name for group in _GROUPS for name in _names(table, group)):
        return table
    if not schema.feature:
        raise ConfigError(f"{where}: a wildcard needs the key `schema`. Name the columns, or curate a schema first.")
    columns = [feature.name for feature in schema.feature]
    wild = {group: [name for name in _names(table, group) if "*" in name and name not in columns] for group in _GROUPS}
    named = {name for group in _GROUPS for name in _names(table, group) if name not in wild[group]}
    free = [name for name in columns if name not in named and name not in label_columns]
    never = {name for pattern in wild["never"] for name in columns if _matches(pattern, name)}
    taken: dict[str, str] = {}
    expanded = dict(table)
    for group in _GROUPS:
        found: dict[str, list[str]] = {}
        for pattern in wild[group]:
            allowed = free if group == "never" else [name for name in free if name not in never]
            found[pattern] = [name for name in allowed if _matches(pattern, name)]
            if not found[pattern]:
                matching = [name for name in columns if _matches(pattern, name)]
                why = f": {', '.join(matching)} have a place already" if matching else ""
                raise ConfigError(
                    f"{where}: {group}: {pattern!r} matches no column of the schema{why}. It has: {', '.join(columns)}."
                )
            for name in found[pattern]:
                if taken.setdefault(name, pattern) != pattern or group != _group_of(wild, pattern):
                    raise ConfigError(
                        f"{where}: {group}: both {taken[name]!r} and {pattern!r} match {name!r}. Name it in one group."
                    )
        if wild[group]:
            expanded[group] = _replaced(table[group], found)
    return expanded


def _names(table: Mapping[str, object], group: str) -> list[str]:
    members = table.get(group, ())
    return [name for name in members if isinstance(name, str)] if isinstance(members, Mapping | list) else []


def _group_of(wild: Mapping[str, Collection[str]], pattern: str) -> str:
    return next(group for group in _GROUPS if pattern in wild[group])


def _matches(pattern: str, name: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), name) is not None


def _replaced(members: object, found: Mapping[str, list[str]]) -> object:
    if isinstance(members, Mapping):
        return {column: said for name, said in members.items() for column in found.get(name, [name])}
    assert isinstance(members, list)
    return [column for name in members for column in found.get(name, [name])]
