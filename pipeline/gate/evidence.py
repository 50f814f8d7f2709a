"""What a decision rests on: plain values, each measured by one module of this package, serializable as they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from models.task_names import TaskName
from pipeline.evaluation.intervals import Estimate
from pipeline.gate.policy import FindingKind, MainMetric, Severity

Measure = Literal["l_infinity", "jensen_shannon"]
Limit = Literal["noise", "variation", "floor", "schema"]
Metric = Literal["auc", "accuracy", "calibration", "loss", "bias", "error", "coverage"]
PromisedMetric = Literal["auc", "accuracy", "loss", "width"]
MAIN: Mapping[TaskName, MainMetric] = {"binary": "auc", "multiclass": "accuracy", "regression": "error"}
"""What a model of each task is chosen by, and what a training is expected to bring."""
HIGHER_IS_BETTER: tuple[Metric, ...] = ("auc", "accuracy", "coverage")
Subject = Literal["drift", "joint", "feature", "performance", "label", "skew", "quality", "gain"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something wrong with the data of one column, or of the span.

    Attributes:
      feature: the column; None for the whole span.
      severity: what follows, the tolerance taken into account: block or warn.
      share: of the rows, in [0, 1]; None where it has none.
      tolerance: the share above which it blocks; None where any is too much.
    """

    feature: str | None
    kind: FindingKind
    severity: Severity
    text: str
    share: float | None = None
    tolerance: float | None = None


@dataclass(frozen=True, kw_only=True)
class FeatureDrift:
    """One feature of the span, compared with the rows that the live model was trained on.

    Attributes:
      feature: the column, the label's expression, or `column (missing)` for a numeric column's share of missing values.
      measure: `jensen_shannon` (base 2) for numeric columns, `l_infinity` for everything else.
      distance: measured, in [0, 1].
      threshold: what it must exceed to count as moved: the largest of the three below, or a person's.
      noise: what chance alone exceeds, at this number of rows and in any feature, at `Drift.false_alarm_rate`.
      variation: the ordinary span-to-span variation of the training window, chance at this size added; None where
        the window has one span.
      floor: what is large enough to matter, chance at this size added.
      limit: which of these the threshold is; `schema` for a drift_comparator that a person wrote.
      chance: how often chance alone puts any feature this far from the reference; None for `schema`.
      moved: distance > threshold.
      direction: what moved, in words.
      unseen: share of the rows whose value the training window did not have; 0 for numeric features.
      raised_by: the span of the window that `variation` is the distance of; None where a change in the window was left
        out of it, or an older release measured it.
      format: where the numbers are only written otherwise, how, in words; then the feature did not move.
    """

    feature: str
    measure: Measure
    distance: float
    threshold: float
    noise: float | None
    variation: float | None
    floor: float | None
    limit: Limit
    chance: float | None
    moved: bool
    direction: str
    unseen: float = 0.0
    raised_by: int | None = None
    format: str = ""

    @property
    def excess(self) -> float:
        """The distance as a multiple of its threshold."""
        return self.distance / self.threshold if self.threshold > 0 else float("inf") if self.distance > 0 else 0.0


@dataclass(frozen=True, kw_only=True)
class Drift:
    """The whole comparison, the feature with the largest excess first.

    Attributes:
      false_alarm_rate: joint: how often, per span, chance alone moves any feature.
      rows: of the span, with those of waiting spans.
      reference_rows: of the training window.
      window: the training window's spans.
      excluded: features left out by the dataset file.
    """

    features: tuple[FeatureDrift, ...]
    false_alarm_rate: float
    rows: int
    reference_rows: int
    window: tuple[int, ...]
    excluded: tuple[str, ...] = ()

    @property
    def moved(self) -> tuple[FeatureDrift, ...]:
        """The features that moved, the largest excess first."""
        return tuple(item for item in self.features if item.moved)


@dataclass(frozen=True, kw_only=True)
class LastingDrift:
    """A feature that moved in several spans together, and not in the newest one alone.

    Attributes:
      spans: which, ascending, the newest included.
      rows: of all of them.
    """

    spans: tuple[int, ...]
    rows: int
    drift: FeatureDrift


