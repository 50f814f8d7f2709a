import tomllib

import numpy as np
import pytest

from pipeline.evaluation.spec import EvaluationSpec
from pipeline.onboarding.cut import SpanSummary
from pipeline.onboarding.floors import evaluation_lines, threshold_lines, window_of
from pipeline.onboarding.label import Label

# 150 rows, 100 of them trained on, a third of them positive: two deviations are 2 * sqrt(2 / 9 / 100) = 0.094.
_FEW = SpanSummary(number=1, rows=150, classes=np.array([100, 50]))
# Of right answers nobody knows the rate: 2 * sqrt(0.25 / 100) = 0.1.
_THREE = SpanSummary(number=1, rows=150, classes=np.array([50, 50, 50]))
_NUMBERS = SpanSummary(number=1, rows=150, total=12.5)


@pytest.mark.parametrize(
    ("label", "span", "floors"),
    [
        (Label(column="y"), _FEW, {"auc": 0.5, "expected_calibration_error": 0.15}),
        (
            Label(column="y", task="multiclass", classes=("a", "b", "c")),
            _THREE,
            {"mcfadden_r_squared": 0, "expected_calibration_error": 0.15},
        ),
        (Label(column="y", task="regression"), _NUMBERS, {"r_squared": 0}),
        # Rounded down: the centre of log1p itself reaches the floor.
        (Label(column="y", task="regression", transform="log1p", floor=-0.123), _NUMBERS, {"r_squared": -0.13}),
    ],
)
def test_a_model_has_to_beat_no_model_of_its_task(label, span, floors):
    written = tomllib.loads("\n".join(evaluation_lines(label, [span])))

    spec = EvaluationSpec(**written["evaluation"])
    spec.check_metrics(label.task)
    assert spec.floors_of(label.task) == floors


@pytest.mark.parametrize(("positive", "rare"), [(49, True), (50, False)])
def test_rare_positives_are_answered_and_measured_by_what_finds_them(positive, rare):
    spans = [SpanSummary(number=1, rows=1_000, classes=np.array([1_000 - positive, positive]))]
    label = Label(column="y")

    written = tomllib.loads("\n".join([*evaluation_lines(label, spans), "[serving]", *threshold_lines(label, spans)]))

    assert written["serving"] == ({"threshold": "max_f1"} if rare else {})
    EvaluationSpec(**written["evaluation"]).check_metrics("binary")
    named = ["auc_precision_recall", "recall_at_precision"]
    assert written["evaluation"].get("metrics", []) == (named if rare else [])


def test_many_rows_know_their_rate():
    # 2 * sqrt(0.25 / 600,000) = 0.0013, rounded up.
    spans = [SpanSummary(number=i, rows=450_000, classes=np.array([225_000, 225_000])) for i in (1, 2)]

    assert "max_calibration_error = 0.06  #" in "\n".join(evaluation_lines(Label(column="y"), spans))


@pytest.mark.parametrize(
    ("rows", "window"),
    [([150], 4), ([500] * 10, 10), ([2_000] * 10, 5), ([50_000] * 10, 4), ([10] * 100, 52)],
)
def test_window_holds_ten_thousand_rows_or_four_spans(rows, window):
    assert window_of([SpanSummary(number=i, rows=count) for i, count in enumerate(rows, 1)]) == window


def test_window_holds_ten_rows_of_each_class():
    # Of the rare class two rows a span: five spans hold ten.
    spans = [SpanSummary(number=i, rows=50_000, classes=np.array([49_998, 2])) for i in range(1, 11)]

    assert window_of(spans) == 5
