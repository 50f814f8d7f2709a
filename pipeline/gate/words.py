"""The evidence in words, as a person on call reads it."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.evaluation import registry
from pipeline.gate.evidence import (
    Challenge,
    Evidence,
    FeatureDrift,
    FloorCheck,
    JointDrift,
    LabelChange,
    LastingDrift,
    MetricChange,
    Promise,
)
from pipeline.gate.policy import GatePolicy

_METRIC_NAMES = {
    "auc": "AUC",
    "accuracy": "accuracy",
    "calibration": "calibration error",
    "loss": "log loss",
    "bias": "mean error",
    "error": "mean absolute error",
    "coverage": "share of rows within their interval",
    "width": "intervals' mean width",
}
_GAIN_NAMES = {"auc": "AUC", "accuracy": "accuracy", "error": "of the mean absolute error"}
_FORMER_NAMES = {"ece": registry.CALIBRATION_ERROR}
"""Of metrics, in decisions of earlier releases."""
_MEASURE_NAMES = {"l_infinity": "L-infinity", "jensen_shannon": "Jensen-Shannon"}
_LIMIT_NAMES = {
    "noise": "sampling noise",
    "variation": "the training window's own variation",
    "floor": "the smallest change that matters",
    "schema": "the schema",
}


def describe_drift(item: FeatureDrift) -> str:
    """Returns one moved feature in words: what moved, how far, and what was allowed."""
    chance = "" if item.chance is None else f"; by chance {_chance(item.chance)}"
    return (
        f"{item.direction} ({_MEASURE_NAMES[item.measure]} {item.distance:.3f}, threshold {item.threshold:.3f} "
        f"set by {_limit(item)}{chance})"
    )


def describe_lasting(item: LastingDrift) -> str:
    """Returns what moved over several spans in words; no span of them need have shown it."""
    drift = item.drift
    return (
        f"{drift.direction} over the last {len(item.spans)} spans together ({item.rows:,} rows; "
        f"{_MEASURE_NAMES[drift.measure]} {drift.distance:.3f}, threshold {drift.threshold:.3f} set by {_limit(drift)})"
    )


def describe_joint(item: JointDrift) -> str:
    """Returns how columns go together otherwise, in words."""
    return (
        f"{item.direction}: {item.share:.1%} of the rows are unlike the training window's "
        f"(threshold {item.threshold:.1%} set by {_LIMIT_NAMES[item.limit]}; by chance {_chance(item.chance)})"
    )


def _limit(item: FeatureDrift) -> str:
    if item.limit == "variation" and item.raised_by is not None:
        return f"span {item.raised_by} against the others of the training window"
    return _LIMIT_NAMES[item.limit]


def describe_format(item: FeatureDrift) -> str:
    """Returns a change of format in words."""
    return f"{item.format}: a change of format and none of the distribution, for which no training is needed"


def describe_metric(change: MetricChange) -> str:
    """Returns one change of the live model's performance in words."""
    where = f" on {change.slice}" if change.slice else ""
    before, now = change.baseline.value, change.current.value
    if change.metric in ("calibration", "bias"):
        # Of calibration the sizes are compared: too high and too low are equally bad.
        before, now = abs(before), abs(now)
    return (
        f"the live model's {_METRIC_NAMES[change.metric]}{where}: "
        f"{before:.3f} → {now:.3f} "
        f"(change {now - before:+.3f}, interval {change.low:+.3f} to "
        f"{change.high:+.3f}{_varies(change.between_spans)}, margin {change.margin:.2g})"
    )


def describe_yardstick(evidence: Evidence) -> str:
    """Returns where the yardstick of the performance came from; "" where it is the model's own, out of time."""
    origin = evidence.yardstick
    if origin is None or not evidence.performance or (origin.source == "out_of_time" and not origin.version):
        return ""
    whose = f"version {origin.version}" if origin.version else "the live model"
    where = f"rows of span {origin.span} that were held out of training, which flatters"
    if origin.source == "out_of_time":
        where = f"span {origin.span}, by networks that were not trained on it"
    return f"the live model's performance is held against that of {whose} on {where}"


def describe_gain(found: Challenge, policy: GatePolicy) -> str:
    """Returns what a training is expected to bring, and what it is held against."""
    expected = found.expected
    before = f", {found.forgone:.3f} forgone since the last one" if found.forgone else ""
    return (
        f"a training is expected to bring {expected.value:+.3f} {_GAIN_NAMES[found.metric]} (interval "
        f"{expected.low:+.3f} to {expected.high:+.3f}, tried on {found.rows:,} rows{before}; it must bring "
        f"{policy.gain_that_counts(found.metric):.2g}, and with what was forgone "
        f"{policy.price_of_a_training(found.metric):.2g})"
    )


