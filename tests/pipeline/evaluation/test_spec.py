from __future__ import annotations

import subprocess
import sys

import pytest

from pipeline.evaluation.spec import EvaluationSpec


def test_slice_columns_are_named_once_and_sorted():
    spec = EvaluationSpec(slices=(("hour",), ("payment", "hour")))

    assert spec.slice_columns == ("hour", "payment")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"min_auc": 1.2}, r"min_auc: expected a number in \[0, 1\]. Received: 1.2."),
        ({"min_auc": float("nan")}, r"min_auc: expected a number in \[0, 1\]. Received: nan."),
        ({"max_auc_drop": -0.1}, r"max_auc_drop: expected a number in \[0, 1\]"),
        ({"max_slice_auc_drop": "x"}, r"max_slice_auc_drop: expected a number in \[0, 1\]. Received: 'x'."),
        ({"max_calibration_error": True}, r"max_calibration_error: expected a number in \[0, 1\]"),
        ({"min_slice_examples": 0}, "min_slice_examples: expected an integer .* Received: 0."),
        ({"min_slice_examples": 2.5}, "min_slice_examples: expected an integer .* Received: 2.5."),
        ({"bootstraps": -1}, "bootstraps: expected an integer .* Received: -1."),
        ({"bootstraps": 1}, "bootstraps must be 0 .* or at least 2"),
        ({"slices": ((),)}, "slices holds an empty list"),
        ({"slices": ("payment",)}, "slices\\[0\\]: expected a list, each a column's name. Received: 'payment'."),
        ({"slices": ((3,),)}, "slices\\[0\\]\\[0\\]: expected a column's name. Received: 3."),
        ({"slices": (("hour", "hour"),)}, "slices crosses a column with itself"),
        ({"metrics": ("recall", "recall")}, "metrics lists a metric twice. Received: 'recall'."),
        ({"metrics": ("F1 score",)}, r"metrics\[0\]: expected a metric's name. Received: 'F1 score'."),
        ({"slices": (("a", "b"), ("b", "a"))}, "slices lists the same columns twice. Received: \\['a', 'b'\\]."),
    ],
)
def test_refuses_what_it_cannot_hold(wrong, message):
    with pytest.raises(ValueError, match=message):
        EvaluationSpec(**wrong)


def test_import_does_not_load_tensorflow():
    check = "import sys; import pipeline.evaluation.spec; sys.exit('tensorflow' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
