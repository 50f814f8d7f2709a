import numpy as np
import pytest
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from pipeline.gate import tfdv
from pipeline.gate.bins import FeatureBins

PAYMENT = FeatureBins(name="payment", kind="categorical", values=("Card", "Cash"))
FARE = FeatureBins(name="fare", kind="numeric", points=(0.0,), edges=(5.0,))


def test_counts_become_a_string_feature_with_one_value_per_bin():
    statistics = tfdv.binned_statistics(np.array([1, 30, 69, 0]), [PAYMENT])

    (feature,) = statistics.datasets[0].features
    assert [(bucket.label, bucket.sample_count) for bucket in feature.string_stats.rank_histogram.buckets] == [
        ("= Cash", 69),
        ("= Card", 30),
        ("missing", 1),
    ]
    assert statistics.datasets[0].num_examples == feature.string_stats.common_stats.num_non_missing == 100


def test_tfdv_measures_both_distances_over_the_bins():
    # payment: (0, 30, 70, 0) and (0, 50, 50, 0) of 100: L-infinity 0.2.
    # fare: (10, 0, 0, 0) and (5, 5, 0, 0): p = (1, 0), q = (1/2, 1/2): 0.3113 bits, see test_distances.
    current = np.array([0, 30, 70, 0, 10, 0, 0, 0])
    reference = np.array([0, 50, 50, 0, 5, 5, 0, 0])

    measured, anomalies = tfdv.measure(current, reference, [PAYMENT, FARE], np.array([0.1, 0.5]))

    assert measured == pytest.approx([0.2, 0.3113], abs=1e-4)
    assert list(anomalies.anomaly_info) == ["payment"]


def test_skew_is_the_same_distance_recorded_as_skew():
    current = np.array([0, 30, 70, 0, 10, 0, 0, 0])
    reference = np.array([0, 50, 50, 0, 5, 5, 0, 0])

    measured, anomalies = tfdv.measure_skew(current, reference, [PAYMENT, FARE], np.array([0.1, 0.5]))

    assert measured == pytest.approx([0.2, 0.3113], abs=1e-4)
    assert list(anomalies.anomaly_info) == ["payment"]
    assert all(info.skew_measurements and not info.drift_measurements for info in anomalies.drift_skew_info)


def test_a_feature_without_rows_is_an_error_and_not_silence():
    with pytest.raises(RuntimeError, match="TFDV measured no distance of payment"):
        tfdv.measure(np.zeros(4, np.int64), np.array([0, 5, 5, 0]), [PAYMENT], np.array([0.1]))


@pytest.mark.parametrize(
    ("comparator", "expected"),
    [
        ("", False),
        ("drift_comparator { }", False),
        ("skew_comparator { infinity_norm { threshold: 0.1 } }", False),
        ("drift_comparator { infinity_norm { threshold: 0.1 } }", True),
        ("drift_comparator { jensen_shannon_divergence { threshold: 0.1 } }", True),
        ("drift_comparator { normalized_abs_difference { threshold: 0.1 } }", True),
    ],
)
def test_a_persons_drift_thresholds_are_found(comparator, expected):
    schema = text_format.Parse(f'feature {{ name: "x" type: BYTES {comparator} }}', schema_pb2.Schema())

    assert tfdv.has_comparators(schema) is expected
