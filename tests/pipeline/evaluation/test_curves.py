"""Curves of four rows, by hand."""

import numpy as np
import pytest
from sklearn import metrics as reference

from pipeline.evaluation import curves
from pipeline.evaluation.metrics import Metric

LABELS = np.array([0.0, 1.0, 0.0, 1.0])
PROBABILITIES = np.array([0.1, 0.35, 0.4, 0.8])


def drawn(labels=LABELS, probabilities=PROBABILITIES, **metrics):
    return curves.curves_of(curves.histogram_of(labels, probabilities, np.ones(len(labels))), metrics)


def test_roc_and_precision_recall_step_through_the_rows():
    found = drawn()

    # From the highest prediction down: a positive, a negative, a positive, a negative.
    assert found.roc == ((0, 0), (0, 0.5), (0.5, 0.5), (0.5, 1), (1, 1))
    assert found.precision_recall == ((0, 1), (0.5, 1), (0.5, 0.5), (1, 0.66667), (1, 0.5))


def test_precision_and_recall_are_scikit_learns_from_a_recall_of_0_and_a_precision_of_1_on():
    # The highest prediction is wrong: of a recall of 0 there is one precision only.
    labels, probabilities = 1 - LABELS, PROBABILITIES

    precision, recall, _ = reference.precision_recall_curve(labels, probabilities)

    expected = [(0, 1), *(point for point in zip(recall[::-1], precision[::-1], strict=True) if point[0])]
    assert drawn(labels, probabilities).precision_recall == tuple(
        (pytest.approx(x), pytest.approx(y, abs=1e-5)) for x, y in expected
    )


def test_calibration_bins_are_tenths_with_wilsons_interval():
    first, third, fourth, eighth = drawn().calibration

    assert (first.examples, first.predicted, first.observed) == (1, pytest.approx(0.1), 0)
    assert (third.predicted, third.observed, fourth.observed, eighth.observed) == (pytest.approx(0.35), 1, 0, 1)
    # One of one: z² / (1 + z²) above nothing, Wilson 1927 with z = 1.96: 0.2065.
    assert (eighth.low, eighth.high) == (pytest.approx(0.2065, abs=1e-4), 1.0)


def test_thinned_curves_keep_their_area():
    rng = np.random.default_rng(5)
    labels = (rng.random(20_000) < 0.3).astype(float)
    probabilities = np.clip(0.3 * labels + rng.normal(0.4, 0.2, 20_000), 0, 1)

    found = drawn(labels, probabilities)

    area = (
        np.trapezoid(*np.array(found.roc).T[::-1])
        if hasattr(np, "trapezoid")
        else np.trapz(*np.array(found.roc).T[::-1])
    )
    assert len(found.roc) < 800
    assert area == pytest.approx(reference.roc_auc_score(labels, probabilities), abs=2e-3)


def test_one_class_has_no_roc_and_undefined_metrics_are_left_out():
    found = drawn(np.zeros(4), auc=Metric(value=float("nan")), mean_label=Metric(value=0.0, deviation=0.0))

    assert (found.roc, found.precision_recall) == ((), ())
    assert (found.metrics, found.deviations) == ((("mean_label", 0.0),), (("mean_label", 0.0),))


def test_they_survive_json():
    both = curves.EvaluationCurves(candidate=drawn(auc=Metric(value=0.75)), live=None)

    assert curves.EvaluationCurves.from_json(both.to_json()) == both
