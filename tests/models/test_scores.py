import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from models import scores


def test_auc_agrees_with_scikit_learn_on_ties():
    random = np.random.default_rng(1)
    labels, values = random.integers(0, 2, 500), random.integers(0, 9, 500) / 9

    assert scores.auc(values, labels) == pytest.approx(roc_auc_score(labels, values), abs=1e-12)


def test_auc_by_hand():
    # Pairs (positive, negative): 0.8 beats 0.5 and 0.2, 0.5 ties with 0.5 and beats 0.2: 3.5 of 4.
    assert scores.auc(np.array([0.8, 0.5, 0.5, 0.2]), np.array([1, 1, 0, 0])) == 3.5 / 4
    assert np.isnan(scores.auc(np.array([0.1, 0.2]), np.array([1, 1])))


def test_calibration_error_by_hand():
    # Bin [0.2, 0.3): two rows, mean 0.25, rate 0.5. Bin [0.9, 1.0]: two rows, mean 0.95, rate 1. (2*0.25 + 2*0.05) / 4.
    probabilities, labels = np.array([0.25, 0.25, 0.9, 1.0]), np.array([0, 1, 1, 1])

    assert scores.expected_calibration_error(probabilities, labels) == pytest.approx(0.15)


def test_log_loss_of_extreme_logits_is_finite():
    assert scores.log_loss(np.array([800.0, -800.0]), np.array([1, 0])) == 0.0
    assert scores.log_loss(np.array([-800.0]), np.array([1])) == 800.0
    assert scores.log_loss(np.array([0.0]), np.array([1])) == pytest.approx(np.log(2))


def test_sigmoid_of_extreme_logits():
    assert scores.sigmoid(np.array([-800.0, 0.0, 800.0])).tolist() == [0.0, 0.5, 1.0]
