"""Transformed features as two matrices, which every learner takes: one of numbers, one of ids."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from models.features import FeatureSpec


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Which transformed features enter the model, in which order.

    Attributes:
      ids: transformed integer feature to number of different values, 0 (missing) included.
      bags: transformed bag to its width; all zeros is missing.
      ordered: those of the ids whose order means something, as of buckets of numbers.
      numeric: numeric columns, each with a z-score and a position among `numeric_buckets` quantile buckets.
      cyclical: cyclical columns, each with a phase.
      plain: of own code, transformed numbers and vectors that enter as they are, with their widths.
      least: of own code, the smallest value of an integer feature; 0 where it is not named.
      is_own: whether own code transforms the features.
    """

    ids: Mapping[str, int]
    numeric: tuple[str, ...]
    cyclical: tuple[str, ...]
    numeric_buckets: int
    bags: Mapping[str, int] = field(default_factory=dict)
    plain: Mapping[str, int] = field(default_factory=dict)
    least: Mapping[str, int] = field(default_factory=dict)
    is_own: bool = False
    ordered: tuple[str, ...] = ()

    @classmethod
    def of(cls, features: FeatureSpec, vocabulary_sizes: Mapping[str, int]) -> Layout:
        """The layout of `features`, given the number of tokens of each categorical column."""
        of_vocabularies = {one.name: vocabulary_sizes[one.name] for one in features.having("vocabulary")}
        ids = {one.name: one.ids(of_vocabularies.get(one.name, 0)) for one in features.encoded if one.kind.reserved}
        return cls(
            ids={f"{name}_id_xf": size for name, size in ids.items()},
            numeric=tuple(one.name for one in features.encoded if "_z_xf" in one.kind.floats),
            cyclical=tuple(one.name for one in features.encoded if "_phase_xf" in one.kind.floats),
            numeric_buckets=features.numeric_buckets,
            bags={f"{one.name}_bag_xf": one.width for one in features.encoded if one.kind.is_bag},
            ordered=tuple(f"{one.name}_id_xf" for one in features.encoded if one.kind.group == "bucketized"),
        )

    @property
    def floats(self) -> tuple[str, ...]:
        """The floating point features of one number each, in the order of the packed matrix; the bags come after, then
        what enters plainly."""
        return (
            *(f"{name}_z_xf" for name in self.numeric),
            *(f"{name}_quantile_xf" for name in self.numeric),
            *(f"{name}_phase_xf" for name in self.cyclical),
        )

    @property
    def width(self) -> int:
        """Of the packed matrix of floating point numbers."""
        return len(self.floats) + sum(self.bags.values()) + sum(self.plain.values())


def pack(transformed: Mapping[str, Any], layout: Layout) -> tuple[np.ndarray, np.ndarray]:
    """Stacks transformed features into one float32 matrix and one int32 matrix, a row per example."""
    rows = len(next(iter(transformed.values())))
    vectors = {**layout.bags, **layout.plain}
    floats = np.empty((rows, layout.width), np.float32)
    ids = np.empty((rows, len(layout.ids)), np.int32)
    for column, name in enumerate(layout.floats):
        floats[:, column] = transformed[name]
    start = len(layout.floats)
    for name, width in vectors.items():
        floats[:, start : start + width] = np.reshape(transformed[name], (rows, width))
        start += width
    for column, name in enumerate(layout.ids):
        ids[:, column] = transformed[name] - layout.least.get(name, 0)
    return floats, ids


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Packed training rows.

    Attributes:
      floats: (rows, floats of the layout), float32.
      ids: (rows, ids of the layout), int32.
      labels: (rows,), as `Target.evaluate` answers; none is unknown.
      spans: (rows,), which span each row is from, in any integers; only equality counts.
      weights: (rows,), how much each counts, above 0; None where each counts one.
    """

    floats: np.ndarray
    ids: np.ndarray
    labels: np.ndarray
    spans: np.ndarray
    weights: np.ndarray | None = None

    @functools.cached_property
    def shares(self) -> np.ndarray:
        """How much each row counts, with a mean of 1; float64 (rows,)."""
        if self.weights is None:
            return np.ones(len(self))
        return np.asarray(self.weights / self.weights.mean())

    def part(self, chosen: np.ndarray) -> Rows:
        """Returns some of the rows."""
        return Rows(
            floats=self.floats[chosen],
            ids=self.ids[chosen],
            labels=self.labels[chosen],
            spans=self.spans[chosen],
            weights=None if self.weights is None else self.weights[chosen],
        )

    def __len__(self) -> int:
        return len(self.labels)
