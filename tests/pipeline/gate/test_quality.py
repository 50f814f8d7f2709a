"""What blocks and what warns; each trap that TFDV falls into is a test here."""

import numpy as np
import pyarrow as pa
import pytest
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2

from models.features import FeatureSpec
from pipeline.gate import quality
from pipeline.gate.policy import GatePolicy

SCHEMA = text_format.Parse(
    """
    feature { name: "fare" type: FLOAT presence { min_fraction: 1.0 min_count: 1 }
              float_domain { min: 0 max: 1000 disallow_nan: true disallow_inf: true } }
    feature { name: "seconds" type: INT presence { min_fraction: 0.9 min_count: 1 } int_domain { min: 0 max: 86400 } }
    feature { name: "payment" type: BYTES presence { min_fraction: 1.0 min_count: 1 } domain: "payment" }
    feature { name: "company" type: BYTES presence { min_fraction: 0.4 min_count: 1 } }
    feature { name: "gust" type: FLOAT presence { min_fraction: 0.0 } }
    feature { name: "tips" type: FLOAT presence { min_fraction: 1.0 min_count: 1 } }
    feature { name: "note" type: BYTES presence { min_count: 1 } }
    feature { name: "old" type: INT lifecycle_stage: DEPRECATED presence { min_count: 1 } }
    string_domain { name: "payment" value: "Cash" value: "Card" }
    """,
    schema_pb2.Schema(),
)
FEATURES = FeatureSpec(
    label="tips > 0.2 * fare", numeric=("fare", "seconds", "gust"), categorical=("payment", "company")
)
POLICY = GatePolicy()
ROWS = 1000


