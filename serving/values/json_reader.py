"""Reads request bodies as the contract does: strict JSON, the NaN and Infinity tokens, and numbers by their spelling.

An integer is a token without `.` or exponent that fits into 64 bits; anything longer is a double, and a number too
big for a double is an error. orjson reads that way, and takes nearly every request. What it refuses is read once more
by a slower reader that knows the rest of the contract: Infinity, any depth of nesting, a byte order mark, text behind
the closing brace, bytes that are not UTF-8. That reader also has the last word on what is an error.
"""

import json
import math
import re
import time
from json.decoder import scanstring  # type: ignore[attr-defined]  # CPython's own string scanner, in C.
from operator import methodcaller
from typing import Any, NamedTuple

import orjson

from serving.errors import Code, ServingError, invalid

Json = Any  # What a JSON reader returns.

_QUOTED = 256
_MIN_INT, _MAX_INT = -(2**63), 2**64 - 1
_MAX_INT_DIGITS = 20  # Python refuses to read integers of thousands of digits.
_SMALL_BODY = 2**16
_CLOCK_EVERY = 4096  # values

_SPACE = re.compile(r"[ \t\n\r]*")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_LITERALS = (
    ("true", True), ("false", False), ("null", None), ("NaN", math.nan),
    ("Infinity", math.inf), ("-Infinity", -math.inf), ("Inf", math.inf), ("-Inf", -math.inf),
)  # fmt: skip
_SURROGATE = re.compile("[\ud800-\udfff]")


class Document(NamedTuple):
    """A request's top-level object.

    Attributes:
      nan_is_none: its NaNs were read as None; it held no `null` then.
    """

    value: dict[str, Json]
    nan_is_none: bool


def parse(body: bytes | bytearray, *, max_values: int, deadline: float = math.inf) -> Document:
    """Returns the top-level object of a request.

    Args:
      max_values: how many values the body may hold, which bounds the memory they take: a byte of JSON becomes up to 50.
      deadline: by the monotonic clock; reading stops there.

    Raises:
      ServingError: 400 `JSON Parse error: ...`, the top level is no object, 413, or 504.
    """
    if len(body) > _SMALL_BODY:
        _check_number_of_values(body, max_values)
    plain = _with_nan_as_null(body) if b"NaN" in body else body
    try:
        value = orjson.loads(plain)
    except orjson.JSONDecodeError:
        value, plain = _read_exactly(body, deadline), body
    if not isinstance(value, dict):
        raise invalid(f"Request must be a JSON object. Received: {quoted(value)}")
    return Document(value, nan_is_none=plain is not body)


def quoted(value: Json) -> str:
    """Returns a value as messages quote it, cut at 256 bytes."""
    text = ""
    # Piece by piece: a large value is not written out to be cut, a deep one is not descended into to its end.
    for piece in json.JSONEncoder(ensure_ascii=False).iterencode(value):
        text += piece[: _QUOTED + 1]
        if len(text) > _QUOTED:
            break
    raw = text.encode("utf-8", errors="replace")
    return text if len(raw) <= _QUOTED else raw[:_QUOTED].decode("utf-8", errors="ignore") + "..."


def _check_number_of_values(body: bytes | bytearray, max_values: int) -> None:
    # Every value follows a comma or opens with a bracket; an object takes the memory of about four other values.
    values = body.count(b",") + body.count(b"[") + 4 * body.count(b"{")
    if values > max_values:
        raise ServingError(
            Code.RESOURCE_EXHAUSTED,
            f"The request holds about {values} values; the limit is {max_values}. Send it in parts.",
            http_status=413,
        )


def _with_nan_as_null(body: bytes | bytearray) -> bytes | bytearray:
    """Returns a body whose NaN tokens are `null`, as requests with missing numbers have them for orjson.

    Returns the body itself where that would not be exact: it holds a `null`, an escape, or NaN within a string.
    """
    if b"null" in body or b"\\" in body:
        return body
    parts = bytes(body).split(b"NaN")
    # Without escapes, a token stands outside strings where the quotes before it are even in number.
    if any(quotes % 2 for quotes in map(methodcaller("count", b'"'), parts[:-1])):
        return body
    return b"null".join(parts)


