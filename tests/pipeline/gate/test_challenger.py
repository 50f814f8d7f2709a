"""What a training would bring, on rows of which that is known."""

import dataclasses
from statistics import NormalDist

import numpy as np
import pyarrow as pa
import pytest

from models.scores import sigmoid
from pipeline.gate import challenger, discrimination, task_measures
from tests.helpers.windows import FEATURES


def span(rows, seed, *, turned=False, odds=0.0):
    """Rows whose tip follows from fare and payment; the odds of a tip may be turned round, or shifted."""
    rng = np.random.default_rng(seed)
    fare = np.round(3.25 + rng.gamma(2.0, 4.0, rows), 2)
    card = rng.random(rows) < 0.5
    logit = true_logit(fare, card)
    tips = rng.random(rows) < sigmoid((-logit if turned else logit) + odds)
    return pa.table(
        {
            "fare": fare,
            "miles": pa.array(rng.gamma(1.5, 2.0, rows), mask=rng.random(rows) < 0.1),
            "payment": pa.array(np.where(card, "Card", "Cash")),
            "area": rng.integers(1, 6, rows),
            "month": np.full(rows, 3),
            "tips": np.where(tips, fare, 0.0),
        }
    )


def true_logit(fare, card):
    return 3.0 * card - 1.5 + 0.15 * (fare - 11)


def live(table):
    """A model that knows how it was."""
    return sigmoid(true_logit(table["fare"].to_numpy(), np.array(table["payment"].to_pylist()) == "Card"))


def challenge(now, past=None, *, learned=(1, 2), would_learn=(2, 3, 4)):
    past = past or {number: span(1500, number) for number in (1, 2, 3)}
    return challenger.challenge(past, now, learned=learned, would_learn=would_learn, live=live, features=FEATURES)


def test_where_nothing_changed_a_training_brings_nothing():
    found = challenge(span(3000, 9))

    assert found.rows == 1500
    assert found.gain.low < 0.01
    assert abs(found.gain.value) < 0.02
    assert found.correction.value < 0.01
    assert found.recalibration.value < 0.005
    assert found.calibration_error.low < 0.03


def test_a_concept_that_turned_round_is_seen_at_once():
    found = challenge(span(3000, 9, turned=True))

    # The live model has it the wrong way round; its own logit and half a span suffice to turn it.
    assert found.correction.low > 0.4
    assert found.expected.low > 0.2


def test_a_change_that_the_window_has_seen_already_is_worth_a_training():
    past = {1: span(1500, 1), 2: span(1500, 2), 3: span(3000, 3, turned=True)}

    found = challenge(span(3000, 9, turned=True), past, would_learn=(3, 4))

    assert found.gain.low > 0.4


def test_a_shift_of_the_odds_is_repaired_by_an_offset_and_by_no_training():
    found = challenge(span(3000, 9, odds=1.0))

    # Odds of e instead of 1: the log loss of a calibrated answer is known, and so is that of the shifted one.
    now = span(200_000, 1, odds=1.0)
    truth, logit = (now["tips"].to_numpy() > 0).astype(int), np.log(live(now)) - np.log1p(-live(now))
    fall = task_measures.losses(truth, live(now)).mean() - task_measures.losses(truth, sigmoid(logit + 1.0)).mean()
    assert found.recalibration.value == pytest.approx(fall, abs=0.03)
    assert found.recalibration.low > 0.02
    assert found.calibration_error.low < 0.03
    assert found.gain.value < 0.02


CLASSES = ("none", "some", "much")
NUMBERS = {"binary": FEATURES, **{
    task: dataclasses.replace(FEATURES, label="told", task=task, **given)
    for task, given in {"multiclass": {"classes": CLASSES}, "regression": {"interval": 0.8}}.items()
}}  # fmt: skip


