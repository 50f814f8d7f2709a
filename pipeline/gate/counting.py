"""What there is to say of the quality of a span's columns, counted batch by batch: no column is held as a whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from tensorflow_metadata.proto.v0 import schema_pb2

from columnar import domains
from columnar.domains import Mask

_MOST_EXAMPLES = 10_000
"""Distinct odd values of a column of which more are not told apart."""


@dataclass
class Odd:
    """Odd values of one column: how many rows hold one, and the most frequent."""

    rows: int = 0
    values: Counter[float | str] = field(default_factory=Counter)

    def add(self, column: pa.Array, mask: Mask) -> None:
        """Counts the rows of a batch that `mask` marks."""
        count = int(mask.sum())
        if not count:
            return
        self.rows += count
        values, counts = pc.value_counts(column.filter(pa.array(mask))).flatten()
        for value, number in zip(values.to_pylist(), counts.to_pylist(), strict=True):
            if value in self.values or len(self.values) < _MOST_EXAMPLES:
                self.values[value] += number

    def most_frequent(self, number: int) -> list[float | str]:
        """Returns values, the most frequent first, equally frequent ones in their order."""
        ranked = sorted(self.values.items(), key=lambda item: (-item[1], item[0]))
        return [value for value, _ in ranked[:number]]


@dataclass
class ColumnCounts:
    """One column of a span.

    Attributes:
      kind: of its values; None where the span lacks it.
      rows: with a value, neither null nor NaN.
    """

    kind: pa.DataType | None = None
    rows: int = 0
    not_finite: Odd = field(default_factory=Odd)
    out_of_range: Odd = field(default_factory=Odd)
    out_of_domain: Odd = field(default_factory=Odd)
    unseen: Odd = field(default_factory=Odd)


@dataclass
class SpanQuality:
    """A whole span.

    Attributes:
      impossible: rows with a value that the schema rules out in any column of `together`.
    """

    rows: int = 0
    columns: dict[str, ColumnCounts] = field(default_factory=dict)
    impossible: int = 0


def count(
    batches: Iterable[pa.RecordBatch],
    quality: SpanQuality,
    schema: schema_pb2.Schema,
    *,
    together: Collection[str],
    known: Mapping[str, Sequence[str]] | None = None,
) -> Iterator[pa.RecordBatch]:
    """Adds the batches of a span to its counts, and yields them as they come.

    Args:
      batches: its rows, flat columns.
      quality: what is added to.
      schema: the curated one.
      together: columns whose impossible values are also counted by row.
      known: the values of categorical features in the training window; without, no value counts as unseen.
    """
    closed = domains.closed_domains(schema)
    features = [feature for feature in schema.feature if feature.lifecycle_stage not in domains.NOT_IN_USE]
    for batch in batches:
        quality.rows += batch.num_rows
        quality.impossible += int(domains.impossible(batch, schema, together).sum())
        for feature in features:
            if feature.name in batch.schema.names:
                counts = quality.columns.setdefault(feature.name, ColumnCounts())
                allowed = closed.get(feature.name, ())
                seen = (known or {}).get(feature.name, ()) if not allowed else ()
                _add(counts, feature, batch.column(feature.name), allowed, seen)
        yield batch


def _add(
    counts: ColumnCounts, feature: schema_pb2.Feature, column: pa.Array, allowed: Sequence[str], seen: Sequence[str]
) -> None:
    counts.kind = column.type
    there = column.drop_null()
    number = pa.types.is_floating(column.type) or pa.types.is_integer(column.type)
    counts.rows += len(there) - (int(np.isnan(there.to_numpy()).sum()) if pa.types.is_floating(column.type) else 0)
    if number:
        counts.not_finite.add(column, domains.not_finite(feature, column))
        counts.out_of_range.add(column, domains.outside_range(feature, column))
    elif allowed:
        counts.out_of_domain.add(column, domains.outside_domain(column, allowed))
    if seen:
        text = column.cast(pa.large_string())
        counts.unseen.add(text, domains.outside_domain(text, seen))
