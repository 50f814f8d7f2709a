"""What each column is for, and why: the proposal that a person reads before anything is trained."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa

from models.bags import SEPARATOR
from pipeline.onboarding import names
from pipeline.onboarding.cut import Cut, Cutting, SchemaType, Typed
from pipeline.onboarding.label import Label
from pipeline.onboarding.leaks import leak
from pipeline.onboarding.profile import Profile

RoleName = Literal[
    "label",
    "numeric",
    "category",
    "hashed",
    "cyclical",
    "date",
    "timestamp",
    "time",
    "text",
    "multi-valued",
    "identifier",
    "constant",
    "personal",
    "leak",
    "unsupported",
]
FEATURE_ROLES = ("numeric", "category", "hashed", "cyclical", "date", "timestamp", "text", "multi-valued")
"""Roles of columns that the model reads; all others are never features."""

_UNIQUE = 0.95
_MOST_CATEGORIES = 1_000
"""Values of a vocabulary; a longer list is hashed."""
_MOST_BUCKETS = 1 << 16
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_PHONE = re.compile(r"(?:\+|00)?[0-9(][0-9 ()/.-]{7,18}[0-9]")
_SAMPLED_VALUES = 1_000
_PERSONAL_SHARE = 0.5
_TEXT_WORDS = 4.0
_TEXT_LENGTH = 60.0
_TEXT_BUCKETS = 512
_TIME_CORRELATION = 0.9


@dataclass(frozen=True, kw_only=True)
class Role:
    """What one column is for.

    Attributes:
      why: in words, with the figure that decided.
      missing: share of rows without a value.
      distinct: values; at least that many where not all were counted.
      size: buckets of a hashed column or a text, period of a cyclical one.
      separator: between the values of a multi-valued column.
      warning: what a person should look at; "" for nothing.
    """

    name: str
    role: RoleName
    type: SchemaType
    why: str
    missing: float
    distinct: int
    size: int = 0
    separator: str = ""
    warning: str = ""

    @property
    def is_feature(self) -> bool:
        """Whether the model reads the column."""
        return self.role in FEATURE_ROLES


def propose(
    profiles: Mapping[str, Profile], columns: Mapping[str, Typed], label: Label, cutting: Cutting, result: Cut
) -> list[Role]:
    """Returns a role for every column of the spans, in their order."""
    moments = _moments(cutting, result)
    roles = []
    for name, typed in columns.items():
        profile = profiles[name]
        role, why, size, warning = _role(profile, typed, label, cutting, result, moments)
        present = sum(span.present.get(name, 0) for span in result.spans)
        roles.append(
            Role(
                name=name,
                role=role,
                type=typed.type,
                why=why,
                missing=1 - present / result.rows,
                distinct=len(profile.counts),
                size=size,
                separator=_separator(profile, typed) if role == "multi-valued" else "",
                warning=warning,
            )
        )
    return roles


def _moments(cutting: Cutting, result: Cut) -> np.ndarray | None:
    """Returns when each row of the sample was: by the column that cuts the spans, or by its span; None for neither."""
    if cutting.time:
        return as_numbers(result.sample[cutting.time])
    if not cutting.pulled:
        return None
    # The sample is spread evenly over the rows, which come span by span.
    ends = np.cumsum([span.rows for span in result.spans])
    rows = np.arange(result.sample.num_rows) * (result.rows / result.sample.num_rows)
    return np.asarray(np.searchsorted(ends, rows, side="right"), np.float64)


_Proposal = tuple[RoleName, str, int, str]


def _role(
    profile: Profile, typed: Typed, label: Label, cutting: Cutting, result: Cut, moments: np.ndarray | None
) -> _Proposal:
    name = profile.name
    if name == label.column:
        return "label", f"named by --label; {_told_of(label, result)}", 0, ""
    if name == cutting.time:
        return "time", f"it cuts the spans by {cutting.every}; seconds since 1970", 0, ""
    if profile.unsupported:
        return "unsupported", f"{profile.unsupported} fits no feature; kept as missing", 0, ""
    if not profile.present:
        return "constant", "it has no value in any row", 0, ""
    if personal := _personal(profile, typed):
        return "personal", f"{personal}; personal data stay out of features", 0, f"{name!r}: {personal}"
    values = _contiguous(result.sample[name].combine_chunks())
    if pa.types.is_temporal(values.type):
        values = pa.array(as_numbers(values), mask=values.is_null().to_numpy(zero_copy_only=False))
    if told := leak(values, result.labels, label.outcomes):
        warning = f"{name!r} tells the answer: {told}"
        return "leak", f"{told}; known only afterwards?", 0, warning
    if len(profile.counts) == 1 and profile.is_counted:
        gaps = " or is missing" if profile.present < profile.rows else ""
        return "constant", f"it is {next(iter(profile.counts))!r}{gaps} in every row", 0, ""
    if typed.reading.kind == "date":
        return _date(profile, typed, cutting, values, moments)
    if typed.type == "BYTES":
        return _words(profile, typed)
    return _numeric(profile, typed, result)


def _told_of(label: Label, result: Cut) -> str:
    """Returns the label's task, how it was told, and how its values are spread, in words."""
    told = f"{label.task}, {label.why}"
    rows = np.sum([span.classes for span in result.spans], axis=0)
    if label.task == "binary":
        return f"{told}; {rows[1] / result.rows:.1%} of the rows are 1"
    if label.task == "multiclass":
        return f"{told}; {rows.min() / result.rows:.1%} to {rows.max() / result.rows:.1%} of the rows each"
    mean = f"{told}; the mean is {sum(span.total for span in result.spans) / result.rows:.4g}"
    return f"{mean}; learned as log1p, since {label.transform_why}" if label.transform == "log1p" else mean


