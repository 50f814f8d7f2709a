"""Small moves that last: the last spans since the live model's push together, each of which alone shows nothing.

A move of five points hides in the noise of 300 rows, and not in that of ten such spans. So the rows of the last 2, 4, 8
and more spans and of all since the push are compared as one span, over the same bins and with the same limits as any
span of that many rows. That is a window-limited scheme of likelihood-ratio type over the possible times of a change.

The looks of one span share one rate, 0.5 % at the default. Looks overlap, and for sets that are symmetric and convex
around "nothing moved", as these are for large samples, all hold together at least as often as independent ones would
(Royen). So the expected run between two false alarms, of all features together, is at least 1 / rate = 200 spans.

Sources: Lai, "Sequential changepoint detection in quality control and dynamical systems", JRSS B 57, 1995; Royen, "A
simple proof of the Gaussian correlation conjecture", Far East Journal of Theoretical Statistics 48, 2014.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import numpy.typing as npt

from pipeline.gate import bins as frozen_bins
from pipeline.gate import directions, distances, drift
from pipeline.gate.baseline import Baseline
from pipeline.gate.evidence import Drift, FeatureDrift, LastingDrift
from pipeline.gate.policy import GatePolicy


def compare(
    earlier: Sequence[tuple[int, Sequence[int]]],
    span: int,
    counts: Sequence[int],
    baseline: Baseline,
    policy: GatePolicy,
    alone: Drift,
) -> tuple[LastingDrift, ...]:
    """Compares the last spans together with the training window.

    Args:
      earlier: number and rows per bin of each span that was compared since the push, ascending.
      counts: the span's rows per bin of the baseline.
      alone: the span's own comparison; what moved in it already is not said again.

    Returns:
      The features that moved in the last spans together and not in this one, each over the spans where it moved
      furthest, the largest excess first.
    """
    spans = (*(number for number, _ in earlier), span)
    by_span = np.array([*(each for _, each in earlier), counts], np.int64)
    said = {item.feature for item in alone.moved}
    judged = {item.feature for item in alone.features if item.limit != "schema" and not item.format} - said
    lengths = _lengths(len(spans))
    furthest: dict[str, LastingDrift] = {}
    for length in lengths:
        rate = policy.alarm_rate("lasting") / len(lengths)
        for item in _moved(by_span[-length:], judged, baseline, policy, rate):
            if item.feature not in furthest or item.excess > furthest[item.feature].drift.excess:
                rows = int(by_span[-length:, : baseline.bins[0].size].sum())
                furthest[item.feature] = LastingDrift(spans=spans[-length:], rows=rows, drift=item)
    return tuple(sorted(furthest.values(), key=lambda item: -item.drift.excess))


def _moved(
    by_span: npt.NDArray[np.int64], judged: Collection[str], baseline: Baseline, policy: GatePolicy, rate: float
) -> list[FeatureDrift]:
    """Returns the features that moved in these spans together. Distances are ours; TFDV measures the same ones."""
    counts = by_span.sum(axis=0)
    rows = int(counts[: baseline.bins[0].size].sum())
    allowed = drift.limits(baseline, rows, policy, rate)
    distance = distances.distances(counts, baseline.counts, baseline.bins)
    starts = frozen_bins.offsets(baseline.bins)
    moved = []
    for index in np.flatnonzero(distance > allowed.threshold):
        feature = baseline.bins[index]
        part = by_span[:, starts[index] : starts[index + 1]]
        unlabelled = feature.name == baseline.label and (part[:, frozen_bins.MISSING] == part.sum(axis=1)).any()
        if feature.name in judged and not unlabelled:
            direction = directions.describe(None, baseline, int(index), counts)
            moved.append(
                drift.feature_drift(baseline, int(index), float(distance[index]), allowed, direction=direction)
            )
    return moved


def _lengths(spans: int) -> list[int]:
    """Returns the numbers of spans that are looked at together: powers of two, and all."""
    powers = [2**power for power in range(1, spans.bit_length()) if 2**power < spans]
    return [*powers, spans] if spans > 1 else []
