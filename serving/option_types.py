"""The values of options: text to a number in its range, or an error that says the range."""

import argparse
import math


class RangeError(argparse.ArgumentTypeError, ValueError):
    """A number outside its range; argparse shows its text."""


def _number(text: str, kind: type[int] | type[float], low: float, high: float) -> float:
    value = kind(text)
    if math.isnan(value) or not low <= value <= high:
        raise RangeError(f"expected {low:g} to {high:g}. Received: {text}")
    return value


def port(text: str) -> int:
    """Returns the number of a port; 0 is none."""
    return int(_number(text, int, 0, 65535))


def count(text: str) -> int:
    """Returns a whole number that is not negative."""
    return int(_number(text, int, 0, 2**62))


def positive(text: str) -> int:
    """Returns a whole number above 0."""
    return int(_number(text, int, 1, 2**62))


def seconds(text: str) -> float:
    """Returns seconds, 0 included."""
    return _number(text, float, 0, 1e9)


def positive_seconds(text: str) -> float:
    """Returns seconds, at least a thousandth of one."""
    return _number(text, float, 0.001, 1e9)


def share(text: str) -> float:
    """Returns a number from 0 to 1."""
    return _number(text, float, 0, 1)


def pairs(text: str) -> list[tuple[str, int | str]]:
    """Returns the pairs of `NAME=VALUE,NAME=VALUE`; what reads as a whole number is one."""
    found: list[tuple[str, int | str]] = []
    for part in filter(None, text.split(",")):
        name, equals, value = part.partition("=")
        if not (name and equals):
            raise RangeError(f"expected NAME=VALUE,... Received: {part!r}")
        is_number = value.lstrip("-").isdecimal() and value.isascii()
        found.append((name, int(value) if is_number else value))
    return found
