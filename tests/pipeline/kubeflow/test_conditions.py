"""Trigger conditions. Expected values follow the CEL language definition and protobuf's Struct."""

import pytest

from pipeline.kubeflow import conditions

RERUN = "(inputs.artifacts['decision'].artifacts[0].metadata['rerun'] == 1.0)"
VERDICT = "inputs.artifacts['decision'].artifacts[0].metadata['verdict']"


def inputs(**metadata):
    return {"artifacts": {"decision": {"artifacts": [{"uri": "/d", "metadata": metadata}]}}, "parameter_values": {}}


@pytest.mark.parametrize(
    ("expression", "metadata", "expected"),
    [
        (RERUN, {"rerun": 1}, True),
        (RERUN, {"rerun": 0}, False),
        (f"{RERUN} && !{RERUN}", {"rerun": 1}, False),
        (f"{RERUN} || {VERDICT} == 'skip'", {"rerun": 0, "verdict": "skip"}, True),
        ("inputs.artifacts['decision'].artifacts[0].uri == '/d'", {}, True),
        ("inputs.artifacts['decision'].artifacts[0].metadata['auc'] > 0.9", {"auc": 0.95}, True),
    ],
)
def test_conditions_are_evaluated(expression, metadata, expected):
    assert conditions.holds(expression, inputs(**metadata)) is expected


def test_parameters_are_seen():
    assert conditions.holds(
        "inputs.parameter_values['span'] == 7.0", {"parameter_values": {"span": 7}, "artifacts": {}}
    )


@pytest.mark.parametrize(
    ("expression", "metadata", "message"),
    [
        (RERUN, {}, "cannot be evaluated"),
        (RERUN.replace("decision", "other"), {"rerun": 1}, "cannot be evaluated"),
        ("inputs.artifacts['decision'].artifacts[0].uri", {}, "gives StringType('/d'), not true or false"),
        ("a ==", {}, "cannot be evaluated"),
    ],
)
def test_a_condition_that_has_no_answer_says_so(expression, metadata, message):
    with pytest.raises(conditions.ConditionError) as caught:
        conditions.holds(expression, inputs(**metadata))

    assert message in str(caught.value)


def test_the_inputs_that_a_condition_reads():
    expression = f"{RERUN} && inputs.parameter_values['span'] > 3.0"

    assert conditions.names(expression) == (frozenset({"decision"}), frozenset({"span"}))
