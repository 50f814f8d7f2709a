"""Who may go live: one case per rule of the dataset file's thresholds."""

import json
import math

import pytest

from pipeline.evaluation.judge import judge
from pipeline.evaluation.metrics import Metric
from pipeline.evaluation.spec import EvaluationSpec

SPEC = EvaluationSpec(
    min_auc=0.8, max_auc_drop=0.01, max_slice_auc_drop=0.05, max_calibration_error=0.05, min_slice_examples=100
)
CASH = (("payment", "Cash"),)


def values(auc, *, examples=1_000, error=0.02, mean_label=0.2, mean_prediction=0.2):
    numbers = {"example_count": examples, "auc": auc, "expected_calibration_error": error}
    numbers |= {"mean_label": mean_label, "mean_prediction": mean_prediction}
    return {name: Metric(value=value) for name, value in numbers.items()}


@pytest.mark.parametrize(
    ("candidate", "live", "reason"),
    [
        ({(): values(0.79)}, None, "AUC 0.7900 is below the floor of 0.8"),
        ({(): values(0.9, error=0.06)}, None, "the calibration error 0.0600 is above the limit of 0.05"),
        ({(): values(0.9, error=math.nan)}, None, "the calibration error nan is above the limit of 0.05"),
        (
            {(): values(0.9, error=math.nan, mean_prediction=math.nan)},
            None,
            "the model predicted NaN, which is no probability, for at least one example",
        ),
        ({(): values(math.nan)}, None, "AUC is not defined: all labels of the eval split are equal"),
        ({(): values(0.9)}, {(): values(0.92)}, "AUC 0.9000 is more than 0.01 below the live model's 0.9200"),
        (
            {(): values(0.9), CASH: values(0.7)},
            {(): values(0.9), CASH: values(0.8)},
            "payment=Cash: AUC 0.7000 is more than 0.05 below the live model's 0.8000",
        ),
        ({}, None, "the eval split has no examples"),
        ({(): values(0.0, examples=0)}, None, "the eval split has no examples"),
    ],
)
def test_each_rule_refuses_and_says_why(candidate, live, reason):
    judgement = judge(candidate, live, SPEC)

    assert not judgement.blessed
    assert judgement.reasons == (reason,)
    json.loads(judgement.to_json())


def test_a_good_first_model_is_blessed_and_says_what_it_was_not_compared_with():
    judgement = judge({(): values(0.9)}, None, SPEC)

    assert judgement.blessed
    assert judgement.reasons == (
        "AUC 0.9000 (floor 0.8), calibration error 0.0200 (limit 0.05), no model is live to compare with",
    )


def test_a_drop_within_the_limit_is_no_reason():
    assert judge({(): values(0.895)}, {(): values(0.9)}, SPEC).blessed


def test_a_small_slice_is_reported_and_not_judged():
    judgement = judge(
        {(): values(0.9), CASH: values(0.5, examples=99)}, {(): values(0.9), CASH: values(0.9, examples=99)}, SPEC
    )

    assert judgement.blessed
    (_, cash) = judgement.slices
    assert (cash.status, cash.why, cash.examples) == ("not judged", "fewer than 100 examples", 99)


def test_a_slice_of_one_class_says_that_it_has_no_auc():
    # TFMA writes an AUC of 0 there.
    one_class = values(0.0, mean_label=0.0)

    (_, cash) = judge({(): values(0.9), CASH: one_class}, {(): values(0.9), CASH: one_class}, SPEC).slices

    assert (cash.status, cash.auc, cash.baseline_auc) == ("not judged", None, None)
    assert "all labels are equal" in cash.why
