"""Bins frozen from the reference: every later span is counted into the same ones, so distances can be compared.

Bins that follow each sample's own extremes and ties, as histograms do, make a distance depend on the sample's size.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from columnar.numbers import as_float64

Kind = Literal["numeric", "categorical", "presence"]

QUANTILES = 20
FEW_VALUES = 32
"""A numeric feature with no more values than this has one bin per value (hours, months, counts)."""
POINT_MASS = 0.05
"""A value that alone has this share of a numeric feature has a bin of its own: quantiles cannot divide it."""
TAIL = 0.005
"""Share of a numeric feature in the interval at each end. Were it nothing, every later span would be found to lie out
of the reference's range, with a chance that no sample of the reference shows."""
TOP_VALUES = 200
LEAST_SHARE = 0.002
"""Values of a categorical feature that are rarer, or beyond the most frequent TOP_VALUES, share one bin: so the bin of
unseen values is not empty in the reference."""
MISSING = 0
PRESENCE = " (missing)"
"""Ends the names of presence bins."""


@dataclass(frozen=True, kw_only=True)
class FeatureBins:
    """The bins of one feature. Code 0 is missing.

    Numeric: then one code per value in `points`, then `len(edges) + 1` intervals, an edge belonging to the upper one.
    Categorical: then one code per value in `values`, then one for every other value.
    Presence: then one code for any value. Each numeric feature has these beside its own: twice as many missing values
    are a small part of the divergence over twenty bins, and a large change of one share.
    """

    name: str
    kind: Kind
    points: tuple[float, ...] = ()
    edges: tuple[float, ...] = ()
    values: tuple[str, ...] = ()

    @property
    def column(self) -> str:
        """The column that is counted."""
        return self.name.removesuffix(PRESENCE) if self.kind == "presence" else self.name

    @property
    def size(self) -> int:
        """Number of codes."""
        return 2 + (len(self.points) + len(self.edges) if self.kind == "numeric" else len(self.values))

    def labels(self) -> list[str]:
        """Returns a name for each code; unique within the feature."""
        if self.kind == "presence":
            return ["missing", "present"]
        if self.kind == "categorical":
            return ["missing", *(f"= {value}" for value in self.values), "other values"]
        short = self._numeric_labels([f"{value:.7g}" for value in (*self.points, *self.edges)])
        # TFDV adds up what has the same name, so names must differ where bins do.
        if len(set(short)) == self.size:
            return short
        return self._numeric_labels([repr(value) for value in (*self.points, *self.edges)])

    def _numeric_labels(self, numbers: Sequence[str]) -> list[str]:
        points, edges = numbers[: len(self.points)], numbers[len(self.points) :]
        inner = [f"{low} to {high}" for low, high in itertools.pairwise(edges)]
        outer = [f"below {edges[0]}", *inner, f"above {edges[-1]}"] if edges else ["any value"]
        return ["missing", *(f"= {point}" for point in points), *outer]

    def codes(self, column: pa.ChunkedArray | pa.Array) -> npt.NDArray[np.uint16]:
        """Returns the code of each row, uint16 (n,). NaN counts as missing, infinities as extremes."""
        if self.kind == "presence":
            return (~np.isnan(as_float64(column))).astype(np.uint16)
        return _numeric_codes(self, column) if self.kind == "numeric" else _categorical_codes(self, column)


def freeze(table: pa.Table, kinds: Mapping[str, Kind]) -> tuple[FeatureBins, ...]:
    """Returns the bins of each feature from the reference's rows; for a numeric one also those of its presence.

    A feature that is missing throughout, or that the table lacks, has the bins "missing" and "any value".
    """
    frozen = []
    for name, kind in kinds.items():
        column = table.column(name) if name in table.column_names else pa.nulls(table.num_rows)
        if kind == "categorical":
            frozen.append(_freeze_categorical(name, column))
        else:
            frozen += [_freeze_numeric(name, column), FeatureBins(name=name + PRESENCE, kind="presence")]
    return tuple(frozen)


