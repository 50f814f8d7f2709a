"""What becomes of a span that asks for a training, given what one would bring."""

import dataclasses

import pytest

from pipeline.gate import payoff
from pipeline.gate.decision import Decision, Row, Verdict, decide, describe
from pipeline.gate.evidence import Challenge, ServingAlert
from pipeline.gate.policy import GatePolicy
from tests.helpers.evidence_of import drift, estimate, evidence, feature_drift, floor_check, label_change, metric_change

POLICY = GatePolicy()
MOVED = {"drift": drift(feature_drift())}


def challenge(gain, *, error=0.004, correction=-0.02, forgone=0.0, repair=0.0, calibration_error=0.02):
    return Challenge(
        rows=600,
        gain=estimate(gain, error),
        correction=estimate(correction, error),
        recalibration=estimate(repair, 0.004),
        calibration_error=estimate(calibration_error, 0.005),
        forgone=forgone,
    )


def worse(metric):
    values = {"auc": (0.75, 0.64), "calibration": (0.01, 0.12), "loss": (0.40, 0.52)}[metric]
    baseline, current = (estimate(value) for value in values)
    return dataclasses.replace(metric_change(matters=True), metric=metric, baseline=baseline, current=current)


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        # The price is 0.02 (auc_margin), a gain counts from 0.005 on.
        (challenge(0.03), Verdict.RERUN),
        (challenge(0.012), Verdict.SKIP),
        (challenge(0.012, forgone=0.009), Verdict.RERUN),
        (challenge(0.004, forgone=0.5), Verdict.SKIP),
        (challenge(-0.01), Verdict.SKIP),
        # What a correction of the live model by the span itself brings is a gain as well.
        (challenge(-0.01, correction=0.3), Verdict.RERUN),
        # 2 points lie within one standard error: too few rows to put a training off.
        (challenge(0.0, error=0.021), Verdict.RERUN),
    ],
)
def test_a_feature_that_moved_reruns_where_a_training_pays(found, verdict):
    decision = decide(evidence(**MOVED, challenge=found), POLICY)

    assert (decision.row, decision.verdict) == (Row.DRIFT, verdict)
    assert ("no_gain" in {reason.kind for reason in decision.reasons}) == (verdict is Verdict.SKIP)


def test_without_an_answer_what_moved_reruns():
    assert decide(evidence(**MOVED), POLICY).verdict is Verdict.RERUN


def test_a_skip_says_what_moved_and_why_nothing_is_trained():
    decision = decide(evidence(**MOVED, challenge=challenge(0.012, forgone=0.004)), POLICY)

    assert describe(decision).split("\n")[1:3] == [
        "  - moved, but a training would not pay: a training is expected to bring +0.012 AUC (interval +0.004 to "
        "+0.020, tried on 600 rows, 0.004 forgone since the last one; it must bring 0.005, and with what was forgone "
        "0.02)",
        "  - `payment_type`: share of `Credit Card` 0.31 → 0.52 (L-infinity 0.210, threshold 0.080 set by the training "
        "window's own variation; by chance less than once in 1,000 spans)",
    ]


@pytest.mark.parametrize(("gain", "verdict"), [(0.002, Verdict.RERUN), (-0.02, Verdict.SKIP), (0.03, Verdict.RERUN)])
def test_a_worse_auc_is_put_off_by_an_interval_alone(gain, verdict):
    # The intervals end at 0.010, -0.012 and 0.038; a gain counts from 0.005 on.
    decision = decide(evidence(performance=(worse("auc"),), challenge=challenge(gain)), POLICY)

    assert (decision.row, decision.verdict) == (Row.PERFORMANCE, verdict)


def test_a_missed_floor_and_worse_answers_to_requests_always_rerun():
    served = ServingAlert(kind="performance", text="requests of today: AUC 0.7 → 0.5")

    for given in ({"floors": (floor_check(missed=True),)}, {"skew": (served,)}):
        assert decide(evidence(**given, challenge=challenge(-0.02)), POLICY).verdict is Verdict.RERUN


