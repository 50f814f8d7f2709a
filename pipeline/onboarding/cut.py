"""The second pass over a table: typed rows, cut into spans by time, by number of rows or by file, as Parquet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.errors import ConfigError, DataError
from pipeline.onboarding import readings
from pipeline.onboarding.label import Label
from pipeline.onboarding.profile import convert
from pipeline.onboarding.readings import Reading
from pipeline.onboarding.sources import Source
from pipeline.sources.periods import FIRST_MONDAY, MONTHS, SECONDS, Every, begin_of

Targets = npt.NDArray[Any]
"""Labels as `Label.targets` gives them, int64 of a classifier and float64 of a regression."""
SchemaType = Literal["INT", "FLOAT", "BYTES"]

FILE_NAME = "data.parquet"
_MOST_SPANS = 800
"""Each span is an open file while it is written."""
_ROW_GROUP = 50_000
_MOST_HELD = 400_000
_SAMPLE_ROWS = 100_000
_MOST_WITHOUT_TIME = 0.05
_ARROW_TYPES = {"INT": pa.int64(), "FLOAT": pa.float64(), "BYTES": pa.string()}
_YEARS = (1_800, 2_200)
_EPOCH_SECONDS = (10**8, 5 * 10**9)
_EPOCH_MILLISECONDS = (10**11, 5 * 10**12)


@dataclass(frozen=True, kw_only=True)
class Typed:
    """A column of the spans: how its text is read, and what it is there.

    Attributes:
      date: how a date is written: as a day, as a moment of a day, or as seconds since 1970; None for all that is none.
    """

    reading: Reading
    type: SchemaType
    date: Literal["day", "moment", "seconds"] | None = None

    @property
    def arrow_type(self) -> pa.DataType:
        """Of the spans' column."""
        return {"day": pa.date32(), "moment": pa.timestamp("s")}.get(self.date or "", _ARROW_TYPES[self.type])


@dataclass(frozen=True, kw_only=True)
class Cutting:
    """Where one span ends and the next begins; all None for one span a file.

    Attributes:
      time: the column whose periods are spans.
      rows: of each span, in the order of the file.
      pulled: number and first moment of each file, where files are spans already.
    """

    time: str | None = None
    every: Every | None = None
    rows: int | None = None
    pulled: tuple[tuple[int, str], ...] = ()


@dataclass(kw_only=True)
class SpanSummary:
    """One span.

    Attributes:
      begins: its period's first moment; "" where no time cut it.
      classes: rows of each outcome of a classifier's label, (outcomes,).
      total: the sum of a regression's labels.
      present: rows with a value, by column.
    """

    number: int
    begins: str = ""
    rows: int = 0
    classes: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    total: float = 0.0
    present: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Cut:
    """What was written.

    Attributes:
      sample: up to 100,000 rows from all over the table, for what needs rows side by side.
      labels: of the sample: 0 or 1, the index of a class, or a number.
      ranges: least and greatest value of each column of numbers.
    """

    spans: tuple[SpanSummary, ...]
    sample: pa.Table
    labels: Targets
    ranges: Mapping[str, tuple[float, float]]
    without_label: int
    without_time: int

    @property
    def rows(self) -> int:
        """Of all spans."""
        return sum(span.rows for span in self.spans)


