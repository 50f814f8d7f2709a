"""How the text of a column is read: as numbers, dates or booleans, each in the ways that people write them.

A reading is a way to write values. A column has the first reading that takes every value; text where none does. Each
pass works on the distinct values of a batch, so that a long file costs what its values cost.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

Kind = Literal["boolean", "number", "date", "text", "list"]

MISSING = ("", "na", "n/a", "#n/a", "nan", "null", "-", "--", "?", ".", r"\n")
"""What stands for a missing value in any column, in lower case."""
MISSING_NUMBER = (*MISSING, "none", "nil", "missing", "unknown", "#value!", "#div/0!")
"""The same where the other values are numbers, dates or booleans; among words `none` is a word."""

_BLANKS = " \t\r\n\u00a0\u202f"
_CURRENCY = r"US\$|USD|EUR|GBP|CHF|[$€£¥]"
_PLAIN = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_NUMBERS = {
    "plain": _PLAIN,
    "thousands comma": rf"{_PLAIN}|[+-]?[0-9]{{1,3}}(?:,[0-9]{{3}})+(?:\.[0-9]*)?",
    "decimal comma": r"[+-]?(?:[0-9]+|[0-9]{1,3}(?:\.[0-9]{3})+)(?:,[0-9]*)?(?:[eE][+-]?[0-9]+)?",
    "thousands blank": rf"{_PLAIN}|[+-]?[0-9]{{1,3}}(?:[ \x{{a0}}\x{{202f}}'’][0-9]{{3}})+(?:[.,][0-9]*)?",
}
_CODE = r"^0[0-9]+$"
"""Leading zeros: a postcode or an account, no quantity."""
_DATES = (
    *("%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y", "%d-%m-%Y", "%m-%d-%Y"),
    *("%d-%b-%Y", "%b-%d-%Y", "%d %b %Y", "%b %d, %Y", "%d %B %Y", "%B %d, %Y"),
    *("%m/%d/%y", "%d/%m/%y", "%d.%m.%y", "%d-%b-%y"),
)
_MONTHS = ("%b-%Y", "%b-%y", "%b %Y", "%B %Y", "%Y-%m", "%Y/%m", "%m/%Y")
_TIMES = ("", " %H:%M:%S", " %H:%M", " %I:%M:%S %p", " %I:%M %p")
_FIRST_YEAR, _LAST_YEAR = 1800, 2200
SECONDS_PER_DAY = 86_400


@dataclass(frozen=True)
class Reading:
    """One way to write values.

    Attributes:
      style: which way; for dates strptime's format.
    """

    kind: Kind
    style: str

    @property
    def description(self) -> str:
        """Says it in words; empty where there is nothing to say."""
        if self.kind == "date":
            return f"written as {self.style}"
        return "" if self.style in ("plain", "words", "typed") else f"written with {self.style}"


def clean(values: pa.Array) -> pa.Array:
    """Returns text without blanks around it, and null for what means "missing" everywhere."""
    trimmed = pc.utf8_trim(values, characters=_BLANKS)
    return _without(trimmed, MISSING)


def _without(values: pa.Array, words: tuple[str, ...]) -> pa.Array:
    missing = pc.is_in(pc.utf8_lower(values), pa.array(words, values.type))
    return pc.if_else(missing, pa.scalar(None, values.type), values)


def parse(values: pa.Array, reading: Reading) -> pa.Array:
    """Returns cleaned text as float64 (numbers, booleans) or as int64 seconds since 1970 (dates); null where missing.

    Raises:
      ValueError: a value is not written that way; its argument is the value.
    """
    given = _without(values, MISSING_NUMBER)
    parsed = _PARSERS[reading.kind](given, reading.style)
    wrong = pc.and_(given.is_valid(), parsed.is_null())
    if pc.any(wrong, min_count=0).as_py():
        raise ValueError(given.filter(wrong)[0].as_py())
    return parsed


def _booleans(values: pa.Array, _style: str) -> pa.Array:
    lower = pc.utf8_lower(values)
    is_word = pc.is_in(lower, pa.array(["true", "false"], lower.type))
    return pc.if_else(is_word, pc.equal(lower, "true").cast(pa.float64()), pa.scalar(None, pa.float64()))


def _numbers(values: pa.Array, style: str) -> pa.Array:
    bare = pc.replace_substring_regex(values, rf"^([-+(]?)\s*(?:{_CURRENCY})\s*", r"\1")
    bare = pc.replace_substring_regex(bare, rf"\s*(?:{_CURRENCY}|%)(\)?)$", r"\1")
    bare = pc.replace_substring_regex(bare, r"^\((.*)\)$", r"-\1")
    fits = pc.match_substring_regex(bare, f"^(?:{_NUMBERS[style]})$")
    bare = pc.if_else(fits, bare, pa.scalar(None, bare.type))
    if style == "thousands comma":
        bare = pc.replace_substring(bare, ",", "")
    if style == "decimal comma":
        bare = pc.replace_substring(pc.replace_substring(bare, ".", ""), ",", ".")
    if style == "thousands blank":
        bare = pc.replace_substring(pc.replace_substring_regex(bare, r"[ \x{a0}\x{202f}'’]", ""), ",", ".")
    return bare.cast(pa.float64())


def _dates(values: pa.Array, style: str) -> pa.Array:
    """Returns seconds since 1970; a zone that is written is applied, a fraction of a second dropped."""
    parts = pc.extract_regex(
        pc.replace_substring_regex(values, r"^([0-9]{4}-[0-9]{2}-[0-9]{2})T", r"\1 "),
        r"^(?P<moment>.*?)(?:\.[0-9]+)?\s*(?P<zone>Z|UTC|(?P<sign>[+-])(?P<hours>[0-9]{2}):?(?P<minutes>[0-9]{2}))?$"
        if "%H" in style or "%I" in style
        else r"^(?P<moment>.*)(?P<zone>)(?P<sign>)(?P<hours>)(?P<minutes>)$",
    )
    moments = pc.struct_field(parts, "moment")
    text, form = (
        (pc.binary_join_element_wise(moments, "01", " "), f"{style} %d") if style in _MONTHS else (moments, style)
    )
    if style == "%Y%m%d":
        text = pc.if_else(pc.match_substring_regex(text, "^[0-9]{8}$"), text, pa.scalar(None, text.type))
    seconds = pc.strptime(text, format=form, unit="s", error_is_null=True)
    years = pc.year(seconds)
    plausible = pc.and_(pc.greater_equal(years, _FIRST_YEAR), pc.less_equal(years, _LAST_YEAR))
    seconds = pc.if_else(plausible, seconds, pa.scalar(None, seconds.type)).cast(pa.int64())
    sign = pc.struct_field(parts, "sign")
    hours, minutes = (
        pc.if_else(pc.not_equal(part, ""), part, "0").cast(pa.int64())
        for part in (pc.struct_field(parts, "hours"), pc.struct_field(parts, "minutes"))
    )
    offset = pc.add(pc.multiply(hours, 3600), pc.multiply(minutes, 60))
    return pc.add(seconds, pc.if_else(pc.equal(sign, "-"), offset, pc.negate(offset)))


_PARSERS: dict[str, Callable[[pa.Array, str], pa.Array]] = {"boolean": _booleans, "number": _numbers, "date": _dates}

CANDIDATES: tuple[Reading, ...] = (
    Reading("boolean", "words"),
    *(Reading("number", style) for style in _NUMBERS),
    *(Reading("date", day + time) for day, time in itertools.product(_DATES, _TIMES)),
    *(Reading("date", month) for month in _MONTHS),
)
"""Every reading, the likeliest first."""
COMPACT_DATE = Reading("date", "%Y%m%d")
"""Eight digits; a number as well, so it is tried only where every value is a day of our age."""


def is_code(values: pa.Array) -> bool:
    """Whether a value has zeros in front, as codes have and quantities have not."""
    return bool(pc.any(pc.match_substring_regex(values, _CODE), min_count=0).as_py())


def percent_share(values: pa.Array) -> tuple[int, int]:
    """Returns how many values are written with a percent sign, and how many there are."""
    given = _without(values, MISSING_NUMBER)
    return int(pc.sum(pc.ends_with(given, "%")).as_py() or 0), len(given) - given.null_count


def days(seconds: pa.Array) -> pa.Array:
    """Returns whole days since 1970 of seconds since 1970."""
    return pc.floor(pc.divide(seconds.cast(pa.float64(), safe=False), float(SECONDS_PER_DAY))).cast(pa.int64())