def _read_exactly(body: bytes | bytearray, deadline: float) -> Json:
    text = body.decode("utf-8-sig", errors="surrogateescape")
    try:
        return _Reader(text, deadline).read()
    except json.JSONDecodeError as error:
        raise invalid(f"JSON Parse error: {error.msg}" + (f" at position {error.pos}" if error.pos else "")) from None


class _Reader:
    """Reads one value without recursion, so that its depth is bounded by memory alone."""

    def __init__(self, text: str, deadline: float) -> None:
        self._text = text
        self._at = 0
        self._deadline = deadline

    def read(self) -> Json:
        if self._next() == "":
            raise json.JSONDecodeError("The document is empty", self._text, 0)
        top: list[Json] = []
        open_: list[Json] = [top]  # The containers around the current place.
        keys: list[str] = []  # The keys under which the open objects' values go.
        count = 0
        while True:
            count += 1
            if count % _CLOCK_EVERY == 0 and time.monotonic() > self._deadline:
                raise ServingError(Code.DEADLINE_EXCEEDED, "Timed out while reading the request")
            value = self._value()
            _put(open_[-1], keys, value)
            if isinstance(value, list) and not self._take("]"):
                open_.append(value)
                continue
            if isinstance(value, dict) and not self._take("}"):
                open_.append(value)
                keys.append(self._key())
                continue
            while len(open_) > 1 and not self._take(","):  # A value has ended; so may those around it.
                inner = open_.pop()
                if isinstance(inner, dict):
                    keys.pop()
                self._expect("]" if isinstance(inner, list) else "}")
            if len(open_) == 1:
                return top[0]  # What follows is ignored.
            if isinstance(open_[-1], dict):
                keys[-1] = self._key()

    def _next(self) -> str:
        """Skips white space; returns the next character, empty at the end."""
        if self._text[self._at : self._at + 1] <= " ":
            match = _SPACE.match(self._text, self._at)
            assert match is not None, "the pattern matches the empty text"
            self._at = match.end()
        return self._text[self._at : self._at + 1]

    def _take(self, character: str) -> bool:
        if self._next() != character:
            return False
        self._at += 1
        return True

    def _expect(self, character: str) -> None:
        if not self._take(character):
            raise json.JSONDecodeError(f"Expected ',' or {character!r}", self._text, self._at)

    def _key(self) -> str:
        if self._next() != '"':
            raise json.JSONDecodeError("Missing a name for object member", self._text, self._at)
        key = self._string()
        if not self._take(":"):
            raise json.JSONDecodeError("Missing a colon after a name of object member", self._text, self._at)
        return key

    def _value(self) -> Json:
        first = self._next()
        if first == '"':
            return self._string()
        if first == "[":
            self._at += 1
            return []
        if first == "{":
            self._at += 1
            return {}
        match = _NUMBER.match(self._text, self._at)
        if match is not None:
            self._at = match.end()
            return self._number(match)
        for token, value in _LITERALS:
            if self._text.startswith(token, self._at):
                self._at += len(token)
                return value
        raise json.JSONDecodeError("Invalid value", self._text, self._at)

    def _number(self, match: "re.Match[str]") -> int | float:
        token = match.group()
        if match.group(1) is None and match.group(2) is None and len(token) <= _MAX_INT_DIGITS:
            whole = int(token)
            if _MIN_INT <= whole <= _MAX_INT:
                return whole
        value = float(token)
        if math.isinf(value):
            raise json.JSONDecodeError("Number too big to be stored in double", self._text, match.start())
        return value

    def _string(self) -> str:
        start = self._at + 1
        value: str
        value, self._at = scanstring(self._text, start, True)
        if "\\u" in self._text[start : self._at]:
            # Surrogates that were there before are bytes that are no UTF-8; any other is half of an escaped pair.
            before = len(_SURROGATE.findall(self._text, start, self._at))
            if len(_SURROGATE.findall(value)) > before:
                raise json.JSONDecodeError("The surrogate pair in string is invalid", self._text, start)
        return value


def _put(container: Json, keys: list[str], value: Json) -> None:
    if isinstance(container, list):
        container.append(value)
    else:
        container[keys[-1]] = value