def test_what_a_person_asked_for_on_skew_is_done():
    skew = (ServingAlert(kind="skew", text="requests: `fare` moved"),)
    policy = GatePolicy(serving_skew="rerun")

    assert decide(evidence(**MOVED, skew=skew, challenge=challenge(-0.02)), policy).verdict is Verdict.RERUN
    assert decide(evidence(**MOVED, skew=skew, challenge=challenge(-0.02)), POLICY).verdict is Verdict.SKIP


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, Verdict.RECALIBRATE),
        ({"performance": (worse("loss"), worse("calibration"))}, Verdict.RECALIBRATE),
        ({"performance": (), "label": label_change(matters=True)}, Verdict.RECALIBRATE),
        ({"performance": (), **MOVED}, Verdict.RECALIBRATE),
        # Ranks are not repaired by a slope and an offset.
        ({"performance": (worse("calibration"), worse("auc"))}, Verdict.RERUN),
        # Nor does it keep a training from being made that pays, or that might.
        ({"challenge": challenge(0.03, repair=0.05)}, Verdict.RERUN),
        ({"challenge": challenge(0.0, error=0.03, repair=0.05)}, Verdict.RERUN),
        # Not certain, not within the limit, not possible.
        ({"challenge": challenge(0.0, repair=0.007)}, Verdict.RERUN),
        ({"challenge": challenge(0.0, repair=0.05, calibration_error=0.2)}, Verdict.RERUN),
        ({"recalibratable": False}, Verdict.RERUN),
    ],
)
def test_answers_that_are_off_are_recalibrated(changes, verdict):
    given = {"performance": (worse("calibration"),), "challenge": challenge(0.0, repair=0.05), "recalibratable": True}

    decision = decide(evidence(**{**given, **changes}), POLICY)

    assert decision.verdict is verdict
    assert (decision.reasons[-1].kind == "recalibration") == (verdict is Verdict.RECALIBRATE)
    assert not decision.warm_start


@pytest.mark.parametrize(
    ("metric", "gain", "repair", "verdict"),
    [
        # Accuracy is priced at 0.02, a share of the error at 0.1: `accuracy_margin`, `error_margin`.
        ("accuracy", 0.025, 0.0, Verdict.RERUN),
        ("accuracy", 0.015, 0.0, Verdict.SKIP),
        ("accuracy", 0.015, 0.05, Verdict.RECALIBRATE),
        ("accuracy", 0.025, 0.05, Verdict.RERUN),
        ("error", 0.12, 0.0, Verdict.RERUN),
        ("error", 0.08, 0.0, Verdict.SKIP),
        # A tenth of the margin: from 1 % of the error on it is worth a version.
        ("error", 0.08, 0.015, Verdict.RECALIBRATE),
        ("error", 0.08, 0.009, Verdict.SKIP),
        ("error", 0.12, 0.015, Verdict.RERUN),
    ],
)
def test_other_tasks_are_weighed_in_their_own_metric(metric, gain, repair, verdict):
    found = dataclasses.replace(challenge(gain, repair=repair), metric=metric, correction=estimate(-0.2, 0.004))

    decision = decide(evidence(**MOVED, challenge=found, recalibratable=True), POLICY)

    assert decision.verdict is verdict
    unit = {"accuracy": "accuracy (interval", "error": "of the mean absolute error (interval"}[metric]
    assert unit in " ".join(reason.text for reason in decision.reasons)


def test_a_gain_beyond_chance_is_reason_enough_where_nothing_moved():
    # One in 400 spans by chance: 2.81 standard errors.
    certain, likely = challenge(0.03, error=0.01), challenge(0.03, error=0.011)

    decision = decide(evidence(challenge=certain), POLICY)

    assert (decision.row, decision.verdict, decision.reasons[0].kind) == (Row.PERFORMANCE, Verdict.RERUN, "gain")
    assert decide(evidence(challenge=likely), POLICY).verdict is Verdict.SKIP


def test_what_was_forgone_adds_up_and_is_taken_back():
    assert payoff.forgone([0.01, None, 0.005]) == pytest.approx(0.015)
    assert payoff.forgone([0.01, -0.05, 0.004]) == pytest.approx(0.004)
    assert payoff.forgone([]) == 0


def test_a_written_price_goes_before_the_default():
    policy = GatePolicy(min_gain=0.0, retrain_cost=0.0)

    assert decide(evidence(**MOVED, challenge=challenge(0.001)), policy).verdict is Verdict.RERUN
    assert GatePolicy(auc_margin=0.04).gain_that_counts("auc") == pytest.approx(0.01)


def test_the_decision_is_read_back():
    decision = decide(evidence(**MOVED, challenge=challenge(0.012), recalibratable=True), POLICY)

    assert Decision.from_json(decision.to_json()) == decision