def encode(table: pa.Table, bins: Sequence[FeatureBins]) -> npt.NDArray[np.uint16]:
    """Returns the codes of all rows, uint16 (rows, features); a column that the table lacks is missing throughout."""
    codes = np.full((table.num_rows, len(bins)), MISSING, np.uint16)
    for index, feature in enumerate(bins):
        if feature.column in table.column_names:
            codes[:, index] = feature.codes(table.column(feature.column))
    return codes


def count(codes: npt.NDArray[np.uint16], bins: Sequence[FeatureBins]) -> npt.NDArray[np.int64]:
    """Returns the rows per bin, features one after the other, int64 (sum of sizes,)."""
    parts = [np.bincount(codes[:, index], minlength=feature.size) for index, feature in enumerate(bins)]
    return np.concatenate([np.zeros(0, np.int64), *parts])


def offsets(bins: Sequence[FeatureBins]) -> npt.NDArray[np.int64]:
    """Returns where each feature's bins begin in what `count` returns, with the end as last entry."""
    return np.cumsum([0, *(feature.size for feature in bins)], dtype=np.int64)


def _freeze_numeric(name: str, column: pa.ChunkedArray | pa.Array) -> FeatureBins:
    values = as_float64(column)
    present = values[~np.isnan(values)]
    if len(present) == 0:
        return FeatureBins(name=name, kind="numeric")
    distinct, counts = np.unique(present, return_counts=True)
    if len(distinct) <= FEW_VALUES:
        ends = [distinct[0], np.nextafter(distinct[-1], np.inf)]
        return FeatureBins(name=name, kind="numeric", points=tuple(distinct.tolist()), edges=_finite(ends))
    points = distinct[counts >= POINT_MASS * len(present)]
    rest = present[~np.isin(present, points)]
    # "lower" keeps edges at values that occur, so that equal data meet equal edges.
    levels = [TAIL, *(np.arange(1, QUANTILES) / QUANTILES), 1 - TAIL]
    edges = np.quantile(rest, levels, method="lower") if len(rest) else np.zeros(0)
    return FeatureBins(name=name, kind="numeric", points=tuple(points.tolist()), edges=_finite(list(edges)))


def _finite(edges: Sequence[float]) -> tuple[float, ...]:
    return tuple(np.unique([edge for edge in edges if np.isfinite(edge)]).tolist())


def _freeze_categorical(name: str, column: pa.ChunkedArray | pa.Array) -> FeatureBins:
    counts = pc.value_counts(column.drop_null().cast(pa.large_string())).to_pylist()
    frequent = [item for item in counts if item["counts"] >= LEAST_SHARE * len(column)]
    ranked = sorted(frequent, key=lambda item: (-item["counts"], item["values"]))
    return FeatureBins(name=name, kind="categorical", values=tuple(item["values"] for item in ranked[:TOP_VALUES]))


def _numeric_codes(bins: FeatureBins, column: pa.ChunkedArray | pa.Array) -> npt.NDArray[np.uint16]:
    values = as_float64(column)
    points = np.array(bins.points)
    codes = 1 + len(points) + np.searchsorted(np.array(bins.edges), values, side="right")
    if len(points):
        nearest = np.minimum(np.searchsorted(points, values), len(points) - 1)
        codes = np.where(points[nearest] == values, 1 + nearest, codes)
    return np.where(np.isnan(values), MISSING, codes).astype(np.uint16)


def _categorical_codes(bins: FeatureBins, column: pa.ChunkedArray | pa.Array) -> npt.NDArray[np.uint16]:
    text = column.cast(pa.large_string())
    index = pc.index_in(text, value_set=pa.array(bins.values, pa.large_string()))
    codes = 1 + np.asarray(pc.fill_null(index, len(bins.values)))
    return np.where(np.asarray(pc.is_null(text)), MISSING, codes).astype(np.uint16)
