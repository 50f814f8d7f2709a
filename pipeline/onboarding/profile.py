"""The first pass over a table: what every column holds, in memory that does not grow with the rows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from models.bags import SEPARATOR
from pipeline.onboarding import readings
from pipeline.onboarding.readings import Kind, Reading
from pipeline.onboarding.sources import Source

MOST_COUNTED = 50_000
"""Distinct values that are counted of each column; what is said of a longer list is said of its rows so far."""
_EXACT = 2**53
_LONG_DIGITS = r"^[+-]?[0-9]{16,}$"
_TRIED_FIRST = 200
_LOOKS_LIKE_A_NUMBER = re.compile(r"[-+$€£]?[0-9][0-9.,]*%?")

Value = str | float | int | bool


@dataclass
class Profile:
    """What one column holds.

    Attributes:
      present: rows with a value.
      counts: rows by value, of the first `counted` rows with a value.
      typed: the kind that the file itself declares; None for text.
      candidates: readings that took every value so far.
      refusal: the first value that was no number, where the earlier ones were.
      not_whole: styles of numbers under which a value has a fraction, or is too large for one.
      has_times: whether a moment that the file declares as one is not midnight.
      unsupported: Arrow's name of a type that no schema can hold, such as a struct.
    """

    name: str
    rows: int = 0
    present: int = 0
    counts: Counter[Value] = field(default_factory=Counter)
    counted: int = 0
    typed: Kind | None = None
    candidates: tuple[Reading, ...] = (*readings.CANDIDATES, readings.COMPACT_DATE)
    refusal: str = ""
    has_codes: bool = False
    has_long_digits: bool = False
    percents: int = 0
    without_percent: int = 0
    not_whole: set[str] = field(default_factory=set)
    minimum: float = float("inf")
    maximum: float = float("-inf")
    has_times: bool = False
    unsupported: str = ""

    @property
    def is_counted(self) -> bool:
        """Whether every row with a value was counted, so that `counts` is complete."""
        return self.counted == self.present

    @property
    def distinct_share(self) -> float:
        """Distinct values by rows with a value, as far as they were counted."""
        return len(self.counts) / self.counted if self.counted else 0.0

    @property
    def stray(self) -> str:
        """The value that made a text of a column whose other values are mostly numbers; "" where there is none."""
        numbers = sum(bool(_LOOKS_LIKE_A_NUMBER.fullmatch(str(value))) for value in self.counts)
        return self.refusal if 0.5 * len(self.counts) < numbers < len(self.counts) else ""

    def update(self, array: pa.Array) -> None:
        """Takes the next rows into account."""
        kind, values = flat(array)
        self.rows += len(values)
        if kind is None:
            self.unsupported = str(array.type)
            return
        self.typed = None if kind == "text" else kind
        if kind == "text":
            encoded = readings.clean(values).dictionary_encode()
            self._narrow(encoded.dictionary)
            values = encoded
        else:
            if kind != "list":
                self._measure(values, "typed")
            if kind == "date":
                of_day = values.drop_null().to_numpy() % readings.SECONDS_PER_DAY
                self.has_times = self.has_times or bool(of_day.any())
        given = values.drop_null() if not pa.types.is_dictionary(values.type) else _decoded(values).drop_null()
        self.present += len(given)
        if len(self.counts) < MOST_COUNTED:
            self.counted += len(given)
            for pair in pc.value_counts(given):
                self.counts[pair["values"].as_py()] += pair["counts"].as_py()

    def _narrow(self, values: pa.Array) -> None:
        """Keeps the readings that take these distinct values too."""
        values = values.drop_null()
        if not len(values):
            return
        self.has_codes = self.has_codes or readings.is_code(values)
        self.has_long_digits = self.has_long_digits or bool(
            pc.any(pc.match_substring_regex(values, _LONG_DIGITS)).as_py()
        )
        percents, given = readings.percent_share(values)
        self.percents += percents
        self.without_percent += given - percents
        survivors = []
        for reading in self.candidates:
            try:
                readings.parse(values[:_TRIED_FIRST], reading)
                parsed = readings.parse(values, reading)
            except ValueError as error:
                if reading.kind == "number":
                    self.refusal = str(error.args[0])
                continue
            survivors.append(reading)
            if reading.kind == "number":
                self._measure(parsed, reading.style)
        self.candidates = tuple(survivors)

    def _measure(self, values: pa.Array, style: str) -> None:
        numbers = values.cast(pa.float64(), safe=False)
        extremes = pc.min_max(numbers)
        if not extremes["min"].is_valid:
            return
        low, high = extremes["min"].as_py(), extremes["max"].as_py()
        self.minimum, self.maximum = min(self.minimum, low), max(self.maximum, high)
        exact = pa.types.is_integer(values.type) or (low >= -_EXACT and high <= _EXACT)
        if not exact or not pc.all(pc.equal(pc.floor(numbers), numbers)).as_py():
            self.not_whole.add(style)


def profile(source: Source, progress: Callable[[int], None]) -> dict[str, Profile]:
    """Reads every row once. `progress` is told the rows so far."""
    profiles = {name: Profile(name) for name in source.columns}
    rows = 0
    for _, batch in source.batches():
        for name, array in zip(batch.schema.names, batch.columns, strict=True):
            profiles[name].update(array)
        rows += batch.num_rows
        progress(rows)
    return profiles


def has_decimal_commas(profiles: dict[str, Profile], source: Source) -> bool:
    """Whether a comma in a number is its decimal sign: semicolons separate, or a column allows nothing else."""
    only = [
        column
        for column in profiles.values()
        if {reading.style for reading in column.candidates if reading.kind == "number"} == {"decimal comma"}
        and any("," in str(value) for value in column.counts)
    ]
    return bool(only) or source.decimal_comma_likely


def reading_of(column: Profile, decimal_comma: bool) -> Reading:
    """Returns how the column is read: as its file declares, by the first reading that takes every value, or as text."""
    if column.typed is not None:
        return Reading(column.typed, "typed")
    if not column.present:
        return Reading("text", "words")
    by_kind: dict[Kind, list[Reading]] = {"boolean": [], "number": [], "date": []}
    for reading in column.candidates:
        by_kind[reading.kind].append(reading)
    if by_kind["boolean"]:
        return by_kind["boolean"][0]
    named_date = any(word in column.name.lower() for word in ("date", "day", "datum", "time", "dt"))
    if by_kind["date"] and (named_date or not by_kind["number"]):
        return by_kind["date"][0]
    mixed_percent = column.percents and column.without_percent
    if by_kind["number"] and not (column.has_codes or column.has_long_digits or mixed_percent):
        comma = [reading for reading in by_kind["number"] if reading.style == "decimal comma"]
        return comma[0] if decimal_comma and comma else by_kind["number"][0]
    return Reading("text", "words")


def flat(array: pa.Array) -> tuple[Kind | None, pa.Array]:
    """Returns the kind that a file declares of a column, and its values as text, bool, int64 or float64.

    Dates are seconds since 1970, NaN is null, and a list is text with bars between its items; the kind is None where no
    schema can hold the type.
    """
    kind = array.type
    if pa.types.is_dictionary(kind):
        return flat(array.dictionary_decode())
    if any(is_text(kind) for is_text in (pa.types.is_string, pa.types.is_large_string, pa.types.is_null)):
        return "text", array.cast(pa.string())
    if pa.types.is_boolean(kind):
        return "boolean", array
    if pa.types.is_uint64(kind):
        return "text", array.cast(pa.string())
    if pa.types.is_integer(kind):
        return "number", array.cast(pa.int64())
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        numbers = array.cast(pa.float64())
        return "number", pc.if_else(pc.is_nan(numbers), pa.scalar(None, pa.float64()), numbers)
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        moment = (
            array.cast(pa.timestamp("us"), safe=False)
            if pa.types.is_timestamp(kind)
            else array.cast(pa.timestamp("us"))
        )
        return "date", pc.floor(pc.divide(moment.cast(pa.int64()).cast(pa.float64(), safe=False), 1e6)).cast(pa.int64())
    if (pa.types.is_list(kind) or pa.types.is_large_list(kind)) and not pa.types.is_nested(kind.value_type):
        items = array.to_pylist()
        joined = [None if row is None else SEPARATOR.join(str(item) for item in row) for row in items]
        return "list", pa.array(joined, pa.string())
    return None, pa.nulls(len(array), pa.string())


def convert(array: pa.Array, reading: Reading) -> pa.Array:
    """Returns a column's rows as `reading` says: float64 or int64 numbers and booleans, int64 seconds, or text."""
    kind, values = flat(array)
    if kind != "text" or reading.style == "typed":
        return values
    encoded = readings.clean(values).dictionary_encode()
    if reading.kind == "text":
        return _decoded(encoded)
    try:
        return readings.parse(encoded.dictionary, reading).take(encoded.indices)
    except ValueError as error:  # The first pass saw every value, so the file changed between the passes.
        raise ValueError(f"{error.args[0]!r} was not there when the file was read first") from error


def _decoded(encoded: pa.DictionaryArray) -> pa.Array:
    return encoded.dictionary.take(encoded.indices)
