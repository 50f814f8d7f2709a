"""A span, compared with the rows that the live model was trained on: how far each feature moved, and whether it counts.

A feature moved where its distance exceeds what chance does at this number of rows, and what the training window's own
spans do among each other, and what is large enough to matter.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2, statistics_pb2

from models.features import FeatureSpec
from pipeline.gate import bins as frozen_bins
from pipeline.gate import chance as calibration
from pipeline.gate import directions, distances, formats, labels, tfdv
from pipeline.gate.baseline import NO_SPAN, Baseline
from pipeline.gate.bins import FeatureBins
from pipeline.gate.distances import Floats
from pipeline.gate.distributions import Distribution, distributions_of
from pipeline.gate.evidence import Drift, FeatureDrift, Limit, NotCompared
from pipeline.gate.feature_columns import compared, excluded, with_features
from pipeline.gate.policy import SMALLEST_COMPARED, GatePolicy

Counts = npt.NDArray[np.int64]

MeasureBins = Callable[
    [npt.NDArray[np.int64], npt.NDArray[np.int64], Sequence[FeatureBins], Floats],
    tuple[Floats, anomalies_pb2.Anomalies],
]
"""`tfdv_evidence.measure` for a span, `tfdv_evidence.measure_skew` for served requests."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What a comparison found.

    Attributes:
      drift: None where nothing was compared; then `not_compared` says why.
      anomalies: TFDV's, over the frozen bins: every distance with its threshold; empty where nothing was compared.
      schema_anomalies: TFDV's, over the statistics as they are, with the schema's own drift_comparators.
      distributions: the rows per bin behind the distances; empty where nothing was compared.
      counts: the span's rows per bin of the baseline, as `bins.count` lays them out; empty where nothing was compared.
    """

    drift: Drift | None
    not_compared: tuple[NotCompared, ...]
    anomalies: anomalies_pb2.Anomalies
    schema_anomalies: anomalies_pb2.Anomalies
    distributions: tuple[Distribution, ...] = ()
    counts: tuple[int, ...] = ()


def compare(
    table: pa.Table,
    baseline: Baseline,
    features: FeatureSpec,
    policy: GatePolicy,
    *,
    schema: schema_pb2.Schema | None = None,
    statistics: statistics_pb2.DatasetFeatureStatisticsList | None = None,
    measure: MeasureBins = tfdv.measure,
) -> Comparison:
    """Compares a span, or a window of served requests, with the live model's baseline.

    Args:
      table: the span's rows, with those of waiting spans: flat columns, features and label columns.
      baseline: of the live model.
      features: what the model reads; says whether the baseline covers all of it.
      schema: the curated one; its drift_comparators are applied to `statistics`.
      statistics: TFDV's, of the span.
      measure: has TFDV measure drift, or skew.
    """
    drift, gaps, anomalies, distributions, counts = _compare_bins(table, baseline, features, policy, measure)
    by_schema, schema_gaps, schema_anomalies = _compare_by_schema(baseline, schema, statistics)
    if by_schema:
        ranked = sorted((*(drift.features if drift else ()), *by_schema), key=lambda item: -item.excess)
        drift = Drift(
            features=tuple(ranked),
            false_alarm_rate=policy.alarm_rate("drift"),
            rows=table.num_rows,
            reference_rows=baseline.rows,
            window=baseline.window,
            excluded=drift.excluded if drift else (),
        )
    return Comparison(
        drift=drift,
        not_compared=(*gaps, *schema_gaps),
        anomalies=anomalies,
        schema_anomalies=schema_anomalies,
        distributions=distributions,
        counts=tuple(counts.tolist()),
    )


def _compare_bins(
    table: pa.Table, baseline: Baseline, features: FeatureSpec, policy: GatePolicy, measure: MeasureBins
) -> tuple[Drift | None, list[NotCompared], anomalies_pb2.Anomalies, tuple[Distribution, ...], Counts]:
    nothing, none = anomalies_pb2.Anomalies(), np.zeros(0, np.int64)
    if table.num_rows < SMALLEST_COMPARED:
        text = f"{table.num_rows} rows are too few to compare distributions (at least {SMALLEST_COMPARED})"
        return None, [NotCompared(subject="drift", text=text)], nothing, (), none
    if baseline.rows < SMALLEST_COMPARED:
        text = f"the baseline holds {baseline.rows} rows, too few to compare with (at least {SMALLEST_COMPARED})"
        return None, [NotCompared(subject="drift", text=text)], nothing, (), none
    table = with_features(labels.with_label(table, baseline.predicted), features)
    kept, gaps = _kept(table, baseline, features, policy)
    if not kept:
        return None, [*gaps, NotCompared(subject="drift", text="no feature is left to compare")], nothing, (), none
    codes = frozen_bins.encode(table, baseline.bins)
    counts = frozen_bins.count(codes, baseline.bins)
    allowed = limits(baseline, table.num_rows, policy, policy.alarm_rate("drift"))
    bins = [baseline.bins[index] for index in kept]
    measured, anomalies = measure(
        _of(counts, baseline, kept), _of(baseline.counts, baseline, kept), bins, allowed.threshold[kept]
    )
    distance = np.zeros(len(baseline.bins))
    distance[kept] = measured
    chance = calibration.chance(baseline.calibration, baseline.alike(table.num_rows), distance, baseline.bins)
    found = [
        feature_drift(
            baseline,
            index,
            float(distance[index]),
            allowed,
            chance=float(chance[index]),
            direction=directions.describe(table, baseline, index, counts),
            unseen=baseline.unseen_share(baseline.bins[index].name, table),
        )
        for index in kept
    ]
    found = [_unless_format(item, table, baseline, index) for item, index in zip(found, kept, strict=True)]
    drift = Drift(
        features=tuple(sorted(found, key=lambda item: (-item.excess, item.feature))),
        false_alarm_rate=policy.alarm_rate("drift"),
        rows=table.num_rows,
        reference_rows=baseline.rows,
        window=baseline.window,
        excluded=tuple(sorted(excluded(features, policy.exclude))),
    )
    return drift, gaps, anomalies, distributions_of(counts, baseline, kept), counts


def _unless_format(item: FeatureDrift, table: pa.Table, baseline: Baseline, index: int) -> FeatureDrift:
    """Returns a numeric feature that moved as one that did not, where it is only written otherwise."""
    feature = baseline.bins[index]
    if not item.moved or feature.kind != "numeric" or baseline.grid is None or baseline.decimals is None:
        return item
    if feature.name not in table.column_names:
        return item
    before, written = baseline.grid[index], int(baseline.decimals[index])
    how = formats.changed(table.column(feature.name), feature, before, written, item.threshold)
    return dataclasses.replace(item, moved=False, format=how) if how else item


def feature_drift(
    baseline: Baseline,
    index: int,
    distance: float,
    allowed: Limits,
    *,
    direction: str,
    chance: float | None = None,
    unseen: float = 0.0,
) -> FeatureDrift:
    """Returns how far the feature at this position of the baseline's bins moved, and whether that counts."""
    feature, raised_by = baseline.bins[index], int(baseline.raised_by[index])
    variation = float(allowed.variation[index])
    return FeatureDrift(
        feature=feature.name,
        measure=distances.measure_of(feature),
        distance=distance,
        threshold=float(allowed.threshold[index]),
        noise=float(allowed.noise[index]),
        variation=None if math.isnan(variation) else variation,
        floor=float(allowed.floor[index]),
        limit=allowed.name(index),
        chance=chance,
        moved=bool(distance > allowed.threshold[index]),
        direction=direction,
        unseen=unseen,
        raised_by=None if raised_by == NO_SPAN else raised_by,
    )


