"""The counts behind the distances, kept beside the decision: what a picture of the comparison is drawn from.

The span's rows are gone from memory when someone wants to look; these few numbers are not.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline import json_values
from pipeline.gate import bins as frozen_bins
from pipeline.gate.baseline import Baseline
from pipeline.gate.bins import FeatureBins

FILE = "distributions.json"


@dataclass(frozen=True, kw_only=True)
class Distribution:
    """One feature's rows per bin, in the order of `FeatureBins.labels`: in the training window and in the span."""

    bins: FeatureBins
    baseline: tuple[int, ...]
    span: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class _Distributions:
    features: tuple[Distribution, ...]


def distributions_of(
    counts: npt.NDArray[np.int64], baseline: Baseline, kept: Sequence[int]
) -> tuple[Distribution, ...]:
    """Returns the distributions of the features that were compared.

    Args:
      counts: the span's rows per bin of the baseline, as `bins.count` lays them out.
      kept: positions of the features in the baseline's bins.
    """
    starts = frozen_bins.offsets(baseline.bins)
    return tuple(
        Distribution(
            bins=baseline.bins[index],
            baseline=tuple(baseline.counts[starts[index] : starts[index + 1]].tolist()),
            span=tuple(counts[starts[index] : starts[index + 1]].tolist()),
        )
        for index in kept
    )


def to_json(distributions: Sequence[Distribution]) -> str:
    """Serializes to JSON."""
    value = dataclasses.asdict(_Distributions(features=tuple(distributions)))
    return json.dumps(json_values.to_json_values(value), sort_keys=True, allow_nan=False, ensure_ascii=False)


def from_json(text: str) -> tuple[Distribution, ...]:
    """Reads what `to_json` wrote.

    Raises:
      ValueError: it is something else.
    """
    return json_values.from_json_values(_Distributions, json.loads(text)).features
