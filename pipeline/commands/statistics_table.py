"""A span's statistics as rows for a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tensorflow_metadata.proto.v0 import statistics_pb2

from pipeline.errors import clipped

if TYPE_CHECKING:
    from pipeline.report.data import FeatureSummary

from columnar import split_files

COLUMNS = ("feature", "type", "present", "distinct", "mean", "min", "median", "max", "most frequent")


def rows(statistics: statistics_pb2.DatasetFeatureStatisticsList) -> list[tuple[object, ...]]:
    """Returns one row per feature of the first dataset, in `COLUMNS`' order; "-" where a column does not apply."""
    from pipeline.report.statistics import summaries

    (dataset, *_) = statistics.datasets
    return [_row(name, kind, summary) for name, (kind, summary) in summaries(dataset).items()]


def _row(name: str, kind: str, summary: FeatureSummary) -> tuple[object, ...]:
    figures = (summary.distinct, summary.mean, summary.minimum, summary.median, summary.maximum)
    # A value may be a text of thousands of characters.
    top = f"{clipped(summary.top[0])} ({summary.top[1]:.0%})" if summary.top else "-"
    shown = ("-" if figure is None else figure for figure in figures)
    return (name, kind.upper(), f"{summary.present:.1%}", *shown, top)


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
