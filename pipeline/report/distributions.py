"""The distributions that moved most, as pictures: the span drawn over the training window."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from pipeline.gate.bins import MISSING, FeatureBins
from pipeline.gate.distributions import Distribution
from pipeline.gate.evidence import Drift, FeatureDrift
from pipeline.report import charts, numbers

LEAST_DRAWN, MOST_DRAWN = 4, 12
"""Distributions: all features that moved, but at least and at most so many."""
_MOST_VALUES = 10
_LEAST_SHARE = 0.0005


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A chart with its heading and a sentence under it."""

    title: str
    caption: str
    chart: Markup


def distributions(drift: Drift, compared: Sequence[Distribution]) -> list[Picture]:
    """Returns the features with the largest excess over their thresholds, the span drawn over the training window.

    Args:
      compared: the counts behind the distances; a feature without any is not drawn.
    """
    by_name = {item.bins.name: item for item in compared}
    wanted = min(max(len(drift.moved), LEAST_DRAWN), MOST_DRAWN)
    chosen = [item for item in drift.features if item.feature in by_name][:wanted]
    return [_distribution(item, by_name[item.feature]) for item in chosen]


def _distribution(item: FeatureDrift, counts: Distribution) -> Picture:
    order, names = (_columns if counts.bins.kind == "numeric" else _values)(counts)
    before, after = _shares(counts.baseline, order), _shares(counts.span, order)
    draw = charts.steps if counts.bins.kind == "numeric" else charts.pairs
    description = "; ".join(
        f"{name}: {numbers.share(was)} then {numbers.share(now)}"
        for name, was, now in zip(names[:40], before, after, strict=False)
    )
    title = f"Distribution of {numbers.short(item.feature)}: share of the rows, training window then span"
    return Picture(
        title=item.feature,
        caption=item.direction.removeprefix(f"`{item.feature}`: "),
        chart=draw(title, numbers.short(description, 2000), before, after, names),
    )


def _shares(counts: Sequence[int], order: Sequence[Sequence[int]]) -> list[float]:
    total = sum(counts) or 1
    return [sum(counts[index] for index in group) / total for group in order]


def _columns(counts: Distribution) -> tuple[list[list[int]], list[str]]:
    """Returns a numeric feature's bins by value, those that are empty on both sides left out, and their names."""
    bins = counts.bins
    places = [(-math.inf, 0.0, MISSING, "missing")]
    places += [(point, 0.5, 1 + index, numbers.value(point)) for index, point in enumerate(bins.points)]
    first = 1 + len(bins.points)
    edges = [-math.inf, *bins.edges]
    for index, edge in enumerate(edges):
        name = f"≥ {numbers.value(edge)}" if index else f"< {numbers.value(bins.edges[0])}" if bins.edges else "any"
        places.append((edge, 1.0, first + index, name))
    filled = [place for place in sorted(places) if counts.baseline[place[2]] or counts.span[place[2]]]
    return [[place[2]] for place in filled], [place[3] for place in filled]


def _values(counts: Distribution) -> tuple[list[list[int]], list[str]]:
    """Returns a categorical feature's most frequent values on either side; the others together are the last row."""
    bins: FeatureBins = counts.bins
    names = [name.removeprefix("= ") for name in bins.labels()]
    baseline, span = np.array(counts.baseline, float), np.array(counts.span, float)
    shares = np.maximum(baseline / max(baseline.sum(), 1), span / max(span.sum(), 1))
    filled = [int(index) for index in np.argsort(-shares, kind="stable") if shares[index] >= _LEAST_SHARE]
    kept, rest = filled[:_MOST_VALUES], filled[_MOST_VALUES:]
    groups = [[index] for index in kept]
    shown = [names[index] for index in kept]
    if rest:
        groups.append(rest)
        shown.append(f"{len(rest)} other bins")
    return groups, shown
