"""What the live model is held against on later spans: the best that the data have shown to be within reach."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pipeline.evaluation import intervals
from pipeline.gate import performance
from pipeline.gate.evidence import MAIN, MetricChange, NotCompared, Origin
from pipeline.gate.performance import Evaluation, SpanResult
from pipeline.gate.policy import GatePolicy


@dataclass(frozen=True, kw_only=True)
class Yardstick:
    """What the live model's performance on later spans is held against, and where it came from.

    Attributes:
      spans: the newest model on each span of its window, oldest first; empty where no more is known than `evaluation`.
    """

    evaluation: Evaluation
    origin: Origin
    spans: tuple[SpanResult, ...] = ()

    def compare(self, current: Evaluation, policy: GatePolicy) -> tuple[tuple[MetricChange, ...], list[NotCompared]]:
        """Compares the live model on a later span with this; see `performance.compare`."""
        # Of another model or of held-out rows, the yardstick is none of these spans.
        pooled = self.origin.source == "out_of_time" and not self.origin.version
        return performance.compare(current, self.evaluation, policy, spans=self.spans, pooled=pooled)


def choose_yardstick(
    out_of_time: Evaluation | None,
    held_out: Callable[[], Evaluation | None],
    previous: Yardstick | None,
    window: Sequence[int],
    policy: GatePolicy,
) -> Yardstick | None:
    """Returns the best of what the data have shown to be within reach, by AUC, accuracy or mean absolute error.

    That is the new model out of time, unless something is clearly better, beyond noise and the margin of the metric.
    Otherwise a change in the window would make its own collapse the yardstick:

    - the live model's yardstick, while the window still holds spans of the time in which it was measured. So it ends:
      a model that was trained on later spans alone sets its own.
    - held-out rows, where out of time the model keeps less than half of what it knows there. They flatter, so a
      smaller difference says nothing.

    Args:
      out_of_time: None where the window has one span; then held-out rows are what there is.
      held_out: measures the new model on them; called where the answer may count.
      previous: the live model's.
      window: the spans that the new model was trained on.
    """
    newest = max(window)
    if out_of_time is None:
        return _held_out(held_out(), newest)
    own = Yardstick(evaluation=out_of_time, origin=Origin(source="out_of_time", span=newest))
    if previous is not None and min(window) <= previous.origin.span:
        if _clearly_better(previous.evaluation, out_of_time, policy):
            return previous
    elif _knows(out_of_time) < 0.5:  # Else nothing can know twice as much.
        on_held_out = _held_out(held_out(), newest)
        if on_held_out is not None:
            collapsed = _knows(on_held_out.evaluation) > 2 * max(_knows(out_of_time), 0.0)
            if collapsed and _clearly_better(on_held_out.evaluation, out_of_time, policy):
                return on_held_out
    return own


def _held_out(evaluation: Evaluation | None, newest: int) -> Yardstick | None:
    if evaluation is None:
        return None
    return Yardstick(evaluation=evaluation, origin=Origin(source="held_out", span=newest))


def _knows(evaluation: Evaluation) -> float:
    """Returns how much a model knows: 0 where nothing, 1 where everything; of AUC, or of the loss that it saves."""
    overall = evaluation.overall
    if evaluation.task == "binary":
        return 2 * overall.auc.value - 1 if overall.auc is not None else 0.0
    return 1 - overall.loss.value / overall.blind if overall.blind else 0.0


def _clearly_better(one: Evaluation, other: Evaluation, policy: GatePolicy) -> bool:
    margin = policy.margin_of(MAIN[one.task])
    if one.task == "regression":  # A share of the error, which is the better the smaller it is.
        a, b, margin = other.overall.loss, one.overall.loss, margin * one.overall.loss.value
    else:
        pairs = (one.overall.accuracy, other.overall.accuracy) if one.task == "multiclass" else None
        first, second = pairs or (one.overall.auc, other.overall.auc)
        if first is None or second is None:
            return False
        a, b = first, second
    error = math.hypot(intervals.standard_error(a), intervals.standard_error(b))
    return a.value - b.value > max(margin, intervals.half_width(error))
