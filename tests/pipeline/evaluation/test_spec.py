from __future__ import annotations

import subprocess
import sys

import pytest

from pipeline.evaluation.spec import EvaluationSpec


def test_round_trips_through_json():
    spec = EvaluationSpec(
        slices=(("payment_type",), ("trip_start_hour", "payment_type")),
        min_slice_examples=50,
        min_auc=0.85,
        max_auc_drop=0.02,
        max_slice_auc_drop=0.03,
        max_calibration_error=0.04,
        bootstraps=0,
        seed=7,
    )

    assert EvaluationSpec.from_json(spec.to_json()) == spec


def test_json_is_the_same_text_for_equal_specs():
    assert EvaluationSpec().to_json() == EvaluationSpec.from_json("{}").to_json()


def test_slice_columns_are_named_once_and_sorted():
    spec = EvaluationSpec(slices=(("hour",), ("payment", "hour")))

    assert spec.slice_columns == ("hour", "payment")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"min_auc": 1.2}, r"min_auc must be a number in \[0, 1\]. Received: 1.2."),
        ({"min_auc": float("nan")}, r"min_auc must be a number in \[0, 1\]. Received: nan."),
        ({"max_auc_drop": -0.1}, r"max_auc_drop must be a number in \[0, 1\]"),
        ({"max_slice_auc_drop": "x"}, r"max_slice_auc_drop must be a number in \[0, 1\]. Received: 'x'."),
        ({"max_calibration_error": True}, r"max_calibration_error must be a number in \[0, 1\]"),
        ({"min_slice_examples": 0}, "min_slice_examples must be an integer of at least 1. Received: 0."),
        ({"min_slice_examples": 2.5}, "min_slice_examples must be an integer of at least 1. Received: 2.5."),
        ({"bootstraps": -1}, "bootstraps must be an integer of at least 0. Received: -1."),
        ({"bootstraps": 1}, "bootstraps must be 0 .* or at least 2"),
        ({"slices": ((),)}, "slices holds an empty list"),
        ({"slices": ("payment",)}, "slices must be a list of lists of column names"),
        ({"slices": ((3,),)}, "slices must be a list of lists of column names. Received: \\[3\\]."),
        ({"slices": (("hour", "hour"),)}, "slices crosses a column with itself"),
        ({"slices": (("a", "b"), ("b", "a"))}, "slices lists the same columns twice. Received: \\['a', 'b'\\]."),
    ],
)
def test_refuses_what_it_cannot_hold(wrong, message):
    with pytest.raises(ValueError, match=message):
        EvaluationSpec(**wrong)


def test_unknown_setting_is_named_with_the_allowed_ones():
    with pytest.raises(ValueError, match=r"Unknown evaluation settings: min_acu\. Allowed: slices, min_slice_examples"):
        EvaluationSpec.from_json('{"min_acu": 0.5}')


def test_import_does_not_load_tensorflow():
    check = "import sys; import pipeline.evaluation.spec; sys.exit('tensorflow' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
