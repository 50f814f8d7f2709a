import dataclasses
import math
from pathlib import Path

import pytest

from pipeline.gate.policy import FINDING_KINDS, GatePolicy


def test_defaults_are_allowed():
    policy = GatePolicy()

    assert (policy.min_rows, policy.false_alarm_rate, policy.out_of_domain_tolerance) == (300, 0.05, 0.01)


def test_all_kinds_of_evidence_together_spend_one_false_alarm_rate():
    # 5 % a span: 2.5 % for the distributions, 0.75 % for the performance, 0.25 % for a gain where nothing moved, 0.5 %
    # each for the three others.
    sources = ("drift", "performance", "gain", "joint", "label", "lasting")
    rates = [GatePolicy().alarm_rate(source) for source in sources]

    assert rates == pytest.approx([0.025, 0.0075, 0.0025, 0.005, 0.005, 0.005])
    assert GatePolicy(false_alarm_rate=0.2).alarm_rate("drift") == pytest.approx(0.1)


def test_a_rate_of_its_own_for_the_performance_stays_possible():
    policy = GatePolicy(performance_false_alarm_rate=0.02)

    assert [policy.alarm_rate(source) for source in ("drift", "performance", "label")] == pytest.approx(
        [0.025, 0.02, 0.02]
    )


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"min_rows": 10}, "min_rows: expected an integer in \\[25, 1_000_000_000\\]. Received: 10."),
        ({"min_rows": 300.0}, "min_rows: expected an integer .* Received: 300.0."),
        ({"false_alarm_rate": 0.0}, r"false_alarm_rate: expected a number in \[0.001, 0.5\]. Received: 0.0."),
        ({"auc_margin": math.nan}, r"auc_margin: expected a number in \[0, 1\]. Received: nan."),
        ({"max_model_age_days": -1}, "max_model_age_days: expected a number of at least 0. Received: -1."),
        ({"exclude": "month"}, "exclude: expected a list, each a column's name. Received: 'month'."),
        (
            {"severity": {"fare": "warn"}},
            "severity.fare: expected a table, each value 'block' or 'warn' or 'ignore'. Received: 'warn'.",
        ),
        (
            {"severity": {"fare": {"odd": "warn"}}},
            "severity.fare: unknown kind 'odd'. Allowed: no_rows, repeated_rows, known_rows, label_leak",
        ),
        (
            {"severity": {"fare": {"out_of_range": "stop"}}},
            "severity.fare.out_of_range: expected 'block' or 'warn' or 'ignore'. Received: 'stop'.",
        ),
        (
            {"severity": {"fare": {"no_rows": "warn"}}},
            "severity.fare: no_rows is of the whole span and belongs to no column",
        ),
        ({"tolerance": {"fare": {"wrong_type": 0.1}}}, "tolerance.fare: unknown kind 'wrong_type'"),
        ({"tolerance": {"fare": {"out_of_range": 2.0}}}, r"tolerance.fare.out_of_range: expected a number in \[0, 1\]"),
    ],
)
def test_what_a_policy_cannot_hold_is_refused(setting, message):
    with pytest.raises(ValueError, match=message):
        GatePolicy(**setting)


def test_every_setting_and_every_kind_of_finding_is_documented():
    text = (Path(__file__).parents[3] / "docs" / "gate.md").read_text(encoding="utf-8")

    for name in (*(field.name for field in dataclasses.fields(GatePolicy)), *FINDING_KINDS):
        assert f"`{name}`" in text, name
