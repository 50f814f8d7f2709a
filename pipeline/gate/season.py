"""Spans of one season: a Monday is compared with Mondays, a December with Decembers.

Where weekends differ from weekdays, a window of two weeks holds both, so everything a weekend does is its ordinary
variation, and a weekday that behaves like a weekend passes. With `[gate] season` the reference of the distributions and
the label's share, and their variation, are the spans of the training window that are comparable with the new one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from pipeline.gate import variation
from pipeline.gate.baseline import NO_SPAN, Baseline
from pipeline.gate.evidence import NotCompared
from pipeline.gate.policy import SMALLEST_COMPARED, GatePolicy

DAYS_PER_WEEK = 7
DAYS_PER_YEAR = 365.2425
_SAME_TIME_OF_YEAR = 15
"""Days on either side."""


def are_comparable(one: int, other: int, season: str | int) -> bool:
    """Whether two spans lie at the same place of the season.

    Args:
      one, other: numbers of spans; of `week` and `year`, days.
    """
    if season == "year":
        apart = abs(one - other) % DAYS_PER_YEAR
        return min(apart, DAYS_PER_YEAR - apart) <= _SAME_TIME_OF_YEAR
    period = DAYS_PER_WEEK if season == "week" else int(season)
    return (one - other) % period == 0


def baseline_of(baseline: Baseline, span: int, policy: GatePolicy) -> tuple[Baseline, list[NotCompared]]:
    """Returns the baseline with the spans alone that are comparable with this one, and why not where it cannot.

    Without a season, and where the window has no comparable span, that is the baseline as it is.
    """
    if policy.season is None:
        return baseline, []
    kept = [index for index, other in enumerate(baseline.window) if are_comparable(span, other, policy.season)]
    fault = _fault(baseline, kept)
    if fault:
        text = f"span {span} was compared with the whole training window and not by season: {fault}"
        return baseline, [NotCompared(subject="drift", text=text)]
    assert baseline.by_span is not None, "looked at above"
    by_span = baseline.by_span[kept]
    window = tuple(baseline.window[index] for index in kept)
    between = variation.measure(by_span, baseline.bins, baseline.calibration, baseline.rows)
    of_season = dataclasses.replace(
        baseline,
        window=window,
        counts=by_span.sum(axis=0),
        variation=between.squared,
        raised_by=np.where(between.raised_by < 0, NO_SPAN, np.array(window)[between.raised_by]),
        label_spans=tuple(baseline.label_spans[index] for index in kept),
        calibrated_rows=baseline.rows,
        # These are of the whole window; shares of bins tell what moved instead.
        quantiles=np.full_like(baseline.quantiles, np.nan),
    )
    return of_season, []


def _fault(baseline: Baseline, kept: Sequence[int]) -> str:
    if baseline.by_span is None or len(baseline.label_spans) != len(baseline.window):
        return "the live model was pushed before its spans were kept one by one"
    if not kept:
        return "no span of that window is comparable"
    rows = int(baseline.by_span[kept, : baseline.bins[0].size].sum())
    return f"the comparable spans have {rows} rows" if rows < SMALLEST_COMPARED else ""
