"""A span's statistics as rows for a table."""

from collections.abc import Mapping
from typing import Any

from tensorflow_metadata.proto.v0 import statistics_pb2

from columnar import split_files

COLUMNS = ("feature", "type", "present", "distinct", "mean", "min", "median", "max", "most frequent")


def rows(statistics: statistics_pb2.DatasetFeatureStatisticsList) -> list[tuple[object, ...]]:
    """Returns one row per feature of the first dataset, in `COLUMNS`' order; "-" where a column does not apply."""
    (dataset, *_) = statistics.datasets
    return [_row(feature, dataset.num_examples) for feature in dataset.features]


def _row(feature: statistics_pb2.FeatureNameStatistics, examples: int) -> tuple[object, ...]:
    name = feature.path.step[0] if feature.path.step else feature.name
    kind = statistics_pb2.FeatureNameStatistics.Type.Name(feature.type)
    if feature.HasField("num_stats"):
        numeric = feature.num_stats
        present = numeric.common_stats.num_non_missing / examples if examples else 0.0
        if not numeric.common_stats.num_non_missing:
            return (name, kind, f"{present:.1%}", "-", "-", "-", "-", "-", "-")
        return (name, kind, f"{present:.1%}", "-", numeric.mean, numeric.min, numeric.median, numeric.max, "-")
    strings = feature.string_stats
    present = strings.common_stats.num_non_missing / examples if examples else 0.0
    top = strings.top_values[0] if strings.top_values else None
    share = f"{top.value} ({top.frequency / max(strings.common_stats.num_non_missing, 1):.0%})" if top else "-"
    return (name, kind, f"{present:.1%}", strings.unique, "-", "-", "-", "-", share)


def num_examples(statistics: Mapping[str, statistics_pb2.DatasetFeatureStatisticsList]) -> dict[str, int]:
    """Returns the number of examples of each split."""
    return {split: int(value.datasets[0].num_examples) for split, value in statistics.items()}


def read(uri: str) -> dict[str, statistics_pb2.DatasetFeatureStatisticsList]:
    """Reads a statistics artifact, by split; files as StatisticsGen writes them (`Split-train/FeatureStats.pb`)."""
    from pathlib import Path

    found = {}
    for path in sorted(Path(uri).glob(f"{split_files.PREFIX}*/{split_files.STATISTICS}")):
        statistics = statistics_pb2.DatasetFeatureStatisticsList()
        statistics.ParseFromString(path.read_bytes())
        found[path.parent.name.removeprefix(split_files.PREFIX)] = statistics
    return found


def as_json(statistics: statistics_pb2.DatasetFeatureStatisticsList) -> list[dict[str, Any]]:  # Any: JSON.
    """Returns the same rows as JSON objects, without what does not apply."""
    return [
        {column: cell for column, cell in zip(COLUMNS, row, strict=True) if cell != "-"} for row in rows(statistics)
    ]
