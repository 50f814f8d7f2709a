"""The live model on labelled rows: AUC, calibration and log loss with intervals, and what counts as a change.

Sources: DeLong, DeLong and Clarke-Pearson, "Comparing the areas under two or more correlated receiver operating
characteristic curves", Biometrics 44, 1988; Sun and Xu, "Fast implementation of DeLong's algorithm", IEEE Signal
Processing Letters 21, 2014 (midranks).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from pipeline.evaluation import intervals
from pipeline.evaluation.intervals import Estimate
from pipeline.evaluation.slicing import Column, groups
from pipeline.gate.evidence import FloorCheck, Metric, MetricChange, NotCompared
from pipeline.gate.policy import SMALLEST_COMPARED, GatePolicy
from pipeline.gate.settings import Floors

Floats = npt.NDArray[np.float64]

METRICS: tuple[Metric, ...] = ("auc", "calibration", "loss")
_ECE_BINS = 10
_SMALLEST_PROBABILITY = 1e-7
_BOOTSTRAPS = 400


@dataclass(frozen=True, kw_only=True)
class SliceEvaluation:
    """The live model on one slice; every interval at 95 %.

    Attributes:
      slice: "" for all rows, or the slice's name.
      auc: None where the slice holds one class only.
      calibration: mean prediction minus share of positive labels; 0 is right.
      ece: expected calibration error over ten equally filled bins; reported, not judged.
      loss: mean log loss in nats.
    """

    slice: str
    rows: int
    label_share: Estimate
    mean_prediction: Estimate
    auc: Estimate | None
    calibration: Estimate
    ece: Estimate
    loss: Estimate


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """A model on the labelled rows of a span; the first slice is the whole."""

    slices: tuple[SliceEvaluation, ...]

    @property
    def overall(self) -> SliceEvaluation:
        """All rows."""
        return self.slices[0]


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
class Yardstick:
    """What the live model's performance on later spans is held against, and where it came from."""

    evaluation: Evaluation
    origin: Origin


