"""The decision: one table, first match wins. `decide` is a pure function; everything it needs is in the evidence."""

from __future__ import annotations

import dataclasses
import enum
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from pipeline import json_values
from pipeline.gate import payoff, words
from pipeline.gate.evidence import Evidence, MetricChange
from pipeline.gate.policy import GatePolicy

LAYOUT = 2
"""Of the JSON form; readers take the one before as well, and refuse any other."""

DECISION_FILE = "decision.json"
"""In the gate's artifact."""

SECONDS_PER_DAY = 86_400

ReasonKind = Literal[
    "unusable_data",
    "repeated",
    "late",
    "no_live_model",
    "forced",
    "definition",
    "model_age",
    "short_window",
    "not_enough_rows",
    "performance",
    "floor",
    "label",
    "gain",
    "no_gain",
    "recalibration",
    "promise",
    "yardstick",
    "drift",
    "lasting_drift",
    "joint_drift",
    "serving_skew",
    "nothing_changed",
    "not_compared",
    "warning",
]


class Verdict(enum.StrEnum):
    """What happens with a span."""

    BLOCK = "block"
    SKIP = "skip"
    RECALIBRATE = "recalibrate"
    RERUN = "rerun"

    @property
    def makes_a_version(self) -> bool:
        """Whether a candidate is made, judged and, where it is blessed, pushed."""
        return self in (Verdict.RECALIBRATE, Verdict.RERUN)


class Row(enum.IntEnum):
    """The rows of the decision table, in order."""

    UNUSABLE_DATA = 1
    FORCED = 2
    DEFINITION = 3
    REPEATED = 4
    LATE = 5
    NO_LIVE_MODEL = 6
    MODEL_AGE = 7
    NOT_ENOUGH_ROWS = 8
    PERFORMANCE = 9
    DRIFT = 10
    SERVING_SKEW = 11
    OTHERWISE = 12


_ROWS_OF_LAYOUT_1 = (
    Row.UNUSABLE_DATA,
    Row.REPEATED,
    Row.LATE,
    Row.NO_LIVE_MODEL,
    Row.FORCED,
    Row.MODEL_AGE,
    Row.NOT_ENOUGH_ROWS,
    Row.PERFORMANCE,
    Row.DRIFT,
    Row.SERVING_SKEW,
    Row.OTHERWISE,
)


