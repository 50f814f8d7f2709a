"""TFDV's statistics of the span beside those of the live model's training window."""

from __future__ import annotations

from pathlib import Path

from google.protobuf.message import DecodeError
from tensorflow_metadata.proto.v0 import statistics_pb2

from columnar import split_files
from pipeline.components import nodes
from pipeline.errors import ReportError
from pipeline.gate.baseline import STATISTICS_FILE
from pipeline.gate.bins import PRESENCE
from pipeline.gate.decision import Decision
from pipeline.report.data import FeatureSummary, Statistics, StatisticsRow
from pipeline.runs.metadata import RunRecord


def compare_statistics(run: RunRecord, decision: Decision | None) -> Statistics | None:
    """Returns a row per feature, those that moved first; None where the span was never measured."""
    artifact = run.output(nodes.STATISTICS_GEN, "statistics")
    span = _read(Path(split_files.folder(str(artifact.path), "train")) / split_files.STATISTICS) if artifact else None
    if span is None:
        return None
    live = run.output(nodes.LIVE_MODEL, "baseline")
    baseline = _read(live.path / STATISTICS_FILE) if live and live.properties.get("present") == 1 else None
    drift = decision.evidence.drift if decision else None
    moved = {item.feature.removesuffix(PRESENCE) for item in drift.moved} if drift else set()
    now, before = summaries(span), summaries(baseline) if baseline else {}
    rows = [
        StatisticsRow(
            feature=name,
            type=(now.get(name) or before[name])[0],
            moved=name in moved,
            span=now[name][1] if name in now else None,
            baseline=before[name][1] if name in before else None,
        )
        for name in dict.fromkeys([*now, *before])
    ]
    return Statistics(
        span_examples=int(span.num_examples),
        baseline_examples=int(baseline.num_examples) if baseline else None,
        rows=tuple(sorted(rows, key=lambda row: not row.moved)),
    )


def _read(path: Path) -> statistics_pb2.DatasetFeatureStatistics | None:
    """Returns the first data set of a statistics file; None where there is no file, or no data set in it."""
    if not path.is_file():
        return None
    try:
        datasets = statistics_pb2.DatasetFeatureStatisticsList.FromString(path.read_bytes()).datasets
    except DecodeError as error:
        raise ReportError(f"{path} is no statistics file: {error}.") from error
    return datasets[0] if datasets else None


def summaries(dataset: statistics_pb2.DatasetFeatureStatistics) -> dict[str, tuple[str, FeatureSummary]]:
    """Returns feature name to its type and summary: what people see of TFDV's statistics, in reports and tables."""
    kind = statistics_pb2.FeatureNameStatistics.Type
    return {
        ".".join(feature.path.step) or feature.name: (
            kind.Name(feature.type).lower(),
            _summary(feature, dataset.num_examples),
        )
        for feature in dataset.features
    }


def _summary(feature: statistics_pb2.FeatureNameStatistics, examples: float) -> FeatureSummary:
    numeric = feature.HasField("num_stats")
    common = feature.num_stats.common_stats if numeric else feature.string_stats.common_stats
    present = common.num_non_missing / examples if examples else 0.0
    if not common.num_non_missing:
        return FeatureSummary(present=present)
    if numeric:
        statistics = feature.num_stats
        return FeatureSummary(
            present=present,
            mean=statistics.mean,
            deviation=statistics.std_dev,
            minimum=statistics.min,
            median=statistics.median,
            maximum=statistics.max,
        )
    strings = feature.string_stats
    top = strings.top_values[0] if strings.top_values else None
    return FeatureSummary(
        present=present,
        distinct=int(strings.unique),
        top=(top.value, top.frequency / common.num_non_missing) if top else None,
    )
