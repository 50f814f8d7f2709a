"""Journals of a root: one JSON object a line, appended and read in one place.

The rule for every reader: a line that a crash cut short, and a line of another layout, are skipped.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")


def append(path: Path, value: Mapping[str, Any]) -> None:  # Any: JSON.
    """Appends one line. A line that an earlier crash cut short is ended first, so that it spoils no other."""
    text = json.dumps(value, sort_keys=True) + "\n"
    with path.open("ab+") as file:
        if file.tell() > 0:
            file.seek(-1, 2)
            if file.read(1) != b"\n":
                text = "\n" + text
        file.write(text.encode())
        file.flush()


def read(path: Path, parse: Callable[[Mapping[str, Any]], T]) -> list[T]:  # Any: JSON.
    """Returns what `parse` makes of each line, oldest first; nothing where there is no file.

    Args:
      parse: takes the line's object. It raises ValueError, LookupError, TypeError or AttributeError where the object is
        of another layout; the line is then skipped.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return []
    values = []
    for line in content.split(b"\n"):
        try:
            values.append(parse(json.loads(line)))
        except (ValueError, LookupError, TypeError, AttributeError):
            continue
    return values
