"""Rows of a JSON file, one by one: an object a line, or one array of objects, which is never held as a whole."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, TextIO

_PIECE = 1 << 20
_BLANKS = " \t\r\n"

JsonObject = dict[str, Any]  # Any: JSON.


def read(text: TextIO) -> Iterator[JsonObject]:
    """Yields the objects of a file that begins with `{` or `[`.

    Raises:
      ValueError: it is no JSON, or holds something else than objects; says where.
    """
    start = text.read(_PIECE)
    while start and not start.strip(_BLANKS) and (more := text.read(_PIECE)):
        start += more
    if start.lstrip(_BLANKS).startswith("["):
        return _of_array(text, start.lstrip(_BLANKS)[1:])
    return _of_lines(text, start)


def _of_lines(text: TextIO, start: str) -> Iterator[JsonObject]:
    number = 0
    rest = start
    while rest:
        *whole, rest = rest.split("\n")
        more = text.read(_PIECE)
        if not more:
            whole, rest = [*whole, rest], ""
        for line in whole:
            number += 1
            if line.strip(_BLANKS):
                yield _checked(json.loads(line), f"line {number}", line)
        rest += more


def _of_array(text: TextIO, rest: str) -> Iterator[JsonObject]:
    """Yields the items of an array; what has been read of an item that is not whole is kept until more has come."""
    decoder = json.JSONDecoder()
    number = at = 0
    while True:
        at = _past(rest, at, _BLANKS if number == 0 else f"{_BLANKS},")
        try:
            if rest.startswith("]", at):
                if (rest[at + 1 :] + text.read(_PIECE)).strip(_BLANKS):
                    raise ValueError("there is more after the array's end")
                return
            value, end = decoder.raw_decode(rest, at)
        except json.JSONDecodeError as error:
            rest, at = rest[at:], 0
            more = text.read(max(_PIECE, len(rest)))  # Twice as much each time, so that long items cost no more.
            if not more:
                raise ValueError(f"item {number + 1} of the array: {error.msg}") from error
            rest += more
            continue
        if end == len(rest):
            rest, end, at = rest[at:] + text.read(_PIECE), end - at, 0
        number += 1
        yield _checked(value, f"item {number} of the array", rest[at:end])
        at = end


def _past(text: str, at: int, skipped: str) -> int:
    """Returns the first place from `at` on whose character is none of these; nothing is copied."""
    while at < len(text) and text[at] in skipped:
        at += 1
    return at


def _checked(value: Any, where: str, written: str) -> JsonObject:  # Any: JSON.
    if not isinstance(value, dict):
        raise ValueError(f"{where}: expected an object. Received: {written.strip()[:80]}")
    return value
