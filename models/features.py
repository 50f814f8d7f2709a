"""Which columns are features, and how each kind is encoded: what dataset.toml's [features] and [label] say."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from models import settings
from models.errors import FeatureError
from models.settings import NOT_A_KEY, Column, Range
from models.target import Target, TaskName, TransformName
from models.tensor_names import check_column_name

Constant = Literal["moments", "boundaries", "vocabulary"]
Distance = Literal["numeric", "categorical"]


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One way in which a column becomes a feature.

    Attributes:
      group: its key in [features].
      types: of the schema, that its columns may have.
      is_number: whether a client sends float32, NaN where missing; else the column as it is stored: a string, "" where
        missing, or int64, -1 where missing.
      constants: what the transform graph has to know of the training window.
      floats: suffixes of the transformed features that are numbers.
      reserved: ids that stand for no bucket, token or integer part: the missing value, and the unknown one of a
        vocabulary. 0 where the kind has no transformed feature `<name>_id_xf`.
      distance: how the gate compares it with the training window.
      description: what feature_defaults.json says of it; `{}` is its size.
    """

    group: str
    types: tuple[str, ...]
    is_number: bool
    constants: tuple[Constant, ...]
    floats: tuple[str, ...]
    reserved: int
    distance: Distance
    description: str


_NUMBERS, _CATEGORIES = ("INT", "FLOAT"), ("BYTES", "INT")
KINDS: Mapping[str, Kind] = {
    kind.group: kind
    for kind in (
        Kind(
            group="numeric",
            types=_NUMBERS,
            is_number=True,
            constants=("moments", "boundaries"),
            floats=("_z_xf", "_quantile_xf"),
            reserved=0,
            distance="numeric",
            description="Number.",
        ),
        Kind(
            group="bucketized",
            types=_NUMBERS,
            is_number=True,
            constants=("boundaries",),
            floats=(),
            reserved=1,
            distance="numeric",
            description="Number, used by its quantile bucket.",
        ),
        Kind(
            group="categorical",
            types=_CATEGORIES,
            is_number=False,
            constants=("vocabulary",),
            floats=(),
            reserved=2,
            distance="categorical",
            description="Category; values unknown to the training data are treated alike.",
        ),
        Kind(
            group="hashed",
            types=_CATEGORIES,
            is_number=False,
            constants=(),
            floats=(),
            reserved=1,
            distance="categorical",
            description="Identifier, used by its hash.",
        ),
        Kind(
            group="cyclical",
            types=_NUMBERS,
            is_number=True,
            constants=(),
            floats=("_phase_xf",),
            reserved=1,
            distance="numeric",
            description="Number with a period of {}.",
        ),
    )
}
"""The groups of [features]; a column is in at most one of them, and a column in none is not a feature.

What else a kind needs is found by its group: its operations in models/preprocessing.py, its part of the network in
models/network.py.
"""


@dataclass(frozen=True, kw_only=True)
class Feature:
    """One feature.

    Attributes:
      size: buckets, or the period; 0 where the kind has neither, or a vocabulary says it.
    """

    name: str
    kind: Kind
    size: int = 0

    def ids(self, vocabulary_size: int = 0) -> int:
        """Returns how many different ids it has, given the tokens of its vocabulary; 0 where it has none."""
        return self.kind.reserved and self.kind.reserved + (vocabulary_size or self.size)


@dataclass(frozen=True, kw_only=True)
class FeatureSpec:
    """The features of a dataset and the label they predict.

    Attributes:
      label: expression of models/label_grammar.py; a 0/1 column `c` is the expression "c", a column `c d` "`c d`", one
        of which Yes is positive `c == "Yes"`.
      task, classes, weight, transform, interval: with `label`, what is predicted: see models/target.py.
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
    task: Annotated[TaskName, NOT_A_KEY] = "binary"
    classes: Annotated[tuple[str, ...], NOT_A_KEY] = ()
    weight: Annotated[str, NOT_A_KEY] = ""
    transform: Annotated[TransformName, NOT_A_KEY] = "none"
    interval: Annotated[float, NOT_A_KEY] = 0.9
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
        for column in sorted(self.target.columns):
            check_column_name(column)
        names = [name for group in KINDS for name in getattr(self, group)]
        for name in names:
            check_column_name(name)
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise FeatureError(f"A column may be in one feature group only. In several: {', '.join(twice)}.")
        if not names:
            raise FeatureError(f"There are no features. Name columns in at least one of {', '.join(KINDS)}.")
        if self.target.is_column and self.target.label_columns <= set(names):
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
        found = []
        for group, kind in KINDS.items():
            members = getattr(self, group)
            sizes = members if isinstance(members, Mapping) else {}
            size = self.numeric_buckets if group == "numeric" else 0
            found += [Feature(name=name, kind=kind, size=sizes.get(name, size)) for name in members]
        return tuple(sorted(found, key=lambda feature: feature.name))

    def having(self, constant: Constant) -> tuple[Feature, ...]:
        """Returns the features of which the transform graph has to know `constant`, by name."""
        return tuple(feature for feature in self.encoded if constant in feature.kind.constants)

    @property
    def names(self) -> tuple[str, ...]:
        """All columns that a client sends, sorted."""
        return tuple(feature.name for feature in self.encoded)

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
        for f in dataclasses.fields(Target):  # As before there were other tasks: such a spec is the same as ever.
            if f.name != "label" and value[f.name] == f.default:
                del value[f.name]
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
