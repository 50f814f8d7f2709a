"""Measures a training window: what the baseline keeps of its rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2

from columnar.numbers import as_float64
from models.features import FeatureSpec
from pipeline.gate import bins as frozen_bins
from pipeline.gate import chance, clusters, formats, joint, labels, leaks, repeats, variation
from pipeline.gate.baseline import NO_SPAN, QUANTILE_LEVELS, Baseline, BaselineError
from pipeline.gate.bins import FeatureBins
from pipeline.gate.distances import Floats
from pipeline.gate.evidence import NotCompared, Origin
from pipeline.gate.feature_columns import compared, excluded, with_features
from pipeline.gate.performance import Evaluation, SpanResult
from pipeline.gate.policy import SMALLEST_COMPARED, GatePolicy

MOST_KNOWN_VALUES = 100_000
"""A categorical feature with more values than this is an identifier; its unseen values are not counted."""


def build_baseline(
    tables: Mapping[int, pa.Table],
    schema: schema_pb2.Schema,
    features: FeatureSpec,
    policy: GatePolicy,
    *,
    evaluation: Evaluation | None,
    statistics: statistics_pb2.DatasetFeatureStatisticsList | None,
    origin: Origin | None = None,
    span_results: Sequence[SpanResult] = (),
    live: Baseline | None = None,
    created_at: int = 0,
    seed: int = 0,
) -> Baseline:
    """Measures a training window.

    Args:
      tables: span to the rows of it that the model was trained on: flat columns, features and label columns.
      schema: the curated one; a feature that is not in it is said to be missing, not skipped.
      evaluation: what the model's performance on later spans is held against; None where nothing was measured.
      origin: where that came from.
      span_results: the model on each span of the window, where it can be told.
      statistics: TFDV's, over all of these rows.
      live: the live model's; what a feature alone told of the label in its window is no news in this one.

    Raises:
      BaselineError: there are too few rows to compare anything with.
    """
    spans = {span: tables[span] for span in sorted(tables) if tables[span].num_rows}
    raw = pa.concat_tables([spans[span] for span in spans]) if spans else None
    if raw is None or raw.num_rows < SMALLEST_COMPARED:
        rows = 0 if raw is None else raw.num_rows
        raise BaselineError(
            f"A baseline needs at least {SMALLEST_COMPARED} training rows. Received {rows} in spans {sorted(tables)}."
        )
    table = with_features(labels.with_label(raw, features.target), features)
    kinds, gaps = _kinds(table, schema, features, policy)
    bins = frozen_bins.freeze(table, kinds)
    codes = frozen_bins.encode(table, bins)
    known_rows = repeats.know(spans, features.columns)
    together = clusters.of(raw, policy.cluster)
    if together is None and known_rows.are_delivered_twice:
        together = repeats.groups(raw, features.columns)
    null = chance.calibrate(codes, bins, clusters=together, seed=seed)
    ends = np.cumsum([spans[span].num_rows for span in spans])
    parts = np.split(codes, ends[:-1])
    by_span = np.array([frozen_bins.count(part, bins) for part in parts])
    groups = [clusters.of(spans[span], policy.cluster) for span in spans]
    between = variation.measure(by_span, bins, null, raw.num_rows)
    numbers = [as_float64(table.column(one.name)) if one.kind == "numeric" else np.zeros(0) for one in bins]
    told = live.told if live is not None and live.predicted == features.target else {}
    return Baseline(
        created_at=created_at,
        window=tuple(spans),
        label=features.label,
        target=features.target,
        bins=bins,
        counts=by_span.sum(axis=0),
        by_span=by_span if policy.season is not None else None,
        variation=between.squared,
        raised_by=np.where(between.raised_by < 0, NO_SPAN, np.array(list(spans))[between.raised_by]),
        quantiles=np.array([_quantiles(values) for values in numbers]),
        grid=np.array([formats.quantiles(values) for values in numbers]).reshape(len(bins), -1),
        decimals=np.array([formats.decimals(values) for values in numbers], np.int64),
        known=_known_values(table, bins),
        label_spans=tuple(labels.positives(spans[span], features.target, policy.cluster) for span in spans),
        calibration=null,
        evaluation=evaluation,
        origin=origin,
        span_results=tuple(span_results),
        statistics=statistics,
        known_rows=known_rows,
        strengths=leaks.strengths(parts, [labels.evaluate(spans[span], features.target) for span in spans], bins, told)
        if features.task == "binary"
        else None,
        sample=joint.draw(parts, groups, joint.looked_at(bins, features.label, policy.exclude), seed=seed),
        not_compared=tuple(gaps),
    )


def _kinds(
    table: pa.Table, schema: schema_pb2.Schema, features: FeatureSpec, policy: GatePolicy
) -> tuple[dict[str, frozen_bins.Kind], list[NotCompared]]:
    """Returns how each feature is compared, the label last, and the features that cannot be."""
    known = {feature.name for feature in schema.feature}
    kinds: dict[str, frozen_bins.Kind] = {}
    gaps = []
    left_out = excluded(features, policy.exclude)
    for one in compared(features):
        name = one.name
        if name in left_out:
            continue
        if not one.sources <= known or name not in table.column_names:
            where = "the training rows" if one.sources <= known else "the schema"
            gaps.append(NotCompared(subject="feature", feature=name, text=f"`{name}` is not compared: not in {where}"))
            continue
        if table.column(name).null_count == table.num_rows:
            text = f"`{name}` was missing in every training row: only the share of missing values is compared"
            gaps.append(NotCompared(subject="feature", feature=name, text=text))
        kinds[name] = one.distance
    if table.column(features.label).null_count < table.num_rows:
        kinds[features.label] = "numeric" if features.task == "regression" else "categorical"
    else:
        text = "the label is not compared: the training rows have none"
        gaps.append(NotCompared(subject="label", feature=features.label, text=text))
    return kinds, gaps


def _quantiles(values: Floats) -> Floats:
    values = values[np.isfinite(values)]
    return np.asarray(np.quantile(values, QUANTILE_LEVELS)) if len(values) else np.full(len(QUANTILE_LEVELS), np.nan)


def _known_values(table: pa.Table, bins: tuple[FeatureBins, ...]) -> dict[str, tuple[str, ...]]:
    found = {}
    for feature in bins:
        if feature.kind == "categorical":
            values = pc.unique(table.column(feature.name).cast(pa.large_string()).drop_null()).to_pylist()
            if len(values) <= MOST_KNOWN_VALUES:
                found[feature.name] = tuple(sorted(values))
    return found
