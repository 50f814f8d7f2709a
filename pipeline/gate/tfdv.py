"""TFDV's own measurements: over our frozen bins, and over the statistics as they are where a person set a threshold.

TFDV measures L-infinity and Jensen-Shannon over string features. Handed the counts of the frozen bins as a string
feature's rank histogram, it measures exactly the calibrated distances, and its Anomalies proto records them with their
thresholds. See docs/decisions/0401-distances-measured-by-tfdv.md.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2, statistics_pb2

from pipeline.gate.bins import FeatureBins, offsets
from pipeline.gate.distances import Floats, measure_of
from pipeline.gate.evidence import FeatureDrift, Measure, NotCompared

_MEASURES: dict[int, Measure] = {
    anomalies_pb2.DriftSkewInfo.Measurement.L_INFTY: "l_infinity",
    anomalies_pb2.DriftSkewInfo.Measurement.JENSEN_SHANNON_DIVERGENCE: "jensen_shannon",
}
_NAMES = {"l_infinity": "L-infinity", "jensen_shannon": "Jensen-Shannon divergence"}


def binned_statistics(
    counts: npt.NDArray[np.int64], bins: Sequence[FeatureBins]
) -> statistics_pb2.DatasetFeatureStatisticsList:
    """Returns counts as `bins.count` lays them out as TFDV statistics: one string feature each, one value per bin."""
    statistics = statistics_pb2.DatasetFeatureStatisticsList()
    dataset = statistics.datasets.add(name="frozen bins")
    starts = offsets(bins)
    for index, feature in enumerate(bins):
        part = counts[starts[index] : starts[index + 1]]
        rows = int(part.sum())
        dataset.num_examples = rows
        target = dataset.features.add(type=statistics_pb2.FeatureNameStatistics.STRING)
        target.path.step.append(feature.name)
        strings = target.string_stats
        common = strings.common_stats
        common.num_non_missing = common.tot_num_values = rows
        common.min_num_values = common.max_num_values = 1
        common.avg_num_values = 1.0
        names = feature.labels()
        ranked = [int(bin_) for bin_ in np.argsort(-part, kind="stable") if part[bin_]]
        strings.unique = len(ranked)
        for rank, bin_ in enumerate(ranked):
            strings.top_values.add(value=names[bin_], frequency=float(part[bin_]))
            strings.rank_histogram.buckets.add(
                low_rank=rank, high_rank=rank, label=names[bin_], sample_count=float(part[bin_])
            )
    return statistics


def measure(
    current: npt.NDArray[np.int64],
    reference: npt.NDArray[np.int64],
    bins: Sequence[FeatureBins],
    thresholds: Floats,
) -> tuple[Floats, anomalies_pb2.Anomalies]:
    """Has TFDV measure every feature's drift over the frozen bins: a span against the reference.

    Returns:
      The distances, float64 (features,), and TFDV's Anomalies with every distance, its threshold and the breaches.

    Raises:
      RuntimeError: TFDV left a feature unmeasured, which it otherwise does silently.
    """
    import tensorflow_data_validation as tfdv

    schema = schema_pb2.Schema()
    for feature, threshold in zip(bins, thresholds, strict=True):
        _limit(schema.feature.add(name=feature.name, type=schema_pb2.BYTES).drift_comparator, feature, threshold)
    anomalies = tfdv.validate_statistics(
        binned_statistics(current, bins), schema, previous_statistics=binned_statistics(reference, bins)
    )
    return _every_distance(anomalies, bins), anomalies


def measure_skew(
    current: npt.NDArray[np.int64],
    reference: npt.NDArray[np.int64],
    bins: Sequence[FeatureBins],
    thresholds: Floats,
) -> tuple[Floats, anomalies_pb2.Anomalies]:
    """Has TFDV measure every feature's skew over the frozen bins: served requests against the training rows.

    Returns and raises as `measure`; the record says skew where that one says drift.
    """
    import tensorflow_data_validation as tfdv

    schema = schema_pb2.Schema()
    for feature, threshold in zip(bins, thresholds, strict=True):
        _limit(schema.feature.add(name=feature.name, type=schema_pb2.BYTES).skew_comparator, feature, threshold)
    anomalies = tfdv.validate_statistics(
        binned_statistics(reference, bins), schema, serving_statistics=binned_statistics(current, bins)
    )
    return _every_distance(anomalies, bins), anomalies


def _limit(comparator: schema_pb2.FeatureComparator, feature: FeatureBins, threshold: float) -> None:
    if measure_of(feature) == "l_infinity":
        comparator.infinity_norm.threshold = float(threshold)
    else:
        comparator.jensen_shannon_divergence.threshold = float(threshold)


def _every_distance(anomalies: anomalies_pb2.Anomalies, bins: Sequence[FeatureBins]) -> Floats:
    found = _measurements(anomalies)
    unmeasured = [feature.name for feature in bins if (feature.name, measure_of(feature)) not in found]
    if unmeasured:
        raise RuntimeError(f"TFDV measured no distance of {', '.join(unmeasured)}, although both sides have rows.")
    return np.array([found[feature.name, measure_of(feature)] for feature in bins])


def has_comparators(schema: schema_pb2.Schema) -> bool:
    """Whether a person set a drift threshold of any feature."""
    return any(_wanted(feature) or _is_ignored(feature) for feature in schema.feature)


def compare_by_schema(
    statistics: statistics_pb2.DatasetFeatureStatisticsList,
    baseline: statistics_pb2.DatasetFeatureStatisticsList,
    schema: schema_pb2.Schema,
) -> tuple[list[FeatureDrift], list[NotCompared], anomalies_pb2.Anomalies]:
    """Applies the drift_comparators that a person wrote in the schema, as TFDV does, over the statistics as they are.

    Returns:
      The measured features; those that TFDV passed over without a word (L-infinity of integers that are not
      `is_categorical`, a column without a value, other types of statistics); and TFDV's Anomalies.
    """
    import tensorflow_data_validation as tfdv

    if not any(dataset.num_examples for dataset in baseline.datasets):
        return [], _all_unmeasured(schema, "the baseline's statistics are empty"), anomalies_pb2.Anomalies()
    if not any(dataset.num_examples for dataset in statistics.datasets):
        return [], _all_unmeasured(schema, "the span's statistics are empty"), anomalies_pb2.Anomalies()
    anomalies = tfdv.validate_statistics(statistics, schema, previous_statistics=baseline)
    found = _measurements(anomalies)
    drifts, gaps = [], []
    for feature in schema.feature:
        if _is_ignored(feature):
            text = (
                f"`{feature.name}`: the schema's normalized_abs_difference is not applied, because it mostly measures "
                "the number of rows; write an infinity_norm or a jensen_shannon_divergence"
            )
            gaps.append(NotCompared(subject="feature", feature=feature.name, text=text))
        for kind, threshold in _wanted(feature).items():
            distance = found.get((feature.name, kind))
            silent = distance == 0.0 and kind == "l_infinity" and not _is_categorical(feature)
            if distance is None or silent:
                gaps.append(_unmeasured(feature, kind))
                continue
            text = f"`{feature.name}`: {_NAMES[kind]} over TFDV's own statistics is {distance:.3f}"
            drifts.append(
                FeatureDrift(
                    feature=feature.name, measure=kind, distance=distance, threshold=threshold, noise=None,
                    variation=None, floor=None, limit="schema", chance=None, moved=distance > threshold,
                    direction=text,
                )
            )  # fmt: skip
    return drifts, gaps, anomalies


def stock_drift(
    statistics: statistics_pb2.DatasetFeatureStatisticsList,
    baseline: statistics_pb2.DatasetFeatureStatisticsList,
    schema: schema_pb2.Schema,
    threshold: float,
) -> bool:
    """Tells whether TFDV alone, with one threshold for every feature, would call anything moved.

    L-infinity for strings, Jensen-Shannon for numbers, over its own statistics: what a drift_comparator on every
    feature of a schema comes to.
    """
    stock = schema_pb2.Schema()
    stock.CopyFrom(schema)
    for feature in stock.feature:
        feature.ClearField("drift_comparator")
        if feature.type == schema_pb2.BYTES:
            feature.drift_comparator.infinity_norm.threshold = threshold
        else:
            feature.drift_comparator.jensen_shannon_divergence.threshold = threshold
    drifts, _, _ = compare_by_schema(statistics, baseline, stock)
    return any(item.moved for item in drifts)


def _measurements(anomalies: anomalies_pb2.Anomalies) -> dict[tuple[str, Measure], float]:
    return {
        (".".join(info.path.step), _MEASURES[measurement.type]): measurement.value
        for info in anomalies.drift_skew_info
        for measurement in (*info.drift_measurements, *info.skew_measurements)
        if measurement.type in _MEASURES
    }


def _wanted(feature: schema_pb2.Feature) -> dict[Measure, float]:
    comparator = feature.drift_comparator
    wanted: dict[Measure, float] = {}
    if comparator.infinity_norm.HasField("threshold"):
        wanted["l_infinity"] = comparator.infinity_norm.threshold
    if comparator.jensen_shannon_divergence.HasField("threshold"):
        wanted["jensen_shannon"] = comparator.jensen_shannon_divergence.threshold
    return wanted


def _is_ignored(feature: schema_pb2.Feature) -> bool:
    return bool(feature.drift_comparator.normalized_abs_difference.HasField("threshold"))


def _is_categorical(feature: schema_pb2.Feature) -> bool:
    return bool(feature.type == schema_pb2.BYTES or feature.int_domain.is_categorical)


def _unmeasured(feature: schema_pb2.Feature, kind: Measure) -> NotCompared:
    hint = (
        "TFDV measures it on strings, and on integers whose int_domain says is_categorical"
        if kind == "l_infinity"
        else "TFDV measures it where both sides have values and the same type of statistics"
    )
    text = f"`{feature.name}`: TFDV did not measure the {_NAMES[kind]} that the schema limits; {hint}"
    return NotCompared(subject="feature", feature=feature.name, text=text)


def _all_unmeasured(schema: schema_pb2.Schema, why: str) -> list[NotCompared]:
    names = [feature.name for feature in schema.feature if _wanted(feature)]
    text = f"the schema's drift thresholds of {', '.join(f'`{name}`' for name in names)} were not applied: {why}"
    return [NotCompared(subject="drift", text=text)] if names else []