@dataclass(frozen=True, kw_only=True)
class Reason:
    """One reason, by its kind and in words; `feature` where it is about one."""

    kind: ReasonKind
    text: str
    feature: str | None = None


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What was decided, why, and from what.

    Attributes:
      row: the row of the decision table that matched.
      reasons: why, the strongest first.
      notes: what else to know: what a later row would have said, alerts, what could not be compared, warnings.
      evidence: everything that the decision rests on: distances, thresholds, spans, the version compared with.
      warm_start: training may begin from the live model's weights.
      alert: someone should look, although nothing is blocked or rerun for it.
    """

    verdict: Verdict
    row: Row
    reasons: tuple[Reason, ...]
    notes: tuple[Reason, ...]
    evidence: Evidence
    warm_start: bool = False
    alert: bool = False

    @property
    def compared(self) -> bool:
        """Whether a comparison with the live model's training data decided."""
        return self.row >= Row.PERFORMANCE

    @property
    def not_scored(self) -> bool:
        """Whether the span has labels, and the live model could not be scored on them."""
        evidence = self.evidence
        asked = self.row >= Row.PERFORMANCE or self.row in (Row.FORCED, Row.MODEL_AGE)
        scored = bool(evidence.performance or evidence.floors)
        return asked and evidence.live is not None and evidence.labelled and not evidence.changes and not scored

    def to_dict(self) -> dict[str, Any]:  # Any: JSON.
        """Returns JSON values; the keys are part of the layout and do not change within it."""
        return {"layout": LAYOUT, **json_values.to_json_values(dataclasses.asdict(self))}

    def to_json(self) -> str:
        """Serializes to JSON, the same text for equal decisions."""
        return json.dumps(self.to_dict(), sort_keys=True, allow_nan=False, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Decision:
        """Reads what `to_json` wrote.

        Raises:
          ValueError: not a decision, or one of another layout.
        """
        return cls.from_dict(json.loads(text))

    @classmethod
    def from_dict(cls, value: object) -> Decision:
        """Reads what `to_dict` returned.

        Raises:
          ValueError: not a decision, or one of another layout.
        """
        layout = value.get("layout") if isinstance(value, dict) else None
        if not isinstance(value, dict) or layout not in (1, LAYOUT):
            raise ValueError(
                f"Expected a decision of layout {LAYOUT}. Received layout {layout!r}: "
                "it was written by another version of this program."
            )
        fields = {name: item for name, item in value.items() if name != "layout"}
        if layout == 1 and fields.get("row") in range(1, len(_ROWS_OF_LAYOUT_1) + 1):
            fields["row"] = _ROWS_OF_LAYOUT_1[fields["row"] - 1].value
        return json_values.from_json_values(cls, fields)


def decide(evidence: Evidence, policy: GatePolicy) -> Decision:
    """Applies the decision table; the first row whose condition holds decides.

    The rows from PERFORMANCE on compare with the live model's baseline. What could not be compared there is always
    among the notes, whether or not the caller said why.
    """
    matches = _matches(evidence, policy)
    row, verdict, reasons = next(matches)
    # What the requests say of the live model is said whatever becomes of the span; the rest where it was measured.
    later = [
        reason
        for number, _, reasons in matches
        if number in _SAID_LATER
        for reason in reasons
        if reason.kind not in _SAID_ONCE or row < Row.PERFORMANCE
    ]
    if not any(reason.kind == "promise" for reason in (*reasons, *later)):
        later += _promised(evidence)
    weaker = later if row not in _WITHOUT_MODEL else [reason for reason in later if reason.kind == "serving_skew"]
    alerts = [reason for reason in weaker if reason.kind == "serving_skew"]
    return Decision(
        verdict=verdict,
        row=row,
        reasons=tuple(reasons),
        notes=(*weaker, *(_gaps(evidence) if row >= Row.PERFORMANCE else _said_gaps(evidence)), *_warnings(evidence)),
        evidence=evidence,
        warm_start=row is Row.DRIFT and verdict is Verdict.RERUN and _may_warm_start(evidence, policy),
        alert=row is Row.SERVING_SKEW or bool(alerts) or payoff.waiting_costs(evidence, policy),
    )


_SAID_ONCE = ("gain", "no_gain", "recalibration")
_SAID_LATER = (Row.DEFINITION, Row.PERFORMANCE, Row.DRIFT, Row.SERVING_SKEW)
_WITHOUT_MODEL = (Row.UNUSABLE_DATA, Row.REPEATED, Row.LATE, Row.NO_LIVE_MODEL)
"""Rows that stand whatever the live model and its training data are."""


def _matches(evidence: Evidence, policy: GatePolicy) -> Iterator[tuple[Row, Verdict, list[Reason]]]:
    """Yields every row of the table whose condition holds, in order; the last one always does."""
    unusable = [
        Reason(kind="unusable_data", text=finding.text, feature=finding.feature)
        for finding in evidence.findings
        if finding.severity == "block"
    ]
    if evidence.rows == 0 and not unusable:
        unusable = [Reason(kind="unusable_data", text="the span has no rows")]
    if unusable:
        yield Row.UNUSABLE_DATA, Verdict.BLOCK, unusable
    if evidence.forced:
        yield Row.FORCED, Verdict.RERUN, [Reason(kind="forced", text="a rerun was asked for")]
    late = evidence.newest_accepted is not None and evidence.span < evidence.newest_accepted
    # A late span would make the window end earlier than the live model's; the newest span is asked about as well.
    if evidence.changes and not late:
        reasons = [Reason(kind="definition", text=f"not as in the live model: {text}") for text in evidence.changes]
        yield Row.DEFINITION, Verdict.RERUN, reasons
    if evidence.repeats is not None:
        span, version = evidence.repeats
        text = f"its content equals that of span {span}{words.version(version)}, which was accepted before"
        yield Row.REPEATED, Verdict.SKIP, [Reason(kind="repeated", text=text)]
    if late:
        text = (
            f"span {evidence.span} is older than span {evidence.newest_accepted}, the newest accepted one; "
            "it is stored, and the baseline stays"
        )
        yield Row.LATE, Verdict.SKIP, [Reason(kind="late", text=text)]
    if evidence.live is None:
        yield Row.NO_LIVE_MODEL, Verdict.RERUN, [Reason(kind="no_live_model", text="no model is live yet")]
        return
    age_days = evidence.live.age_seconds / SECONDS_PER_DAY
    reasons = []
    if age_days > policy.max_model_age_days:
        text = f"the live model is {age_days:.0f} days old (limit: {policy.max_model_age_days:g})"
        reasons.append(Reason(kind="model_age", text=text))
    if evidence.more_spans is not None and evidence.rows - evidence.left_out >= policy.min_rows:
        then, now = evidence.more_spans
        text = f"the live model was trained on {then} span{'s' if then > 1 else ''}, and {now} are there to train on"
        reasons.append(Reason(kind="short_window", text=text))
    if reasons:
        yield Row.MODEL_AGE, Verdict.RERUN, reasons
    if evidence.rows - evidence.left_out < policy.min_rows:
        text = (
            f"not enough evidence: {words.rows(evidence)} (minimum: {policy.min_rows:,}); "
            "they wait and count together with the next span"
        )
        yield Row.NOT_ENOUGH_ROWS, Verdict.SKIP, [Reason(kind="not_enough_rows", text=text)]
    worse = sorted((c for c in evidence.performance if c.matters), key=lambda c: (c.slice != "", -_beyond(c)))
    reasons = [Reason(kind="performance", text=words.describe_metric(change)) for change in worse]
    reasons += [Reason(kind="floor", text=words.describe_floor(check)) for check in evidence.floors if check.missed]
    if evidence.label is not None and evidence.label.matters:
        reasons.append(Reason(kind="label", text=words.describe_label(evidence.label)))
    served = evidence.skew or ()
    reasons += [Reason(kind="performance", text=alert.text) for alert in served if alert.kind == "performance"]
    if reasons:
        yield Row.PERFORMANCE, *_weighed(evidence, policy, reasons)
    moved = _moved(evidence)
    found = evidence.challenge
    if not (reasons or moved) and found is not None and payoff.certain(found, policy):
        yield Row.PERFORMANCE, Verdict.RERUN, [Reason(kind="gain", text=words.describe_gain(found, policy))]
    if moved:
        yield Row.DRIFT, *_weighed(evidence, policy, [*moved, *_promised(evidence)])
    skewed = [alert for alert in served if alert.kind != "performance"]
    if skewed:
        verdict = Verdict.RERUN if policy.serving_skew == "rerun" else Verdict.SKIP
        yield (
            Row.SERVING_SKEW,
            verdict,
            [Reason(kind="serving_skew", text=alert.text, feature=alert.feature) for alert in skewed],
        )
    compared = evidence.drift is not None or evidence.performance or evidence.label is not None
    text = "nothing moved beyond its threshold" if compared else "nothing could be compared with the live model's data"
    yield Row.OTHERWISE, Verdict.SKIP, [Reason(kind="nothing_changed" if compared else "not_compared", text=text)]


def _weighed(evidence: Evidence, policy: GatePolicy, reasons: list[Reason]) -> tuple[Verdict, list[Reason]]:
    """What becomes of a span for these reasons, given what a training would bring."""
    found = evidence.challenge
    if not evidence.new_labels:
        text = "moved, but there is nothing new to learn yet: no span since the live model's has labels"
        return Verdict.SKIP, [Reason(kind="no_gain", text=text), *reasons]
    if found is None:
        return Verdict.RERUN, reasons
    verdict = Verdict(payoff.weigh(evidence, policy))
    if verdict is Verdict.RECALIBRATE:
        text = words.describe_recalibration(found, policy)
        return verdict, [*reasons, Reason(kind="recalibration", text=text)]
    gain = words.describe_gain(found, policy)
    if verdict is Verdict.RERUN:
        return verdict, [*reasons, Reason(kind="gain", text=gain)]
    return verdict, [Reason(kind="no_gain", text=f"moved, but a training would not pay: {gain}"), *reasons]


def _moved(evidence: Evidence) -> list[Reason]:
    """What moved in the span, then what moved over several spans, then what no longer goes together."""
    alone = evidence.drift.moved if evidence.drift else ()
    # A column and its share of missing values may have moved for the same reason, which is said once.
    first = {item.direction: item for item in reversed(alone)}
    reasons = [
        Reason(kind="drift", text=words.describe_drift(item), feature=item.feature)
        for item in alone
        if first[item.direction] is item
    ]
    together = {item.drift.direction: item for item in reversed(evidence.lasting)}
    reasons += [
        Reason(kind="lasting_drift", text=words.describe_lasting(item), feature=item.drift.feature)
        for item in evidence.lasting
        if together[item.drift.direction] is item
    ]
    if evidence.joint is not None and evidence.joint.moved:
        reasons.append(Reason(kind="joint_drift", text=words.describe_joint(evidence.joint)))
    return reasons


def _promised(evidence: Evidence) -> list[Reason]:
    """What the live model's answers promise, where there are no labels to tell."""
    return [Reason(kind="promise", text=words.describe_promises(evidence.promises))] if evidence.promises else []


def _gaps(evidence: Evidence) -> list[Reason]:
    """What could not be compared; what nobody said a word about is said here."""
    said = {item.subject for item in evidence.not_compared}
    silent = {
        "drift": (evidence.drift is None, "the span's distributions were not compared with the training data"),
        "performance": (not evidence.performance and not evidence.floors, "the live model was not scored on this span"),
        # Classes and numbers are compared as one more feature.
        "label": (evidence.label is None and evidence.task == "binary", "the label's share was not compared"),
    }
    unsaid = [text for subject, (missing, text) in silent.items() if missing and subject not in said]
    return [*_said_gaps(evidence), *(Reason(kind="not_compared", text=text) for text in unsaid)]


def _said_gaps(evidence: Evidence) -> list[Reason]:
    once = {item.text: item for item in evidence.not_compared}.values()
    return [Reason(kind="not_compared", text=item.text, feature=item.feature) for item in once]


def _warnings(evidence: Evidence) -> list[Reason]:
    written_otherwise = [item for item in (evidence.drift.features if evidence.drift else ()) if item.format]
    origin = words.describe_yardstick(evidence)
    return [
        *([Reason(kind="yardstick", text=origin)] if origin else []),
        *(Reason(kind="warning", text=words.describe_format(item), feature=item.feature) for item in written_otherwise),
        *(
            Reason(kind="warning", text=finding.text, feature=finding.feature)
            for finding in evidence.findings
            if finding.severity == "warn"
        ),
    ]


def _may_warm_start(evidence: Evidence, policy: GatePolicy) -> bool:
    """A small excess, columns that go together as ever, and hardly a value that the model's vocabulary cannot know."""
    if evidence.joint is not None and evidence.joint.moved:
        return False
    features = evidence.drift.features if evidence.drift else ()
    moved = [*(item for item in features if item.moved), *(item.drift for item in evidence.lasting)]
    small = all(item.excess <= policy.warm_start_limit for item in moved)
    known = all(item.unseen <= policy.warm_start_unseen for item in features)
    return small and known and policy.warm_start_limit > 1


def _beyond(change: MetricChange) -> float:
    """By how many margins a metric changed."""
    return abs(change.current.value - change.baseline.value) / max(change.margin, 1e-9)


def describe(decision: Decision) -> str:
    """Returns the decision as a person on call reads it: the verdict, then one reason a line."""
    evidence = decision.evidence
    headline = (
        f"{decision.verdict.upper()} span {evidence.span}{words.version(evidence.version)} ({words.rows(evidence)})"
    )
    lines = [headline + (", NOT SCORED" if decision.not_scored else "")]
    lines += [f"  - {reason.text}" for reason in decision.reasons]
    if decision.verdict is Verdict.RERUN and decision.row is Row.DRIFT:
        lines.append("  training starts from " + ("the live model's weights" if decision.warm_start else "scratch"))
    if evidence.live is not None and decision.compared:
        lines.append(f"  compared with version {evidence.live.version}, trained on {words.spans(evidence.live.window)}")
    for reason in decision.notes:
        label = {"not_compared": "not compared", "warning": "warning", "serving_skew": "alert"}.get(reason.kind, "also")
        lines.append(f"  {label}: {reason.text}")
    return "\n".join(lines)
