"""One positive row in a hundred: what is measured, what a model is held to, and what is said of it."""

import dataclasses
import json

import numpy as np
import pytest
from sklearn import metrics as sk

from models.scores import sigmoid
from models.target import Target
from models.thresholds import Held, Thresholds, choose
from pipeline.evaluation import curves, judge, metrics
from pipeline.evaluation.judge import Judgement
from pipeline.evaluation.metrics import Sample
from pipeline.evaluation.spec import EvaluationSpec

TARGET = Target(label="y")


def rows(count=20_000, seed=0):
    """Calibrated probabilities and labels, 1 % of them positive, none likely to be."""
    random = np.random.default_rng(seed)
    probabilities = sigmoid(random.normal(-5.2, 1.1, count))
    return probabilities, (random.random(count) < probabilities).astype(np.float64)


def judged(labels, probabilities, thresholds=Thresholds(), spec=EvaluationSpec()):  # noqa: B008  # Both are frozen.
    sample = Sample(
        labels=labels,
        predictions={"": probabilities},
        weights=np.ones(len(labels)),
        thresholds={"": thresholds},
    )
    measured = metrics.measure(sample, TARGET, 20, 0)[""]
    drawn = curves.draw(TARGET, sample, "", measured)
    return measured, dataclasses.replace(judge.judge({(): measured}, None, spec), notes=judge.notes_on(drawn)), drawn


def test_a_model_that_answers_0_for_all_rows_is_pushed_with_a_word():
    probabilities, labels = rows()
    assert 0.009 < labels.mean() < 0.012

    measured, judgement, drawn = judged(labels, probabilities)

    assert judgement.blessed
    floor = f"area under precision and recall {measured['auc_precision_recall'].value:.4f} (floor {labels.mean():.4g})"
    assert floor in judgement.reasons[0]
    assert drawn.confusion == ((np.count_nonzero(labels == 0), 0.0), (np.count_nonzero(labels), 0.0))
    assert judgement.notes == (
        f"The model answers 0 for all rows, although {np.count_nonzero(labels)} of 20,000 held-out rows are 1: no "
        'probability reaches 0.5. [serving] threshold = "max_f1" or costs would have it answered sooner.',
    )
    assert Judgement.from_json(judgement.to_json()) == judgement
    before = json.loads(judgement.to_json())
    del before["notes"]  # As an earlier release wrote it.
    assert Judgement.from_json(json.dumps(before)).notes == ()


def test_a_chosen_threshold_finds_some_and_is_measured_as_it_answers():
    probabilities, labels = rows()
    earlier, of_earlier = rows(seed=1)
    held = Held(predictions=earlier, labels=of_earlier.astype(int), weights=np.ones(len(earlier)))

    chosen = choose(dataclasses.replace(TARGET, threshold="max_f1"), held, None)
    measured, judgement, drawn = judged(labels, probabilities, chosen)

    answers = chosen.answers(probabilities)
    assert judgement.notes == ()
    assert sk.recall_score(labels, answers) > 0.1
    assert measured["recall"].value == pytest.approx(sk.recall_score(labels, answers))
    assert measured["precision"].value == pytest.approx(sk.precision_score(labels, answers))
    assert measured["f1_score"].value == pytest.approx(sk.f1_score(labels, answers))
    assert measured["binary_accuracy"].value == pytest.approx(sk.accuracy_score(labels, answers))
    mcc = sk.matthews_corrcoef(labels, answers)
    assert measured["matthews_correlation_coefficient"].value == pytest.approx(mcc)
    np.testing.assert_allclose(drawn.confusion, sk.confusion_matrix(labels, answers), atol=1e-2)


@pytest.mark.parametrize(
    ("predicted", "reason"),
    [
        # The rate of all rows, or none of them: as good as no model.
        (lambda p: np.zeros_like(p), "calibration error 0.0"),
        (lambda p: np.full_like(p, 0.03), "calibration error 0.0"),
        (lambda p: p[np.argsort(-p)][np.argsort(np.argsort(p))], "area under precision and recall"),
    ],
)
def test_a_model_that_knows_nothing_is_refused_by_floors_that_the_share_of_positives_sets(predicted, reason):
    probabilities, labels = rows()

    _, judgement, _ = judged(labels, predicted(probabilities), spec=EvaluationSpec(min_auc=0.0))

    assert not judgement.blessed
    assert any(why.startswith(reason) for why in judgement.reasons), judgement.reasons


def test_recall_at_a_precision_of_a_half_by_hand():
    labels = np.array([1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0])
    probabilities = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2])

    measured, _, _ = judged(labels, probabilities)

    # From 0.6 on 2 of 4 are positive, which is one in two: 2 of 3 are found. From 0.3 on it is 3 of 7.
    assert measured["recall_at_precision"].value == pytest.approx(2 / 3)
