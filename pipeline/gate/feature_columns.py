"""What the gate compares of each feature, as a flat column of the span: many features are no column of their own.

A column of several values has as many of them in a row as it likes, while bins count every row once, so that rows are
independent and chance can be measured. So of each row one value is compared, chosen by a hash of the whole, and how
many there are.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa

from columnar.fingerprint import row_hashes
from models import bags, expressions
from models.expression_values import arrow_column
from models.expressions import Column, column_text
from models.features import FeatureSpec
from models.kinds import Feature

_MANY: Mapping[str, tuple[str, Callable[[Feature, pa.Array], bags.Values]]] = {
    "items": ("value", lambda feature, column: bags.items(column, feature.separator)),
    "words": ("word", lambda _, column: bags.words(column)),
}
"""By distance: what one of the values is called, and all of them."""


@dataclass(frozen=True, kw_only=True)
class Compared:
    """A column that the gate compares.

    Attributes:
      name: the feature's, or `value of genres`, `number of genres`.
      sources: columns that it is computed from.
      of: computes it from a flat table; None where it is a column of the table.
    """

    name: str
    distance: Literal["numeric", "categorical"]
    sources: frozenset[str]
    of: Callable[[pa.Table], pa.Array] | None = None


def compared(features: FeatureSpec) -> tuple[Compared, ...]:
    """Returns the columns that the gate compares, by feature."""
    return tuple(one for feature in features.encoded if feature.is_compared for one in _of_feature(feature, features))


def excluded(features: FeatureSpec, exclude: Collection[str]) -> frozenset[str]:
    """Returns the columns that are not to be compared: those named, and those made of named columns alone."""
    return frozenset(one.name for one in compared(features) if one.name in exclude or one.sources <= {*exclude})


def with_features(table: pa.Table, features: FeatureSpec) -> pa.Table:
    """Returns the table with every compared column; one whose sources are absent is left out."""
    for one in compared(features):
        if one.of is not None and one.name not in table.column_names and one.sources <= {*table.column_names}:
            table = table.append_column(one.name, one.of(table))
    return table


def _of_feature(feature: Feature, features: FeatureSpec) -> list[Compared]:
    name, distance = feature.name, feature.kind.distance
    sources = frozenset(column for column, _ in expressions.columns(feature.value))

    def column(table: pa.Table) -> pa.Array:
        return arrow_column(feature.value, table, features.as_stored)

    if distance == "numeric" or distance == "categorical":
        of = None if isinstance(feature.value, Column) else column
        return [Compared(name=name, distance=distance, sources=sources, of=of)]
    what, values_of = _MANY[distance]

    def value(table: pa.Table) -> pa.Array:
        return _one_of_each_row(values_of(feature, column(table)), column(table))

    def number(table: pa.Table) -> pa.Array:
        counts = values_of(feature, column(table)).counts
        return pa.array(counts, mask=counts == 0)

    return [
        Compared(name=f"{what} of {column_text(name)}", distance="categorical", sources=sources, of=value),
        Compared(name=f"number of {what}s of {column_text(name)}", distance="numeric", sources=sources, of=number),
    ]


def _one_of_each_row(of: bags.Values, column: pa.Array) -> pa.Array:
    """Returns one value of each row, null where there is none: the same one wherever the row is the same."""
    chosen = row_hashes(pa.RecordBatch.from_arrays([column], ["column"]), 0) % np.maximum(of.counts, 1).astype(
        np.uint64
    )
    starts = np.cumsum(of.counts) - of.counts
    return of.values.take(pa.array(starts + chosen.astype(np.int64), mask=of.counts == 0))
