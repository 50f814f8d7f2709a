"""Spans of a pattern with dates: numbers inside, days since 1970, and dates wherever a person reads or types them."""

import datetime
import re
from typing import Any

JsonValue = Any  # JSON, with tuples for lists.
_FIRST = datetime.date(1970, 1, 1)
_NUMBER = r"\d+\b(?![.,]\d| rows)"
_SPANS = re.compile(rf"\b([Ss]pan )({_NUMBER})|\b([Ss]pans )({_NUMBER}(?:(?:, and |, | and | or | to ){_NUMBER})*)")
_SPAN_LISTS = ("window", "trained_on")
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


def with_dates(value: JsonValue, pattern: str) -> JsonValue:
    """Returns JSON in which dates stand beside the numbers of spans, where the pattern has dates.

    `span` gets a `span_date` beside it; `window` and `trained_on` get `window_dates` and `trained_on_dates`.
    """
    if not is_dated(pattern):
        return value
    if isinstance(value, list | tuple):
        return [with_dates(item, pattern) for item in value]
    if not isinstance(value, dict):
        return value
    dates: dict[str, JsonValue] = {}
    for key, item in value.items():
        if key == "span" and isinstance(item, int):
            dates["span_date"] = name(item, pattern)
        if key in _SPAN_LISTS and isinstance(item, list | tuple):
            dates[f"{key}_dates"] = [name(span, pattern) for span in item if isinstance(span, int)]
    return {key: with_dates(item, pattern) for key, item in value.items()} | dates


def in_text(text: str, pattern: str) -> str:
    """Returns a text with the numbers after the word span as dates, where the pattern has dates."""
    if not is_dated(pattern):
        return text

    def named(match: re.Match[str]) -> str:
        numbers = re.sub(r"\d+", lambda one: name(int(one[0]), pattern), match[2] or match[4])
        return f"{match[1] or match[3]}{numbers}"

    return _SPANS.sub(named, text)
