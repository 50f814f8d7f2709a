"""Writes values into one table of a TOML file, and leaves every other line and comment as it was."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

from pipeline.errors import ConfigError

Value = bool | int | float | str | tuple[int, ...] | tuple[float, ...]


def with_values(text: str, table: str, values: Mapping[str, Value]) -> str:
    """Returns the text with these keys of a top-level table set; the table comes last where it is not there.

    Raises:
      ConfigError: the file writes the table in a form that is not edited here; says which lines to write by hand.
    """
    lines = text.splitlines()
    header = re.compile(rf"\s*\[\s*{re.escape(table)}\s*\]\s*(#.*)?")
    start = next((index for index, line in enumerate(lines) if header.fullmatch(line)), None)
    if start is None:
        lines += ["", f"[{table}]"]
        start = len(lines) - 1
    for key, value in values.items():
        _set(lines, start, key, value)
    changed = "\n".join(lines) + "\n"
    expected = tomllib.loads(text)
    expected[table] = expected.get(table, {}) | {
        key: list(value) if isinstance(value, tuple) else value for key, value in values.items()
    }
    try:
        right = tomllib.loads(changed) == expected
    except tomllib.TOMLDecodeError:
        right = False
    if not right:
        by_hand = ", ".join(f"{key} = {written(value)}" for key, value in values.items())
        raise ConfigError(f"[{table}] is written in a form that is not edited here. Write by hand: {by_hand}.")
    return changed


def in_file(path: Path, table: str, values: Mapping[str, Value]) -> tuple[str, str]:
    """Returns a file's text as it is and with these keys set; writes nothing.

    Raises:
      ConfigError: as `with_values` does, with the file's name.
    """
    text = path.read_text(encoding="utf-8")
    try:
        return text, with_values(text, table, values)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def written(value: Value) -> str:
    """Returns a value in TOML's notation."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{value}"'
    return f"[{', '.join(map(str, value))}]" if isinstance(value, tuple) else str(value)


def _set(lines: list[str], start: int, key: str, value: Value) -> None:
    """Replaces the assignment of a key below the header at `start`, or adds one after the table's last."""
    end = next((index for index in range(start + 1, len(lines)) if re.match(r"\s*\[", lines[index])), len(lines))
    last = start
    for index in range(start + 1, end):
        if re.match(rf"\s*{re.escape(key)}\s*=", lines[index]):
            until = index
            while lines[index : until + 1] and _open("\n".join(lines[index : until + 1])) and until + 1 < len(lines):
                until += 1
            comment = re.search(r"\s+#[^\"'\]]*$", lines[until])
            lines[index : until + 1] = [f"{key} = {written(value)}{comment[0] if comment else ''}"]
            return
        if lines[index].strip() and not lines[index].lstrip().startswith("#"):
            last = index
    lines.insert(last + 1, f"{key} = {written(value)}")


def _open(text: str) -> bool:
    """Returns whether a list goes on on the next line."""
    return text.count("[") > text.count("]")
