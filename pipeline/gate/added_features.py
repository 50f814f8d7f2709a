"""Features that the live model does not have: compared with the rows of its training window, while those are there.

The live model's baseline has no bins for such a feature. Where the files of the window's spans are still there and have
its columns, they are measured once more, with the features of today. That decides nothing, since a changed definition
reruns by itself; it says whether the feature is one that moves.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import pyarrow as pa
from tensorflow_metadata.proto.v0 import schema_pb2

from models.features import FeatureSpec
from pipeline.gate import drift
from pipeline.gate.baseline import Baseline, BaselineError
from pipeline.gate.distributions import Distribution
from pipeline.gate.evidence import Drift, NotCompared
from pipeline.gate.feature_columns import compared, excluded
from pipeline.gate.measuring import build_baseline
from pipeline.gate.policy import GatePolicy
from pipeline.gate.words import spans as spans_in_words
from pipeline.ingest.errors import IngestError

ReadSpans = Callable[[Sequence[int]], Mapping[int, pa.Table]]
"""Returns the rows of those of the spans that are still there; raises IngestError where they cannot be read."""


def names(features: FeatureSpec, baseline: Baseline, policy: GatePolicy) -> tuple[str, ...]:
    """Returns what is compared of the features now and was not when the live model was trained."""
    covered = {feature.column for feature in baseline.bins} | {gap.feature for gap in baseline.not_compared}
    left_out = excluded(features, policy.exclude).union(policy.exclude)
    return tuple(one.name for one in compared(features) if one.name not in covered and one.name not in left_out)


def compare(
    table: pa.Table,
    baseline: Baseline,
    read_spans: ReadSpans,
    schema: schema_pb2.Schema,
    features: FeatureSpec,
    policy: GatePolicy,
) -> tuple[Drift | None, tuple[NotCompared, ...], tuple[Distribution, ...]]:
    """Compares a span's added features with the training window of the live model.

    Returns:
      How far they are from the window's spans that are still there, by the thresholds that the whole of the features
      has; those that could not be compared, and why; the rows per bin. None and nothing where no feature was added.
    """
    added = names(features, baseline, policy)
    if not added:
        return None, (), ()

    def without(why: str) -> tuple[None, tuple[NotCompared, ...], tuple[()]]:
        gaps = [NotCompared(subject="feature", feature=name, text=f"`{name}` is new, and {why}") for name in added]
        return None, tuple(gaps), ()

    try:
        window = read_spans(baseline.window)
        if not window:
            return without(f"the rows of {spans_in_words(baseline.window)} are not there any more to compare it with")
        measured = build_baseline(window, schema, features, policy, evaluation=None, statistics=None)
        found = drift.compare(table, measured, features, policy)
    except (IngestError, BaselineError) as error:
        return without(f"the training window's rows have nothing to compare it with: {error}")
    gaps = tuple(gap for gap in found.not_compared if gap.feature in (None, *added))
    if found.drift is None:
        return None, gaps, ()
    bins = {one.name for one in measured.bins if one.column in added}
    features_of_added = tuple(item for item in found.drift.features if item.feature in bins)
    return (
        dataclasses.replace(found.drift, features=features_of_added),
        gaps,
        tuple(item for item in found.distributions if item.bins.name in bins),
    )