def _numeric(profile: Profile, typed: Typed, result: Cut) -> _Proposal:
    low, high = result.ranges.get(profile.name, (math.nan, math.nan))
    distinct = len(profile.counts)
    written = f"; {typed.reading.description}" if typed.reading.description else ""
    percent = "; per cent: 12 means 12 %" if profile.percents else ""
    if typed.type == "INT":
        one_a_row = profile.distinct_share == 1 and profile.counted > 20
        if one_a_row and high - low + 1 == profile.present:
            return "identifier", "the rows are numbered by it", 0, ""
        if profile.distinct_share > _UNIQUE and profile.counted > 20 and names.IDENTIFIER.search(profile.name):
            return "identifier", f"{profile.distinct_share:.1%} of its values occur once, and its name says so", 0, ""
        for pattern, least, most, period, words in names.CYCLES:
            if pattern.search(profile.name) and least <= low and high <= most and high - low < period:
                return "cyclical", f"{words}, {low:g} to {high:g}; the last is next to the first", period, ""
        if typed.reading.kind == "boolean" or distinct == 2:
            return "category", f"two values: {low:g} and {high:g}", 0, ""
        if names.CODE.search(profile.name) or (
            names.IDENTIFIER.search(profile.name) and profile.distinct_share < _UNIQUE
        ):
            return _list(profile, "numbers that name things, as the column's name says")
    kind = "whole numbers" if typed.type == "INT" else "numbers"
    return "numeric", f"{kind} from {low:g} to {high:g}{percent}{written}", 0, ""


def _words(profile: Profile, typed: Typed) -> _Proposal:
    values = [str(value) for value in profile.counts]
    if separator := _separator(profile, typed):
        written = "lists" if typed.reading.kind == "list" else f"lists separated by {separator!r}"
        return "multi-valued", f"{written}; each value counts by itself", 0, ""
    spaces = sum(value.count(" ") for value in values) / len(values) + 1
    length = sum(map(len, values)) / len(values)
    many = profile.distinct_share > 0.2 and len(values) > 50
    if many and (spaces >= _TEXT_WORDS or length >= _TEXT_LENGTH):
        return "text", f"free text of {spaces:.0f} words on average", _TEXT_BUCKETS, ""
    if profile.distinct_share > _UNIQUE and profile.counted > 20:
        return "identifier", f"{profile.distinct_share:.1%} of its values occur once", 0, ""
    why = "text"
    if profile.has_codes and all(value.isdigit() for value in values):
        why = "digits with zeros in front: a code, no quantity"
    elif profile.percents and profile.without_percent:
        why = "some values have a % and some have none"
    elif profile.stray:
        why = f"text, because {profile.stray[:30]!r} is no number"
    return _list(profile, why)


