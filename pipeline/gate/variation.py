"""What the spans of a training window do among each other, when nothing but time passes.

A window may hold a change: a step between two spans, or one odd span. Such a change is no ordinary variation, and would
hide the next one. So the window is also divided in two, at each place in time and around each single span, and what
spans do *within* the parts is measured. Where the whole is out of proportion to the most even division, the parts tell
the variation. It takes three spans: of two, none is the odd one.

Sources: the division at an unknown place is that of Hawkins, "Testing a sequence of observations for a shift in
location", JASA 72, 1977; leaving one observation out where it lies out of proportion to the rest is Dixon's test,
"Processing data for outliers", Biometrics 9, 1953.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.gate import chance
from pipeline.gate.bins import FeatureBins
from pipeline.gate.chance import Calibration
from pipeline.gate.distances import Floats, distances, squared
from pipeline.gate.policy import SMALLEST_COMPARED

OUT_OF_PROPORTION = 9.0
"""Squared: a change in the window is one where a span lies three times as far from the others as they do themselves."""


@dataclass(frozen=True, kw_only=True)
class Variation:
    """Of each feature.

    Attributes:
      squared: the largest squared distance of a span from the others, chance taken off and no change in the window
        counted; NaN where the window has one span, float64 (features,).
      raised_by: position of the span that it is the distance of; -1 where a change was left out, int64 (features,).
    """

    squared: Floats
    raised_by: npt.NDArray[np.int64]


def measure(counts: npt.NDArray[np.int64], bins: Sequence[FeatureBins], null: Calibration, rows: int) -> Variation:
    """Measures each feature's variation.

    Args:
      counts: rows per bin of each span, in the order of time, int64 (spans, total bins).
      rows: of the whole window, which the calibration is for.
    """
    sizes = counts[:, : bins[0].size].sum(axis=1) if bins else np.zeros(len(counts), np.int64)

    def apart(group: Sequence[int]) -> Floats:
        """Returns the squared distance of each span of a group from the others, less chance, (spans, features)."""
        part, size = counts[list(group)], sizes[list(group)]
        statistic = squared(distances(part, part.sum(axis=0) - part, bins), bins)
        excess = np.full(statistic.shape, np.nan)
        for index, own in enumerate(size):
            others = size.sum() - own
            if min(own, others) >= SMALLEST_COMPARED:
                # The calibration is for the whole window as the reference: the size at which chance adds as much.
                alike = 1 / (1 / own + 1 / others - 1 / rows)
                bias = chance.expected(null, max(int(alike), SMALLEST_COMPARED))
                excess[index] = np.maximum(statistic[index] - bias, 0.0)
        return excess

    whole = apart(range(len(counts)))
    compared = ~np.isnan(whole).all(axis=0) if len(counts) else np.zeros(len(bins), np.bool_)
    filled = np.nan_to_num(whole, nan=-1.0)
    largest = np.where(compared, filled.max(axis=0), np.nan)
    raised_by = filled.argmax(axis=0)
    for parts in divisions(len(counts)):
        within = np.concatenate([apart(part) for part in parts if len(part) > 1])
        limit = OUT_OF_PROPORTION * np.fmax.reduce(within)
        raised_by = np.where(limit < largest, -1, raised_by)
        largest = np.fmin(largest, limit)
    return Variation(squared=largest, raised_by=raised_by)


def divisions(spans: int) -> Iterator[tuple[Sequence[int], Sequence[int]]]:
    """Yields every division in two at a point of time, and every single span against the rest."""
    if spans < 3:
        return
    everything = range(spans)
    for start in range(1, spans):
        yield everything[:start], everything[start:]
    for single in range(1, spans - 1):
        yield (single,), [span for span in everything if span != single]
