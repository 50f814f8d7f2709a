"""Journals of a root: one JSON object a line, appended and read in one place.

The rule for every reader: a line that a crash cut short, and a line of another layout, are skipped. A journal that was
shortened begins with a line that counts what it has lost.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pipeline import files

T = TypeVar("T")
_FORGOTTEN = "forgotten"


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


def shorten(path: Path, lines: int, key: Callable[[Mapping[str, Any]], str]) -> None:  # Any: JSON.
    """Leaves the newest lines, and first one that counts the others by `key`. Nobody may append meanwhile.

    Only a journal that is longer by a quarter is written anew: not every run copies it.

    Args:
      key: raises what `parse` of `read` may raise where the object is of another layout; the line then counts nowhere.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return
    written = content.rstrip(b"\n").split(b"\n")
    if len(written) <= lines + lines // 4:
        return
    counts = forgotten(path)
    for line in written[:-lines]:
        try:
            value = json.loads(line)
            if _FORGOTTEN not in value:
                counts[key(value)] += 1
        except (ValueError, LookupError, TypeError, AttributeError):
            continue
    first = json.dumps({_FORGOTTEN: counts}, sort_keys=True).encode()
    files.write(str(path.parent), path.name, b"\n".join([first, *written[-lines:], b""]))


def forgotten(path: Path) -> Counter[str]:
    """Returns how many lines a journal has lost by being shortened, by their key."""
    try:
        with path.open("rb") as file:
            return Counter({str(key): int(count) for key, count in json.loads(file.readline())[_FORGOTTEN].items()})
    except (FileNotFoundError, ValueError, LookupError, TypeError, AttributeError):
        return Counter()
