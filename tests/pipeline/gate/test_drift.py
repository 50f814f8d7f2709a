"""What is called moved, what is not, and what is said where nothing could be compared."""

import numpy as np
import pyarrow as pa
import pytest
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2

from models.features import FeatureSpec
from pipeline.gate import distances, drift
from pipeline.gate.measuring import build_baseline
from pipeline.gate.policy import GatePolicy
from tests.helpers.windows import FEATURES, SCHEMA, rows, window

POLICY = GatePolicy(exclude=("month",))


@pytest.fixture(scope="module")
def baseline():
    return build_baseline(window(), SCHEMA, FEATURES, POLICY, evaluation=None, statistics=None)


def compare(span, baseline, policy=POLICY, **given):
    return drift.compare(span, baseline, given.pop("features", FEATURES), policy, **given)


def moved(span, baseline, policy=POLICY):
    found = compare(span, baseline, policy).drift
    return {item.feature: item.direction for item in found.moved}


def test_the_same_distribution_has_not_moved(baseline):
    found = compare(rows(1000, 50), baseline)

    assert found.drift.moved == ()
    assert found.not_compared == ()
    assert (found.drift.rows, found.drift.reference_rows, found.drift.window) == (1000, 3200, (1, 2, 3, 4))
    assert found.drift.excluded == ("month",)


@pytest.mark.parametrize(
    ("change", "feature", "words"),
    [
        ({"card": 0.45}, "payment", "`payment`: share of `Card` 0.3"),
        ({"fare": 1.5}, "fare", "`fare`: median 9."),
        ({"missing": 0.2}, "miles", "`miles`: share of missing 0.05 → 0."),
        ({"areas": 6}, "area", "`area`: share of other values 0.00"),
        ({"tipped": 0.3}, "tips > 0.2 * fare", "`tips > 0.2 * fare`: share of positive labels 0."),
    ],
)
def test_what_moved_is_found_and_said(baseline, change, feature, words):
    found = moved(rows(1500, 60, **change), baseline)

    assert {name.removesuffix(" (missing)") for name in found} == {feature}
    assert next(iter(found.values())).startswith(words)


def test_missing_values_count_although_tfdv_ignores_them(baseline):
    # TFDV measures 0 between 0 % and 50 % NaN.
    span = rows(1000, 61)
    holes = pa.array(np.where(np.arange(1000) % 2 == 0, np.nan, span["fare"].to_numpy()))

    assert moved(span.set_column(0, "fare", holes), baseline)["fare"] == "`fare`: share of missing 0.00 → 0.50"


def test_twice_as_many_missing_values_are_found_although_the_divergence_hardly_moves(baseline):
    found = moved(rows(3000, 66, missing=0.09), baseline)

    assert found == {"miles (missing)": "`miles`: share of missing 0.05 → 0.08"}


def test_integers_are_measured_although_tfdv_measures_nothing_on_them(baseline):
    assert "area" in moved(rows(1000, 62, areas=3), baseline)


def test_an_absent_column_counts_as_missing_throughout(baseline):
    assert moved(rows(1000, 63).drop_columns(["miles"]), baseline)["miles"].startswith(
        "`miles`: share of missing 0.05 → 1.00"
    )


def test_an_empty_span_is_not_compared_and_says_so(baseline):
    found = compare(rows(0, 1), baseline)

    assert found.drift is None
    assert found.not_compared[0].text == "0 rows are too few to compare distributions (at least 25)"


def test_nothing_left_to_compare_is_said(baseline):
    everything = GatePolicy(exclude=FEATURES.names)

    found = compare(rows(1000, 1).drop_columns(["tips"]), baseline, everything)

    assert found.drift is None
    assert [gap.text for gap in found.not_compared] == [
        "the label was not compared: the span has no labels",
        "no feature is left to compare",
    ]


def test_a_span_without_labels_is_compared_on_its_inputs_and_says_so(baseline):
    found = compare(rows(1000, 64).drop_columns(["tips"]), baseline)

    assert [gap.subject for gap in found.not_compared] == ["label"]
    assert [item.feature for item in found.drift.features].count("tips > 0.2 * fare") == 0


def test_a_feature_that_the_baseline_does_not_cover_is_said(baseline):
    features = FeatureSpec(
        label="tips > 0.2 * fare", numeric=("fare", "miles", "altitude"), categorical=("payment", "area")
    )

    found = compare(rows(1000, 65), baseline, features=features)

    assert [gap.text for gap in found.not_compared] == ["`altitude`: the baseline of the live model does not cover it"]


def test_a_certain_change_below_the_floor_does_not_count():
    tables = {span: rows(20_000, span) for span in (1, 2, 3, 4)}
    large = build_baseline(tables, SCHEMA, FEATURES, POLICY, evaluation=None, statistics=None)

    found = compare(rows(40_000, 70, card=0.32), large).drift

    (payment,) = [item for item in found.features if item.feature == "payment"]
    assert payment.distance > payment.noise
    assert not payment.moved
    assert payment.limit == "floor"
    assert moved(rows(40_000, 70, card=0.32), large, GatePolicy(exclude=("month",), min_l_infinity=0.0)) != {}


def test_the_windows_own_variation_is_allowed():
    tables = {span: rows(3000, span, card=share) for span, share in enumerate((0.2, 0.3, 0.4, 0.5), start=1)}
    moving = build_baseline(tables, SCHEMA, FEATURES, POLICY, evaluation=None, statistics=None)

    (payment,) = [i for i in compare(rows(3000, 71, card=0.5), moving).drift.features if i.feature == "payment"]

    assert payment.distance == pytest.approx(0.15, abs=0.02)
    assert (payment.limit, payment.moved) == ("variation", False)
    assert "payment" in moved(rows(3000, 71, card=0.65), moving)


