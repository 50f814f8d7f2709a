"""Reads request bodies: orjson where its answer is the contract's answer, the exact reader everywhere else.

orjson (measured, version 3.13) reads numbers as the contract asks: integers are tokens without `.` or exponent that fit
into 64 bits, longer ones are doubles, and what no double holds is an error. It differs in what it refuses (then the
exact reader decides) and in one thing it accepts: of duplicate keys it keeps the last. So its answer counts only where
the body has as many keys as the value has entries.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from serving import json_exact
from serving.errors import Code, ServingError, invalid
from serving.json_exact import QUOTED_BYTES, Json

# What values cost in Python's memory, bytes: an upper bound by the marks that make them.
_LIST_BYTES, _DICT_BYTES, _ITEM_BYTES = 72, 232, 40
_KEY = re.compile(rb'"(?:[^"\\]++|\\.)*+"[ \t\r\n]*+(:?)', re.DOTALL)


@dataclass(frozen=True)
class Document:
    """A request's object.

    Attributes:
      null_is_nan: every `null` in it was the token `NaN`, and the body had no other.
    """

    value: dict[str, Json]
    null_is_nan: bool = False


def parse(body: bytes, check: Callable[[], None] = lambda: None) -> Document:
    """Reads a request's top-level object.

    Raises:
      ServingError: 400 `JSON Parse error: ...`, or the top level is no object.
    """
    try:
        value, null_is_nan = orjson.loads(body), False
    except orjson.JSONDecodeError:
        swapped = _nan_as_null(body)
        try:
            value, null_is_nan = orjson.loads(swapped) if swapped else None, True
        except orjson.JSONDecodeError:
            value = None
    if not isinstance(value, dict) or not _is_free_of_duplicates(body, value):
        return parse_exactly(body, check)
    return Document(value, null_is_nan)


def parse_exactly(body: bytes, check: Callable[[], None] = lambda: None) -> Document:
    """Reads as `parse` does, without its short cuts: `null` is null, and NaN is a number."""
    value = json_exact.read(body, check)
    if not isinstance(value, dict):
        raise invalid(f"Request body must be a JSON object. Received: {quoted(value)}")
    return Document(value)


def require_memory(body: bytes, limit: int) -> None:
    """Refuses a body whose values could take more than `limit` bytes once they are read.

    Raises:
      ServingError: 413.
    """
    need = _LIST_BYTES * body.count(b"[") + _DICT_BYTES * body.count(b"{") + _ITEM_BYTES * body.count(b",")
    if need > limit:
        raise ServingError(
            Code.RESOURCE_EXHAUSTED,
            f"The values of the request body could take {need} bytes of memory; the limit is {limit}. Send fewer rows.",
            http_status=413,
        )


def quoted(value: Json) -> str:
    """Returns a value as messages quote it, cut at 256 bytes."""
    if isinstance(value, list | dict) and len(value) > QUOTED_BYTES:
        value = list(value)[:QUOTED_BYTES]
    try:
        text = json.dumps(value, ensure_ascii=False, default=repr)
    except (ValueError, RecursionError):
        text = type(value).__name__
    return text if len(text) <= QUOTED_BYTES else text[:QUOTED_BYTES] + "..."


def _nan_as_null(body: bytes) -> bytes | None:
    """Returns the body with `null` for every token `NaN`; None where that could be mistaken for something else."""
    if b"NaN" not in body or b"null" in body or b"\\" in body:
        return None
    pieces = body.split(b'"')  # Without backslashes the odd pieces are the strings.
    if any(b"NaN" in piece for piece in pieces[1::2]):
        return None
    return body.replace(b"NaN", b"null")


def _is_free_of_duplicates(body: bytes, value: dict[str, Any]) -> bool:
    """Tells whether the body has one key for each entry of the value that was read from it."""
    rows = value.get("instances")
    if isinstance(rows, list) and rows and isinstance(rows[0], dict):
        try:
            entries = len(value) + sum(map(len, rows))
        except TypeError:  # Numbers among the rows.
            entries = -1
        if entries == body.count(b":"):
            return True
    entries = _count_entries(value)
    return entries == body.count(b":") or entries == _count_keys(body)


def _count_keys(body: bytes) -> int:
    return sum(1 for match in _KEY.finditer(body) if match[1])


def _count_entries(value: Json) -> int:
    total, pending = 0, [value]
    while pending:
        item = pending.pop()
        if isinstance(item, dict):
            total += len(item)
            item = list(item.values())
        kinds = set(map(type, item))
        if dict in kinds or list in kinds:
            pending.extend(child for child in item if type(child) in (dict, list))
    return total
