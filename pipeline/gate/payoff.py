"""Whether a training that the evidence asks for pays: what it would bring and what waiting has cost, against its price.

A span on which the live model is behind what a training would reach costs that difference, span after span, until one
is made. As with the question of when to buy what is rented, it is made once what was forgone since the last one adds
up to its price (`retrain_cost`), which costs at most twice what the best choice in hindsight would. A gain below
`min_gain` never asks for it.

What the live model's performance itself says is not outvoted by a guess. Only an interval that lies wholly below
`min_gain` turns it into a skip, and nothing turns a missed floor of the dataset file into one.

Source: Karlin, Manasse, Rudolph and Sleator, "Competitive snoopy caching", Algorithmica 3, 1988 (rent or buy).
"""

from __future__ import annotations

from collections.abc import Iterable
from statistics import NormalDist
from typing import Literal

from pipeline.evaluation import intervals
from pipeline.evaluation.registry import CALIBRATION_ERROR
from pipeline.gate.evidence import Challenge, Evidence, Promise
from pipeline.gate.policy import GatePolicy

Answer = Literal["rerun", "recalibrate", "skip"]

_MATERIAL = 0.1
"""A recalibration is worth a version from this part of the loss's margin on: it costs next to nothing."""


def weigh(evidence: Evidence, policy: GatePolicy) -> Answer:
    """Returns what becomes of a span that something asks to rerun."""
    found = evidence.challenge
    alerts = evidence.skew or ()
    if found is None or pays(found, policy) or in_doubt(found, policy):
        return "rerun"
    served_worse = any(alert.kind == "performance" for alert in alerts)
    if served_worse or (alerts and policy.serving_skew == "rerun"):
        return "rerun"
    worse = [change for change in evidence.performance if change.matters]
    missed = [check for check in evidence.floors if check.missed]
    ranks_worse = "auc" in (*(change.metric for change in worse), *(check.metric for check in missed))
    if not ranks_worse and repairs(evidence, policy):
        return "recalibrate"
    strong = found.expected.high < policy.gain_that_counts(found.metric)
    return "rerun" if missed or (worse and not strong) else "skip"


def waiting_costs(evidence: Evidence, policy: GatePolicy) -> bool:
    """Whether a training that something asks for has to wait for labels, and the live model is worse meanwhile."""
    served_worse = any(alert.kind == "performance" for alert in evidence.skew or ())
    return not evidence.new_labels and (served_worse or any(_harms(each, policy) for each in evidence.promises))


def _harms(promise: Promise, policy: GatePolicy) -> bool:
    """Whether a model's answers promise for certain to be worse than the margin of its main metric allows."""
    if promise.before is None or promise.low is None or promise.high is None:
        return False
    change = promise.current.value - promise.before.value
    if promise.metric == "width":
        return promise.low > 0 and change > policy.margin_of("error") * promise.before.value
    return promise.metric != "loss" and promise.high < 0 and -change > policy.margin_of(promise.metric)


def pays(found: Challenge, policy: GatePolicy) -> bool:
    """Whether a training would bring enough, and what was forgone since the last one has reached its price."""
    expected = found.expected.value
    price = policy.price_of_a_training(found.metric)
    return expected >= policy.gain_that_counts(found.metric) and found.forgone + expected >= price


def in_doubt(found: Challenge, policy: GatePolicy) -> bool:
    """Whether too few rows were tried to see a gain as large as a loss that matters."""
    return intervals.standard_error(found.expected) > policy.margin_of(found.metric)


def certain(found: Challenge, policy: GatePolicy) -> bool:
    """Whether a training pays beyond chance, so that it is reason enough where nothing else asks for one."""
    least = found.expected.value - NormalDist().inv_cdf(1 - policy.alarm_rate("gain")) * intervals.standard_error(
        found.expected
    )
    return least > 0 and pays(found, policy)


def repairs(evidence: Evidence, policy: GatePolicy) -> bool:
    """Whether a new slope and offset lower the loss for certain and enough, and are within the limit for calibration.

    No training is put off by a recalibration that would bring more than `min_gain` beyond it. On the rows of a span
    accuracy and errors differ by more than that in noise, so there it is a training that pays.
    """
    found = evidence.challenge
    if found is None or not evidence.recalibratable:
        return False
    if _puts_off(found, policy):
        return False
    of_numbers = found.metric == "error"
    limits = [check.limit for check in evidence.floors if check.metric == CALIBRATION_ERROR]
    most = policy.error_margin if of_numbers else min(limits, default=policy.calibration_margin)
    least = _MATERIAL * (policy.error_margin if of_numbers else policy.loss_margin)
    return found.calibration_error.low <= most and found.recalibration.low > 0 and found.recalibration.value >= least


def _puts_off(found: Challenge, policy: GatePolicy) -> bool:
    if found.metric == "auc":
        return found.expected.value >= policy.gain_that_counts(found.metric)
    return pays(found, policy)


def forgone(gains: Iterable[float | None]) -> float:
    """Returns what skipped spans would have gained, added up in order; a loss takes back what came before at most."""
    total = 0.0
    for gain in gains:
        total = max(0.0, total + (gain or 0.0))
    return total
