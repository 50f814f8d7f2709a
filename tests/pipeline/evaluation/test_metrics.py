"""TFMA's metrics from arrays: by hand on a few rows, and against TFMA itself in test_parity.py."""

import math

import numpy as np
import pyarrow as pa
import pytest

from models.target import Target
from pipeline.evaluation import binary_metrics, metrics
from pipeline.evaluation.metrics import Sample
from pipeline.gate import discrimination

LABELS = np.array([1.0, 1.0, 0.0, 0.0])
PROBABILITIES = np.array([0.9, 0.4, 0.6, 0.1])
ONES = np.ones(4)
BINARY = Target(label="y")


def test_each_metric_of_four_rows_by_hand():
    values = binary_metrics.weighted(LABELS, PROBABILITIES, ONES)

    assert values["example_count"] == 4
    # Of the four pairs of a positive and a negative row, three are in order: 0.4 is below 0.6.
    assert values["auc"] == pytest.approx(0.75, abs=1e-4)
    assert values["binary_accuracy"] == 0.5
    assert values["mean_label"] == 0.5
    assert values["mean_prediction"] == pytest.approx(0.5)
    assert values["calibration"] == pytest.approx(2.0 / 2.0)
    losses = [math.log(0.9), math.log(0.4), math.log(0.4), math.log(0.9)]
    assert values["binary_crossentropy"] == pytest.approx(-sum(losses) / 4)
    # Called positive: one right, one wrong. Of the two positives, one is found.
    assert (values["precision"], values["recall"], values["f1_score"]) == (0.5, 0.5, 0.5)
    assert values["matthews_correlation_coefficient"] == 0
    assert values["brier_score"] == pytest.approx((0.1**2 + 0.6**2 + 0.6**2 + 0.1**2) / 4)
    # Four bins with one row each: |0.9 - 1|, |0.4 - 1|, |0.6 - 0|, |0.1 - 0|.
    assert values["expected_calibration_error"] == pytest.approx((0.1 + 0.6 + 0.6 + 0.1) / 4)


def test_a_weight_of_two_is_a_row_twice():
    twice = binary_metrics.weighted(
        np.append(LABELS, LABELS[1]), np.append(PROBABILITIES, PROBABILITIES[1]), np.ones(5)
    )

    assert binary_metrics.weighted(LABELS, PROBABILITIES, np.array([1.0, 2.0, 1.0, 1.0])) == pytest.approx(twice)


def test_with_one_class_there_is_no_auc():
    values = binary_metrics.weighted(np.zeros(4), PROBABILITIES, ONES)

    assert math.isnan(values["auc"])
    assert math.isnan(values["calibration"])
    assert values["example_count"] == 4


def test_deviations_shrink_with_the_square_root_of_the_rows():
    rng = np.random.default_rng(3)
    probabilities = rng.random(8_000)
    labels = (rng.random(8_000) < probabilities).astype(float)

    few = metrics.measure(
        Sample(labels=labels[:500], predictions={"": probabilities[:500]}, weights=np.ones(len(labels[:500]))),
        BINARY,
        100,
        1,
    )[""]["auc"]
    many = metrics.measure(
        Sample(labels=labels, predictions={"": probabilities}, weights=np.ones(len(labels))), BINARY, 100, 1
    )[""]["auc"]

    assert few.deviation / many.deviation == pytest.approx(4, rel=0.35)  # sqrt(8,000 / 500)


def test_the_deviation_of_the_auc_is_delongs():
    rng = np.random.default_rng(4)
    probabilities = rng.random(2_000)
    labels = (rng.random(2_000) < probabilities).astype(float)
    delong = discrimination.auc(labels, probabilities)

    measured = metrics.measure(
        Sample(labels=labels, predictions={"": probabilities}, weights=np.ones(len(labels))), BINARY, 200, 1
    )[""]["auc"]

    # Two hundred replicates estimate a standard deviation to one part in twenty: three of those.
    assert measured.deviation == pytest.approx((delong.high - delong.low) / (2 * 1.96), rel=0.15)


def test_no_replicates_give_no_deviation():
    measured = metrics.measure(
        Sample(labels=LABELS, predictions={"": PROBABILITIES}, weights=np.ones(len(LABELS))), BINARY, 0, 1
    )

    assert measured[""]["auc"].deviation is None


def test_slices_are_ordered_by_value_and_leave_missing_values_out():
    columns = {"hour": pa.array([10, 2, None, 2]), "city": pa.array(["b", "a", "a", None])}

    by_hour = {key: rows.tolist() for key, rows in metrics.slices(columns, ["hour"])}
    crossed = {key: rows.tolist() for key, rows in metrics.slices(columns, ["hour", "city"])}

    assert list(by_hour.items()) == [((("hour", 2),), [1, 3]), ((("hour", 10),), [0])]
    assert crossed == {(("city", "a"), ("hour", 2)): [1], (("city", "b"), ("hour", 10)): [0]}