@dataclass(frozen=True, kw_only=True)
class JointDrift:
    """How the span's columns go together, compared with how they did in the training window.

    Attributes:
      share: of the span's rows that lie where the window has too few, each column's own distribution set aside.
      threshold: what it must exceed to count as moved; `limit` says which limit that is.
      chance: how often chance alone makes as much.
      columns: the two whose relation changed most, where it moved.
      direction: how, in words.
      rows, reference_rows: that were looked at, of the span and of the window.
    """

    share: float
    threshold: float
    limit: Limit
    chance: float
    moved: bool
    columns: tuple[str, ...]
    direction: str
    rows: int
    reference_rows: int


@dataclass(frozen=True, kw_only=True)
class MetricChange:
    """One metric of the live model on the new span, against its yardstick.

    Attributes:
      slice: "" for the whole span, or the slice's name, such as `payment_type=Cash`.
      low, high: interval of the change (current minus baseline) at the corrected confidence.
      margin: what the change must exceed to matter.
      judged: False for slices with too few rows; they are reported only.
      matters: judged, certain and beyond the margin, in the bad direction.
      between_spans: standard deviation between the window's spans, sampling taken off, which the interval includes;
        None where there is one span to tell it by, or an older release measured it.
    """

    metric: Metric
    slice: str
    baseline: Estimate
    current: Estimate
    low: float
    high: float
    margin: float
    judged: bool
    matters: bool
    between_spans: float | None = None


