"""What a span holds beyond its schema: columns, values of closed domains, and numbers outside limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc
from tensorflow_metadata.proto.v0 import schema_pb2

from columnar import domains
from pipeline.errors import ConfigError
from pipeline.ingest.columns import columns_of
from pipeline.ingest.infer import infer_schema
from pipeline.ingest.reader import Format, open_span
from pipeline.onboarding import schema_text

_MOST_VALUES = 20


@dataclass(frozen=True, kw_only=True)
class Beyond:
    """One thing beyond the schema.

    Attributes:
      kind: a new column, a new value of a closed domain, a number outside the limits, or a column that is not there.
      value: the value, or the number farthest outside; the type of a new column.
      rows: that hold it, or that lie beyond the same limit; of a column, with a value.
    """

    column: str
    kind: Literal["column", "value", "range", "absent"]
    value: str
    rows: int

    @property
    def acceptance(self) -> str:
        """What `schema accept` takes for it; empty where nothing is to be accepted."""
        if self.kind == "absent":
            return ""
        return f"{self.column}:{self.value}" if self.kind == "column" else f"{self.column}={self.value}"


def diff(paths: Sequence[str], file_format: Format, schema: schema_pb2.Schema) -> tuple[list[Beyond], int]:
    """Returns what the files hold beyond the schema, and how many rows they have.

    Raises:
      IngestError: a file cannot be read.
    """
    plain = columns_of(schema)
    opened = open_span(paths, file_format, plain)
    inferred = {one.name: one.type for one in infer_schema(paths, file_format).feature} if opened.unexpected else {}
    wider = schema_pb2.Schema()
    wider.CopyFrom(schema)
    for name in opened.unexpected:
        wider.feature.add(name=name, type=inferred[name])
    found = _Found(schema, opened.unexpected)
    rows = 0
    for batch in open_span(paths, file_format, columns_of(wider)).batches:
        rows += batch.num_rows
        for name in batch.schema.names:
            found.add(name, batch.column(name))
    return found.beyond({name: schema_pb2.FeatureType.Name(kind) for name, kind in inferred.items()}), rows


class _Found:
    """Counts batch by batch."""

    def __init__(self, schema: schema_pb2.Schema, new: Sequence[str]) -> None:
        self._features = {feature.name: feature for feature in schema.feature}
        self._closed = domains.closed_domains(schema)
        self._new = new
        self._present: dict[str, int] = {}
        self._values: dict[str, dict[str, int]] = {}
        self._ranges: dict[tuple[str, str], tuple[float, int]] = {}

    def add(self, name: str, column: pa.Array) -> None:
        """Counts one column of a batch."""
        self._present[name] = self._present.get(name, 0) + len(column) - column.null_count
        feature = self._features.get(name)
        if feature is None:
            return
        if name in self._closed and pa.types.is_large_string(column.type):
            odd = column.filter(pa.array(domains.outside_domain(column, self._closed[name])))
            counts = self._values.setdefault(name, {})
            for entry in pc.value_counts(odd).to_pylist():
                counts[entry["values"]] = counts.get(entry["values"], 0) + entry["counts"]
        if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
            self._add_range(feature, column.filter(pa.array(domains.outside_range(feature, column))))

    def _add_range(self, feature: schema_pb2.Feature, odd: pa.Array) -> None:
        low, high = domains.limits(feature, odd.type)
        for side, limit, compare, farther in (("min", low, pc.less, min), ("max", high, pc.greater, max)):
            beyond = odd.filter(compare(odd, limit)) if limit is not None else odd.slice(0, 0)
            if len(beyond):
                farthest = farther(beyond.to_pylist())
                known, rows = self._ranges.get((feature.name, side), (farthest, 0))
                self._ranges[feature.name, side] = farther(known, farthest), rows + len(beyond)

    def beyond(self, types: dict[str, str]) -> list[Beyond]:
        """Returns all of it: columns first, then values by their frequency, then limits."""
        result = [
            Beyond(column=name, kind="column", value=types[name], rows=self._present.get(name, 0)) for name in self._new
        ]
        for name, counts in self._values.items():
            frequent = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:_MOST_VALUES]
            result += [Beyond(column=name, kind="value", value=value, rows=rows) for value, rows in frequent]
        for (name, _), (number, rows) in self._ranges.items():
            result.append(Beyond(column=name, kind="range", value=f"{number:.10g}", rows=rows))
        in_use = [name for name, one in self._features.items() if one.lifecycle_stage not in domains.NOT_IN_USE]
        result += [
            Beyond(column=name, kind="absent", value="", rows=0) for name in in_use if not self._present.get(name, 0)
        ]
        return result


def accept(text: str, acceptance: str, schema: schema_pb2.Schema) -> str:
    """Returns the schema's text, widened by `COLUMN=VALUE`, `COLUMN=NUMBER` or `COLUMN:TYPE`.

    Raises:
      ConfigError: it is none of them, or cannot be written into the text.
    """
    types = {feature.name: feature.type for feature in schema.feature}
    # A column's name may hold both signs; the longest known one is meant.
    for name in sorted(types, key=len, reverse=True):
        if acceptance.startswith(f"{name}="):
            value = acceptance.removeprefix(f"{name}=")
            if types[name] == schema_pb2.BYTES:
                return schema_text.add_value(text, name, value)
            return schema_text.widen(text, name, _number(name, value))
    column, colon, kind = acceptance.rpartition(":")
    if colon and kind in ("INT", "FLOAT", "BYTES") and column:
        return schema_text.add_column(text, column, kind)
    raise ConfigError(
        f"expected COLUMN=VALUE of a column that the schema has, or NEW_COLUMN:INT, :FLOAT or :BYTES. Received: "
        f"{acceptance!r}. Columns: {', '.join(types)}."
    )


def _number(column: str, value: str) -> float:
    try:
        return float(value)
    except ValueError as error:
        raise ConfigError(f"{column!r} holds numbers. Received: {value!r}.") from error
