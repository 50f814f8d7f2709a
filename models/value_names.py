"""What the transformed features stand for, in the user's words: of each id its value, of each number its unit."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from models.errors import FeatureError
from models.features import FeatureSpec
from models.kinds import Feature
from models.transform_graph import Constants, TransformGraph


@dataclass(frozen=True, kw_only=True)
class ValueNames:
    """Names by column.

    Attributes:
      by_column: of each id or place in a bag, in order.
      spreads: standard deviation of each numeric column.
    """

    by_column: Mapping[str, Sequence[str]]
    spreads: Mapping[str, float]

    @classmethod
    def of(cls, features: FeatureSpec, graph: TransformGraph) -> ValueNames:
        """Reads them from a transform graph."""
        try:
            constants = graph.constants()
        except FeatureError:  # Of a graph that was written before its constants had names.
            constants = Constants(moments={}, boundaries={}, tokens={})
        named = [one for one in features.encoded if one.kind.group in _NAMES]
        return cls(
            by_column={one.name: _NAMES[one.kind.group](one, constants) for one in named},
            spreads={name: std for name, (_, std) in constants.moments.items()},
        )

    def values(self, column: str, size: int) -> Sequence[str]:
        """The name of each id, or of each place in a bag; of own code's features their numbers."""
        names = list(self.by_column.get(column, ()))[:size]
        return [*names, *(str(number) for number in range(len(names), size))]

    def unit(self, column: str) -> str:
        """What a numeric column's coefficient is for."""
        spread = self.spreads.get(column)
        return "each standard deviation" if spread is None else f"each {spread:.4g} more"


def _tokens(feature: Feature, constants: Constants) -> list[str]:
    return [
        "missing",
        "any other value",
        *(token.decode("utf-8", "replace") for token in constants.tokens[feature.name]),
    ]


def _words_in(feature: Feature, constants: Constants) -> list[str]:
    return [token.decode("utf-8", "replace") for token in constants.tokens.get(feature.name, ())]


def _ranges(feature: Feature, constants: Constants) -> list[str]:
    limits = [f"{limit:.6g}" for limit in np.asarray(constants.boundaries.get(feature.name, ())).tolist()]
    inner = [f"{low} to {high}" for low, high in itertools.pairwise(limits)]
    return ["missing", *([f"below {limits[0]}", *inner, f"{limits[-1]} and above"] if limits else ["any"])]


def _buckets(feature: Feature, constants: Constants) -> list[str]:
    del constants
    return ["missing", *(f"hash bucket {bucket}" for bucket in range(feature.size))]


def _places(feature: Feature, constants: Constants) -> list[str]:
    del constants
    return ["missing", *map(str, range(feature.size))]


def _items(feature: Feature, constants: Constants) -> list[str]:
    return ["any other value", *_words_in(feature, constants)]


def _words(feature: Feature, constants: Constants) -> list[str]:
    del constants
    return [f"words of bucket {bucket}" for bucket in range(feature.width)]


_NAMES: Mapping[str, Callable[[Feature, Constants], list[str]]] = {
    "categorical": _tokens,
    "bucketized": _ranges,
    "hashed": _buckets,
    "cyclical": _places,
    "multivalued": _items,
    "text": _words,
}
"""By group of [features]."""
