"""Which spans a source still owes, and how each of them lands: once, whole, and again only where its rows changed.

What is there says what was pulled: a span's file carries its record. The journal adds the periods without rows, and a
history for people. So there is no moment at which a kill leaves the two apart: a span is pulled again, or is there.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import fcntl
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pipeline.errors import ConfigError, RootBusyError
from pipeline.ingest import spans as span_files
from pipeline.sources import landing, reading
from pipeline.sources.config import Source
from pipeline.sources.errors import SourceError
from pipeline.sources.landing import STAGING, Record
from pipeline.sources.periods import Calendar, Every, Period, moment_text
from pipeline.sources.plain import SchemaType
from pipeline.state import journal

logger = logging.getLogger(__name__)

Progress = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Pulled:
    """What became of one span, as the journal and `pull --json` have it.

    Attributes:
      version: the one that has these rows; 0 where there are none.
      begin, end: the span's time, in ISO 8601 and UTC.
      outcome: landed, a new version; unchanged, the rows that are there already; empty, no rows; gone, no rows any
        more, and the version that is there stays.
      path: of the file; "" where there is none.
      pulled_at: in ISO 8601 and UTC.
      data_root: the folder of the spans.
    """

    span: int
    version: int
    begin: str
    end: str
    rows: int
    outcome: Literal["landed", "unchanged", "empty", "gone"]
    path: str
    pulled_at: str
    data_root: str


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a dataset's spans land.

    Attributes:
      data_root: folder of the spans, or a store's URL.
      pattern: path below it, with `{VERSION}`.
      types: of the dataset's schema, by column; empty where there is none yet.
      journal: file of the history.
    """

    data_root: str
    pattern: str
    types: Mapping[str, SchemaType]
    journal: Path

    @property
    def staging(self) -> Path:
        """Where files are written: beside the spans, so that a rename is enough, or in the root for a store's."""
        return (self.journal.parent if "://" in self.data_root else Path(self.data_root)) / STAGING

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps two pulls into one folder apart, and removes what a killed one was writing.

        Raises:
          RootBusyError: another pull is at work.
        """
        staging = self.staging
        staging.mkdir(parents=True, exist_ok=True)
        with (staging / "lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise RootBusyError(f"Another pull is at work on {self.data_root}. Wait for it.") from error
            for left in staging.glob("*.parquet"):
                left.unlink()
            yield

    def empty_spans(self) -> set[int]:
        """Returns the spans that were asked for and had no rows."""
        return {one.span for one in self.history() if one.outcome == "empty" and one.data_root == self.data_root}

    def history(self) -> list[Pulled]:
        """Returns every pull, oldest first."""
        return journal.read(self.journal, _parse)


def _parse(line: Mapping[str, Any]) -> Pulled:  # Any: JSON.
    return Pulled(**{field.name: line[field.name] for field in dataclasses.fields(Pulled)})


def calendar(source: Source, pattern: str, every: Every | None = None) -> Calendar:
    """Returns which time is which span.

    Args:
      every: what the command says; it goes before the dataset file.

    Raises:
      ConfigError: neither says how long a span is, or the pattern cannot tell such spans apart.
    """
    length = every or source.config.every
    if length is None:
        raise ConfigError(f'{source.where}: nothing says how long a span is. Write every = "month", or add --every.')
    by_date = "{YYYY}" in pattern
    if by_date and length == "hour":
        raise ConfigError(f"{source.where}: spans of an hour need {{SPAN}} in [spans] pattern. It has: {pattern!r}.")
    return Calendar(length, source.config.first, by_date)


def due(source: Source, place: Place, dates: Calendar, now: datetime.datetime) -> list[Period]:
    """Returns the periods that are over and were not pulled, from the oldest span that is there on, oldest first.

    A span that is older than all that are there was removed, or is not wanted; name it to have it pulled.
    """
    there = set(span_files.newest_versions(place.data_root, place.pattern, ""))
    known = there | place.empty_spans()
    over = now - datetime.timedelta(hours=source.config.delay_hours)
    oldest = min(there, default=None)
    return [
        period
        for period in dates.between(dates.first, over)
        if period.span not in known and (oldest is None or period.span > oldest)
    ]


def to_recheck(source: Source, place: Place, before: int | None) -> list[int]:
    """Returns the newest spans that were pulled, below `before`, which late rows may have changed."""
    found: list[int] = []
    for span, there in sorted(span_files.newest_versions(place.data_root, place.pattern, "").items(), reverse=True):
        if len(found) == source.config.recheck:
            break
        if (before is None or span < before) and landing.read_record(there[0].path) is not None:
            found.append(span)
    return found[::-1]


def check_over(source: Source, periods: Sequence[Period], now: datetime.datetime) -> None:
    """Raises ConfigError for a period that is not over: half a span would be taken for a whole one ever after."""
    for period in periods:
        over = period.end + datetime.timedelta(hours=source.config.delay_hours)
        if over > now:
            raise ConfigError(f"{period} is not over until {moment_text(over)} UTC. Pull it then.")


def pull(
    source: Source,
    place: Place,
    periods: Sequence[Period],
    context: reading.Context,
    progress: Progress,
    clock: Callable[[], datetime.datetime],
) -> Iterator[Pulled]:
    """Pulls the periods, in order, and yields what became of each. `place` is locked meanwhile.

    Raises:
      ConfigError: the source's settings are wrong, or a span that is there holds another period.
      SourceError: the source fails; what landed before stays.
    """
    for period in periods:
        progress(f"pulling {period}")
        pulled = _pull(source, place, period, context, progress, clock)
        journal.append(place.journal, dataclasses.asdict(pulled))
        logger.info("Pulled %s: %s, %d rows.", period, pulled.outcome, pulled.rows)
        yield pulled


def _pull(
    source: Source,
    place: Place,
    period: Period,
    context: reading.Context,
    progress: Progress,
    clock: Callable[[], datetime.datetime],
) -> Pulled:
    existing = span_files.newest_versions(place.data_root, place.pattern, "").get(period.span, [])
    newest = landing.read_record(existing[0].path) if existing else None
    version = existing[0].version if existing else 0
    begin, end = period.begin.isoformat(), period.end.isoformat()
    if newest is not None and (newest.begin, newest.end) != (begin, end):
        raise ConfigError(
            f"{existing[0].path} holds {newest.begin} to {newest.end}, and {period} would be another time. Keep "
            "`begin` and `every` as they were, or pull into another folder."
        )
    rows = reading.read(source, period, context)
    with (
        contextlib.closing(rows),
        landing.written_aside(
            rows,
            place.staging,
            place.types,
            source.where,
            lambda count: progress(f"pulling {period}: {count:,} rows"),
        ) as (
            written,
            writer,
        ),
    ):
        pulled = Pulled(
            span=period.span,
            version=version,
            begin=begin,
            end=end,
            rows=written.rows,
            outcome="empty",
            path="",
            pulled_at=clock().isoformat(timespec="seconds"),
            data_root=place.data_root,
        )
        if writer is None:
            return dataclasses.replace(pulled, outcome="gone", path=existing[0].path) if existing else pulled
        if newest is not None and newest.fingerprint == written.fingerprint:
            return dataclasses.replace(pulled, outcome="unchanged", path=existing[0].path)
        target = span_files.path_of(place.data_root, place.pattern, period.span, version + 1)
        record = Record(
            span=period.span,
            version=version + 1,
            begin=begin,
            end=end,
            rows=written.rows,
            fingerprint=written.fingerprint,
            pulled_at=pulled.pulled_at,
        )
        _land(source, written, writer, record, target)
        return dataclasses.replace(pulled, outcome="landed", version=version + 1, path=target)


def _land(source: Source, written: landing.Written, writer: Any, record: Record, target: str) -> None:
    """Lands a file; a store that fails is named. Any: pyarrow's ParquetWriter."""
    try:
        landing.land(written, writer, record, target)
    except OSError as error:
        if "://" not in target:
            raise  # A full disk has its own words.
        why = " ".join(str(error).split()).rstrip(".")
        raise SourceError(f"{source.where}: {target} cannot be written: {why}.") from error


def watermark(place: Place, dates: Calendar) -> str | None:
    """Returns the end of the last of the spans that were pulled without a gap, in ISO 8601; None before the first."""
    there = set(span_files.newest_versions(place.data_root, place.pattern, ""))
    known = there | place.empty_spans()
    period = dates.of_span(min(there)) if there else dates.holding(dates.first)
    end: datetime.datetime | None = None
    while period is not None and period.span in known:
        end = period.end
        period = dates.holding(period.end)
    return end.isoformat() if end is not None else None
