"""Periods of time and the numbers of their spans; all of it in UTC.

With `{SPAN}` in the pattern, spans count from 1, which is the period that holds `[source] begin`. With `{YYYY}`, `{MM}`
and `{DD}`, a span is the first day of its period.
"""

import datetime
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Every = Literal["hour", "day", "week", "month", "quarter", "year"]

MONTHS = {"month": 1, "quarter": 3, "year": 12}
SECONDS = {"hour": 3_600, "day": 86_400, "week": 604_800}
FIRST_MONDAY = 4 * 86_400
"""Seconds from 1970-01-01, a Thursday, to the Monday after."""
_MOMENT = re.compile(r"\{(begin|end)(?::(date|unix|[^{}]*%[^{}]*))?\}")
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


@dataclass(frozen=True, order=True)
class Period:
    """One span's time: from `begin`, which belongs to it, to `end`, which does not."""

    span: int
    begin: datetime.datetime
    end: datetime.datetime

    def __str__(self) -> str:
        return f"span {self.span} ({moment_text(self.begin)} to {moment_text(self.end)})"


@dataclass(frozen=True)
class Calendar:
    """Which period is which span.

    Attributes:
      first: a moment of the first period.
      by_date: a span's number counts the days since 1970, as a pattern with a date has it, and not the periods.
    """

    every: Every
    first: datetime.datetime
    by_date: bool

    def holding(self, moment: datetime.datetime) -> Period:
        """Returns the period that `moment` is in."""
        return self._period(index_of(moment, self.every))

    def of_span(self, span: int) -> Period | None:
        """Returns the period of a span's number; None where it is no period's, or one before the first."""
        if self.by_date:
            period = self.holding(_EPOCH + datetime.timedelta(days=span))
        else:
            period = self._period(index_of(self.first, self.every) + span - 1)
        return period if period.span == span and period.begin >= self.holding(self.first).begin else None

    def between(self, begin: datetime.datetime, end: datetime.datetime) -> Iterator[Period]:
        """Yields the periods from the one that holds `begin` to the last that is over at `end`."""
        index = index_of(max(begin, self.first), self.every)
        while (period := self._period(index)).end <= end:
            yield period
            index += 1

    def _period(self, index: int) -> Period:
        begin, end = begin_of(index, self.every), begin_of(index + 1, self.every)
        span = (begin - _EPOCH).days if self.by_date else index - index_of(self.first, self.every) + 1
        return Period(span, begin, end)


def index_of(moment: datetime.datetime, every: Every) -> int:
    """Returns the number of the period that a moment is in, counted from the one that holds 1970-01-01."""
    if every in MONTHS:
        return ((moment.year - 1970) * 12 + moment.month - 1) // MONTHS[every]
    shift = FIRST_MONDAY if every == "week" else 0
    return (int((moment - _EPOCH) // datetime.timedelta(seconds=1)) - shift) // SECONDS[every]


def begin_of(index: int, every: Every) -> datetime.datetime:
    """Returns the first moment of a period; the inverse of `index_of`."""
    if every in MONTHS:
        years, month = divmod(index * MONTHS[every], 12)
        return datetime.datetime(1970 + years, month + 1, 1, tzinfo=datetime.UTC)
    shift = FIRST_MONDAY if every == "week" else 0
    return _EPOCH + datetime.timedelta(seconds=index * SECONDS[every] + shift)


def parse_moment(text: str) -> datetime.datetime:
    """Returns the moment that `2024-03-31` or `2024-03-31T12:00` means, in UTC unless it says otherwise.

    Raises:
      ValueError: it is no such text.
    """
    moment = datetime.datetime.fromisoformat(text)
    return moment.replace(tzinfo=datetime.UTC) if moment.tzinfo is None else moment.astimezone(datetime.UTC)


def moment_text(moment: datetime.datetime) -> str:
    """Returns a moment as people and SQL write it: the date alone at midnight."""
    midnight = (moment.hour, moment.minute, moment.second) == (0, 0, 0)
    return moment.strftime("%Y-%m-%d" if midnight else "%Y-%m-%d %H:%M:%S")


def with_moments(text: str, period: Period) -> str:
    """Returns a text with the period's moments in it.

    `{begin}` is 2024-01-31T00:00:00Z, `{begin:date}` 2024-01-31, `{begin:unix}` seconds since 1970, and `{begin:%Y/%m}`
    what `strftime` makes of it; the same for `{end}`.
    """

    def moment(match: re.Match[str]) -> str:
        value: datetime.datetime = getattr(period, match[1])
        if match[2] == "unix":
            return str(int(value.timestamp()))
        return value.strftime({"": "%Y-%m-%dT%H:%M:%SZ", "date": "%Y-%m-%d"}.get(match[2] or "", match[2]))

    return _MOMENT.sub(moment, text)
