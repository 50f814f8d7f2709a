"""Reads request bodies as the contract does: strict JSON, the NaN and Infinity tokens, and numbers by their spelling.

An integer is a token without `.` or exponent that fits into 64 bits; anything longer is a double, and a number too
big for a double is an error. Python's scanner is strict in everything else that matters.
"""

import json
import math
from typing import Any

from serving.errors import invalid

_MAX_DIGITS = 20
_MIN_INT, _MAX_INT = -(2**63), 2**64 - 1
_QUOTED = 256


def parse(body: bytes) -> dict[str, Any]:  # Any: JSON.
    """Returns the top-level object of a request.

    Raises:
      ServingError: 400 `JSON Parse error: ...`, or the top level is no object.
    """
    text = body.decode("utf-8-sig", errors="surrogateescape")
    if not text.strip(" \t\r\n"):
        raise invalid("JSON Parse error: The document is empty")
    try:
        value, _ = _DECODER.raw_decode(text.lstrip(" \t\r\n"))
    except ValueError as error:
        raise invalid(f"JSON Parse error: {error}") from error
    except RecursionError as error:
        raise invalid("JSON Parse error: The document is nested too deeply") from error
    if not isinstance(value, dict):
        raise invalid(f"Request must be a JSON object. Received: {quoted(value)}")
    return value


def quoted(value: object) -> str:
    """Returns a value as messages quote it, cut at 256 bytes."""
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        text = str(type(value).__name__)
    return text if len(text) <= _QUOTED else text[:_QUOTED] + "..."


def _integer(token: str) -> int | float:
    if len(token) <= _MAX_DIGITS:
        value = int(token)
        if _MIN_INT <= value <= _MAX_INT:
            return value
    return _real(token)


def _real(token: str) -> float:
    value = float(token)
    if math.isinf(value):
        raise ValueError(f"Number too big to be stored in double: {token[:_QUOTED]}")
    return value


def _constant(token: str) -> float:
    return float(token.replace("Infinity", "inf"))


def _first_of_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:  # Any: JSON.
    value: dict[str, Any] = {}
    for key, item in pairs:
        value.setdefault(key, item)
    return value


_DECODER = json.JSONDecoder(
    object_pairs_hook=_first_of_duplicates, parse_int=_integer, parse_float=_real, parse_constant=_constant
)