def _kept(
    table: pa.Table, baseline: Baseline, features: FeatureSpec, policy: GatePolicy
) -> tuple[list[int], list[NotCompared]]:
    """Returns the positions of the features to compare, and what is left out although it should not be."""
    gaps = list(baseline.not_compared)
    covered = {feature.column for feature in baseline.bins}
    names = [one.name for one in compared(features)]
    left_out = excluded(features, policy.exclude).union(policy.exclude)
    for name in names:
        if name not in covered and name not in left_out and name not in {gap.feature for gap in gaps}:
            text = f"`{name}`: the baseline of the live model does not cover it"
            gaps.append(NotCompared(subject="feature", feature=name, text=text))
    kept = []
    starts = frozen_bins.offsets(baseline.bins)
    for index, feature in enumerate(baseline.bins):
        if feature.column == baseline.label and feature.name != baseline.label:
            continue  # The share of numbers that have not come yet.
        if feature.name == baseline.label:
            without = table.column(baseline.label).null_count
            # Labels that come in parts are no drift: then the share among labelled rows says it, gate/labels.py.
            if without == 0 and baseline.counts[starts[index] + frozen_bins.MISSING] == 0:
                kept.append(index)
            elif without == table.num_rows:
                text = "the label was not compared: the span has no labels"
                gaps.append(NotCompared(subject="label", feature=baseline.label, text=text))
        elif feature.column not in left_out and (feature.column in table.column_names or feature.column in names):
            kept.append(index)
    return kept, gaps


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a distance may be, float64 (features,): what chance does, what the window's spans do, and what matters.

    Sampling adds its expectation to every squared distance; the latter two are raised by it, so that they mean the
    same at 300 rows and at 30,000.
    """

    noise: Floats
    variation: Floats
    floor: Floats

    @property
    def threshold(self) -> Floats:
        """The largest of the three."""
        return np.asarray(np.fmax(np.fmax(self.noise, self.variation), self.floor))

    def name(self, index: int) -> Limit:
        """Returns which of the three a feature's threshold is."""
        sizes: dict[Limit, float] = {
            "noise": self.noise[index],
            "variation": self.variation[index],
            "floor": self.floor[index],
        }
        return max(sizes, key=lambda limit: -1.0 if math.isnan(sizes[limit]) else sizes[limit])


