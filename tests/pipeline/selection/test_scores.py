import math

import pytest

from pipeline.evaluation.intervals import Estimate
from pipeline.selection import scores
from pipeline.selection.scores import FoldScore


def score(name, values, metric="auc"):
    folds = [
        FoldScore(
            span=span,
            trained_on=(span - 1,),
            train_rows=10,
            rows=10,
            metrics={}
            if math.isnan(value)
            else {metric: Estimate(value=value, low=value - 1, high=value + 1, rows=10)},
            fit_seconds=1.0,
        )
        for span, value in enumerate(values, start=2)
    ]
    return scores.total(name, folds)


def test_the_interval_over_spans_is_students():
    overall = score("a", [0.6, 0.7, 0.8]).overall["auc"]

    # Standard error 0.1 / sqrt(3) = 0.057735; t(2) at 0.975 is 4.302653: Student, Biometrika 6, 1908.
    assert overall.value == pytest.approx(0.7)
    assert overall.high - overall.value == pytest.approx(4.302653 * 0.1 / math.sqrt(3), rel=1e-6)
    assert overall.rows == 30


def test_one_span_keeps_the_interval_of_its_rows():
    overall = score("a", [0.6]).overall["auc"]
    assert (overall.low, overall.high) == (pytest.approx(-0.4), pytest.approx(1.6))


def test_spans_without_a_value_are_left_out_of_the_mean():
    assert score("a", [0.6, math.nan, 0.8]).overall["auc"].value == pytest.approx(0.7)


def test_what_spans_have_in_common_drops_out_of_a_difference():
    difference = scores.paired(score("a", [0.61, 0.91]), score("b", [0.6, 0.9]), "auc")
    assert difference.value == pytest.approx(0.01)
    assert difference.high - difference.low == pytest.approx(0, abs=1e-12)


def test_a_lower_error_is_better():
    first, second = score("a", [1.0, 2.0], "mean_absolute_error"), score("b", [3.0, 4.0], "mean_absolute_error")
    assert scores.paired(first, second, "mean_absolute_error").value == pytest.approx(2.0)


def test_one_span_in_common_proves_nothing():
    difference = scores.paired(score("a", [0.9, math.nan]), score("b", [0.6, 0.7]), "auc")
    assert (difference.value, difference.low) == (pytest.approx(0.3), -math.inf)


def test_no_span_in_common_is_no_difference():
    assert scores.paired(score("a", [0.9, math.nan]), score("b", [math.nan, 0.7]), "auc") is None


def test_a_mean_says_which_spans_it_is_without():
    assert score("a", [0.6, 0.7]).left_out("auc") == ""
    assert score("a", [0.6, math.nan, math.nan]).left_out("auc") == (
        "AUC is not defined on spans 3, 4, where all labels are equal; the mean is over the others."
    )
