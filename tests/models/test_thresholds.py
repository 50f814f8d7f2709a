"""Which class is answered: by hand, and against a search through every cut with scikit-learn's scores."""

import numpy as np
import pytest
from sklearn import metrics as sk

from models import thresholds
from models.errors import LabelError
from models.scores import sigmoid
from models.target import Target
from models.thresholds import Held, Thresholds

CLASSES = ("on time", "late", "never")


def held(predictions, labels, weights=None):
    labels = np.asarray(labels)
    return Held(
        predictions=np.asarray(predictions, np.float32),
        labels=labels,
        weights=np.ones(len(labels)) if weights is None else np.asarray(weights, float),
    )


def rare(rows, seed, shift=-4.0):
    """Rows of which a few in a hundred are positive, with calibrated probabilities."""
    random = np.random.default_rng(seed)
    logits = random.normal(shift, 1.5, rows)
    return held(sigmoid(logits), (random.random(rows) < sigmoid(logits)).astype(np.int64), random.integers(1, 4, rows))


def binary(rule):
    return Target(label="y", threshold=rule)


@pytest.mark.parametrize(
    ("rule", "score"),
    [("max_f1", sk.f1_score), ("max_mcc", sk.matthews_corrcoef)],
)
def test_no_other_threshold_scores_better_on_the_rows(rule, score):
    rows = rare(600, seed=3)

    chosen = thresholds.choose(binary(rule), rows, None)

    reached = score(rows.labels, chosen.answers(rows.predictions), sample_weight=rows.weights)
    best = max(score(rows.labels, rows.predictions >= cut, sample_weight=rows.weights) for cut in rows.predictions)
    assert reached == pytest.approx(best)
    assert 0 < chosen.of_binary < 0.5
    assert (chosen.rule, chosen.rows, chosen.out_of_time) == (rule, 600, False)


def test_costs_decide_without_rows():
    rule = {"cost_false_positive": 1.0, "cost_false_negative": 19.0}

    chosen = thresholds.choose(binary(rule), rare(600, seed=3), None)

    # A false alarm is worth the risk from 1 / (1 + 19) on.
    assert chosen.of_binary == pytest.approx(0.05)
    assert chosen.rows == 0
    assert chosen.answers(np.array([0.049, 0.051])).tolist() == [0, 1]


def test_equal_predictions_are_never_parted():
    rows = held([0.2, 0.2, 0.2, 0.7], [1, 0, 1, 0])

    chosen = thresholds.choose(binary("max_f1"), rows, None)

    # From 0.2 on: 2 of 2 found with 2 false alarms, F1 = 4 / 6; halfway down to nothing.
    assert chosen.of_binary == pytest.approx(0.1)


def test_later_rows_are_preferred_where_they_hold_enough_of_every_class():
    earlier, later, few = rare(4_000, 1), rare(4_000, 2, shift=-2.0), rare(200, 4)

    assert thresholds.choose(binary("max_f1"), earlier, later).out_of_time is True
    assert not thresholds.choose(binary("max_f1"), earlier, few).out_of_time
    assert thresholds.choose(binary("max_f1"), earlier, few).rows == 4_000


def test_a_rare_event_is_answered_by_a_chosen_threshold_and_never_from_a_half_on():
    rows = rare(20_000, seed=5, shift=-7.0)  # Half a percent.

    half = thresholds.choose(binary(0.5), rows, None)
    chosen = thresholds.choose(binary("max_mcc"), rows, None)

    assert half.answered[1] < 0.001
    assert chosen.answered[1] > 0.002
    assert sum(chosen.answered) == pytest.approx(1)


def several(rows=900, seed=0):
    random = np.random.default_rng(seed)
    labels = random.choice(3, rows, p=[0.8, 0.15, 0.05])
    logits = np.log([0.8, 0.15, 0.05]) + random.normal(size=(rows, 3)) + 1.2 * np.eye(3)[labels]
    return held(np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), labels)


@pytest.mark.parametrize(
    ("rule", "score"),
    [
        ("max_f1", lambda truth, answers: sk.f1_score(truth, answers, average="macro")),
        ("max_mcc", sk.matthews_corrcoef),
    ],
)
def test_factors_of_classes_score_no_less_than_a_grid_of_them(rule, score):
    rows, target = several(), Target(label="y", task="multiclass", classes=CLASSES, threshold=rule)

    chosen = thresholds.choose(target, rows, None)

    plain = score(rows.labels, rows.predictions.argmax(axis=1))
    steps = 2.0 ** np.arange(-1, 4)
    grid = max(score(rows.labels, (rows.predictions * [1.0, b, c]).argmax(axis=1)) for b in steps for c in steps)
    reached = score(rows.labels, chosen.answers(rows.predictions))
    assert reached > plain
    assert reached > grid - 0.01  # Class by class is no search of all together.


def test_a_class_that_costs_more_when_missed_is_answered_sooner():
    target = Target(label="y", task="multiclass", classes=CLASSES, threshold={"never": 10.0})

    chosen = thresholds.choose(target, several(), None)

    assert chosen.values == (1.0, 1.0, 10.0)
    # 10 * 0.1 is more than 0.6.
    assert chosen.answers(np.array([[0.6, 0.3, 0.1], [0.95, 0.04, 0.01]])).tolist() == [2, 0]


def test_a_model_that_keeps_none_answers_as_ever(tmp_path):
    assert thresholds.read(str(tmp_path)) == Thresholds()
    assert Thresholds().answers(np.array([0.5, 0.499])).tolist() == [1, 0]
    assert Thresholds().answers(np.array([[0.2, 0.3, 0.5]])).tolist() == [2]
    kept = Thresholds(values=(0.25,), rule="max_f1", rows=12, out_of_time=True, answered=(0.75, 0.25))
    kept.write(str(tmp_path))
    assert thresholds.read(str(tmp_path)) == kept


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ({"threshold": {"cost_false_positive": 1.0}}, "a cost for each of cost_false_positive, cost_false_negative"),
        ({"threshold": {"cost": 1.0}}, "Received: cost."),
        ({"task": "multiclass", "classes": CLASSES, "threshold": 0.3}, "several classes have none in common"),
        ({"task": "multiclass", "classes": CLASSES, "threshold": {"soon": 1.0}}, "costs of classes: on time, late"),
        ({"task": "regression", "threshold": "max_f1"}, "a regression answers no class"),
    ],
)
def test_thresholds_that_a_task_cannot_have_are_refused(target, message):
    with pytest.raises(LabelError, match=message):
        Target(label="y", **target)
