"""The comparison finds what differs; that engines agree is for their own tests and for `make prove-beam`."""

import numpy as np
import pyarrow as pa
import pytest
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import statistics_pb2

from benchmarks.distributed import parity
from columnar.example_writer import SplitWriter

STATISTICS = """
num_examples: 101
features {
  path { step: "fare" } type: FLOAT
  num_stats {
    common_stats { num_non_missing: 101 } mean: 50.0 median: %s
    histograms {
      type: QUANTILES
      buckets { low_value: 0 high_value: %s sample_count: 50.5 }
      buckets { low_value: %s high_value: 100 sample_count: 50.5 }
    }
  }
}
"""
# The values 0 to 100, each once: the rank of a value is itself, in hundredths.
FARES = pa.table({"fare": pa.array(np.arange(101.0))})


def statistics(median, edge):
    return text_format.Parse(STATISTICS % (median, edge, edge), statistics_pb2.DatasetFeatureStatistics())


def write(folder, records):
    for split in parity.SPLITS:
        with SplitWriter(str(folder / f"Split-{split}")) as writer:
            writer.write(pa.array(records, pa.large_binary()))
    return folder


def test_examples_are_equal_in_any_order(tmp_path):
    ours = write(tmp_path / "ours", [b"a", b"b", b"b"])

    assert parity.examples(ours, write(tmp_path / "same", [b"b", b"a", b"b"])) == []
    assert len(parity.examples(ours, write(tmp_path / "fewer", [b"a", b"b"]))) == 2
    assert len(parity.examples(ours, write(tmp_path / "other", [b"a", b"b", b"c"]))) == 2


def test_exact_statistics_may_differ_by_rounding_only():
    one = parity._exact(statistics(50, 50))
    other = {**one, "num_examples": "102"}

    assert parity._differences(one, parity._exact(statistics(51, 49))) == []  # Medians and histograms are sketched.
    assert parity._differences(one, other) == [".num_examples: 101 and 102"]
    assert parity._differences({"mean": 1.0}, {"mean": 1.0 + 1e-7}) == []
    assert parity._differences({"mean": 1.0}, {"mean": 1.00001}) == [".mean: 1.0 and 1.00001"]


@pytest.mark.parametrize(("median", "edge", "faults"), [(50, 50, 0), (51, 49, 0), (50, 53, 1), (47, 50, 1), (5, 90, 2)])
def test_quantiles_keep_within_a_hundredth_of_the_ranks(median, edge, faults):
    assert len(parity._rank_faults(statistics(median, edge), FARES)) == faults


def test_vocabularies_are_compared_byte_by_byte(tmp_path):
    for name, text in (("ours", "a\nb\n"), ("same", "a\nb\n"), ("other", "b\na\n")):
        folder = tmp_path / name / "transform_fn" / "assets"
        folder.mkdir(parents=True)
        (folder / "vocabulary_town").write_text(text)

    assert parity.vocabularies(tmp_path / "ours", tmp_path / "same") == []
    assert parity.vocabularies(tmp_path / "ours", tmp_path / "other") == ["vocabulary_town"]
    assert parity.vocabularies(tmp_path, tmp_path) == ["different vocabularies: [] and []"]
