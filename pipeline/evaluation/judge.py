"""Whether a candidate may go live: one judgement for both engines, with its reasons in words."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pipeline.evaluation.metrics import AUC, CALIBRATION_ERROR, EXAMPLE_COUNT, Metric, SliceKey
from pipeline.evaluation.spec import EvaluationSpec

Status = Literal["passed", "failed", "not judged"]
Values = Mapping[str, Metric]

OVERALL: SliceKey = ()
JUDGEMENT_FILE = "judgement.json"
"""In the Evaluator's artifact, beside TFMA's files."""


@dataclass(frozen=True, kw_only=True)
class SliceJudgement:
    """One slice, or the whole split (`slice` is ""): what the candidate and the live model reached, and what follows.

    Attributes:
      auc: None where it is not defined, because all labels are equal.
      auc_deviation: bootstrap standard deviation of `auc`; None where none was computed.
      mean_prediction: None where a prediction is no number.
      baseline_auc: the live model's; None where there is none.
      why: in words, for everything but a plain pass.
    """

    slice: str
    examples: int
    auc: float | None
    auc_deviation: float | None
    calibration_error: float | None
    mean_label: float
    mean_prediction: float | None
    baseline_auc: float | None
    status: Status
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """A blessing or its refusal; `reasons` says why in either case."""

    blessed: bool
    reasons: tuple[str, ...]
    slices: tuple[SliceJudgement, ...]

    def to_dict(self) -> dict[str, Any]:  # Any: JSON.
        """Returns JSON values, as judgement.json holds them."""
        return dataclasses.asdict(self)

    def to_json(self) -> str:
        """Serializes to JSON."""
        return json.dumps(self.to_dict(), indent=1, sort_keys=True, allow_nan=False)


def judge(
    candidate: Mapping[SliceKey, Values], baseline: Mapping[SliceKey, Values] | None, spec: EvaluationSpec
) -> Judgement:
    """Applies the dataset file's thresholds.

    Args:
      candidate: slice to metrics; the empty key is the whole split.
      baseline: the live model's on the same rows; None where no model is live.
    """
    overall, reasons = _judge_overall(candidate.get(OVERALL, {}), (baseline or {}).get(OVERALL), spec)
    rows = [overall]
    for key in sorted((key for key in candidate if key != OVERALL), key=_in_order):
        rows.append(_judge_slice(key, candidate[key], baseline.get(key) if baseline is not None else None, spec))
    failed = [row for row in rows[1:] if row.status == "failed"]
    reasons += [f"{row.slice}: {row.why}" for row in failed]
    blessed = overall.status == "passed" and not failed
    if blessed:
        against = "no model is live to compare with" if baseline is None else "not worse than the live model"
        auc = f"AUC {overall.auc:.4f} (floor {spec.min_auc:g})"
        error = f"calibration error {overall.calibration_error:.4f} (limit {spec.max_calibration_error:g})"
        reasons = [f"{auc}, {error}, {against}"]
    return Judgement(blessed=blessed, reasons=tuple(reasons), slices=tuple(rows))


def _in_order(key: SliceKey) -> list[tuple[str, str, object]]:
    """Sorts slices by their columns, and values as what they are: 2 before 10."""
    return [(column, type(value).__name__, value) for column, value in key]


def slice_name(key: SliceKey) -> str:
    """Returns a slice's name, such as `payment_type=Cash`; "" for the whole split."""
    return ",".join(f"{column}={value}" for column, value in key)


def _judge_overall(values: Values, baseline: Values | None, spec: EvaluationSpec) -> tuple[SliceJudgement, list[str]]:
    if not values or not values[EXAMPLE_COUNT].value:
        empty = SliceJudgement(
            slice="",
            examples=0,
            auc=None,
            auc_deviation=None,
            calibration_error=0.0,
            mean_label=0.0,
            mean_prediction=0.0,
            baseline_auc=None,
            status="failed",
            why="the eval split has no examples",
        )
        return empty, [empty.why]
    auc, error = auc_of(values), values[CALIBRATION_ERROR].value
    reasons = []
    if auc is None:
        reasons.append("AUC is not defined: all labels of the eval split are equal")
    elif auc < spec.min_auc:
        reasons.append(f"AUC {auc:.4f} is below the floor of {spec.min_auc:g}")
    if _known(values["mean_prediction"].value) is None:
        reasons.append("the model predicted NaN, which is no probability, for at least one example")
    elif not error <= spec.max_calibration_error:  # Also where it is NaN.
        reasons.append(f"the calibration error {error:.4f} is above the limit of {spec.max_calibration_error:g}")
    live = auc_of(baseline) if baseline is not None else None
    if auc is not None and live is not None and auc < live - spec.max_auc_drop:
        reasons.append(f"AUC {auc:.4f} is more than {spec.max_auc_drop:g} below the live model's {live:.4f}")
    return _row(OVERALL, values, baseline, "failed" if reasons else "passed", "; ".join(reasons)), reasons


def _judge_slice(key: SliceKey, values: Values, baseline: Values | None, spec: EvaluationSpec) -> SliceJudgement:
    if values[EXAMPLE_COUNT].value < spec.min_slice_examples:
        why = f"fewer than {spec.min_slice_examples} examples"
        return _row(key, values, baseline, "not judged", why)
    auc = auc_of(values)
    if auc is None:
        return _row(key, values, baseline, "not judged", "all labels are equal, so there is no AUC")
    live = auc_of(baseline) if baseline is not None else None
    if live is None:
        return _row(key, values, None, "not judged", "no model is live to compare with")
    if auc < live - spec.max_slice_auc_drop:
        why = f"AUC {auc:.4f} is more than {spec.max_slice_auc_drop:g} below the live model's {live:.4f}"
        return _row(key, values, baseline, "failed", why)
    return _row(key, values, baseline, "passed", "")


def _row(key: SliceKey, values: Values, baseline: Values | None, status: Status, why: str) -> SliceJudgement:
    return SliceJudgement(
        slice=slice_name(key),
        examples=round(values[EXAMPLE_COUNT].value),
        auc=auc_of(values),
        auc_deviation=_known(values[AUC].deviation) if auc_of(values) is not None else None,
        calibration_error=_known(values[CALIBRATION_ERROR].value),
        mean_label=values["mean_label"].value,
        mean_prediction=_known(values["mean_prediction"].value),
        baseline_auc=auc_of(baseline) if baseline is not None else None,
        status=status,
        why=why,
    )


def auc_of(values: Values) -> float | None:
    """Returns the AUC; None where all labels are equal, for which TFMA writes 0."""
    return None if values["mean_label"].value in (0.0, 1.0) else _known(values[AUC].value)


def _known(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else value
