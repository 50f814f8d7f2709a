"""The span's statistics beside the baseline's, from TFDV's own files."""

import dataclasses

import pytest
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import statistics_pb2

from pipeline.errors import ReportError
from pipeline.report.statistics import compare_statistics
from pipeline.runs.metadata import ArtifactRecord, NodeRecord, RunRecord
from tests.helpers import reports_of

SPAN = """
datasets {
  num_examples: 200
  features {
    path { step: "fare" } type: FLOAT
    num_stats { common_stats { num_non_missing: 150 } mean: 12.5 std_dev: 2 min: 1 median: 11 max: 90 }
  }
  features {
    path { step: "payment" } type: STRING
    string_stats {
      common_stats { num_non_missing: 200 } unique: 3
      top_values { value: "Cash" frequency: 50 }
    }
  }
  features { path { step: "empty" } type: INT num_stats { common_stats { num_missing: 200 } } }
}
"""
BASELINE = 'datasets { num_examples: 800 features { path { step: "gone" } type: INT num_stats { common_stats {} } } }'


def record(name, key, path, **properties):
    artifact = ArtifactRecord(id=1, type="T", path=path, properties=properties)
    return NodeRecord(
        node=name, execution_id=1, status="ran", started_at=0.0, seconds=1.0, peak_memory_bytes=None,
        properties={}, inputs={}, outputs={key: (artifact,)},
    )  # fmt: skip


@pytest.fixture
def run(tmp_path):
    for path, text in ((tmp_path / "Split-train" / "FeatureStats.pb", SPAN), (tmp_path / "statistics.pb", BASELINE)):
        path.parent.mkdir(exist_ok=True)
        found = text_format.Parse(text, statistics_pb2.DatasetFeatureStatisticsList())
        path.write_bytes(found.SerializeToString())
    nodes = (record("StatisticsGen", "statistics", tmp_path), record("LiveModel", "baseline", tmp_path, present=1))
    return RunRecord(pipeline="taxi", run_id="r", nodes=nodes)


def test_both_sides_are_read_and_what_moved_stands_first(run):
    decision = reports_of.hostile().decision
    drift = decision.evidence.drift
    moved = dataclasses.replace(drift.features[0], feature="payment", moved=True)
    evidence = dataclasses.replace(decision.evidence, drift=dataclasses.replace(drift, features=(moved,)))

    found = compare_statistics(run, dataclasses.replace(decision, evidence=evidence))

    assert (found.span_examples, found.baseline_examples) == (200, 800)
    assert [(row.feature, row.moved) for row in found.rows] == [
        ("payment", True),
        ("fare", False),
        ("empty", False),
        ("gone", False),
    ]
    payment, fare, empty, gone = found.rows
    assert (payment.span.distinct, payment.span.top, payment.baseline) == (3, ("Cash", 0.25), None)
    assert (fare.span.present, fare.span.mean, fare.span.maximum) == (0.75, 12.5, 90)
    assert (empty.span.present, empty.span.mean) == (0.0, None)
    assert (gone.span, gone.baseline.present) == (None, 0.0)


def test_a_damaged_file_is_named(run, tmp_path):
    (tmp_path / "statistics.pb").write_bytes(b"\xff\xff not a message")

    with pytest.raises(ReportError, match=r"statistics\.pb is no statistics file"):
        compare_statistics(run, None)