def choose_yardstick(
    out_of_time: Evaluation | None,
    held_out: Callable[[], Evaluation | None],
    previous: Yardstick | None,
    window: Sequence[int],
    policy: GatePolicy,
) -> Yardstick | None:
    """Returns the best of what the data have shown to be within reach, by AUC.

    That is the new model out of time, unless something is clearly better, beyond noise and `auc_margin`. Otherwise a
    change in the window would make its own collapse the yardstick:

    - the live model's yardstick, while the window still holds spans of the time in which it was measured. So it ends:
      a model that was trained on later spans alone sets its own.
    - held-out rows, where out of time the model keeps less than half of what it discriminates there. They flatter, so
      a smaller difference says nothing.

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
        if _clearly_better(previous.evaluation, out_of_time, policy.auc_margin):
            return previous
    elif _discriminates(out_of_time) < 0.25:  # Else nothing can discriminate twice as well.
        on_held_out = _held_out(held_out(), newest)
        if on_held_out is not None:
            collapsed = _discriminates(on_held_out.evaluation) > 2 * max(_discriminates(out_of_time), 0.0)
            if collapsed and _clearly_better(on_held_out.evaluation, out_of_time, policy.auc_margin):
                return on_held_out
    return own


def _held_out(evaluation: Evaluation | None, newest: int) -> Yardstick | None:
    if evaluation is None:
        return None
    return Yardstick(evaluation=evaluation, origin=Origin(source="held_out", span=newest))


def _discriminates(evaluation: Evaluation) -> float:
    """By how much the AUC exceeds chance."""
    return evaluation.overall.auc.value - 0.5 if evaluation.overall.auc is not None else 0.0


def _clearly_better(one: Evaluation, other: Evaluation, margin: float) -> bool:
    a, b = one.overall.auc, other.overall.auc
    if a is None or b is None:
        return False
    error = math.hypot(intervals.standard_error(a), intervals.standard_error(b))
    return a.value - b.value > max(margin, intervals.half_width(error))


def evaluate(
    labels: npt.NDArray[Any],  # Any: numbers or booleans.
    probabilities: npt.NDArray[Any],
    slices: Mapping[str, npt.NDArray[np.bool_]] | None = None,
    *,
    seed: int = 0,
) -> Evaluation:
    """Measures a model on labelled rows.

    Args:
      labels: 0 or 1, (rows,); leave rows without a label out.
      probabilities: of the positive class, (rows,).
      slices: name, such as `payment_type=Cash`, to the rows that belong to it.

    Raises:
      ValueError: no rows, other labels, or probabilities that are not in [0, 1].
    """
    y, p = np.asarray(labels, np.float64), np.asarray(probabilities, np.float64)
    if y.shape != p.shape or y.ndim != 1 or len(y) == 0:
        raise ValueError(f"Expected as many labels as probabilities, at least one. Received: {y.shape}, {p.shape}.")
    if not np.isin(y, (0.0, 1.0)).all():
        raise ValueError(f"Expected labels 0 and 1. Received: {np.unique(y)[:5].tolist()}.")
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"Expected probabilities in [0, 1]. Received: {p[~((p >= 0) & (p <= 1))][:3].tolist()}.")
    found = [_measure("", y, p, seed)]
    found += [_measure(name, y[rows], p[rows], seed) for name, rows in sorted((slices or {}).items()) if rows.any()]
    return Evaluation(slices=tuple(found))


def compare(
    current: Evaluation, baseline: Evaluation, policy: GatePolicy
) -> tuple[tuple[MetricChange, ...], list[NotCompared]]:
    """Compares the live model's metrics with its yardstick.

    A change matters when it is for the worse, larger than the margin, and certain: the one-sided Bonferroni-corrected
    interval over everything that is judged excludes zero, at the performance's share of `false_alarm_rate`.

    Returns:
      The changes, overall first, and what could not be compared.
    """
    then = {item.slice: item for item in baseline.slices}
    pairs = [(then[now.slice], now) for now in current.slices if now.slice in then]
    small = [now.slice for before, now in pairs if min(before.rows, now.rows) < policy.min_slice_rows]
    rows = [row for before, now in pairs for row in _rows(before, now, policy, judged=now.slice not in small)]
    z = NormalDist().inv_cdf(1 - policy.alarm_rate("performance") / max(sum(row[-1] for row in rows), 1))
    new = [now.slice for now in current.slices if now.slice not in then]
    gone = sorted(set(then) - {now.slice for now in current.slices})
    flat = [now.slice for before, now in pairs if now.slice not in small and (before.auc is None or now.auc is None)]
    reasons = {
        f"not judged, with fewer than {policy.min_slice_rows} rows now or at push": small,
        "not in the evaluation at push": new,
        "without rows in this span": gone,
        "without an AUC, because all labels are equal": flat,
    }
    gaps = [NotCompared(subject="performance", text=_listed(names, why)) for why, names in reasons.items() if names]
    return tuple(_change(*row, z=z) for row in rows), gaps


def hold_to_floors(now: Evaluation, floors: Floors) -> tuple[FloorCheck, ...]:
    """Holds the live model on a span to the dataset file's limits; nothing is said of a handful of rows."""
    if now.overall.rows < SMALLEST_COMPARED:
        return ()
    checks = []
    if now.overall.auc is not None:
        missed = now.overall.auc.high < floors.min_auc
        checks.append(FloorCheck(metric="auc", current=now.overall.auc, limit=floors.min_auc, missed=missed))
    missed = now.overall.ece.low > floors.max_calibration_error
    limit = floors.max_calibration_error
    return (*checks, FloorCheck(metric="ece", current=now.overall.ece, limit=limit, missed=missed))


_Row = tuple[Metric, str, Estimate, Estimate, float, bool]
_MOST_NAMED = 3


def _rows(before: SliceEvaluation, now: SliceEvaluation, policy: GatePolicy, *, judged: bool) -> list[_Row]:
    rows: list[_Row] = []
    if before.auc is not None and now.auc is not None:
        rows.append(("auc", now.slice, before.auc, now.auc, policy.auc_margin, judged))
    rows.append(("calibration", now.slice, before.calibration, now.calibration, policy.calibration_margin, judged))
    rows.append(("loss", now.slice, before.loss, now.loss, policy.loss_margin, judged))
    return rows


def _listed(names: Sequence[str], why: str) -> str:
    """Says the same of many slices in one sentence; the whole span has no name."""
    if "" in names:
        return f"the live model's performance: {why}"
    shown = ", ".join(names[:_MOST_NAMED]) + (", ..." if len(names) > _MOST_NAMED else "")
    return f"{len(names)} slice{'s' if len(names) > 1 else ''} of the performance ({shown}): {why}"


