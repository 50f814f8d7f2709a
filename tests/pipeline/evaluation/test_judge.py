"""Who may go live: one case per rule of the dataset file's thresholds."""

import json
import math

import pytest

from pipeline.evaluation.judge import Judgement, judge
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
        ({(): values(0.9, error=0.06)}, None, "calibration error 0.0600 is above the limit of 0.05"),
        (
            {(): values(0.9, error=math.nan)},
            None,
            "calibration error is undefined on the eval split: a prediction is no number",
        ),
        (
            {(): values(0.9, error=math.nan, mean_prediction=math.nan)},
            None,
            "the model predicted NaN, which is no prediction, for at least one example",
        ),
        ({(): values(math.nan)}, None, "AUC is undefined on the eval split: all labels are equal"),
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

    assert (cash.status, cash.value, cash.live) == ("not judged", None, None)
    assert "all labels are equal" in cash.why


def number(value, deviation=None, difference=None, chance=0.0):
    return Metric(value=value, deviation=deviation, difference_deviation=difference, chance=chance)


@pytest.mark.parametrize(
    ("auc", "deviation", "blessed"),
    # 0.79 lies 0.01 below the floor: beyond 1.96 deviations of 0.005, within those of 0.006.
    [(0.79, 0.005, False), (0.79, 0.006, True), (0.81, 0.1, True)],
)
def test_a_floor_refuses_only_where_the_interval_lies_below_it(auc, deviation, blessed):
    candidate = {(): {**values(auc), "auc": number(auc, deviation)}}

    assert judge(candidate, None, SPEC).blessed is blessed


@pytest.mark.parametrize(("chance", "blessed"), [(0.005, False), (0.02, True)])
def test_what_chance_adds_to_a_calibration_error_is_no_reason(chance, blessed):
    candidate = {(): {**values(0.9), "expected_calibration_error": number(0.06, 0.01, chance=chance)}}

    assert judge(candidate, None, SPEC).blessed is blessed


@pytest.mark.parametrize(
    ("of_difference", "blessed"),
    # 0.02 below the live model, of which 0.01 is allowed: certain by 0.005, not by 0.006, whatever each errs by alone.
    [(0.005, False), (0.006, True)],
)
def test_both_models_are_compared_on_the_same_rows(of_difference, blessed):
    candidate = {(): {**values(0.9), "auc": number(0.9, 0.05)}}
    live = {(): {**values(0.92), "auc": number(0.92, 0.05, of_difference)}}

    assert judge(candidate, live, SPEC).blessed is blessed


def regression(error, r_squared=0.5):
    numbers = {"example_count": 500, "mean_absolute_error": error, "r_squared": r_squared}
    return {name: number(value) for name, value in (numbers | {"mean_label": 7.0, "mean_prediction": 7.1}).items()}


@pytest.mark.parametrize(
    ("candidate", "live", "reason"),
    [
        (regression(2.0, -0.1), None, "R² -0.1000 is below the floor of 0"),
        (regression(2.2), regression(2.0), "mean absolute error 2.2000 is more than 5% above the live model's 2.0000"),
    ],
)
def test_numbers_are_judged_by_what_they_miss(candidate, live, reason):
    judgement = judge({(): candidate}, {(): live} if live else None, EvaluationSpec(), "regression")

    assert (judgement.blessed, judgement.reasons) == (False, (reason,))
    assert judgement.slices[0].metric == "mean_absolute_error"


def test_any_metric_may_have_a_floor_and_a_drop():
    spec = EvaluationSpec(floors={"mean_absolute_error": 1.9}, max_drop={"r_squared": 0.05})

    judgement = judge({(): regression(2.0)}, {(): regression(2.0, 0.6)}, spec, "regression")

    assert judgement.reasons == (
        "mean absolute error 2.0000 is above the limit of 1.9",
        "R² 0.5000 is more than 0.05 below the live model's 0.6000",
    )
    with pytest.raises(
        ValueError, match=r"floors: expected metrics of the task binary\. Received: 'mean_absolute_error'"
    ):
        spec.check_metrics("binary")