def limits(baseline: Baseline, rows: int, policy: GatePolicy, false_alarm_rate: float) -> Limits:
    """Returns what the features' distances may be at this number of rows.

    Args:
      false_alarm_rate: how often chance alone may exceed the noise, in any feature.
    """
    bins, rows = baseline.bins, baseline.alike(rows)
    bias = calibration.expected(baseline.calibration, rows)
    least = [
        policy.min_l_infinity if distances.measure_of(feature) == "l_infinity" else policy.min_jensen_shannon
        for feature in bins
    ]
    return Limits(
        noise=calibration.noise(baseline.calibration, rows, false_alarm_rate, bins),
        variation=distances.unsquared(bias + baseline.variation, bins),
        floor=distances.unsquared(bias + distances.squared(np.array(least), bins), bins),
    )


def _of(counts: npt.NDArray[np.int64], baseline: Baseline, kept: Sequence[int]) -> npt.NDArray[np.int64]:
    starts = frozen_bins.offsets(baseline.bins)
    return np.concatenate([counts[starts[index] : starts[index + 1]] for index in kept])


def _compare_by_schema(
    baseline: Baseline,
    schema: schema_pb2.Schema | None,
    statistics: statistics_pb2.DatasetFeatureStatisticsList | None,
) -> tuple[list[FeatureDrift], list[NotCompared], anomalies_pb2.Anomalies]:
    nothing = anomalies_pb2.Anomalies()
    if schema is None or not tfdv.has_comparators(schema):
        return [], [], nothing
    if statistics is None or baseline.statistics is None:
        missing = "the span" if statistics is None else "the baseline"
        text = f"the schema's drift thresholds were not applied: there are no statistics of {missing}"
        return [], [NotCompared(subject="drift", text=text)], nothing
    return tfdv.compare_by_schema(statistics, baseline.statistics, schema)