def _change(
    metric: Metric, slice_: str, before: Estimate, now: Estimate, margin: float, judged: bool, *, z: float
) -> MetricChange:
    error = math.hypot(intervals.standard_error(before), intervals.standard_error(now))
    # Of calibration, too high and too low are equally bad.
    sizes = (abs(before.value), abs(now.value)) if metric == "calibration" else (before.value, now.value)
    change = sizes[1] - sizes[0]
    low, high = change - z * error, change + z * error
    worse = high < 0 if metric == "auc" else low > 0
    return MetricChange(
        metric=metric,
        slice=slice_,
        baseline=before,
        current=now,
        low=low,
        high=high,
        margin=margin,
        judged=judged,
        matters=judged and worse and abs(change) > margin,
    )


def _measure(name: str, y: Floats, p: Floats, seed: int) -> SliceEvaluation:
    clipped = np.clip(p, _SMALLEST_PROBABILITY, 1 - _SMALLEST_PROBABILITY)
    losses = -np.where(y == 1, np.log(clipped), np.log1p(-clipped))
    return SliceEvaluation(
        slice=name,
        rows=len(y),
        label_share=intervals.mean(y),
        mean_prediction=intervals.mean(p),
        auc=auc(y, p),
        calibration=intervals.mean(p - y),
        ece=_expected_calibration_error(y, p, seed),
        loss=intervals.mean(losses),
    )


def auc(labels: Floats, scores: Floats) -> Estimate | None:
    """Returns the area under the ROC curve with DeLong's interval; None where one class has no rows.

    With the placement values V of the positive rows and W of the negative ones, the variance is
    var(V) / positives + var(W) / negatives.
    """
    positive, negative = scores[labels == 1], scores[labels == 0]
    m, n = len(positive), len(negative)
    if m == 0 or n == 0:
        return None
    together = midranks(np.concatenate([positive, negative]))
    v = (together[:m] - midranks(positive)) / n  # (positives,)
    w = 1 - (together[m:] - midranks(negative)) / m  # (negatives,)
    area = float(v.mean())
    variance = (v.var(ddof=1) / m if m > 1 else 0.25) + (w.var(ddof=1) / n if n > 1 else 0.25)
    # Perfect separation has no spread; one more row of each class could still be misplaced.
    error = math.sqrt(max(variance, 1 / (4.0 * m * n * (m + n))))
    return intervals.around(area, error, len(labels))


def midranks(values: Floats) -> Floats:
    """Returns 1-based ranks, ties sharing their mean rank."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray((ends - (counts - 1) / 2)[inverse], np.float64)


def _expected_calibration_error(y: Floats, p: Floats, seed: int) -> Estimate:
    """Mean distance of predicted and observed rate over equally filled bins, with a parametric bootstrap's interval.

    In small bins chance alone makes a distance. The true error is at least the measured one less what chance adds to
    it (the triangle inequality), which is the interval's lower end.
    """
    parts = np.array_split(np.argsort(p, kind="stable"), min(_ECE_BINS, len(y)))
    weights = np.array([len(part) for part in parts]) / len(y)
    gaps = np.array([(p[part] - y[part]).mean() for part in parts])
    errors = np.array([(p[part] - y[part]).std() / math.sqrt(len(part)) for part in parts])
    noise = errors * np.random.default_rng(seed).standard_normal((_BOOTSTRAPS, len(parts)))
    high = float(np.quantile(np.abs(gaps + noise) @ weights, 0.975))
    value = float(np.abs(gaps) @ weights)
    low = value - float(np.quantile(np.abs(noise) @ weights, 0.975))
    return Estimate(value=value, low=max(low, 0.0), high=max(high, value), rows=len(y))


def slice_masks(columns: Mapping[str, Column], crossed: Sequence[str]) -> dict[str, npt.NDArray[np.bool_]]:
    """Returns the rows of every slice of crossed columns, named as `a=1,b=x`; rows with a missing value are in none."""
    masks = {}
    for values, rows in groups([columns[name] for name in crossed]):
        mask = np.zeros(len(columns[crossed[0]]), np.bool_)
        mask[rows] = True
        masks[",".join(f"{name}={value}" for name, value in zip(crossed, values, strict=True))] = mask
    return dict(sorted(masks.items()))