def cut(
    source: Source,
    columns: Mapping[str, Typed],
    label: Label,
    cutting: Cutting,
    rows: int,
    folder: Path,
    progress: Callable[[int], None],
) -> Cut:
    """Writes `span-N/data.parquet` below `folder`, N from 1 on; rows without a label or a time are left out.

    Args:
      columns: in the order of the spans' columns.
      rows: of the table, as the first pass counted them.

    Raises:
      ConfigError: the time cannot be read, is missing in many rows, or cuts into too many spans.
      DataError: a file changed between the passes.
    """
    writer = _SpanWriter(folder, pa.schema([(name, typed.arrow_type) for name, typed in columns.items()]), label)
    kept = {"seen": 0, "kept": 0, "without label": 0, "without time": 0}
    stride = max(1, -(-rows // _SAMPLE_ROWS))
    samples: list[pa.RecordBatch] = []
    sample_labels: list[Targets] = []
    ranges: dict[str, tuple[float, float]] = {}
    for file, batch in source.batches():
        table, labels = _typed(batch, columns, label, source)
        keep = labels.is_valid()
        kept["without label"] += len(labels) - pc.sum(keep).as_py()
        moments = _moments(batch, columns, cutting)
        if moments is not None:
            kept["without time"] += pc.sum(pc.and_(keep, moments.is_null())).as_py() or 0
            keep = pc.and_(keep, moments.is_valid())
            moments = moments.filter(keep)
        table, labels = table.filter(keep), labels.filter(keep)
        if kept["without time"] > _MOST_WITHOUT_TIME * rows:
            raise ConfigError(
                f"--time {cutting.time!r}: {kept['without time']:,} rows have none, more than "
                f"{_MOST_WITHOUT_TIME:.0%}. Name a column that every row has, or leave --time out."
            )
        keys = _keys(table.num_rows, moments, cutting, file, kept["kept"], rows)
        targets = labels.to_numpy(zero_copy_only=False)
        writer.write(keys, table, targets)
        picked = np.flatnonzero((np.arange(table.num_rows) + kept["kept"]) % stride == 0)
        samples.append(table.take(pa.array(picked)))
        sample_labels.append(targets[picked])
        for name, array in zip(table.schema.names, table.columns, strict=True):
            _widen(ranges, name, array)
        kept["kept"] += table.num_rows
        kept["seen"] += batch.num_rows
        progress(kept["seen"])
    if not kept["kept"]:
        raise DataError(f"{source.files[0]}: no row has a label, so there is nothing to train on.")
    return Cut(
        spans=writer.close(cutting),
        sample=pa.Table.from_batches(samples),
        labels=np.concatenate(sample_labels),
        ranges=ranges,
        without_label=kept["without label"],
        without_time=kept["without time"],
    )


def _typed(
    batch: pa.RecordBatch, columns: Mapping[str, Typed], label: Label, source: Source
) -> tuple[pa.RecordBatch, pa.Array]:
    """Returns the batch as the spans hold it, and its labels, null where there is none."""
    arrays = {}
    for name, typed in columns.items():
        try:
            values = convert(batch.column(name), typed.reading)
        except ValueError as error:
            raise DataError(f"{source.files[0]}: it changed while it was read: column {name!r}: {error}.") from error
        if typed.date == "day":
            values = readings.days(values).cast(pa.int32())
        arrays[name] = values.cast(typed.arrow_type)
    return pa.RecordBatch.from_pydict(arrays), label.targets(batch.column(label.column), arrays[label.column])


def _moments(batch: pa.RecordBatch, columns: Mapping[str, Typed], cutting: Cutting) -> pa.Array | None:
    """Returns seconds since 1970 of each row; None where no time cuts."""
    if cutting.time is None:
        return None
    reading = columns[cutting.time].reading
    values = convert(batch.column(cutting.time), reading)
    if reading.kind == "date":
        return values
    if reading.kind != "number":
        example = next((value for value in batch.column(cutting.time).to_pylist() if value not in (None, "")), "")
        raise ConfigError(
            f"--time {cutting.time!r}: expected dates, such as 2024-03-31 or 31.03.2024 14:30, in every row. "
            f"Received values such as {str(example)[:40]!r}, not all of them in one form."
        )
    return _from_numbers(values, cutting.time)


def _from_numbers(values: pa.Array, column: str) -> pa.Array:
    """Returns the moments that numbers mean: years, seconds or milliseconds since 1970, told by their size."""
    numbers = values.cast(pa.float64(), safe=False)
    extremes = pc.min_max(numbers)
    low, high = extremes["min"].as_py(), extremes["max"].as_py()
    if low is None:
        return pa.nulls(len(values), pa.int64())
    if _YEARS[0] <= low and high <= _YEARS[1]:
        years = pc.if_else(numbers.is_valid(), numbers, _YEARS[0]).to_numpy(zero_copy_only=False).astype(np.int64)
        starts = (years - 1970).astype("datetime64[Y]").astype("datetime64[s]").astype(np.int64)
        return pa.array(starts, mask=~numbers.is_valid().to_numpy(zero_copy_only=False))
    for (least, most), unit in ((_EPOCH_SECONDS, 1.0), (_EPOCH_MILLISECONDS, 1000.0)):
        if least <= low and high <= most:
            return pc.floor(pc.divide(numbers, unit)).cast(pa.int64())
    raise ConfigError(
        f"--time {column!r}: expected dates, years, or seconds or milliseconds since 1970. "
        f"Received numbers from {low:g} to {high:g}."
    )


def _keys(
    count: int, moments: pa.Array | None, cutting: Cutting, file: int, first: int, rows: int
) -> npt.NDArray[np.int64]:
    """Returns the number of each row's period, of its piece, or of its file."""
    if moments is not None and cutting.every is not None:
        return _periods(moments.to_numpy(zero_copy_only=False), cutting.every)
    if cutting.rows is not None:
        # A rest of less than half a span goes to the span before it.
        pieces = max(1, round(rows / cutting.rows))
        return np.minimum((np.arange(count) + first) // cutting.rows, pieces - 1)
    return np.full(count, file)


def _periods(seconds: npt.NDArray[np.int64], every: Every) -> npt.NDArray[np.int64]:
    if every in MONTHS:
        months = seconds.astype("datetime64[s]").astype("datetime64[M]").astype(np.int64)
        return months // MONTHS[every]
    shift = FIRST_MONDAY if every == "week" else 0
    return (seconds - shift) // SECONDS[every]


def _begins(period: int, every: Every) -> str:
    forms = {"hour": "%Y-%m-%d %H:00", "month": "%Y-%m", "quarter": "%Y-%m", "year": "%Y"}
    return begin_of(period, every).strftime(forms.get(every, "%Y-%m-%d"))


def _widen(ranges: dict[str, tuple[float, float]], name: str, array: pa.Array) -> None:
    if pa.types.is_string(array.type) or pa.types.is_temporal(array.type):
        return
    extremes = pc.min_max(array)
    if extremes["min"].is_valid:
        low, high = ranges.get(name, (float("inf"), float("-inf")))
        ranges[name] = min(low, extremes["min"].as_py()), max(high, extremes["max"].as_py())


class _SpanWriter:
    """Rows that come in any order, written to one Parquet file a span, in the order in which they come."""

    def __init__(self, folder: Path, schema: pa.Schema, label: Label) -> None:
        self._folder = folder
        self._schema = schema
        self._outcomes = len(label.outcomes)
        self._held: dict[int, list[pa.RecordBatch]] = {}
        self._held_rows: dict[int, int] = {}
        self._writers: dict[int, pq.ParquetWriter] = {}
        self._spans: dict[int, SpanSummary] = {}

    def write(self, keys: npt.NDArray[np.int64], batch: pa.RecordBatch, targets: Targets) -> None:
        """Takes the rows of one batch; `keys` says which span each belongs to."""
        for key in np.unique(keys).tolist():
            rows = np.flatnonzero(keys == key)
            part = batch.take(pa.array(rows))
            span = self._spans.setdefault(key, SpanSummary(number=0, classes=np.zeros(self._outcomes, np.int64)))
            span.rows += part.num_rows
            if self._outcomes:
                span.classes = span.classes + np.bincount(targets[rows].astype(np.int64), minlength=self._outcomes)
            else:
                span.total += float(targets[rows].sum())
            for name, array in zip(part.schema.names, part.columns, strict=True):
                span.present[name] = span.present.get(name, 0) + len(array) - array.null_count
            self._held.setdefault(key, []).append(part)
            self._held_rows[key] = self._held_rows.get(key, 0) + part.num_rows
            if self._held_rows[key] >= _ROW_GROUP:
                self._flush(key)
        if len(self._spans) > _MOST_SPANS:
            raise ConfigError(
                f"The table would be cut into more than {_MOST_SPANS} spans. "
                "Take a longer --every, or more --rows-per-span."
            )
        if sum(self._held_rows.values()) > _MOST_HELD:
            for key in list(self._held):
                self._flush(key)

    def close(self, cutting: Cutting) -> tuple[SpanSummary, ...]:
        """Ends every file and gives each its span's number: periods keep their distances, so that the next fits on."""
        for key in list(self._held):
            self._flush(key)
        for writer in self._writers.values():
            writer.close()
        first = min(self._spans)
        for key, span in sorted(self._spans.items()):
            span.number = key - first + 1
            span.begins = _begins(key, cutting.every) if cutting.every else ""
            if cutting.pulled:
                span.number, span.begins = cutting.pulled[key]
            target = self._folder / f"span-{span.number}"
            target.mkdir(parents=True)
            self._path(key).rename(target / FILE_NAME)
        return tuple(span for _, span in sorted(self._spans.items()))

    def _flush(self, key: int) -> None:
        held = self._held.pop(key, [])
        self._held_rows.pop(key, None)
        if not held:
            return
        if key not in self._writers:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._writers[key] = pq.ParquetWriter(self._path(key), self._schema, compression="zstd")
        self._writers[key].write_table(pa.Table.from_batches(held).combine_chunks(), row_group_size=_ROW_GROUP)

    def _path(self, key: int) -> Path:
        return self._folder / f"{key}.parquet"
