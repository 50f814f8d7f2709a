"""Which columns are features, and how each kind is encoded: what dataset.toml's [features] and [label] say."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from models import derived as derived_columns
from models import settings
from models.errors import FeatureError
from models.kinds import KINDS, Constant, Feature, Input
from models.settings import NOT_A_KEY, Column, Form, Range
from models.target import Target, TaskName, Threshold, TransformName
from models.tensor_names import check_column_name

_Text = Annotated[str, Form(r"[^\x00]+", "a text that is not empty")]
_Separator = Annotated[str, Form(r"[^\w\s\"]{1,3}", "one to three marks that are no letters, digits or blanks")]
_ADDED = ("multivalued", "text", "dates", "timestamps", "derived")
"""Settings that older releases did not have: where they say nothing, a spec is the same text as ever."""


@dataclass(frozen=True, kw_only=True)
class FeatureSpec:
    """The features of a dataset and the label they predict.

    Attributes:
      label: expression of models/label_grammar.py; a 0/1 column `c` is the expression "c", a column `c d` "`c d`", one
        of which Yes is positive `c == "Yes"`.
      task, classes, weight, transform, interval, threshold: with `label`, what is predicted: see models/target.py.
      numeric: columns that enter as a normalised value and as their position among the quantiles.
      bucketized: column to number of quantile buckets; enters only as an embedded bucket.
      categorical: string or integer columns with a vocabulary from the training window.
      hashed: string or integer column to number of hash buckets, for identifiers with too many values.
      cyclical: column to period (hour of day: 24); enters as sine, cosine and an embedded integer part.
      multivalued: column of several values to what separates them, such as `|`; enters as the mean embedding of its
        values. A list of a Parquet file has `|` between its items.
      text: column of free text to number of hash buckets; enters as the sum of the embeddings of its words and of each
        two in a row, those that few rows have weighing more.
      dates: columns of dates; each enters as its place in time, month, day of the month and weekday.
      timestamps: columns of dates with a time of day; each enters as a date does, and as its hour.
      derived: name to expression of columns, such as `price / carat`. It is a column to the groups above; one that is
        in none of them is of the kind that the expression suggests.
      numeric_buckets: quantile buckets of each numeric column.
      multivalued_size: most frequent values kept of each multi-valued column; the others share one embedding.
      vocabulary_size: most frequent values kept of each categorical column; the others share one embedding.
      vocabulary_min_count: values seen fewer times than this in the training window are not kept either.
    """

    label: Annotated[str, NOT_A_KEY]
    task: Annotated[TaskName, NOT_A_KEY] = "binary"
    classes: Annotated[tuple[str, ...], NOT_A_KEY] = ()
    weight: Annotated[str, NOT_A_KEY] = ""
    transform: Annotated[TransformName, NOT_A_KEY] = "none"
    interval: Annotated[float, NOT_A_KEY] = 0.9
    threshold: Annotated[Threshold, NOT_A_KEY] = 0.5
    numeric: tuple[Column, ...] = ()
    bucketized: Mapping[str, Annotated[int, Range(2, 10_000, "buckets")]] = field(default_factory=dict)
    categorical: tuple[Column, ...] = ()
    hashed: Mapping[str, Annotated[int, Range(2, 10_000_000, "buckets")]] = field(default_factory=dict)
    cyclical: Mapping[str, Annotated[int, Range(2, 1_000_000, "as the column")]] = field(default_factory=dict)
    multivalued: Mapping[str, _Separator] = field(default_factory=dict)
    text: Mapping[str, Annotated[int, Range(2, 16_384, "buckets")]] = field(default_factory=dict)
    dates: tuple[Column, ...] = ()
    timestamps: tuple[Column, ...] = ()
    derived: Mapping[str, _Text] = field(default_factory=dict)
    numeric_buckets: Annotated[int, Range(2, 10_000, "buckets")] = 16
    multivalued_size: Annotated[int, Range(1, 16_384, "values")] = 256
    vocabulary_size: Annotated[int, Range(1, 10_000_000, "values")] = 10_000
    vocabulary_min_count: Annotated[int, Range(1, 1_000_000_000, "rows")] = 1

    def __post_init__(self) -> None:
        settings.check(self, FeatureError)
        for column in sorted(self.target.columns):
            check_column_name(column)
        names = [name for group in KINDS for name in getattr(self, group)]
        for name in (*names, *self.derived):
            check_column_name(name)
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise FeatureError(f"A column may be in one feature group only. In several: {', '.join(twice)}.")
        if not names and not self.derived:
            raise FeatureError(f"There are no features. Name columns in at least one of {', '.join(KINDS)}.")
        names = [feature.name for feature in self.encoded]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise FeatureError(f"Two features have the name {twice[0]!r}. Rename the derived column.")
        if self.target.is_column and self.target.label_columns <= set(self.names):
            (column,) = self.target.label_columns
            raise FeatureError(f"The label column {column!r} is also a feature. Remove it from the features.")
        if self.label in names:
            raise FeatureError(
                f"A feature is named like the label expression {self.label!r}, which names the label in reports. "
                "Write the expression with other blanks."
            )

    @functools.cached_property
    def encoded(self) -> tuple[Feature, ...]:
        """All features, by name."""
        return derived_columns.features_of(self._groups, self.derived, self._sizes)

    @functools.cached_property
    def inputs(self) -> tuple[Input, ...]:
        """The columns that a client sends, by name."""
        return derived_columns.inputs_of(self._groups, self.derived, self.encoded)

    @functools.cached_property
    def as_stored(self) -> frozenset[str]:
        """The columns that a client sends as they are stored; among whole numbers, -1 is missing there."""
        return frozenset(column.name for column in self.inputs if not column.is_number)

    @property
    def _sizes(self) -> derived_columns.Sizes:
        return derived_columns.Sizes(numeric=self.numeric_buckets, multivalued=self.multivalued_size)

    @property
    def _groups(self) -> derived_columns.Groups:
        return {group: getattr(self, group) for group in KINDS}

    def having(self, constant: Constant) -> tuple[Feature, ...]:
        """Returns the features of which the transform graph has to know `constant`, by name."""
        return tuple(feature for feature in self.encoded if constant in feature.kind.constants)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of `inputs`, sorted."""
        return tuple(column.name for column in self.inputs)

    @functools.cached_property
    def target(self) -> Target:
        """What is predicted."""
        return Target(**{f.name: getattr(self, f.name) for f in dataclasses.fields(Target)})

    @property
    def label_columns(self) -> frozenset[str]:
        """The columns that label and weight are computed from; they may be features too."""
        return self.target.columns

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns that training reads: features and label columns, sorted."""
        return tuple(sorted(self.label_columns.union(self.names)))

    def to_json(self) -> str:
        """Serializes to JSON, the same text for equal specs."""
        value = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        defaults = {f.name: f.default for f in dataclasses.fields(Target) if f.name != "label"}
        # As before these were there: a spec that does not use them is the same text as ever.
        value = {name: v for name, v in value.items() if (v or name not in _ADDED) and v != defaults.get(name)}
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
