"""What dataset.toml's [gate] says: how much evidence is wanted, how large a change must be, what blocks.

Nothing here imports TensorFlow, so a wrong file is refused in milliseconds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal, get_args

from models import settings
from models.settings import Column, Range

Severity = Literal["block", "warn", "ignore"]
FindingKind = Literal[
    "no_rows",
    "repeated_rows",
    "known_rows",
    "label_leak",
    "far_values",
    "unexpected_column",
    "missing_column",
    "empty_column",
    "wrong_type",
    "missing_values",
    "impossible_rows",
    "out_of_domain",
    "out_of_range",
    "not_finite",
    "unseen_values",
    "schema_anomaly",
]
"""What can be wrong with the data of a column or of a span; the keys of `severity` and `tolerance`."""

OF_THE_SPAN = ("no_rows", "repeated_rows", "known_rows", "impossible_rows")
"""Kinds that belong to no column."""

FINDING_KINDS: tuple[str, ...] = get_args(FindingKind)
TOLERANT_KINDS = ("missing_values", "out_of_domain", "out_of_range", "not_finite", "unseen_values")
"""Kinds that are measured as a share of rows, so that a tolerance means something."""

Source = Literal["drift", "joint", "performance", "gain", "label", "lasting"]
"""Kinds of evidence that ask for a rerun, and that chance alone can produce."""

MainMetric = Literal["auc", "accuracy", "error"]
"""What a model of each task is chosen by: two classes, several, numbers."""

SHARES: Mapping[Source, float] = {
    "drift": 0.5,
    "joint": 0.1,
    "performance": 0.15,
    "gain": 0.05,
    "label": 0.1,
    "lasting": 0.1,
}
"""What each kind of evidence may spend of `false_alarm_rate`. The shares sum to 1, so that by Bonferroni's inequality
all kinds together call a span changed by chance at most that often."""

SMALLEST_COMPARED = 25
"""Fewer rows than this are never compared: the calibration starts here."""

_Share = Annotated[float, Range(0, 1, "share")]
_AlarmRate = Annotated[float, Range(0.001, 0.5, "share of spans")]
_Rows = Annotated[int, Range(SMALLEST_COMPARED, 1_000_000_000, "rows")]


@dataclass(frozen=True, kw_only=True)
class GatePolicy:
    """The limits of one dataset's gate.

    Attributes:
      min_rows: fewer rows, those of waiting spans included, are not enough evidence.
      false_alarm_rate: how often, per span, chance alone may ask for a rerun, all kinds of evidence together; each has
        its share of it.
      min_l_infinity: a categorical feature's largest change of share must exceed this to matter, and so must the share
        of the rows whose columns go together as never before.
      min_jensen_shannon: a numeric feature's divergence must exceed this to matter; base 2, in bits.
      cluster: a column whose rows with one value come together, such as an order or a patient: chance is drawn in
        whole groups, and shares are as certain as the groups make them. Rows without a value are groups of their own.
      season: after how many spans comparable ones come again, such as 12 where spans are months: a span is compared
        with those of the training window alone. `week` where spans are days, `year` where they are dated. None for no
        season.
      exclude: features left out of the comparison: identifiers, and parts of the date that differ in every span.
      max_model_age_days: an older live model is retrained whatever the data say; `inf` for no limit.
      performance_false_alarm_rate: how often, per span, chance alone may call any measure of the live model worse, and
        as often the label's share moved; where it is not given, their shares of `false_alarm_rate`.
      auc_margin: a smaller loss of AUC does not matter.
      accuracy_margin: of several classes, a smaller loss of accuracy does not matter.
      calibration_margin: a smaller growth of |mean prediction - share of positive labels| does not matter; of several
        classes, of |mean probability of the answer - share of right answers|; of a regression, a smaller loss of the
        share of rows within their interval.
      loss_margin: a smaller growth of the mean log loss (nats) does not matter.
      error_margin: of a regression, a smaller growth of the mean absolute error, or of |mean error|, does not matter;
        as a share of the mean absolute error at push.
      label_share_margin: a smaller change of the share of positive labels does not matter.
      relative_margin: of rare positives no change reaches these margins. So of the whole span a change also matters
        that is this large a part of what was at push: of the share of positive labels (label and calibration), of the
        log loss.
      min_gain: a training that would bring less than this, on rows like the span's, is not made: in AUC, of several
        classes in accuracy, of a regression as a share of the mean absolute error. Where it is not given, a quarter of
        the margin of that metric. What the live model's performance asks for needs more than a guess to be put off.
      retrain_cost: the price of a training, as such a gain over one span: it is made once the gains forgone since the
        last one add up to it; where it is not given, the margin of that metric. 0 for none.
      min_slice_rows: a slice with fewer rows, now or in the evaluation at push, is reported and not judged.
      impossible_tolerance: share of rows with any value that the schema rules out (outside a range or a closed domain,
        NaN, infinite), all columns together, above which the span is blocked; columns with a severity or tolerance of
        their own are not among them. Such rows are left out of training.
      out_of_domain_tolerance: share of a column's values outside its closed domain above which the span is blocked.
        A `distribution_constraints.min_domain_mass` in the schema goes before it.
      out_of_range_tolerance: share of values outside [min, max], NaN or infinite, above which the span is blocked.
      repeated_tolerance: share of rows that are copies, of other rows of the span or of rows of the training window,
        above what is usual in that window, from which the span is blocked.
      missing_tolerance: by how much the share of rows with a value may fall below the schema's
        `presence.min_fraction` before the span is blocked.
      unexpected_column: what a column that the schema does not have does to its span: `warn` says it, `block` refuses
        the span, `ignore` says nothing. Nothing reads such a column.
      severity: feature to kind of finding to block, warn or ignore, where the defaults do not fit. `block` blocks above
        the tolerance and warns below it; `warn` never blocks; `ignore` says nothing.
      tolerance: feature to kind of finding to share of rows.
      serving_skew: what skew of the served requests alone asks for: `alert` says it, `rerun` trains anew as well.
      warm_start_limit: up to which multiple of its threshold a drift is repaired by a warm start; 1 or less for never.
      warm_start_unseen: largest share of rows with values that the live model's vocabulary lacks, for a warm start.
    """

    min_rows: _Rows = 300
    false_alarm_rate: _AlarmRate = 0.05
    min_l_infinity: _Share = 0.03
    min_jensen_shannon: Annotated[float, Range(0, 1, "bits")] = 0.005
    exclude: tuple[Column, ...] = ()
    cluster: Column | None = None
    season: Annotated[int, Range(2, 10_000, "spans")] | Literal["week", "year"] | None = None
    max_model_age_days: Annotated[float, Range(0, math.inf, "days")] = 365.0
    performance_false_alarm_rate: _AlarmRate | None = None
    auc_margin: Annotated[float, Range(0, 1)] = 0.02
    accuracy_margin: Annotated[float, Range(0, 1)] = 0.02
    calibration_margin: Annotated[float, Range(0, 1, "probability")] = 0.05
    loss_margin: Annotated[float, Range(0, math.inf, "nats")] = 0.05
    error_margin: Annotated[float, Range(0, math.inf, "share of the mean absolute error")] = 0.1
    label_share_margin: _Share = 0.05
    relative_margin: Annotated[float, Range(0, math.inf, "share of what was at push")] = 0.5
    min_gain: Annotated[float, Range(0, 1, "of the main metric")] | None = None
    retrain_cost: Annotated[float, Range(0, math.inf, "of the main metric, over one span")] | None = None
    min_slice_rows: _Rows = 200
    impossible_tolerance: _Share = 0.002
    out_of_domain_tolerance: _Share = 0.01
    out_of_range_tolerance: _Share = 0.005
    missing_tolerance: _Share = 0.05
    repeated_tolerance: _Share = 0.2
    unexpected_column: Severity = "warn"
    severity: Mapping[str, Mapping[str, Severity]] = field(default_factory=dict)
    tolerance: Mapping[str, Mapping[str, _Share]] = field(default_factory=dict)
    serving_skew: Literal["alert", "rerun"] = "alert"
    warm_start_limit: Annotated[float, Range(0, math.inf, "times the threshold")] = 1.5
    warm_start_unseen: Annotated[float, Range(0, 1, "share of rows")] = 0.01

    def __post_init__(self) -> None:
        settings.check(self)
        for feature, severities in self.severity.items():
            for kind in severities:
                _check_kind(f"severity.{feature}", kind, FINDING_KINDS)
                if kind == "unexpected_column":
                    raise ValueError(f"severity.{feature}: unexpected_column is a key of its own beside severity.")
                if kind in OF_THE_SPAN:
                    raise ValueError(f"severity.{feature}: {kind} is of the whole span and belongs to no column.")
        for feature, shares in self.tolerance.items():
            for kind in shares:
                _check_kind(f"tolerance.{feature}", kind, TOLERANT_KINDS)

    def margin_of(self, metric: MainMetric) -> float:
        """Returns the smallest loss of a task's main metric that matters; of errors, as a share of the error."""
        return {"auc": self.auc_margin, "accuracy": self.accuracy_margin, "error": self.error_margin}[metric]

    def gain_that_counts(self, metric: MainMetric) -> float:
        """Returns the smallest gain that a training is made for."""
        return self.margin_of(metric) / 4 if self.min_gain is None else self.min_gain

    def price_of_a_training(self, metric: MainMetric) -> float:
        """Returns what must have been forgone together."""
        return self.margin_of(metric) if self.retrain_cost is None else self.retrain_cost

    def alarm_rate(self, source: Source) -> float:
        """Returns how often, per span, chance alone may produce this kind of evidence."""
        if source in ("performance", "label") and self.performance_false_alarm_rate is not None:
            return self.performance_false_alarm_rate
        return SHARES[source] * self.false_alarm_rate

    def severity_of(self, feature: str, kind: str, default: Severity) -> Severity:
        """Returns the severity written for this feature and kind, or `default`."""
        return self.severity.get(feature, {}).get(kind, default)

    def tolerance_of(self, feature: str, kind: str, default: float) -> float:
        """Returns the tolerance written for this feature and kind, or `default`."""
        return self.tolerance.get(feature, {}).get(kind, default)


def _check_kind(where: str, kind: str, allowed: tuple[str, ...]) -> None:
    if kind not in allowed:
        raise ValueError(f"{where}: unknown kind {kind!r}. Allowed: {', '.join(allowed)}.")
