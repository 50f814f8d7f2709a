"""The kinds of features: how a column enters the model, and all that differs from one kind to the next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from models.expressions import Node, Type

Constant = Literal["moments", "boundaries", "vocabulary", "frequencies"]
Distance = Literal["numeric", "categorical", "items", "words"]


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
      is_bag: whether it has a transformed feature `<name>_bag_xf` of `Feature.width` numbers.
      distance: how the gate compares it with the training window: by its numbers or values, by the number of its items
        or words and by one of them from each row.
      description: what feature_defaults.json says of it; `{}` is its size.
      parts: where a column becomes several features, each of another kind: function of the column, group, size.
    """

    group: str
    types: tuple[str, ...]
    is_number: bool
    constants: tuple[Constant, ...]
    floats: tuple[str, ...]
    reserved: int
    distance: Distance
    description: str
    is_bag: bool = False
    parts: tuple[tuple[str, str, int], ...] = ()


_DAY_PARTS = (("days", "bucketized", 0), ("month", "cyclical", 12), ("day", "cyclical", 31), ("weekday", "cyclical", 7))
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
        Kind(
            group="multivalued",
            types=("BYTES",),
            is_number=False,
            constants=("vocabulary",),
            floats=(),
            reserved=0,
            distance="items",
            description="Several values, with {} between them.",
            is_bag=True,
        ),
        Kind(
            group="text",
            types=("BYTES",),
            is_number=False,
            constants=("frequencies",),
            floats=(),
            reserved=0,
            distance="words",
            description="Text, used by its words in {} hash buckets.",
            is_bag=True,
        ),
        Kind(
            group="dates",
            types=_CATEGORIES,
            is_number=False,
            constants=(),
            floats=(),
            reserved=0,
            distance="numeric",
            description="Date, such as 2024-03-31; a whole number is seconds since 1970.",
            parts=_DAY_PARTS,
        ),
        Kind(
            group="timestamps",
            types=_CATEGORIES,
            is_number=False,
            constants=(),
            floats=(),
            reserved=0,
            distance="numeric",
            description="Moment, such as 2024-03-31T14:30:00; a whole number is seconds since 1970.",
            parts=(*_DAY_PARTS, ("hour", "cyclical", 24)),
        ),
    )
}
"""The groups of [features]; a column is in at most one of them, and a column in none is not a feature.

What else a kind needs is found by its group: its operations in models/preprocessing.py, its part of the network in
models/network.py.
"""


@dataclass(frozen=True, kw_only=True)
class Feature:
    """One feature that the network takes.

    Attributes:
      name: its column's, a derived column's, or a part of a date such as `month(signup)`.
      value: what it is computed from; a lone column is taken as it is.
      size: buckets, the period, or the tokens of a multi-valued column's vocabulary at most; 0 where the kind has none
        of these.
      separator: between the values of a multi-valued column.
      is_compared: whether the gate compares it. A count of days is another in every span.
    """

    name: str
    kind: Kind
    value: Node
    size: int = 0
    separator: str = ""
    is_compared: bool = True

    def ids(self, vocabulary_size: int = 0) -> int:
        """Returns how many different ids it has, given the tokens of its vocabulary; 0 where it has none."""
        return self.kind.reserved and self.kind.reserved + (vocabulary_size or self.size)

    @property
    def width(self) -> int:
        """Numbers of `<name>_bag_xf`: of a multi-valued column, one for all unknown values and one a token; else 0."""
        return (self.size + ("vocabulary" in self.kind.constants)) * self.kind.is_bag


@dataclass(frozen=True, kw_only=True)
class Input:
    """One column that a client sends.

    Attributes:
      used: where, as messages say it.
      types: of the schema, that it may have.
      is_number: as in Kind.
      description: in feature_defaults.json.
      separator: between the values of a multi-valued column; empty for any other.
    """

    name: str
    used: str
    types: tuple[str, ...]
    is_number: bool
    description: str
    separator: str = ""


READ_AS: Mapping[Type, tuple[str, ...]] = {
    "number": _NUMBERS,
    "text": ("BYTES",),
    "moment": _CATEGORIES,
    "category": _CATEGORIES,
}
"""The types of the schema that an expression can read as each kind of value."""