@dataclass(frozen=True, kw_only=True)
class Promise:
    """What the live model's answers on a span without labels, believed, say of its performance; blind to the concept.

    Attributes:
      metric: `width` is the mean width of a number's interval, in the label's unit.
      current: on this span; of metrics, what is expected where its probabilities are right.
      before: the same of the spans of the training window, by networks that were not trained on them; None where that
        was not measured.
      low, high: interval of the change at 95 %, with what differs between spans; None where `before` is.
    """

    metric: PromisedMetric
    current: Estimate
    before: Estimate | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where the yardstick of a model came from.

    Attributes:
      source: `out_of_time`: the newest span, by members that were trained on earlier ones alone. `held_out`: rows of
        the newest span that were held out from training, which flatters where rows of the same days are alike.
      span: the newest span of the window in which it was measured.
      version: the version that it was measured on; "" for the model that carries it.
    """

    source: Literal["out_of_time", "held_out"]
    span: int
    version: str = ""


@dataclass(frozen=True, kw_only=True)
class FloorCheck:
    """The live model on the new span, held to what the dataset file asks of every model, whatever it was at push.

    Attributes:
      metric: a name of pipeline/evaluation/registry.py; `ece` is the expected calibration error of an older release.
      limit: what a metric that is better higher must reach, or one that is better lower may reach at most.
      missed: even the interval lies on the wrong side of the limit.
    """

    metric: str
    current: Estimate
    limit: float
    missed: bool


@dataclass(frozen=True, kw_only=True)
class Challenge:
    """What a training would bring, by fast trees on the later half of the span, and what a recalibration would.

    Attributes:
      rows: labelled, that were tried.
      metric: the task's main metric, in which gains are; of numbers, as a share of the live model's error.
      gain: of what a training would read over what the live model has read.
      correction: of the live model corrected by the earlier half of the span over the live model as it is.
      recalibration: by how much the loss falls with a new slope and offset, each row's by other rows: the log loss
        (nats); of numbers, absolute error and the quantile losses of the ends, as a share of the mean absolute error.
      calibration_error: expected calibration error with them; of numbers, |mean error| as a share of the mean absolute
        error.
      forgone: what the spans since the live model's push would have gained before this one, added up; 0 or more.
    """

    rows: int
    gain: Estimate
    correction: Estimate
    recalibration: Estimate
    calibration_error: Estimate
    forgone: float = 0.0
    metric: MainMetric = "auc"

    @property
    def expected(self) -> Estimate:
        """The larger of the two gains: in doubt a training pays."""
        return max(self.gain, self.correction, key=lambda each: each.value)


@dataclass(frozen=True, kw_only=True)
class LabelChange:
    """The share of positive labels in the training window and now; `matters` where certain and beyond the margin.

    Attributes:
      low, high: interval of the change, the variation between spans included.
      between_spans: standard deviation of the share between the window's spans, sampling taken off; None where it has
        one span, or an older release measured it.
    """

    label: str
    baseline: Estimate
    current: Estimate
    low: float
    high: float
    margin: float
    matters: bool
    between_spans: float | None = None


@dataclass(frozen=True, kw_only=True)
class LiveModel:
    """The model in production: its version, the spans it was trained on, and its age in seconds."""

    version: str
    window: tuple[int, ...]
    age_seconds: int


@dataclass(frozen=True, kw_only=True)
class ServingAlert:
    """Something that the requests which the live model answered say; written by the monitor, in words.

    Attributes:
      kind: `skew` (features differ from the training rows'), `prediction` (the answers moved), or `performance` (the
        answers, once their labels had come, were worse than at push).
      feature: the column, where it is about one.
    """

    kind: Literal["skew", "prediction", "performance"]
    text: str
    feature: str | None = None


@dataclass(frozen=True, kw_only=True)
class NotCompared:
    """Something that could not be compared, and why, in a sentence. `feature` where it is one feature only."""

    subject: Subject
    text: str
    feature: str | None = None


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Everything a decision rests on.

    Attributes:
      rows: of the span, with those of waiting spans.
      task: of the live model.
      waiting: earlier spans whose rows are counted in.
      fingerprint: hash of the content, whatever the order of the rows.
      repeats: the accepted span (number, version) with the same content, or None. A span's own record from an earlier,
        unfinished run is no repeat.
      newest_accepted: the newest accepted span's number, or None.
      live: None where no model is live.
      definition: hash of the definition that a training would follow.
      changes: how the definition that a training would follow differs from the live model's, in words; empty where it
        does not, where the live version carries none, and where it was tried on this content to no avail.
      left_out: rows that are copies, of others or of the training window's, and were not judged.
      labelled: whether the span has labels.
      labelled_rows: how many of the rows have one; None where an older release decided.
      more_spans: how many spans the live model was trained on, and how many a training would read now, where the live
        model's window is short and that is reason to train; a group of spans that waited together counts as one.
      findings: what is wrong with the data, the worst first.
      drift: None where nothing was compared.
      joint: how the columns go together; None where that was not compared.
      lasting: what moved over several spans since the live model's push.
      performance: empty where the live model was not scored, or had no yardstick.
      yardstick: where what `performance` is held against came from; None where an older release decided.
      floors: the live model held to the dataset file's own limits; empty where it was not scored.
      label: None where the label was not compared.
      challenge: what a training would bring; None where nothing asked for one, or it could not be told.
      new_labels: whether a training would read labels that the live model has not learned from; True where a span has
        labels, or that is not known.
      recalibratable: whether the live model can be given a new slope and offset, and none were refused on this content.
      promises: what the live model's answers, believed, say of its performance, where the span has no labels, the main
        metric first.
      estimated_auc: written by older releases: the AUC of `promises`.
      skew: alerts from the requests that the live model answered; None where requests were not compared.
      not_compared: why something is None or empty, and features left out that should have been compared.
    """

    span: int
    version: int
    rows: int
    fingerprint: str
    task: TaskName = "binary"
    waiting: tuple[int, ...] = ()
    repeats: tuple[int, int] | None = None
    newest_accepted: int | None = None
    live: LiveModel | None = None
    forced: bool = False
    definition: str = ""
    changes: tuple[str, ...] = ()
    left_out: int = 0
    labelled: bool = True
    labelled_rows: int | None = None
    more_spans: tuple[int, int] | None = None
    findings: tuple[Finding, ...] = ()
    drift: Drift | None = None
    joint: JointDrift | None = None
    performance: tuple[MetricChange, ...] = ()
    yardstick: Origin | None = None
    floors: tuple[FloorCheck, ...] = ()
    label: LabelChange | None = None
    lasting: tuple[LastingDrift, ...] = ()
    challenge: Challenge | None = None
    new_labels: bool = True
    recalibratable: bool = False
    promises: tuple[Promise, ...] = ()
    estimated_auc: float | None = None
    skew: tuple[ServingAlert, ...] | None = None
    not_compared: tuple[NotCompared, ...] = ()