def test_without_a_second_span_there_is_no_variation_to_allow():
    alone = build_baseline({1: rows(3000, 1)}, SCHEMA, FEATURES, POLICY, evaluation=None, statistics=None)

    assert {item.variation for item in compare(rows(1000, 72), alone).drift.features} == {None}


def test_thresholds_shrink_with_the_rows(baseline):
    def noise(number):
        return {item.feature: item.noise for item in compare(rows(number, 73), baseline).drift.features}

    small, large = noise(300), noise(3000)
    assert all(small[feature] > 1.4 * large[feature] for feature in small)


def test_tfdv_measures_the_same_distances_and_records_them_with_their_thresholds(baseline):
    span = rows(1000, 74, card=0.5)

    found = compare(span, baseline)

    recorded = {
        info.path.step[0]: (measurement.value, measurement.threshold)
        for info in found.anomalies.drift_skew_info
        for measurement in info.drift_measurements
    }
    assert recorded == {item.feature: (item.distance, item.threshold) for item in found.drift.features}
    assert list(found.anomalies.anomaly_info) == ["payment"]
    from pipeline.gate import bins, labels

    codes = bins.encode(labels.with_label(span, baseline.label), baseline.bins)
    ours = distances.distances(bins.count(codes, baseline.bins), baseline.counts, baseline.bins)
    assert {f.name: d for f, d in zip(baseline.bins, ours, strict=True)} == pytest.approx(
        {item.feature: item.distance for item in found.drift.features}, abs=1e-9
    )


def test_comparing_twice_finds_the_same(baseline):
    span = rows(1000, 75, fare=1.2)

    assert compare(span, baseline).drift == compare(span, baseline).drift


def test_the_largest_excess_comes_first(baseline):
    found = compare(rows(2000, 76, card=0.42, fare=2.0), baseline).drift

    assert [item.feature for item in found.moved] == ["fare", "payment"]


STATISTICS = """
datasets {{ num_examples: {rows} features {{ path {{ step: "payment" }} type: STRING string_stats {{
  common_stats {{ num_non_missing: {rows} tot_num_values: {rows} }} unique: 2
  rank_histogram {{
    buckets {{ label: "Cash" sample_count: {cash} }}
    buckets {{ low_rank: 1 high_rank: 1 label: "Card" sample_count: {card} }} }}
}} }}
features {{ path {{ step: "area" }} type: INT num_stats {{ common_stats {{ num_non_missing: {rows} }} mean: 3 }} }} }}
"""


def statistics(cash, card):
    text = STATISTICS.format(rows=cash + card, cash=cash, card=card)
    return text_format.Parse(text, statistics_pb2.DatasetFeatureStatisticsList())


def by_schema(schema_text, span_statistics, baseline_statistics):
    schema = text_format.Parse(schema_text, schema_pb2.Schema())
    made = build_baseline(window(), SCHEMA, FEATURES, POLICY, evaluation=None, statistics=baseline_statistics)
    return compare(rows(1000, 84), made, schema=schema, statistics=span_statistics)


LIMITED = 'feature { name: "payment" type: BYTES drift_comparator { infinity_norm { threshold: 0.2 } } }'


def test_a_threshold_that_a_person_wrote_in_the_schema_is_honoured():
    found = by_schema(LIMITED, statistics(400, 600), statistics(700, 300))

    (item,) = found.drift.moved
    assert (item.feature, item.limit, item.threshold) == ("payment", "schema", 0.2)
    assert item.distance == pytest.approx(0.3)
    assert "payment" in found.schema_anomalies.anomaly_info


def test_a_persons_threshold_that_is_not_exceeded_moves_nothing():
    assert by_schema(LIMITED, statistics(600, 400), statistics(700, 300)).drift.moved == ()


def test_l_infinity_over_integers_is_said_to_be_unmeasured_although_tfdv_answers_zero():
    found = by_schema(
        'feature { name: "area" type: INT drift_comparator { infinity_norm { threshold: 0.2 } } }',
        statistics(400, 600),
        statistics(700, 300),
    )

    (gap,) = found.not_compared
    assert gap.text.startswith(
        "`area`: TFDV did not measure the L-infinity that the schema limits; TFDV measures it on"
    )


def test_a_threshold_that_measures_the_number_of_rows_is_said_not_to_be_applied():
    found = by_schema(
        'feature { name: "payment" type: BYTES drift_comparator { normalized_abs_difference { threshold: 0.1 } } }',
        statistics(400, 600),
        statistics(70, 30),
    )

    assert found.drift.moved == ()
    assert found.not_compared[0].text.startswith("`payment`: the schema's normalized_abs_difference is not applied")


def test_an_empty_baseline_proto_is_said_although_tfdv_takes_it_for_no_baseline():
    found = by_schema(LIMITED, statistics(400, 600), statistics_pb2.DatasetFeatureStatisticsList())

    assert found.not_compared[0].text == (
        "the schema's drift thresholds of `payment` were not applied: the baseline's statistics are empty"
    )


def test_a_schema_threshold_without_statistics_is_said():
    found = by_schema(LIMITED, None, statistics(700, 300))

    assert found.not_compared[0].text == (
        "the schema's drift thresholds were not applied: there are no statistics of the span"
    )