def rides(rows, seed, task, *, turned=False, more=0.0, wider=1.0):
    """Rows whose number follows from fare and payment; it may be turned round, raised, or less certain."""
    table = span(rows, seed)
    noise = np.random.default_rng(seed + 1_000).normal(size=rows)
    number = expected(table) * (-1 if turned else 1) + more + wider * noise
    told = number if task == "regression" else np.array(CLASSES)[np.digitize(number, (-1.0, 1.0))]
    return table.append_column("told", pa.array(told))


def expected(table):
    return true_logit(table["fare"].to_numpy(), np.array(table["payment"].to_pylist()) == "Card")


def answers(task):
    """A model of the task that knows how it was."""

    def of_numbers(table):
        # 80 % of a normal lie within 1.2816 standard deviations.
        return np.stack([expected(table) + move for move in (0.0, -1.2816, 1.2816)], axis=1)

    def of_classes(table):
        below = np.array([[NormalDist().cdf(end - x) for end in (-1.0, 1.0)] for x in expected(table)])
        return np.stack([below[:, 0], below[:, 1] - below[:, 0], 1 - below[:, 1]], axis=1)

    return of_numbers if task == "regression" else of_classes


def challenged(task, **given):
    past = {number: rides(800, number, task) for number in (1, 2, 3)}
    repairable = given.pop("repairable", True)
    return challenger.challenge(
        past, rides(2000, 9, task, **given), learned=(1, 2), would_learn=(2, 3, 4), live=answers(task),
        features=NUMBERS[task], repairable=repairable,
    )  # fmt: skip


@pytest.mark.parametrize(("task", "metric"), [("multiclass", "accuracy"), ("regression", "error")])
def test_other_tasks_are_challenged_in_their_own_metric(task, metric):
    same, turned = challenged(task), challenged(task, turned=True)

    assert (same.metric, same.rows) == (metric, 1000)
    assert same.gain.low < 0.01
    assert same.correction.value < 0.01
    assert abs(same.recalibration.value) < 0.005
    assert same.calibration_error.low < 0.03
    # The whole relation is learned anew: the live model's answers and half a span suffice.
    assert turned.correction.low > 0.15


@pytest.mark.parametrize("task", ["multiclass", "regression"])
def test_what_an_offset_repairs_is_no_merit_of_a_training(task):
    found, without = challenged(task, more=1.0), challenged(task, more=1.0, repairable=False)

    assert found.recalibration.low > 0.02
    assert found.expected.value < 0.02
    # Where no recalibration is to be had, a training would bring it.
    assert without.expected.low > 0.05


def test_an_interval_that_covers_too_little_is_repaired_by_its_ends():
    found = challenged("regression", wider=1.5)

    # An end at z spreads s from the middle of a normal has the quantile loss s (phi(z) + z (Phi(z) - 0.9)). Both ends:
    # 0.584 at 1.2816 / 1.5, and 0.526 at 1.2816; the difference is 0.048 of a mean absolute error of 1.5 * 0.798.
    assert found.recalibration.value == pytest.approx(0.048, abs=0.02)
    assert found.recalibration.low > 0
    assert found.expected.value < 0.02


def test_too_few_rows_and_rows_that_are_gone_are_said():
    assert challenge(span(150, 9)) == "too few labelled rows to tell what a training would bring: 150 in the span"
    assert "are not there" in challenge(span(3000, 9), {8: span(100, 8)})


def test_the_paired_interval_covers_the_difference():
    # Two scores of the same rows, one with more noise: the AUCs are Phi(d / sqrt(2 (1 + s^2))) apart.
    rng = np.random.default_rng(4)

    def draw(rows):
        labels = rng.integers(0, 2, rows)
        score = rng.normal(size=rows) + 1.5 * labels
        return labels, score + rng.normal(size=rows), score

    truth = discrimination.auc_difference(*draw(400_000)).value
    found = [discrimination.auc_difference(*draw(400)) for _ in range(300)]

    assert 0.91 <= np.mean([each.low <= truth <= each.high for each in found]) <= 0.98
    labels, one, other = draw(400)
    assert discrimination.auc_difference(labels, one, other).value == pytest.approx(
        discrimination.auc(labels, other).value - discrimination.auc(labels, one).value
    )
