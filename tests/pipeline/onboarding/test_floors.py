import tomllib

import numpy as np
import pytest

from pipeline.evaluation.spec import EvaluationSpec
from pipeline.onboarding.cut import SpanSummary
from pipeline.onboarding.floors import evaluation_lines, window_of
from pipeline.onboarding.label import Label


@pytest.mark.parametrize(
    ("label", "floors"),
    [
        (Label(column="y"), {"auc": 0.5, "expected_calibration_error": 0.05}),
        (
            Label(column="y", task="multiclass", classes=("a", "b", "c")),
            {"mcfadden_r_squared": 0, "expected_calibration_error": 0.05},
        ),
        (Label(column="y", task="regression"), {"r_squared": 0}),
        # Rounded down: the centre of log1p itself reaches the floor.
        (Label(column="y", task="regression", transform="log1p", floor=-0.123), {"r_squared": -0.13}),
    ],
)
def test_a_model_has_to_beat_no_model_of_its_task(label, floors):
    written = tomllib.loads("\n".join(evaluation_lines(label, SpanSummary(number=1, rows=300))))

    evaluation = written["evaluation"]
    spec = EvaluationSpec(**evaluation)
    spec.check_metrics(label.task)
    assert spec.floors_of(label.task) == floors


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
