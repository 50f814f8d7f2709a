"""Which columns are features, and how each kind is encoded: what dataset.toml's [features] and [label] say."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from models import label as label_expression
from models.errors import FeatureError

GROUPS = ("numeric", "bucketized", "categorical", "hashed", "cyclical")
"""Feature groups; a column is in at most one of them, and a column in none is not a feature."""


@dataclass(frozen=True, kw_only=True)
class FeatureSpec:
    """The features of a dataset and the label they predict.

    Attributes:
      label: expression of models/label.py; a 0/1 column `c` is the expression "c".
      numeric: columns that enter as a normalised value and as their position among the quantiles.
      bucketized: column to number of quantile buckets; enters only as an embedded bucket.
      categorical: string or integer columns with a vocabulary from the training window.
      hashed: string or integer column to number of hash buckets, for identifiers with too many values.
      cyclical: column to period (hour of day: 24); enters as sine, cosine and an embedded integer part.
      numeric_buckets: quantile buckets of each numeric column.
      vocabulary_size: most frequent values kept of each categorical column; the others share one embedding.
      vocabulary_min_count: values seen fewer times than this in the training window are not kept either.
    """

    label: str
    numeric: tuple[str, ...] = ()
    bucketized: Mapping[str, int] = field(default_factory=dict)
    categorical: tuple[str, ...] = ()
    hashed: Mapping[str, int] = field(default_factory=dict)
    cyclical: Mapping[str, int] = field(default_factory=dict)
    numeric_buckets: int = 16
    vocabulary_size: int = 10_000
    vocabulary_min_count: int = 1

    def __post_init__(self) -> None:
        label_expression.label_columns(self.label)
        names = [name for group in GROUPS for name in getattr(self, group)]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise FeatureError(f"A column may be in one feature group only. In several: {', '.join(twice)}.")
        if not names:
            raise FeatureError(f"There are no features. Name columns in at least one of {', '.join(GROUPS)}.")
        if label_expression.is_column(self.label) and self.label in names:
            raise FeatureError(f"The label column {self.label!r} is also a feature. Remove it from the features.")
        for group, least in (("bucketized", 2), ("hashed", 2), ("cyclical", 2)):
            for name, size in getattr(self, group).items():
                _check_at_least(f"{group}.{name}", size, least)
        _check_at_least("numeric_buckets", self.numeric_buckets, 2)
        _check_at_least("vocabulary_size", self.vocabulary_size, 1)
        _check_at_least("vocabulary_min_count", self.vocabulary_min_count, 1)

    @property
    def names(self) -> tuple[str, ...]:
        """All feature columns, sorted."""
        return tuple(sorted(name for group in GROUPS for name in getattr(self, group)))

    @property
    def label_columns(self) -> frozenset[str]:
        """The columns that the label is computed from; they may be features too."""
        return label_expression.label_columns(self.label)

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns that training reads: features and label columns, sorted."""
        return tuple(sorted(self.label_columns.union(self.names)))

    def to_json(self) -> str:
        """Serializes to JSON, the same text for equal specs."""
        value = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return json.dumps({name: dict(v) if isinstance(v, Mapping) else v for name, v in value.items()}, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> FeatureSpec:
        """Reads what `to_json` wrote.

        Raises:
          FeatureError: unknown keys, or values that a FeatureSpec cannot hold.
        """
        value: dict[str, Any] = json.loads(text)
        allowed = {f.name for f in dataclasses.fields(cls)}
        unknown = sorted(set(value) - allowed)
        if unknown:
            raise FeatureError(
                f"Unknown feature settings: {', '.join(unknown)}. Allowed: {', '.join(sorted(allowed))}."
            )
        settings: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in value.items()}
        return cls(**settings)


def _check_at_least(name: str, value: object, least: int) -> None:
    if type(value) is not int or value < least:
        raise FeatureError(f"{name} must be an integer of at least {least}. Received: {value!r}.")