def span(**changes):
    columns = {
        "fare": pa.array(np.full(ROWS, 7.5)),
        "seconds": pa.array(np.full(ROWS, 600)),
        "payment": pa.array(["Cash", "Card"] * (ROWS // 2)),
        "company": pa.array(["a", None] * (ROWS // 2)),
        "gust": pa.array([1.0, None] * (ROWS // 2)),
        "tips": pa.array(np.full(ROWS, 1.0)),
        "note": pa.array(["x"] * ROWS),
    }
    merged = {**columns, **changes}
    return pa.table({name: column for name, column in merged.items() if column is not None})


def first(values, count, odd):
    return pa.array([odd] * count + [values] * (ROWS - count))


def check(table, policy=POLICY, **given):
    return [
        (finding.feature, finding.kind, finding.severity)
        for finding in quality.check(table, SCHEMA, FEATURES, policy, **given)
    ]


def anomalies(text):
    return text_format.Parse(text, anomalies_pb2.Anomalies())


def test_sound_data_has_no_findings():
    assert check(span()) == []


def test_an_empty_span_blocks_although_tfdv_reports_nothing():
    assert check(span().slice(0, 0)) == [(None, "no_rows", "block")]


def test_a_missing_column_blocks():
    assert check(span(fare=None)) == [("fare", "missing_column", "block")]


def test_an_all_null_feature_blocks_although_it_vanishes_from_tf_example():
    assert check(span(company=pa.nulls(ROWS, pa.string()))) == [("company", "empty_column", "block")]


def test_a_feature_of_nan_alone_is_empty():
    assert check(span(fare=pa.array(np.full(ROWS, np.nan)))) == [("fare", "empty_column", "block")]


def test_a_feature_that_may_be_absent_only_warns():
    assert check(span(gust=pa.nulls(ROWS, pa.float64()))) == [("gust", "empty_column", "warn")]


def test_a_column_that_no_model_reads_only_warns():
    assert check(span(note=None)) == [("note", "missing_column", "warn")]


def test_labels_yet_to_come_are_no_finding():
    assert check(span(tips=None)) == []


def test_a_deprecated_column_may_be_gone():
    assert "old" not in span().column_names
    assert check(span()) == []


def test_another_type_blocks():
    assert check(span(seconds=pa.array(["600"] * ROWS))) == [("seconds", "wrong_type", "block")]


def test_one_odd_value_in_a_thousand_warns():
    assert check(span(payment=first("Cash", 1, "Bitcoin"))) == [("payment", "out_of_domain", "warn")]


def test_what_is_certainly_more_than_a_closed_domain_tolerates_blocks():
    # 95 % certain to be above 0.2 %: of 1,000 rows, 6 (Wilson's interval begins at 0.28 %) and not 4 (0.16 %).
    assert check(span(payment=first("Cash", 4, "Bitcoin"))) == [("payment", "out_of_domain", "warn")]
    assert check(span(payment=first("Cash", 6, "Bitcoin"))) == [("payment", "out_of_domain", "block")]


def test_one_percent_of_impossible_fares_blocks_although_tfdv_blesses_it():
    (finding,) = quality.check(span(fare=first(7.5, 10, -99_999.0)), SCHEMA, FEATURES, POLICY)

    assert finding.severity == "block"
    assert (
        finding.text
        == "`fare`: 10 of 1,000 rows (1.00%) outside 0 to 1000, such as -99999; such rows are left out of training"
    )


def test_a_single_odd_value_of_a_small_span_only_warns():
    assert check(span(fare=first(7.5, 1, -1.0)).slice(0, 50)) == [("fare", "out_of_range", "warn")]


def test_a_column_missing_in_most_rows_blocks_although_tfdv_blesses_it():
    (finding,) = quality.check(span(fare=first(7.5, 800, None)), SCHEMA, FEATURES, POLICY)

    assert (finding.severity, finding.share) == ("block", 0.8)
    assert finding.text == "`fare` is missing in 80.0% of the rows (the schema allows 0.0%)"


def test_slightly_too_many_missing_values_warn():
    # The schema asks for 90 % of the rows; 86 % is within the 5 points of tolerance, 82 % is not, for certain.
    assert check(span(seconds=first(600, 140, None))) == [("seconds", "missing_values", "warn")]
    assert check(span(seconds=first(600, 180, None))) == [("seconds", "missing_values", "block")]


def test_infinities_are_counted_where_the_schema_disallows_them():
    assert check(span(fare=first(7.5, 10, np.inf))) == [("fare", "not_finite", "block")]


def test_a_limit_is_met_by_its_own_float32():
    schema = schema_pb2.Schema()
    schema.CopyFrom(SCHEMA)
    schema.feature[0].float_domain.max = 0.1
    stored = pa.array(np.full(ROWS, np.float64(np.float32(0.1))))

    assert quality.check(span(fare=stored), schema, FEATURES, POLICY) == ()


def test_integers_meet_their_limits_exactly():
    schema = schema_pb2.Schema()
    schema.CopyFrom(SCHEMA)
    # float32 knows only every 1,024th number there.
    schema.feature[1].int_domain.min, schema.feature[1].int_domain.max = 17_031_000_000, 17_031_999_999

    (finding,) = quality.check(span(seconds=first(17_031_000_000, 20, 17_030_999_999)), schema, FEATURES, POLICY)

    assert (finding.kind, finding.share) == ("out_of_range", 0.02)


def test_unseen_values_of_an_open_domain_warn():
    findings = quality.check(span(company=first("a", 3, "new")), SCHEMA, FEATURES, POLICY, known={"company": ("a",)})

    assert [(finding.kind, finding.severity) for finding in findings] == [("unseen_values", "warn")]
    assert findings[0].text == (
        "`company`: 3 of 1,000 rows (0.30%) with a value that the training window did not have, such as `new`"
    )


def test_a_schema_of_a_person_who_allows_more_goes_before_the_default():
    schema = schema_pb2.Schema()
    schema.CopyFrom(SCHEMA)
    schema.feature[2].distribution_constraints.min_domain_mass = 0.9

    (finding,) = quality.check(span(payment=first("Cash", 50, "Bitcoin")), schema, FEATURES, POLICY)

    assert (finding.severity, finding.tolerance) == ("warn", 0.1)


@pytest.mark.parametrize(
    ("policy", "severities"),
    [
        (GatePolicy(severity={"fare": {"out_of_range": "warn"}}), ["warn"]),
        (GatePolicy(severity={"fare": {"out_of_range": "ignore"}}), []),
        (GatePolicy(tolerance={"fare": {"out_of_range": 0.02}}), ["warn"]),
        (GatePolicy(severity={"fare": {"out_of_range": "block"}}), ["block"]),
        (
            GatePolicy(severity={"fare": {"out_of_range": "block"}}, tolerance={"fare": {"out_of_range": 0.02}}),
            ["warn"],
        ),
    ],
)
def test_the_dataset_file_decides_severities_per_feature(policy, severities):
    found = check(span(fare=first(7.5, 10, -1.0)), policy)

    assert [severity for _, _, severity in found] == severities


def test_a_little_in_each_of_several_columns_is_counted_by_row():
    # 3 of 1,000 rows are no certain breach of 0.2 %; 9 are.
    fare, seconds = [-1.0] * 3 + [7.5] * (ROWS - 3), [600] * 3 + [-1] * 3 + [600] * (ROWS - 6)
    payment = ["Cash"] * 6 + ["Bitcoin"] * 3 + ["Cash"] * (ROWS - 9)
    alone = span(fare=pa.array(fare))
    together = span(fare=pa.array(fare), seconds=pa.array(seconds), payment=pa.array(payment))

    assert check(alone) == [("fare", "out_of_range", "warn")]
    found = quality.check(together, SCHEMA, FEATURES, POLICY)
    assert {(item.kind, item.severity) for item in found} == {
        ("impossible_rows", "block"), ("out_of_range", "block"), ("out_of_domain", "block"),
    }  # fmt: skip
    assert found[0].text == (
        "9 of 1,000 rows (0.90%) with a value that the schema rules out, in `fare`, `payment`, `seconds` together"
    )
    own = GatePolicy(tolerance={"fare": {"out_of_range": 0.02}})
    assert {item.severity for item in quality.check(together, SCHEMA, FEATURES, own) if item.feature == "fare"} == {
        "warn"
    }


def test_a_handful_of_rows_is_no_evidence_against_a_share():
    # Two of five rows lack a value where 5 % may: the interval reaches from 12 % to 77 %, of one in five from 4 %.
    table = span(fare=first(7.5, 1, None)).slice(0, 5)

    (finding,) = quality.check(table, SCHEMA, FEATURES, POLICY)

    assert finding.severity == "warn"
    assert finding.text.endswith("; more than the 5.0% that are tolerated, and not certain of 5 rows")


def test_counting_batch_by_batch_counts_the_same():
    table = span(fare=first(7.5, 10, -1.0), seconds=first(600, 180, None), company=first("a", 3, "new"))
    known = {"company": ("a",)}
    batches = table.to_batches(max_chunksize=7)

    counted = quality.Counting(SCHEMA, FEATURES, POLICY, known)

    assert list(counted.through(batches)) == batches
    assert quality.judge(counted.result, SCHEMA, FEATURES, POLICY) == quality.check(
        table, SCHEMA, FEATURES, POLICY, known=known
    )


def test_unseen_values_can_be_made_to_block():
    policy = GatePolicy(
        severity={"company": {"unseen_values": "block"}}, tolerance={"company": {"unseen_values": 0.01}}
    )
    table = span(company=first("a", 20, "new"))

    assert check(table, policy, known={"company": ("a",)}) == [("company", "unseen_values", "block")]


def test_a_feature_that_the_schema_does_not_describe_blocks():
    features = FeatureSpec(label="tips > 0.2 * fare", numeric=("fare", "altitude"))

    findings = quality.check(span(), SCHEMA, features, POLICY)

    assert [(finding.feature, finding.kind, finding.severity) for finding in findings] == [
        ("altitude", "missing_column", "block")
    ]


TFDV_DOMAIN = """
anomaly_info { key: "payment" value { path { step: "payment" } severity: ERROR
  reason { type: ENUM_TYPE_UNEXPECTED_STRING_VALUES short_description: "Unexpected string values"
           description: "Bitcoin (~0.1%)" } } }
"""


def test_what_tfdv_found_too_is_said_once():
    found = check(span(payment=first("Cash", 1, "Bitcoin")), anomalies=[anomalies(TFDV_DOMAIN)] * 2)

    assert found == [("payment", "out_of_domain", "warn")]


def test_what_only_tfdv_found_is_said():
    assert check(span(), anomalies=[anomalies(TFDV_DOMAIN)]) == [("payment", "out_of_domain", "warn")]


def test_a_new_column_warns_and_a_type_blocks():
    found = anomalies(
        """
        anomaly_info { key: "extra" value { path { step: "extra" } severity: ERROR
          reason { type: SCHEMA_NEW_COLUMN short_description: "New column" description: "not in schema" } } }
        anomaly_info { key: "note" value { path { step: "note" } severity: ERROR
          reason { type: UNEXPECTED_DATA_TYPE short_description: "Unexpected data type" description: "INT" } } }
        """
    )

    assert check(span(), anomalies=[found]) == [("note", "wrong_type", "block"), ("extra", "schema_anomaly", "warn")]


def test_a_limit_of_the_whole_dataset_blocks():
    found = anomalies(
        """dataset_anomaly_info { severity: ERROR
           reason { type: DATASET_LOW_NUM_EXAMPLES short_description: "Low num examples" description: "10 < 20" } }"""
    )

    assert check(span(), anomalies=[found]) == [(None, "schema_anomaly", "block")]


@pytest.mark.parametrize(
    ("limits", "text"),
    [
        ("max_examples_count: 999", "the span has 1,000 rows; the schema expects at most 999"),
        ("min_examples_count: 1001", "the span has 1,000 rows; the schema expects at least 1,001"),
    ],
)
def test_limits_on_the_number_of_rows_block_although_tfdv_ignores_a_lone_maximum(limits, text):
    schema = text_format.Parse(f"dataset_constraints {{ {limits} }}", schema_pb2.Schema())
    schema.MergeFrom(SCHEMA)

    (finding,) = quality.check(span(), schema, FEATURES, POLICY)

    assert (finding.severity, finding.text) == ("block", text)


def test_drift_is_no_matter_of_quality():
    found = anomalies(
        """anomaly_info { key: "fare" value { path { step: "fare" } severity: ERROR
           reason { type: COMPARATOR_JENSEN_SHANNON_DIVERGENCE_HIGH short_description: "High" } } }"""
    )

    assert check(span(), anomalies=[found]) == []


def test_tfdv_reporting_the_labels_as_missing_is_no_finding_where_they_are_yet_to_come():
    found = anomalies(
        """anomaly_info { key: "tips" value { path { step: "tips" } severity: ERROR
           reason { type: SCHEMA_MISSING_COLUMN short_description: "Column dropped" } } }"""
    )

    assert check(span(tips=None), anomalies=[found]) == []


def test_what_blocks_comes_first():
    found = check(span(company=first("a", 40, "new"), fare=first(7.5, 20, -1.0)), known={"company": ("a",)})

    assert [severity for _, _, severity in found] == ["block", "warn"]


@pytest.mark.parametrize(("setting", "severities"), [("warn", ["warn"]), ("block", ["block"]), ("ignore", [])])
def test_a_column_that_the_schema_does_not_have_is_what_the_dataset_file_says(setting, severities):
    findings = quality.unexpected(["tip"], GatePolicy(unexpected_column=setting))

    assert [(finding.feature, finding.kind, finding.severity) for finding in findings] == [
        ("tip", "unexpected_column", severity) for severity in severities
    ]
