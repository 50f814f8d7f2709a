"""What answers promise without labels, held against what they promised of the training window."""

import dataclasses

import numpy as np
import pytest

from pipeline.gate import performance, promises, task_measures
from pipeline.gate.decision import Decision, Row, Verdict, decide, describe
from pipeline.gate.evidence import Origin, Promise, ServingAlert
from pipeline.gate.policy import GatePolicy
from pipeline.gate.yardstick import Yardstick
from tests.helpers.evidence_of import drift, estimate, evidence, feature_drift

POLICY = GatePolicy()


def test_the_expected_auc_and_loss_of_two_classes():
    found = task_measures.promise(np.array([0.4, 0.1, 0.9, 0.8]), None, "binary")

    # Pairs of a positive above a negative: 0.1 x 0.45 + 0.4 x 1.2 + 0.8 x 1.6 + 0.9 x 1.75 = 3.38, of 2.2 x 1.8.
    # NannyML 0.13.1's estimate_roc_auc: 0.853535.
    assert found["auc"].value == pytest.approx(0.853535, abs=1e-6)
    # Entropies of 0.1, 0.4, 0.8, 0.9 in nats: 0.325083, 0.673012, 0.500402, 0.325083.
    assert found["loss"].value == pytest.approx(0.455895, abs=1e-6)


def test_the_expected_accuracy_and_loss_of_several_classes():
    found = task_measures.promise(np.array([[0.5, 0.25, 0.25], [0.0, 1.0, 0.0]]), None, "multiclass")

    # 1.5 bits of the first row, 0 of the second.
    assert {metric: each.value for metric, each in found.items()} == pytest.approx(
        {"accuracy": 0.75, "loss": 0.75 * np.log(2)}
    )


def test_rows_count_as_their_weights_say():
    probabilities, weights = np.array([[0.6, 0.4], [0.9, 0.1]]), np.array([3.0, 1.0])

    assert task_measures.promise(probabilities, weights, "multiclass")["accuracy"].value == pytest.approx(0.675)
    # A row of weight two is two rows.
    twice = task_measures.promise(np.array([0.2, 0.2, 0.7]), None, "binary")["auc"].value
    assert task_measures.promise(np.array([0.2, 0.7]), np.array([2.0, 1.0]), "binary")["auc"].value == twice


def test_numbers_promise_by_their_intervals_and_certain_answers_no_auc():
    found = task_measures.promise(np.array([[5.0, 4.0, 8.0], [1.0, 0.0, 2.0]]), None, "regression")

    assert {metric: each.value for metric, each in found.items()} == {"width": 3.0}
    assert task_measures.promise(np.array([[5.0, 5.0, 5.0]]), None, "regression") == {}
    assert set(task_measures.promise(np.array([1.0, 1.0]), None, "binary")) == {"loss"}


def test_what_is_promised_is_what_comes_of_probabilities_that_are_right():
    rng = np.random.default_rng(5)
    probabilities = rng.beta(1, 3, 20_000)
    truth = (rng.random(20_000) < probabilities).astype(np.int64)

    overall = performance.evaluate(truth, probabilities).overall

    for metric in ("auc", "loss"):
        promised, came = overall.promised[metric], getattr(overall, metric)
        assert promised.value == pytest.approx(came.value, abs=0.01)
        # Labels are drawn in what came, and in nothing that is promised.
        assert promised.high - promised.low <= came.high - came.low


def measured(probabilities):
    truth = (np.arange(len(probabilities)) % 2).astype(np.int64)
    return performance.evaluate(truth, np.asarray(probabilities), {"odd": truth == 1})


def test_a_promise_is_held_against_that_of_the_windows_spans():
    rng = np.random.default_rng(0)
    sure, unsure = rng.beta(0.5, 0.5, (3, 2_000)), rng.beta(4, 4, 2_000)
    spans = [result for place in (0, 1) for result in performance.results_of(place, measured(sure[place]), POLICY)]
    origin = Origin(source="out_of_time", span=1)
    yardstick = Yardstick(evaluation=measured(sure[1]), origin=origin, spans=tuple(spans))
    now = task_measures.promise(unsure, None, "binary")

    same = promises.compare(task_measures.promise(sure[2], None, "binary"), yardstick)[0]
    less = promises.compare(now, yardstick)[0]

    assert same.metric == less.metric == "auc"
    assert same.low < 0 < same.high
    assert less.high < -0.1
    assert less.before.rows == 4_000
    # One span alone; the yardstick of another model; one of an older release.
    alone = promises.compare(now, dataclasses.replace(yardstick, spans=()))[0]
    assert alone.before == yardstick.evaluation.overall.promised["auc"]
    of_another = dataclasses.replace(yardstick, spans=(), origin=dataclasses.replace(origin, version="77"))
    assert promises.compare(now, of_another)[0] == Promise(metric="auc", current=now["auc"])
    assert promises.compare(now, None)[0].before is None