def describe_promises(promises: Sequence[Promise]) -> str:
    """Returns what the live model's answers promise on a span without labels, in words."""
    told = " and its ".join(f"{_METRIC_NAMES[each.metric]} {_promised(each)}" for each in promises)
    if promises[0].metric == "width":
        before = promises[0].before
        grows = f", and its mean absolute error {promises[0].current.value / before.value:.2f} times" if before else ""
        return f"without labels: if the live model's intervals are right, its {told}{grows}; {_BLIND}"
    return f"without labels: if the live model's answers are right, its {told}; {_BLIND}"


_BLIND = "blind to a change of the concept"


def _promised(promise: Promise) -> str:
    now, before = promise.current, promise.before
    if before is None:
        return f"is {now.value:.3f}"
    return (
        f"is {before.value:.3f} → {now.value:.3f} since the training window (change {now.value - before.value:+.3f}, "
        f"interval {promise.low:+.3f} to {promise.high:+.3f})"
    )


def describe_recalibration(found: Challenge, policy: GatePolicy) -> str:
    """Returns what a new slope and offset bring, and that a training would bring no more that counts."""
    fall = found.recalibration
    loss, error = "log loss", f"calibration error {found.calibration_error.value:.3f}"
    if found.metric == "error":
        loss = "loss of value and interval, as a share of the mean absolute error,"
        error = f"mean error {found.calibration_error.value:.3f} of it"
    return (
        f"a new slope and offset repair it: {loss} {-fall.value:+.4f} (interval {-fall.high:+.4f} to "
        f"{-fall.low:+.4f}), {error}; {describe_gain(found, policy)}"
    )


def describe_floor(check: FloorCheck) -> str:
    """Returns one of the dataset file's limits that the live model misses, in words."""
    definition = registry.METRICS[_FORMER_NAMES.get(check.metric, check.metric)]
    limit = "below the floor" if definition.better == "higher" else "above the limit"
    return (
        f"the live model's {definition.title} {check.current.value:.3f} (interval {check.current.low:.3f} to "
        f"{check.current.high:.3f}) is {limit} of {check.limit:g}, whatever it was at push"
    )


def describe_label(change: LabelChange) -> str:
    """Returns the label's change in words."""
    return (
        f"`{change.label}`: share of positive labels {change.baseline.value:.3f} → {change.current.value:.3f} "
        f"(interval of the change {change.low:+.3f} to {change.high:+.3f}{_varies(change.between_spans)}, "
        f"margin {change.margin:.2g})"
    )


def _varies(between_spans: float | None) -> str:
    return f", the window's spans vary by {between_spans:.3f}" if between_spans else ""


def rows(evidence: Evidence) -> str:
    """Returns how many rows were judged, with whose they are and how many have a label."""
    waiting = f", with those of waiting {spans(evidence.waiting)}" if evidence.waiting else ""
    labelled = ""
    if evidence.labelled_rows is not None and 0 < evidence.labelled_rows < evidence.rows:
        share = evidence.labelled_rows / evidence.rows
        labelled = f", {evidence.labelled_rows:,} of them labelled ({share:.0%})"
    compared = evidence.drift.rows if evidence.drift else evidence.rows
    drawn = f", {compared:,} of them drawn to be compared" if compared < evidence.rows - evidence.left_out else ""
    copies = f", {evidence.left_out:,} of them copies" if evidence.left_out else ""
    return f"{evidence.rows:,} row{'' if evidence.rows == 1 else 's'}{waiting}{labelled}{copies}{drawn}"


def version(number: int) -> str:
    """Returns a span's version behind its number; nothing of the first, which most spans have alone."""
    return f" version {number}" if number else ""


def _chance(rate: float) -> str:
    return "less than once in 1,000 spans" if rate < 0.001 else f"once in {1 / rate:,.0f} spans"


def spans(window: tuple[int, ...]) -> str:
    """Returns the numbers of spans, as a range where they follow one another."""
    if not window:
        return "unknown spans"
    if len(window) == 1:
        return f"span {window[0]}"
    if window == tuple(range(window[0], window[-1] + 1)):
        return f"spans {window[0]} to {window[-1]}"
    return "spans " + ", ".join(map(str, window))
