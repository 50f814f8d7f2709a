"""The decision: one table, first match wins. `decide` is a pure function; everything it needs is in the evidence."""

import dataclasses
import enum
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pipeline.gate.policy import GatePolicy, Severity

SECONDS_PER_DAY = 86_400

Kind = Literal[
    "unusable_data",
    "repeated",
    "late",
    "no_live_model",
    "forced",
    "model_age",
    "not_enough_rows",
    "performance",
    "label",
    "drift",
    "serving_skew",
    "nothing_changed",
    "not_compared",
    "warning",
]


class Verdict(enum.StrEnum):
    """What happens with a span."""

    BLOCK = "block"
    SKIP = "skip"
    RERUN = "rerun"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something wrong with the data's quality. `share` is of the span's rows, in [0, 1]; None where it has none."""

    feature: str | None
    kind: str
    severity: Severity
    text: str
    share: float | None = None


@dataclass(frozen=True, kw_only=True)
class FeatureDrift:
    """One feature compared with the reference.

    Attributes:
      measure: `linf` (categorical, the label) or `js` (numeric, base 2).
      distance: measured, in [0, 1].
      threshold: what it must exceed to count as moved; includes calibration, ordinary variation and the floor.
      moved: distance > threshold.
      direction: what moved, in words.
      source: what the threshold came from: `calibrated`, `variation`, `floor` or `schema` (a person's).
    """

    feature: str
    measure: Literal["linf", "js"]
    distance: float
    threshold: float
    moved: bool
    direction: str
    source: Literal["calibrated", "variation", "floor", "schema"]

    @property
    def excess(self) -> float:
        """The distance as a multiple of its threshold."""
        return self.distance / self.threshold if self.threshold > 0 else float("inf") if self.distance > 0 else 0.0


@dataclass(frozen=True, kw_only=True)
class Drift:
    """The whole comparison; `features` with the largest excess first. `joint` is true where any feature moved."""

    features: tuple[FeatureDrift, ...]
    false_alarm_rate: float
    rows: int
    reference_rows: int

    @property
    def moved(self) -> tuple[FeatureDrift, ...]:
        return tuple(feature for feature in self.features if feature.moved)


@dataclass(frozen=True, kw_only=True)
class MetricChange:
    """One metric of the live model on the new span, against its out-of-time baseline.

    Attributes:
      slice: "" for the whole span, or the slice's name.
      low, high: interval of the change (new minus baseline), at the policy's confidence.
      matters: certain and beyond the margin, in the bad direction.
    """

    metric: Literal["auc", "calibration", "loss"]
    slice: str
    baseline: float
    current: float
    low: float
    high: float
    margin: float
    matters: bool


@dataclass(frozen=True, kw_only=True)
class LabelChange:
    """The share of positive labels, then and now; `matters` where it is certain and beyond the margin."""

    baseline: float
    current: float
    low: float
    high: float
    margin: float
    matters: bool


@dataclass(frozen=True, kw_only=True)
class LiveModel:
    """The model in production: its version, the spans it was trained on, and its age in seconds."""

    version: str
    window: tuple[int, ...]
    age_seconds: int


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Everything a decision rests on.

    Attributes:
      rows: of the span, with those of waiting spans.
      waiting: earlier spans whose rows are counted in.
      repeats: the accepted span (number, version) with the same content, or None.
      newest_accepted: the newest accepted span's number, or None.
      live: None where no model is live.
      drift: None where nothing was compared; then `not_compared` says why.
      performance: empty where the live model was not scored; then `not_compared` says why.
      not_compared: what could not be compared, in sentences.
      skew: alerts from served requests, in sentences.
    """

    span: int
    version: int
    rows: int
    fingerprint: str
    waiting: tuple[int, ...] = ()
    repeats: tuple[int, int] | None = None
    newest_accepted: int | None = None
    live: LiveModel | None = None
    forced: bool = False
    labelled: bool = True
    findings: tuple[Finding, ...] = ()
    drift: Drift | None = None
    performance: tuple[MetricChange, ...] = ()
    label: LabelChange | None = None
    not_compared: tuple[str, ...] = ()
    skew: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Reason:
    """One reason, by its kind and in words."""

    kind: Kind
    text: str


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What was decided, why, and from what.

    Attributes:
      row: the row of the decision table that matched, 1 to 11.
      reasons: the deciding ones first, then warnings and what could not be compared.
      warm_start: training may begin from the live model's weights.
    """

    verdict: Verdict
    row: int
    reasons: tuple[Reason, ...]
    evidence: Evidence
    warm_start: bool = False

    def to_json(self) -> str:
        """Serializes to JSON; `schema` tells readers which layout this is."""
        return json.dumps({"schema": 1, **dataclasses.asdict(self)}, sort_keys=True, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> "Decision":
        """Reads what `to_json` wrote.

        Raises:
          ValueError: another layout.
        """
        value = json.loads(text)
        if value.pop("schema", None) != 1:
            raise ValueError("not a decision of layout 1; it was written by another version of this program.")
        return cls(
            verdict=Verdict(value["verdict"]),
            row=value["row"],
            reasons=tuple(Reason(**reason) for reason in value["reasons"]),
            evidence=_read_evidence(value["evidence"]),
            warm_start=value["warm_start"],
        )


def decide(evidence: Evidence, policy: GatePolicy) -> Decision:
    """Applies the decision table; the first row whose condition holds decides."""
    row, verdict, reasons = _first_match(evidence, policy)
    warnings = [
        Reason(kind="warning", text=finding.text) for finding in evidence.findings if finding.severity == "warn"
    ]
    gaps = [Reason(kind="not_compared", text=text) for text in evidence.not_compared]
    skew = [Reason(kind="serving_skew", text=text) for text in evidence.skew] if row != 10 else []
    return Decision(
        verdict=verdict,
        row=row,
        reasons=(*reasons, *skew, *gaps, *warnings),
        evidence=evidence,
        warm_start=row == 9 and _may_warm_start(evidence, policy),
    )


def _first_match(evidence: Evidence, policy: GatePolicy) -> tuple[int, Verdict, list[Reason]]:
    blocking = [finding for finding in evidence.findings if finding.severity == "block"]
    if blocking:
        return 1, Verdict.BLOCK, [Reason(kind="unusable_data", text=finding.text) for finding in blocking]
    if evidence.repeats is not None:
        span, version = evidence.repeats
        same = span == evidence.span and version == evidence.version
        text = "this span was processed before" if same else f"its content equals span {span} (version {version})"
        return 2, Verdict.SKIP, [Reason(kind="repeated", text=text)]
    if evidence.newest_accepted is not None and evidence.span < evidence.newest_accepted:
        text = f"span {evidence.span} is older than span {evidence.newest_accepted}, the newest accepted one"
        return 3, Verdict.SKIP, [Reason(kind="late", text=text)]
    if evidence.live is None:
        return 4, Verdict.RERUN, [Reason(kind="no_live_model", text="no model is live yet")]
    if evidence.forced:
        return 5, Verdict.RERUN, [Reason(kind="forced", text="a rerun was asked for")]
    limit = policy.max_model_age_days
    age_days = evidence.live.age_seconds / SECONDS_PER_DAY
    if limit is not None and age_days > limit:
        text = f"the live model is {age_days:.0f} days old (limit: {limit})"
        return 6, Verdict.RERUN, [Reason(kind="model_age", text=text)]
    if evidence.rows < policy.min_rows:
        text = f"not enough evidence: {evidence.rows} rows (minimum: {policy.min_rows}); they wait for the next span"
        return 7, Verdict.SKIP, [Reason(kind="not_enough_rows", text=text)]
    worse = [change for change in evidence.performance if change.matters]
    label = evidence.label if evidence.label is not None and evidence.label.matters else None
    if worse or label:
        reasons = [Reason(kind="performance", text=describe_change(change)) for change in worse]
        if label:
            reasons.append(
                Reason(kind="label", text=f"the label's share moved {label.baseline:.3f} → {label.current:.3f}")
            )
        return 8, Verdict.RERUN, reasons
    if evidence.drift is not None and evidence.drift.moved:
        return 9, Verdict.RERUN, [Reason(kind="drift", text=describe_drift(item)) for item in evidence.drift.moved]
    if evidence.skew:
        return 10, Verdict.SKIP, [Reason(kind="serving_skew", text=text) for text in evidence.skew]
    text = "nothing moved beyond its threshold" if not evidence.not_compared else "nothing that was compared moved"
    return 11, Verdict.SKIP, [Reason(kind="nothing_changed", text=text)]


def _may_warm_start(evidence: Evidence, policy: GatePolicy) -> bool:
    """A small excess, and no value that the live model's vocabulary cannot know."""
    assert evidence.drift is not None, "row 9 has matched"
    unseen = any(finding.kind == "unseen" for finding in evidence.findings)
    return not unseen and all(item.excess <= policy.warm_start_excess for item in evidence.drift.moved)


def describe_drift(item: FeatureDrift) -> str:
    """Returns one moved feature in words: what moved, how far, and what was allowed."""
    measure = {"linf": "L-infinity", "js": "Jensen-Shannon"}[item.measure]
    return f"{item.direction} ({measure} {item.distance:.3f}, threshold {item.threshold:.3f})"


def describe_change(change: MetricChange) -> str:
    """Returns one change of the live model's performance in words."""
    name = {"auc": "AUC", "calibration": "calibration error", "loss": "log loss"}[change.metric]
    where = f" on {change.slice}" if change.slice else ""
    difference = change.current - change.baseline
    return (
        f"the live model's {name}{where} went {change.baseline:.3f} → {change.current:.3f} "
        f"(change {difference:+.3f}, interval {change.low:+.3f} to {change.high:+.3f}, margin {change.margin:g})"
    )


def describe(decision: Decision) -> str:
    """Returns the decision as a person on call reads it: the verdict, then one reason a line."""
    evidence = decision.evidence
    version = f" version {evidence.version}" if evidence.version else ""
    waiting = f", with waiting spans {', '.join(map(str, evidence.waiting))}" if evidence.waiting else ""
    against = (
        f", against version {evidence.live.version} (spans {_spans(evidence.live.window)})" if evidence.live else ""
    )
    head = f"{decision.verdict.upper()} span {evidence.span}{version} ({evidence.rows:,} rows{waiting}){against}"
    how = ["training starts from the live model's weights"] if decision.warm_start else []
    return "\n".join([head, *(f"  - {text}" for text in (*(reason.text for reason in decision.reasons), *how))])


def _spans(window: tuple[int, ...]) -> str:
    if window and window == tuple(range(window[0], window[-1] + 1)) and len(window) > 1:
        return f"{window[0]} to {window[-1]}"
    return ", ".join(map(str, window)) or "unknown"


def _read_evidence(value: Mapping[str, Any]) -> Evidence:  # Any: JSON.
    drift, live, label = value["drift"], value["live"], value["label"]
    return Evidence(
        **{
            **value,
            "waiting": tuple(value["waiting"]),
            "repeats": tuple(value["repeats"]) if value["repeats"] else None,
            "live": LiveModel(**{**live, "window": tuple(live["window"])}) if live else None,
            "findings": tuple(Finding(**finding) for finding in value["findings"]),
            "drift": Drift(**{**drift, "features": tuple(FeatureDrift(**item) for item in drift["features"])})
            if drift
            else None,
            "performance": tuple(MetricChange(**change) for change in value["performance"]),
            "label": LabelChange(**label) if label else None,
            "not_compared": tuple(value["not_compared"]),
            "skew": tuple(value["skew"]),
        }
    )
