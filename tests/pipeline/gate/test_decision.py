"""The decision table, row by row."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.gate.decision import Decision, Row, Verdict, decide, describe
from pipeline.gate.evidence import Finding, LiveModel, NotCompared, Origin, ServingAlert
from pipeline.gate.policy import GatePolicy
from tests.helpers.evidence_of import (
    blocking,
    drift,
    evidence,
    feature_drift,
    floor_check,
    label_change,
    metric_change,
)

POLICY = GatePolicy()


def test_row_1_blocks_unusable_data():
    decision = decide(evidence(findings=(blocking(),)), POLICY)

    assert (decision.row, decision.verdict) == (1, Verdict.BLOCK)
    assert decision.reasons[0].text == "`fare`: 10 of 1,000 rows"


def test_row_1_blocks_even_when_forced():
    assert decide(evidence(findings=(blocking(),), forced=True), POLICY).verdict is Verdict.BLOCK


def test_row_1_blocks_a_span_without_rows_whatever_the_findings_say():
    decision = decide(evidence(rows=0), POLICY)

    assert (decision.row, decision.reasons[0].text) == (1, "the span has no rows")


def test_row_2_reruns_on_content_that_was_accepted_before_and_on_a_late_span_when_forced():
    decision = decide(evidence(repeats=(5, 0), newest_accepted=9, forced=True), POLICY)

    assert (decision.row, decision.verdict) == (2, Verdict.RERUN)


def test_row_3_reruns_where_the_models_definition_changed_on_content_that_was_accepted_before():
    changes = ("[features] numeric: + tips_rate", "[training] epochs 3 → 5")

    decision = decide(evidence(changes=changes, repeats=(5, 0), newest_accepted=5), POLICY)

    assert (decision.row, decision.verdict, decision.warm_start) == (3, Verdict.RERUN, False)
    assert [(reason.kind, reason.text) for reason in decision.reasons] == [
        ("definition", "not as in the live model: [features] numeric: + tips_rate"),
        ("definition", "not as in the live model: [training] epochs 3 → 5"),
    ]


def test_row_3_trains_on_no_window_older_than_the_live_models():
    assert decide(evidence(changes=("schema: feature x added",), newest_accepted=6), POLICY).row == 5


def test_row_3_lets_no_broken_data_through():
    assert decide(evidence(changes=("schema: feature x added",), rows=0), POLICY).row == 1


def test_row_4_skips_content_that_was_accepted_before():
    decision = decide(evidence(repeats=(3, 1)), POLICY)

    assert (decision.row, decision.verdict) == (4, Verdict.SKIP)
    assert decision.reasons[0].text == "its content equals that of span 3 version 1, which was accepted before"


def test_row_5_skips_a_span_older_than_the_newest_accepted():
    decision = decide(evidence(span=3, newest_accepted=4), POLICY)

    assert (decision.row, decision.verdict) == (5, Verdict.SKIP)


def test_a_corrected_version_of_the_newest_span_is_not_late():
    assert decide(evidence(span=4, version=2, newest_accepted=4), POLICY).row == 12


def test_row_6_reruns_where_no_model_is_live():
    decision = decide(evidence(live=None, drift=None, performance=(), label=None), POLICY)

    assert (decision.row, decision.verdict) == (6, Verdict.RERUN)


def test_row_2_reruns_when_forced():
    assert decide(evidence(forced=True), POLICY).row == 2


def test_row_7_reruns_where_the_model_is_too_old():
    policy = GatePolicy(max_model_age_days=30)
    old = LiveModel(version="3", window=(1, 2, 3, 4), age_seconds=31 * 86_400)

    decision = decide(evidence(live=old), policy)

    assert (decision.row, decision.verdict) == (7, Verdict.RERUN)
    assert decision.reasons[0].text == "the live model is 31 days old (limit: 30)"


def test_a_model_exactly_at_the_limit_is_not_too_old():
    at_limit = LiveModel(version="3", window=(1,), age_seconds=30 * 86_400)

    assert decide(evidence(live=at_limit), GatePolicy(max_model_age_days=30)).row == 12


def test_row_7_reruns_where_more_spans_are_there_to_train_on():
    decision = decide(evidence(more_spans=(1, 2)), POLICY)

    assert (decision.row, decision.verdict) == (7, Verdict.RERUN)
    assert decision.reasons[0].text == "the live model was trained on 1 span, and 2 are there to train on"
    assert decide(evidence(more_spans=(1, 2), rows=299), POLICY).row == 8


def test_row_8_skips_too_few_rows_which_wait():
    decision = decide(evidence(rows=299), POLICY)

    assert (decision.row, decision.verdict) == (8, Verdict.SKIP)
    assert decision.reasons[0].text.startswith("not enough evidence: 299 rows (minimum: 300)")


def test_rows_of_waiting_spans_are_named():
    decision = decide(evidence(rows=120, waiting=(3, 4)), POLICY)

    assert "120 rows, with those of waiting spans 3 to 4" in decision.reasons[0].text


@pytest.mark.parametrize(
    ("found", "kind"),
    [
        ({"performance": (metric_change(matters=True),)}, "performance"),
        ({"label": label_change(matters=True)}, "label"),
    ],
)
def test_row_9_reruns_where_performance_or_the_label_moved(found, kind):
    decision = decide(evidence(**found), POLICY)

    assert (decision.row, decision.verdict) == (9, Verdict.RERUN)
    assert decision.reasons[0].kind == kind


def test_row_9_holds_the_live_model_to_the_datasets_own_floors():
    decision = decide(evidence(performance=(), floors=(floor_check(missed=True),)), POLICY)

    assert (decision.row, decision.verdict) == (9, Verdict.RERUN)
    assert [(reason.kind, reason.text) for reason in decision.reasons] == [
        (
            "floor",
            "the live model's AUC 0.800 (interval 0.780 to 0.820) is below the floor of 0.85, whatever it was at push",
        )
    ]
    assert not decision.not_scored
    assert decide(evidence(floors=(floor_check(missed=False),)), POLICY).row == 12


def test_a_labelled_span_that_was_not_scored_says_so_in_the_first_line():
    assert describe(decide(evidence(performance=()), POLICY)).startswith("SKIP span 5 (1,200 rows), NOT SCORED")
    assert "NOT SCORED" not in describe(decide(evidence(performance=(), labelled=False), POLICY))
    assert "NOT SCORED" not in describe(decide(evidence(performance=(), rows=100), POLICY))


def test_row_9_ranks_the_whole_span_before_its_slices():
    overall = metric_change(matters=True)
    part = type(overall)(**{**vars(overall), "slice": "origin=JFK"})

    texts = [reason.text for reason in decide(evidence(performance=(part, overall)), POLICY).reasons]

    assert texts[0].startswith("the live model's AUC: 0.750 → 0.640")
    assert texts[1].startswith("the live model's AUC on origin=JFK")


def test_row_10_reruns_on_drift_from_scratch():
    decision = decide(evidence(drift=drift(feature_drift(distance=0.21))), POLICY)

    assert (decision.row, decision.verdict, decision.warm_start) == (10, Verdict.RERUN, False)
    assert decision.reasons[0].text == (
        "`payment_type`: share of `Credit Card` 0.31 → 0.52 (L-infinity 0.210, threshold 0.080 set by "
        "the training window's own variation; by chance less than once in 1,000 spans)"
    )


def test_row_10_says_once_what_moved_two_distances():
    moved = drift(feature_drift(distance=0.21), feature_drift(distance=0.2))

    assert len(decide(evidence(drift=moved), POLICY).reasons) == 1


@pytest.mark.parametrize(
    ("distance", "unseen", "limit", "warm"),
    [
        (0.10, 0.0, 1.5, True),  # 1.25 times its threshold
        (0.13, 0.0, 1.5, False),  # 1.6 times
        (0.10, 0.02, 1.5, False),  # 2 % of the rows have values that the vocabulary lacks
        (0.10, 0.0, 1.0, False),  # switched off
    ],
)
def test_row_10_starts_warm_where_the_excess_is_small_and_the_vocabulary_allows(distance, unseen, limit, warm):
    found = evidence(drift=drift(feature_drift(distance=distance, unseen=unseen)))

    assert decide(found, GatePolicy(warm_start_limit=limit)).warm_start is warm


SKEW = ServingAlert(kind="skew", feature="fare", text="requests have 12 % more missing `fare`")


def test_row_11_alerts_on_serving_skew_and_reruns_nothing():
    decision = decide(evidence(skew=(SKEW,)), POLICY)

    assert (decision.row, decision.verdict, decision.alert) == (11, Verdict.SKIP, True)
    assert [(reason.kind, reason.feature) for reason in decision.reasons] == [("serving_skew", "fare")]


def test_row_11_reruns_where_the_dataset_asks_for_it():
    decision = decide(evidence(skew=(SKEW,)), GatePolicy(serving_skew="rerun"))

    assert (decision.row, decision.verdict, decision.alert) == (11, Verdict.RERUN, True)


def test_row_9_reruns_where_requests_show_that_the_live_model_got_worse():
    worse = ServingAlert(kind="performance", text="requests of 2026-11-24: the live model's AUC: 0.9 → 0.7")

    decision = decide(evidence(skew=(worse,)), POLICY)

    assert (decision.row, decision.verdict, decision.alert) == (9, Verdict.RERUN, False)
    assert decision.reasons[0].text == worse.text


@pytest.mark.parametrize("change", [{"rows": 0}, {"repeats": (4, 0)}, {"newest_accepted": 99}])
def test_skew_is_noted_whatever_becomes_of_the_span(change):
    decision = decide(evidence(skew=(SKEW,), **change), POLICY)

    assert decision.row in (1, 4, 5)
    assert [note.text for note in decision.notes if note.kind == "serving_skew"] == [SKEW.text]
    assert decision.alert
    assert Decision.from_json(decision.to_json()) == decision


def test_row_12_skips_otherwise():
    decision = decide(evidence(), POLICY)

    assert (decision.row, decision.verdict, decision.alert) == (12, Verdict.SKIP, False)
    assert decision.reasons[0].text == "nothing moved beyond its threshold"
    assert decision.notes == ()


def test_what_was_not_compared_is_said_although_nobody_mentioned_it():
    decision = decide(evidence(drift=None, performance=(), label=None), POLICY)

    assert decision.verdict is Verdict.SKIP
    assert decision.reasons[0].text == "nothing could be compared with the live model's data"
    assert [note.text for note in decision.notes] == [
        "the span's distributions were not compared with the training data",
        "the live model was not scored on this span",
        "the label's share was not compared",
    ]


def test_why_something_was_not_compared_replaces_the_general_sentence():
    why = NotCompared(subject="performance", text="the span has no labels yet")

    notes = decide(evidence(performance=(), not_compared=(why,)), POLICY).notes

    assert [note.text for note in notes] == ["the span has no labels yet"]


def test_drift_and_skew_are_noted_where_performance_decides():
    found = evidence(performance=(metric_change(matters=True),), drift=drift(feature_drift()), skew=(SKEW,))

    decision = decide(found, POLICY)

    assert decision.row == 9
    assert [note.kind for note in decision.notes] == ["drift", "serving_skew"]
    assert decision.alert


def test_warnings_are_noted():
    odd = Finding(feature="company", kind="unseen_values", severity="warn", text="`company`: 3 unseen values")

    assert decide(evidence(findings=(odd,)), POLICY).notes[0].text == "`company`: 3 unseen values"


def test_describe_reads_as_a_person_on_call_needs_it():
    found = evidence(drift=drift(feature_drift()), not_compared=(NotCompared(subject="skew", text="no requests"),))

    assert describe(decide(found, POLICY)).splitlines() == [
        "RERUN span 5 (1,200 rows)",
        "  - `payment_type`: share of `Credit Card` 0.31 → 0.52 (L-infinity 0.210, threshold 0.080 set by "
        "the training window's own variation; by chance less than once in 1,000 spans)",
        "  training starts from scratch",
        "  compared with version 3, trained on spans 1 to 4",
        "  not compared: no requests",
    ]


@given(
    forced=st.booleans(),
    rows=st.integers(0, 1000),
    span=st.integers(1, 9),
    newest=st.none() | st.integers(1, 9),
    age=st.integers(0, 10**8),
    moved=st.booleans(),
    worse=st.booleans(),
)
def test_json_round_trips_and_deciding_twice_decides_the_same(forced, rows, span, newest, age, moved, worse):
    found = evidence(
        forced=forced,
        rows=rows,
        span=span,
        newest_accepted=newest,
        live=LiveModel(version="3", window=(1, 2), age_seconds=age),
        drift=drift(feature_drift(distance=0.21 if moved else 0.01)),
        performance=(metric_change(matters=worse),),
    )

    decision = decide(found, POLICY)

    assert Decision.from_json(decision.to_json()) == decision
    assert decide(found, POLICY).to_json() == decision.to_json()


def test_the_json_form_is_stable():
    value = decide(evidence(), POLICY).to_dict()

    assert sorted(value) == ["alert", "evidence", "layout", "notes", "reasons", "row", "verdict", "warm_start"]
    assert (value["layout"], value["verdict"], value["row"]) == (2, "skip", 12)
    assert value["evidence"]["drift"]["features"][0]["direction"].startswith("`payment_type`")


@pytest.mark.parametrize("text", ["{}", '{"layout": 3}', "[]", '{"layout": 1}', '{"layout": 2}'])
def test_another_layout_is_refused(text):
    with pytest.raises(ValueError, match=r"layout|missing"):
        Decision.from_json(text)


@pytest.mark.parametrize(
    ("old", "row"), [(1, 1), (2, 4), (3, 5), (4, 6), (5, 2), (6, 7), (7, 8), (8, 9), (9, 10), (10, 11), (11, 12)]
)
def test_a_decision_of_the_layout_before_keeps_its_meaning(old, row):
    value = decide(evidence(), POLICY).to_dict() | {"layout": 1, "row": old}
    del value["evidence"]["changes"]  # Nobody looked for any.

    assert Decision.from_json(json.dumps(value)).row == row


def test_a_wrong_value_is_refused_by_name():
    value = json.loads(decide(evidence(), POLICY).to_json())
    value["evidence"]["rows"] = "many"

    with pytest.raises(ValueError, match=r"Evidence.rows: expected int. Received: 'many'"):
        Decision.from_json(json.dumps(value))


@pytest.mark.parametrize(
    ("origin", "text"),
    [
        (Origin(source="out_of_time", span=4), None),
        (
            Origin(source="held_out", span=4),
            "that of the live model on rows of span 4 that were held out of training, which flatters",
        ),
        (
            Origin(source="out_of_time", span=2, version="77"),
            "that of version 77 on span 2, by networks that were not trained on it",
        ),
    ],
)
def test_a_yardstick_that_is_not_the_models_own_out_of_time_is_named(origin, text):
    notes = [note.text for note in decide(evidence(yardstick=origin), POLICY).notes if note.kind == "yardstick"]

    assert notes == ([f"the live model's performance is held against {text}"] if text else [])


def test_the_page_and_the_glossary_have_the_rows_and_verdicts_of_the_table():
    docs = Path(__file__).parents[3] / "docs"
    page = (docs / "gate.md").read_text(encoding="utf-8").split("## The decision table")[1].split("\n## ")[0]
    rows = {int(number): text for number, text in re.findall(r"^\| (\d+) \| (.+) \|$", page, re.M)}
    glossary = (docs / "glossary.md").read_text(encoding="utf-8")
    (meanings,) = re.findall(r"^\| verdict \| (.+) \| .+ \|$", glossary, re.M)

    assert list(rows) == [row.value for row in Row]
    for verdict in Verdict:
        assert any(verdict.value in text for text in rows.values()), verdict
        assert re.search(rf"\b{verdict.value} \(", meanings), verdict
    assert "gate.md#the-decision-table" in glossary
