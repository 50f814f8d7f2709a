"""Spans of a pattern with dates: numbers inside, days since 1970, and dates wherever a person reads or types them."""

import datetime
import re

_FIRST = datetime.date(1970, 1, 1)
_NUMBER = r"\d+\b(?![.,]\d| rows)"
_SPANS = re.compile(rf"\b([Ss]pan )({_NUMBER})|\b([Ss]pans )({_NUMBER}(?:(?:, and |, | and | or | to ){_NUMBER})*)")
_DATE = re.compile(r"(\d{4})-(\d{2})-(\d{2})")


def is_dated(pattern: str) -> bool:
    """Returns whether the spans of a pattern are days."""
    return "{YYYY}" in pattern


def name(span: int, pattern: str) -> str:
    """Returns a span as a person writes it: `2017-12-01` where the pattern has dates, else its number."""
    return (_FIRST + datetime.timedelta(days=span)).isoformat() if is_dated(pattern) else str(span)


def number(text: str) -> int | None:
    """Returns the number of the span that a date stands for; None where the text is no date."""
    match = _DATE.fullmatch(text)
    try:
        day = datetime.date(int(match[1]), int(match[2]), int(match[3])) if match else None
    except ValueError:
        return None
    return None if day is None else (day - _FIRST).days


def in_text(text: str, pattern: str) -> str:
    """Returns a text with the numbers after the word span as dates, where the pattern has dates."""
    if not is_dated(pattern):
        return text

    def named(match: re.Match[str]) -> str:
        numbers = re.sub(r"\d+", lambda one: name(int(one[0]), pattern), match[2] or match[4])
        return f"{match[1] or match[3]}{numbers}"

    return _SPANS.sub(named, text)