def _list(profile: Profile, why: str) -> _Proposal:
    distinct = len(profile.counts)
    if distinct <= _MOST_CATEGORIES:
        shown = f"{distinct:,} values"
        return "category", f"{why}; {shown}", 0, ""
    buckets = min(_MOST_BUCKETS, 1 << (2 * distinct - 1).bit_length())
    more = "" if profile.is_counted else "more than "
    return "hashed", f"{why}; {more}{distinct:,} values in {buckets:,} buckets", buckets, ""


def _date(profile: Profile, typed: Typed, cutting: Cutting, values: pa.Array, moments: np.ndarray | None) -> _Proposal:
    what: RoleName
    written = typed.reading.description
    either = ("%m/%d" in typed.reading.style, "%d/%m" in typed.reading.style)
    warning = ""
    if either[0] and any(reading.style.startswith("%d/%m") for reading in profile.candidates):
        warning = f"{profile.name!r}: month and day cannot be told apart; read as month/day"
    if moments is not None:
        own = as_numbers(values)
        both = np.isfinite(own) & np.isfinite(moments)
        if both.sum() > 2 and own[both].std() > 0 and moments[both].std() > 0:
            correlation = float(np.corrcoef(own[both], moments[both])[0, 1])
            if correlation > _TIME_CORRELATION:
                time = repr(cutting.time) if cutting.time else "the time of the spans"
                why = f"it moves with {time} (correlation {correlation:.2f}), so it differs in every span"
                return "time", why, 0, warning
    what, parts = ("timestamp", "and the hour") if typed.date == "moment" else ("date", "")
    enters = f"by its place in time, month, day, weekday {parts}".rstrip()
    return what, f"{enters}{'; ' + written if written else ''}", 0, warning


def _personal(profile: Profile, typed: Typed) -> str:
    """Returns what kind of personal data the column seems to hold; empty for none."""
    if typed.type == "FLOAT" or typed.reading.kind in ("date", "boolean"):
        return ""
    values = [str(value) for value in list(profile.counts)[:_SAMPLED_VALUES]]
    if sum(bool(_EMAIL.fullmatch(value)) for value in values) > _PERSONAL_SHARE * len(values):
        return "its values look like e-mail addresses"
    if typed.type == "BYTES":
        phones = sum(
            bool(_PHONE.fullmatch(value)) and sum(mark.isdigit() for mark in value) >= 9 and not value.isdigit()
            for value in values
        )
        if phones > _PERSONAL_SHARE * len(values):
            return "its values look like phone numbers"
    by_name = names.PERSONAL.search(re.sub(r"(?<=[a-z])(?=[A-Z])", "_", profile.name))
    if by_name and typed.type == "BYTES" and profile.distinct_share > 0.5 and len(profile.counts) > 20:
        return "its name and its many values say so"
    if by_name and re.search(r"phone|mobile|fax|ssn|security", by_name.group(), re.IGNORECASE) and len(values) > 100:
        return "its name says so"
    return ""


def _separator(profile: Profile, typed: Typed) -> str:
    """Returns what separates the values of a row; empty where there is one value."""
    return SEPARATOR if typed.reading.kind == "list" else _list_separator(profile)


def _list_separator(profile: Profile) -> str:
    """Returns what separates the items of a value, where values are lists: few items, many combinations."""
    values = {str(value): count for value, count in profile.counts.items()}
    for separator in ("|", ";", ","):
        several = sum(count for value, count in values.items() if separator in value)
        if several < 0.2 * profile.counted:
            continue
        items: Counter[str] = Counter()
        for value in values:
            items.update(item.strip() for item in value.split(separator))
        if len(items) < 0.5 * len(values) and len(values) > 10:
            return separator
    return ""


def as_numbers(column: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """Returns the column as float64; a date by what it counts."""
    if pa.types.is_date(column.type):
        column = column.cast(pa.int32())
    elif pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    return np.asarray(column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False), np.float64)


def _contiguous(values: pa.Array | pa.ChunkedArray) -> pa.Array:
    return values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
