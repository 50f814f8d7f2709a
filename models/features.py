"""Which columns are features, and how each kind is encoded: what dataset.toml's [features] and [label] say."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from models import label as label_expression
from models import settings
from models.errors import FeatureError
from models.settings import NOT_A_KEY, Column, Range
from models.tensor_names import check_column_name

GROUPS = ("numeric", "bucketized", "categorical", "hashed", "cyclical")
"""Feature groups; a column is in at most one of them, and a column in none is not a feature."""


@dataclass(frozen=True, kw_only=True)
class FeatureSpec:
    """The features of a dataset and the label they predict.

    Attributes:
      label: expression of models/label_grammar.py; a 0/1 column `c` is the expression "c", a column `c d` "`c d`", one
        of which Yes is positive `c == "Yes"`.
      numeric: columns that enter as a normalised value and as their position among the quantiles.
      bucketized: column to number of quantile buckets; enters only as an embedded bucket.
      categorical: string or integer columns with a vocabulary from the training window.
      hashed: string or integer column to number of hash buckets, for identifiers with too many values.
      cyclical: column to period (hour of day: 24); enters as sine, cosine and an embedded integer part.
      numeric_buckets: quantile buckets of each numeric column.
      vocabulary_size: most frequent values kept of each categorical column; the others share one embedding.
      vocabulary_min_count: values seen fewer times than this in the training window are not kept either.
    """

    label: Annotated[str, NOT_A_KEY]
    numeric: tuple[Column, ...] = ()
    bucketized: Mapping[str, Annotated[int, Range(2, 10_000, "buckets")]] = field(default_factory=dict)
    categorical: tuple[Column, ...] = ()
    hashed: Mapping[str, Annotated[int, Range(2, 10_000_000, "buckets")]] = field(default_factory=dict)
    cyclical: Mapping[str, Annotated[int, Range(2, 1_000_000, "as the column")]] = field(default_factory=dict)
    numeric_buckets: Annotated[int, Range(2, 10_000, "buckets")] = 16
    vocabulary_size: Annotated[int, Range(1, 10_000_000, "values")] = 10_000
    vocabulary_min_count: Annotated[int, Range(1, 1_000_000_000, "rows")] = 1

    def __post_init__(self) -> None:
        settings.check(self, FeatureError)
        for column in sorted(label_expression.label_columns(self.label)):
            check_column_name(column)
        names = [name for group in GROUPS for name in getattr(self, group)]
        for name in names:
            check_column_name(name)
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise FeatureError(f"A column may be in one feature group only. In several: {', '.join(twice)}.")
        if not names:
            raise FeatureError(f"There are no features. Name columns in at least one of {', '.join(GROUPS)}.")
        if label_expression.is_column(self.label) and self.label_columns <= set(names):
            (column,) = self.label_columns
            raise FeatureError(f"The label column {column!r} is also a feature. Remove it from the features.")
        if self.label in names:
            raise FeatureError(
                f"A feature is named like the label expression {self.label!r}, which names the label in reports. "
                "Write the expression with other blanks."
            )

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
        values: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in value.items()}
        return cls(**values)