FALLEN = Promise(metric="auc", before=estimate(0.75), current=estimate(0.70), low=-0.062, high=-0.038)
LOSS = Promise(metric="loss", before=estimate(0.4), current=estimate(0.45), low=0.03, high=0.07)
WITHOUT_LABELS = {"performance": (), "label": None, "labelled": False, "labelled_rows": 0}


def test_a_span_without_labels_that_moved_says_what_its_answers_promise():
    decision = decide(evidence(**WITHOUT_LABELS, drift=drift(feature_drift()), promises=(FALLEN, LOSS)), POLICY)

    assert (decision.row, decision.verdict) == (Row.DRIFT, Verdict.RERUN)
    assert [reason.kind for reason in decision.reasons] == ["drift", "promise"]
    assert decision.reasons[1].text == (
        "without labels: if the live model's answers are right, its AUC is 0.750 → 0.700 since the training window "
        "(change -0.050, interval -0.062 to -0.038) and its log loss is 0.400 → 0.450 since the training window "
        "(change +0.050, interval +0.030 to +0.070); blind to a change of the concept"
    )
    assert "promise" not in {reason.kind for reason in decision.notes}


@pytest.mark.parametrize("moved", [True, False])
@pytest.mark.parametrize("promise", [FALLEN, dataclasses.replace(FALLEN, current=estimate(0.8), low=0.04, high=0.06)])
def test_a_promise_decides_nothing(moved, promise):
    given = {**WITHOUT_LABELS, **({"drift": drift(feature_drift())} if moved else {})}

    decision = decide(evidence(**given, promises=(promise,)), POLICY)

    assert decision.verdict is decide(evidence(**given), POLICY).verdict
    assert ("also: without labels: if the live model's answers are right" in describe(decision)) != moved
    assert Decision.from_json(decision.to_json()) == decision


def test_the_error_of_numbers_grows_as_their_intervals_do():
    promise = Promise(metric="width", before=estimate(40.0), current=estimate(50.0), low=9.0, high=11.0)

    text = describe(decide(evidence(**WITHOUT_LABELS, promises=(promise,)), POLICY))

    assert "its intervals' mean width is 40.000 → 50.000 since" in text
    assert "and its mean absolute error 1.25 times; blind to a change of the concept" in text


def test_a_decision_of_an_older_release_is_read():
    value = decide(evidence(**WITHOUT_LABELS), POLICY).to_dict()
    del value["evidence"]["promises"]
    value["evidence"]["estimated_auc"] = 0.7

    assert Decision.from_dict(value).evidence.promises == ()


@pytest.mark.parametrize(
    ("promise", "alert"),
    [
        (FALLEN, True),
        # Within the margin of 0.02; not for certain; better; a loss, which is no main metric; held against nothing.
        (dataclasses.replace(FALLEN, current=estimate(0.735), low=-0.02, high=-0.01), False),
        (dataclasses.replace(FALLEN, high=0.01), False),
        (dataclasses.replace(FALLEN, current=estimate(0.8), low=0.04, high=0.06), False),
        (LOSS, False),
        (Promise(metric="auc", current=estimate(0.6)), False),
        # A tenth of the error: error_margin.
        (Promise(metric="width", before=estimate(40.0), current=estimate(45.0), low=4.0, high=6.0), True),
        (Promise(metric="width", before=estimate(40.0), current=estimate(43.0), low=2.0, high=4.0), False),
    ],
)
def test_where_no_labels_have_come_since_the_model_nothing_is_trained_and_harm_is_an_alert(promise, alert):
    given = {**WITHOUT_LABELS, "drift": drift(feature_drift()), "new_labels": False}

    decision = decide(evidence(**given, promises=(promise,)), POLICY)

    assert (decision.row, decision.verdict, decision.alert) == (Row.DRIFT, Verdict.SKIP, alert)
    assert decision.reasons[0].text == (
        "moved, but there is nothing new to learn yet: no span since the live model's has labels"
    )
    assert {"drift", "promise"} <= {reason.kind for reason in decision.reasons}
    assert decide(evidence(**{**given, "new_labels": True}, promises=(promise,)), POLICY).verdict is Verdict.RERUN


def test_answers_that_got_worse_while_labels_are_awaited_are_an_alert():
    served = ServingAlert(kind="performance", text="requests of today: AUC 0.7 → 0.5")

    decision = decide(evidence(**WITHOUT_LABELS, new_labels=False, skew=(served,)), POLICY)

    assert (decision.row, decision.verdict, decision.alert) == (Row.PERFORMANCE, Verdict.SKIP, True)
