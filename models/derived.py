"""From the groups of [features] to features: parts of dates, derived columns, and the columns that all are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from models import expressions
from models.errors import ExpressionError, FeatureError
from models.expressions import Call, Column, Node
from models.kinds import KINDS, READ_AS, Feature, Input

Groups: TypeAlias = Mapping[str, Sequence[str] | Mapping[str, int] | Mapping[str, str]]
"""By group: its columns, with the size or the separator of each where the group has any."""


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Of features whose group says no size of their own: quantile buckets, and tokens of multi-valued columns."""

    numeric: int
    multivalued: int

    def of(self, group: str, said: int | str | None) -> int:
        """Returns the size of a member of a group that says so much of it."""
        if isinstance(said, int):
            return said
        return {"numeric": self.numeric, "multivalued": self.multivalued}.get(group, 0)


def features_of(groups: Groups, derived: Mapping[str, str], sizes: Sizes) -> tuple[Feature, ...]:
    """Returns all features, by name.

    A derived column that no group names is of the kind that its expression suggests: a part of the calendar cyclical, a
    text categorical, any other number numeric.

    Raises:
      FeatureError: an expression that is none, of another derived column, or of a kind that its group does not take.
    """
    trees = _trees(groups, derived)
    found = []
    for group, members in groups.items():
        kind = KINDS[group]
        for name in members:
            said = members[name] if isinstance(members, Mapping) else None
            value = trees.get(name, Column(name))
            if name in trees and (kind.parts or kind.is_bag):
                raise FeatureError(f"{group}: {name!r} is a derived column. Expected a column of the data.")
            if name in trees and expressions.is_text(value) == kind.is_number:
                wanted = "a number" if kind.is_number else "a text, such as a cross"
                what = "a text" if kind.is_number else "a number"
                raise FeatureError(f"{group}: expected {wanted}. Received: {name!r} = {derived[name]!r}, {what}.")
            separator = said if isinstance(said, str) else ""
            found.append(Feature(name=name, kind=kind, value=value, size=sizes.of(group, said), separator=separator))
    grouped = {name for members in groups.values() for name in members}
    found += [_by_itself(name, tree, sizes.numeric) for name, tree in trees.items() if name not in grouped]
    divided = [part for feature in found for part in _parts(feature, sizes.numeric)]
    return tuple(sorted(divided, key=lambda feature: feature.name))


def inputs_of(groups: Groups, derived: Mapping[str, str], features: Sequence[Feature]) -> tuple[Input, ...]:
    """Returns the columns that a client sends, by name.

    A column that is in a group is sent as that group's kind says; one that only derived columns use, as a number where
    all of them read a number.
    """
    found = {}
    for group, members in groups.items():
        kind = KINDS[group]
        for name in members:
            if name in derived:
                continue
            said = members[name] if isinstance(members, Mapping) else 0
            found[name] = Input(
                name=name,
                used=group,
                types=kind.types,
                is_number=kind.is_number,
                description=kind.description.format(repr(said) if isinstance(said, str) else said),
                separator=said if isinstance(said, str) else "",
            )
    for feature in features:
        if feature.name not in derived:
            continue
        for name, read_as in expressions.columns(feature.value):
            before = found.get(name)
            types = tuple(kind for kind in READ_AS[read_as] if before is None or kind in before.types)
            if before is not None and not types:
                raise FeatureError(
                    f"derived.{feature.name}: {name!r} is read as a {read_as}, and by {before.used} as none."
                )
            used = f"{before.used}, derived.{feature.name}" if before else f"derived.{feature.name}"
            is_number = (read_as == "number") if before is None else before.is_number
            if before is not None and before.used.startswith("derived."):
                is_number = before.is_number and read_as == "number"
            found[name] = Input(
                name=name,
                used=used,
                types=types,
                is_number=is_number,
                description=_read_by(feature.name, before),
                separator=before.separator if before else "",
            )
    return tuple(found[name] for name in sorted(found))


def _read_by(feature: str, before: Input | None) -> str:
    if before is None:
        return f"Read by {feature}."
    only_derived = before.used.startswith("derived.")
    return f"{before.description[:-1]}, {feature}." if only_derived else before.description


def _trees(groups: Groups, derived: Mapping[str, str]) -> dict[str, Node]:
    """Returns the syntax tree of each derived column; a product of categories is their cross."""
    categories = {name for group in groups for name in groups[group] if not KINDS[group].is_number}
    trees: dict[str, Node] = {}
    for name, expression in derived.items():
        try:
            tree = expressions.parse(expression)
        except ExpressionError as error:
            raise FeatureError(f"derived.{name}: {error}") from error
        names = [column for column, _ in expressions.columns(tree)]
        nested = next((column for column in names if column in derived), None)
        if nested is not None:
            raise FeatureError(f"derived.{name}: {nested!r} is a derived column too. Write its expression instead.")
        crossed = expressions.as_cross(tree)
        trees[name] = crossed if crossed is not None and categories.intersection({name, *names}) else tree
    return trees


def _by_itself(name: str, tree: Node, numeric_buckets: int) -> Feature:
    if expressions.is_text(tree):
        return Feature(name=name, kind=KINDS["categorical"], value=tree)
    if isinstance(tree, Call) and tree.function in expressions.FUNCTIONS:
        period = expressions.FUNCTIONS[tree.function].period
        if period:
            return Feature(name=name, kind=KINDS["cyclical"], value=tree, size=period)
    return Feature(name=name, kind=KINDS["numeric"], value=tree, size=numeric_buckets)


def _parts(feature: Feature, numeric_buckets: int) -> list[Feature]:
    """Returns the features that a date becomes; any other feature is one."""
    if not feature.kind.parts:
        return [feature]
    return [
        Feature(
            name=f"{function}({expressions.column_text(feature.name)})",
            kind=KINDS[group],
            value=Call(function, (Column(feature.name),)),
            size=size or numeric_buckets,
            is_compared=function != "days",
        )
        for function, group, size in feature.kind.parts
    ]
