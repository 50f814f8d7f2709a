"""What dataset.toml's [gate] says: how much evidence is wanted, how large a change must be, what blocks.

Nothing here imports TensorFlow, so a wrong file is refused in milliseconds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

Severity = Literal["block", "warn", "ignore"]
FindingKind = Literal[
    "no_rows",
    "missing_column",
    "empty_column",
    "wrong_type",
    "missing_values",
    "out_of_domain",
    "out_of_range",
    "not_finite",
    "unseen_values",
    "schema_anomaly",
]
"""What can be wrong with the data of a column (`no_rows`: of a span); the keys of `severity` and `tolerance`."""

SEVERITIES: tuple[str, ...] = get_args(Severity)
FINDING_KINDS: tuple[str, ...] = get_args(FindingKind)
TOLERANT_KINDS = ("missing_values", "out_of_domain", "out_of_range", "not_finite", "unseen_values")
"""Kinds that are measured as a share of rows, so that a tolerance means something."""

SMALLEST_COMPARED = 25
"""Fewer rows than this are never compared: the calibration starts here."""


@dataclass(frozen=True, kw_only=True)
class GatePolicy:
    """The limits of one dataset's gate.

    Attributes:
      min_rows: fewer rows, those of waiting spans included, are not enough evidence.
      false_alarm_rate: how often, per span, any feature may be called drifted by chance alone.
      min_l_infinity: a categorical feature's largest change of share must exceed this to matter.
      min_jensen_shannon: a numeric feature's divergence must exceed this to matter; base 2, in bits.
      exclude: features left out of the comparison: identifiers, and parts of the date that differ in every span.
      max_model_age_days: an older live model is retrained whatever the data say; `inf` for no limit.
      performance_false_alarm_rate: how often, per span, any measure of the live model may be called worse by chance.
      auc_margin: a smaller loss of AUC does not matter.
      calibration_margin: a smaller growth of |mean prediction - share of positive labels| does not matter.
      loss_margin: a smaller growth of the mean log loss (nats) does not matter.
      label_share_margin: a smaller change of the share of positive labels does not matter.
      min_slice_rows: a slice with fewer rows, now or in the evaluation at push, is reported and not judged.
      out_of_domain_tolerance: share of a column's values outside its closed domain above which the span is blocked.
        A `distribution_constraints.min_domain_mass` in the schema goes before it.
      out_of_range_tolerance: share of values outside [min, max], NaN or infinite, above which the span is blocked.
      missing_tolerance: by how much the share of rows with a value may fall below the schema's
        `presence.min_fraction` before the span is blocked.
      severity: feature to kind of finding to block, warn or ignore, where the defaults do not fit. `block` blocks above
        the tolerance and warns below it; `warn` never blocks; `ignore` says nothing.
      tolerance: feature to kind of finding to share of rows.
      serving_skew: what skew of the served requests alone asks for: `alert` says it, `rerun` trains anew as well.
      warm_start_limit: up to which multiple of its threshold a drift is repaired by a warm start; 1 or less for never.
      warm_start_unseen: largest share of rows with values that the live model's vocabulary lacks, for a warm start.
    """

    min_rows: int = 300
    false_alarm_rate: float = 0.05
    min_l_infinity: float = 0.03
    min_jensen_shannon: float = 0.005
    exclude: tuple[str, ...] = ()
    max_model_age_days: float = 365.0
    performance_false_alarm_rate: float = 0.01
    auc_margin: float = 0.02
    calibration_margin: float = 0.05
    loss_margin: float = 0.05
    label_share_margin: float = 0.05
    min_slice_rows: int = 200
    out_of_domain_tolerance: float = 0.01
    out_of_range_tolerance: float = 0.005
    missing_tolerance: float = 0.05
    severity: Mapping[str, Mapping[str, Severity]] = field(default_factory=dict)
    tolerance: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    serving_skew: Literal["alert", "rerun"] = "alert"
    warm_start_limit: float = 1.5
    warm_start_unseen: float = 0.01

    def __post_init__(self) -> None:
        _check_integer("min_rows", self.min_rows, SMALLEST_COMPARED)
        _check_integer("min_slice_rows", self.min_slice_rows, SMALLEST_COMPARED)
        for name in ("false_alarm_rate", "performance_false_alarm_rate"):
            _check_number(name, getattr(self, name), 0.001, 0.5)
        for name in (
            "min_l_infinity",
            "min_jensen_shannon",
            "auc_margin",
            "calibration_margin",
            "label_share_margin",
            "out_of_domain_tolerance",
            "out_of_range_tolerance",
            "missing_tolerance",
            "warm_start_unseen",
        ):
            _check_number(name, getattr(self, name), 0.0, 1.0)
        _check_number("loss_margin", self.loss_margin, 0.0, math.inf)
        _check_number("warm_start_limit", self.warm_start_limit, 0.0, math.inf)
        _check_number("max_model_age_days", self.max_model_age_days, 0.0, math.inf)
        if type(self.exclude) is not tuple or any(not isinstance(name, str) or not name for name in self.exclude):
            raise ValueError(f"exclude must be a list of feature names. Received: {self.exclude!r}.")
        if self.serving_skew not in ("alert", "rerun"):
            raise ValueError(f"serving_skew must be 'alert' or 'rerun'. Received: {self.serving_skew!r}.")
        self._check_severity()
        self._check_tolerance()

    def _check_severity(self) -> None:
        for feature, kinds in _tables("severity", self.severity):
            for kind, severity in kinds.items():
                _check_kind(f"severity.{feature}", kind, FINDING_KINDS)
                if kind == "no_rows":
                    raise ValueError(f"severity.{feature}: an empty span always blocks; no_rows cannot be changed.")
                if severity not in SEVERITIES:
                    raise ValueError(
                        f"severity.{feature}.{kind} must be one of {', '.join(SEVERITIES)}. Received: {severity!r}."
                    )

    def _check_tolerance(self) -> None:
        for feature, kinds in _tables("tolerance", self.tolerance):
            for kind, share in kinds.items():
                _check_kind(f"tolerance.{feature}", kind, TOLERANT_KINDS)
                _check_number(f"tolerance.{feature}.{kind}", share, 0.0, 1.0)

    def severity_of(self, feature: str, kind: str, default: Severity) -> Severity:
        """Returns the severity written for this feature and kind, or `default`."""
        return self.severity.get(feature, {}).get(kind, default)

    def tolerance_of(self, feature: str, kind: str, default: float) -> float:
        """Returns the tolerance written for this feature and kind, or `default`."""
        return self.tolerance.get(feature, {}).get(kind, default)


def _tables(name: str, value: object) -> list[tuple[str, Mapping[str, Any]]]:  # Any: checked by the caller.
    if not isinstance(value, Mapping) or any(not isinstance(kinds, Mapping) for kinds in value.values()):
        raise ValueError(f"{name} must be a table of features, each a table of kinds. Received: {value!r}.")
    return list(value.items())


def _check_kind(where: str, kind: str, allowed: tuple[str, ...]) -> None:
    if kind not in allowed:
        raise ValueError(f"{where}: unknown kind {kind!r}. Allowed: {', '.join(allowed)}.")


def _check_integer(name: str, value: object, least: int) -> None:
    if type(value) is not int or value < least:
        raise ValueError(f"{name} must be an integer of at least {least}. Received: {value!r}.")


def _check_number(name: str, value: object, least: float, most: float) -> None:
    if not isinstance(value, int | float) or isinstance(value, bool) or math.isnan(value) or not least <= value <= most:
        limits = f"of at least {least:g}" if most == math.inf else f"in [{least:g}, {most:g}]"
        raise ValueError(f"{name} must be a number {limits}. Received: {value!r}.")