def test_named_metrics_are_shown_and_held_to_the_live_model_overall_and_on_slices():
    spec = EvaluationSpec(metrics=("r_squared", "mean_absolute_percentage_error"), max_slice_drop={"r_squared": 0.3})

    def measured(r_squared, percentage):
        return regression(2.0, r_squared) | {"mean_absolute_percentage_error": number(percentage)}

    judgement = judge(
        {(): measured(0.58, 31.0), CASH: measured(0.4, 33.0)},
        {(): measured(0.6, 29.0), CASH: measured(0.6, 30.0)},
        spec,
        "regression",
    )

    # R² falls by 0.02, of which 0.01 is allowed; 31 is 6.9 % more than 29, of which 5 % is; on the slice 10 % of 20 %.
    assert judgement.reasons == (
        "R² 0.5800 is more than 0.01 below the live model's 0.6000",
        "mean absolute percentage error, % 31.0000 is more than 5% above the live model's 29.0000",
    )
    assert [row.status for row in judgement.slices] == ["failed", "passed"]
    assert [(one.metric, one.value, one.live) for one in judgement.slices[1].beside] == [
        ("mean_absolute_percentage_error", 33.0, 30.0),
        ("r_squared", 0.4, 0.6),
    ]
    assert Judgement.from_json(judgement.to_json()) == judgement


def test_a_named_metric_that_is_undefined_says_so_and_one_without_a_direction_is_shown_alone():
    spec = EvaluationSpec(metrics=("recall", "mean_prediction"))
    candidate = {**values(0.9), "recall": Metric(value=math.nan)}

    judgement = judge({(): candidate}, {(): {**values(0.9), "recall": Metric(value=0.5)}}, spec)

    assert judgement.blessed
    assert [(one.metric, one.value, one.live) for one in judgement.slices[0].beside] == [
        ("recall", None, 0.5),
        ("mean_prediction", 0.2, 0.2),
    ]
    with pytest.raises(
        ValueError, match=r"max_drop: expected metrics of the task binary\. Received: 'mean_prediction'"
    ):
        EvaluationSpec(max_drop={"mean_prediction": 0.1}).check_metrics("binary")


def test_a_slice_may_have_floors_of_its_own_with_no_live_model_to_compare_with():
    spec = EvaluationSpec(slice_floors={"r_squared": 0.3, "mean_absolute_error": 2.1})
    small = regression(2.5) | {"example_count": Metric(value=99)}

    judgement = judge(
        {(): regression(2.0), CASH: regression(2.5, 0.1), (("payment", "No"),): small}, None, spec, "regression"
    )

    assert judgement.reasons == (
        "payment=Cash: R² 0.1000 is below the floor of 0.3; mean absolute error 2.5000 is above the limit of 2.1",
    )
    assert [row.status for row in judgement.slices] == ["passed", "failed", "not judged"]
    # Undefined on a slice is no reason, as it is over the whole split.
    judged = judge(
        {(): values(0.9), CASH: values(math.nan, mean_label=0.0)}, None, EvaluationSpec(slice_floors={"auc": 0.8})
    )
    assert judged.blessed


def test_a_judgement_of_an_earlier_release_is_read():
    former = {
        "slice": "", "examples": 9, "auc": 0.8, "auc_deviation": None, "calibration_error": 0.1, "mean_label": 0.2,
        "mean_prediction": 0.3, "baseline_auc": 0.7, "status": "passed", "why": "",
    }  # fmt: skip

    read = Judgement.from_json(json.dumps({"blessed": True, "reasons": [], "slices": [former]}))

    assert (read.slices[0].value, read.slices[0].live, read.slices[0].metric) == (0.8, 0.7, "auc")
