"""Reads request bodies as the contract does: strict JSON, the NaN and Infinity tokens, and numbers by their spelling.

An integer is a token without `.` or exponent that fits into 64 bits; anything longer is a double, and a number too
big for a double is an error. orjson reads that way, and takes nearly every request. What it refuses is read by Python's
own scanner, in C, which knows NaN and Infinity, a byte order mark, text behind the closing brace and bytes that are not
UTF-8. What that refuses too is read by a reader in Python, which knows any depth of nesting and has the last word on
what is an error. It is slow, so large bodies do not come that far.
"""

import json
import math
import re
import time
from json.decoder import scanstring  # type: ignore[attr-defined]  # CPython's own string scanner, in C.
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import orjson

from serving.errors import Code, ServingError, invalid

Json = Any  # What a JSON reader returns.

_QUOTED = 256
_MIN_INT, _MAX_INT = -(2**63), 2**64 - 1
_MAX_INT_DIGITS = 20  # Python refuses to read integers of thousands of digits.
_SMALL_BODY = 2**16
_SHORT_BODY = 2**12
_MOST_VALUES_OF_A_BYTE = 4
_SLOWLY_READ_BYTES = 2**20  # What the reader in Python takes at most: about a second.
_CLOCK_EVERY = 4096  # values

_SPACE = re.compile(r"[ \t\n\r]*")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_LITERALS = (
    ("true", True), ("false", False), ("null", None), ("NaN", math.nan),
    ("Infinity", math.inf), ("-Infinity", -math.inf), ("Inf", math.inf), ("-Inf", -math.inf),
)  # fmt: skip
_SURROGATE = re.compile("[\ud800-\udfff]")
_ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
# Integers that may not fit into 64 bits, and numbers that may be too big for a double.
_LONG_NUMBER = re.compile(r"[0-9]{19}|[eE]\+?[0-9]{3}")
_STRING_OR_INF = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|Inf(?:inity)?', re.DOTALL)


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
    if may_exceed(body, max_values):
        _check_number_of_values(body, max_values)
    plain = with_nan_as_null(body)
    try:
        value = orjson.loads(body if plain is None else plain)
    except orjson.JSONDecodeError:
        value, plain = _read_exactly(body, deadline), body
    if not isinstance(value, dict):
        raise invalid(f"Request must be a JSON object. Received: {quoted(value)}")
    return Document(value, nan_is_none=plain is not None and plain is not body)


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


def may_exceed(body: bytes | bytearray, max_values: int) -> bool:
    """Tells whether a body is long enough to hold more values than that."""
    return len(body) > _SMALL_BODY and _MOST_VALUES_OF_A_BYTE * len(body) > max_values


def _check_number_of_values(body: bytes | bytearray, max_values: int) -> None:
    # Every value follows a comma or opens with a bracket; an object takes the memory of about four other values.
    values = body.count(b",") + body.count(b"[") + _MOST_VALUES_OF_A_BYTE * body.count(b"{")
    if values > max_values:
        raise ServingError(
            Code.RESOURCE_EXHAUSTED,
            f"The request holds about {values} values; the limit is {max_values}. Send it in parts.",
            http_status=413,
        )


def with_nan_as_null(body: bytes | bytearray) -> bytes | bytearray | None:
    """Returns a body whose NaN tokens are `null`, as requests with missing numbers have them for orjson.

    Returns the body itself where it has none, None where that would not be exact: it holds a `null`, or a string does
    hold NaN.
    """
    places = _places(b"NaN", body)
    if not places.size:
        return body
    if _places(b"null", body).size:
        return None
    plain = body
    if b"\\" in body:  # Without escapes, a token stands outside strings where the quotes before it are even in number.
        plain = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    ends = places if plain is body else _places(b"NaN", plain)
    quotes = (np.frombuffer(plain, np.uint8) == ord('"')).view(np.uint8)
    if np.bitwise_xor.reduceat(quotes, np.concatenate([[0], ends]))[:-1].any():
        return None
    starts = [0, *(places + len("NaN")).tolist()]
    return b"null".join([body[start:end] for start, end in zip(starts, [*places.tolist(), len(body)], strict=True)])


def _places(word: bytes, body: bytes | bytearray) -> npt.NDArray[np.intp]:
    """Returns where a word begins; words that frequent letters begin cost `bytes.find` half of the reading."""
    if len(body) <= _SHORT_BODY and word not in body:
        return np.empty(0, np.intp)
    data = np.frombuffer(body, np.uint8)
    count = max(0, len(data) - len(word) + 1)
    begins = data[:count] == word[0]
    for offset, byte in enumerate(word[1:], start=1):
        begins &= data[offset : count + offset] == byte
    return np.flatnonzero(begins)


def _read_exactly(body: bytes | bytearray, deadline: float) -> Json:
    text = body.decode("utf-8-sig", errors="surrogateescape")
    try:
        try:
            return _scan(text)
        except RecursionError:
            if len(body) > _SLOWLY_READ_BYTES:
                raise json.JSONDecodeError("Nested too deeply for a document of this size", text, 0) from None
        except json.JSONDecodeError:
            if len(body) > _SLOWLY_READ_BYTES:
                raise
        return _Reader(text, deadline).read()
    except json.JSONDecodeError as error:
        raise invalid(f"JSON Parse error: {error.msg}" + (f" at position {error.pos}" if error.pos else "")) from None


def _scan(text: str) -> Json:
    """Reads a document with Python's scanner, the numbers and surrogates that it takes otherwise checked.

    Raises:
      json.JSONDecodeError: what the scanner refuses, which the contract may still allow.
      RecursionError: more levels than Python's stack.
    """
    if "Inf" in text:
        text = _STRING_OR_INF.sub(lambda match: "Infinity" if match[0] == "Inf" else match[0], text)
    if _ESCAPED_SURROGATE.search(text):
        before = len(_SURROGATE.findall(text))
        value = _scanner(text).raw_decode(text, _after_space(text))[0]
        # A pair becomes one character; what is left of an escape is half of one.
        if len(_SURROGATE.findall(json.dumps(value, ensure_ascii=False, default=str))) > before:
            raise json.JSONDecodeError("The surrogate pair in string is invalid", text, 0)
        return value
    return _scanner(text).raw_decode(text, _after_space(text))[0]


def _scanner(text: str) -> json.JSONDecoder:
    if _LONG_NUMBER.search(text) is None:
        return _PLAIN_SCANNER
    return json.JSONDecoder(
        parse_int=lambda token: _number(token, text), parse_float=lambda token: _number(token, text)
    )


def _after_space(text: str) -> int:
    match = _SPACE.match(text)
    assert match is not None, "the pattern matches the empty text"
    return match.end()


def _number(token: str, text: str = "", at: int = 0) -> int | float:
    """Returns a number by its spelling: whole where it is written so and fits into 64 bits.

    Raises:
      json.JSONDecodeError: it is too big for a double.
    """
    if len(token) <= _MAX_INT_DIGITS and not {".", "e", "E"} & set(token):
        whole = int(token)
        if _MIN_INT <= whole <= _MAX_INT:
            return whole
    value = float(token)
    if math.isinf(value):
        raise json.JSONDecodeError("Number too big to be stored in double", text, at)
    return value


_PLAIN_SCANNER = json.JSONDecoder()


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
            return _number(match.group(), self._text, match.start())
        for token, value in _LITERALS:
            if self._text.startswith(token, self._at):
                self._at += len(token)
                return value
        raise json.JSONDecodeError("Invalid value", self._text, self._at)

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
