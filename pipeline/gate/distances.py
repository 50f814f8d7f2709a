"""The two distances between binned distributions, vectorised over replicates.

TFDV measures the span itself (pipeline/gate/tfdv.py) and gets the same numbers; these functions measure the
thousands of replicates that thresholds come from.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pipeline.gate.bins import FeatureBins, offsets
from pipeline.gate.evidence import Measure

Counts = npt.NDArray[np.int64] | npt.NDArray[np.float64]
Floats = npt.NDArray[np.float64]


def measure_of(feature: FeatureBins) -> Measure:
    """Jensen-Shannon for numeric features, L-infinity for all shares of values, as TFDV's guide recommends."""
    return "jensen_shannon" if feature.kind == "numeric" else "l_infinity"


def distances(current: Counts, reference: Counts, bins: Sequence[FeatureBins]) -> Floats:
    """Returns the distance of each feature, float64 (..., features), each in [0, 1].

    Args:
      current: rows per bin as `bins.count` lays them out, (..., total bins).
      reference: the same of what is compared with; broadcast against `current`.
    """
    starts = offsets(bins)
    parts = []
    for index, feature in enumerate(bins):
        part = slice(starts[index], starts[index + 1])
        p, q = shares(current[..., part]), shares(reference[..., part])
        parts.append(l_infinity(p, q) if measure_of(feature) == "l_infinity" else jensen_shannon(p, q))
    return np.stack(parts, axis=-1)


def shares(counts: Counts) -> Floats:
    """Returns counts as shares of their sum over the last axis; all zero where the sum is zero."""
    total = counts.sum(axis=-1, keepdims=True)
    return np.asarray(np.divide(counts, total, out=np.zeros(counts.shape), where=total > 0))


def l_infinity(p: Floats, q: Floats) -> Floats:
    """Returns the largest difference of shares over the last axis."""
    return np.asarray(np.abs(p - q).max(axis=-1))


def jensen_shannon(p: Floats, q: Floats) -> Floats:
    """Returns the Jensen-Shannon divergence to base 2 over the last axis, in [0, 1].

    Source: Lin, "Divergence measures based on the Shannon entropy", IEEE Trans. Inf. Theory 37, 1991.
    """
    entropy = _entropy((p + q) / 2) - (_entropy(p) + _entropy(q)) / 2
    return np.asarray(np.clip(entropy, 0.0, 1.0))


def _entropy(p: Floats) -> Floats:
    """Shannon's, in bits, over the last axis; 0 log 0 is 0."""
    return np.asarray(-(p * np.log2(p, out=np.zeros(p.shape), where=p > 0)).sum(axis=-1))


def squared(distance: Floats, bins: Sequence[FeatureBins]) -> Floats:
    """Returns distances on the scale on which sampling noise adds: Jensen-Shannon as it is, L-infinity squared.

    Both are then quadratic in the difference of shares, so that chance shrinks them by 1 / rows.
    """
    categorical = np.array([measure_of(feature) == "l_infinity" for feature in bins], np.bool_)
    return np.where(categorical, np.square(distance), distance)


def unsquared(statistic: Floats, bins: Sequence[FeatureBins]) -> Floats:
    """Returns what `squared` made back as distances."""
    categorical = np.array([measure_of(feature) == "l_infinity" for feature in bins], np.bool_)
    return np.where(categorical, np.sqrt(statistic), statistic)
