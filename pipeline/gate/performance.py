"""The live model on labelled rows: AUC, calibration and log loss with intervals, and what counts as a change.

Sources: DeLong, DeLong and Clarke-Pearson, "Comparing the areas under two or more correlated receiver operating
characteristic curves", Biometrics 44, 1988; Sun and Xu, "Fast implementation of DeLong's algorithm", IEEE Signal
Processing Letters 21, 2014 (midranks).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models.target import TaskName
from pipeline.evaluation import intervals
from pipeline.evaluation.intervals import Estimate
from pipeline.evaluation.slicing import Column, groups
from pipeline.gate import between_spans, task_measures
from pipeline.gate.between_spans import Between
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
      auc: None where the slice holds one class only, and for other tasks than binary ones.
      calibration: mean prediction minus share of positive labels; 0 is right.
      ece: expected calibration error over ten equally filled bins; reported, not judged. None for numbers.
      loss: mean log loss in nats.

    What other tasks put there is in pipeline/gate/task_measures.py.
    """

    slice: str
    rows: int
    label_share: Estimate
    mean_prediction: Estimate
    auc: Estimate | None
    calibration: Estimate
    ece: Estimate | None
    loss: Estimate


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """A model on the labelled rows of a span; the first slice is the whole."""

    slices: tuple[SliceEvaluation, ...]
    task: TaskName = "binary"

    @property
    def overall(self) -> SliceEvaluation:
        """All rows."""
        return self.slices[0]


@dataclass(frozen=True, kw_only=True)
class SpanResult:
    """A model on one slice of one span of its window, by networks that were not trained on that span.

    Attributes:
      slice: "" for all rows, or the slice's name.
      auc: None where the slice holds one class only.
    """

    span: int
    slice: str
    rows: int
    auc: Estimate | None
    calibration: Estimate
    loss: Estimate


def results_of(span: int, evaluation: Evaluation, policy: GatePolicy) -> tuple[SpanResult, ...]:
    """Returns what later spans are compared with of a span's evaluation; the smallest slices are left out."""
    return tuple(
        SpanResult(span=span, slice=of.slice, rows=of.rows, auc=of.auc, calibration=of.calibration, loss=of.loss)
        for of in evaluation.slices
        if not of.slice or of.rows >= policy.min_slice_rows
    )


def evaluate(
    labels: npt.NDArray[Any],  # Any: numbers or booleans.
    predictions: npt.NDArray[Any],
    slices: Mapping[str, npt.NDArray[np.bool_]] | None = None,
    *,
    task: TaskName = "binary",
    seed: int = 0,
) -> Evaluation:
    """Measures a model on labelled rows.

    Args:
      labels: 0 or 1, or as `Target.evaluate` answers them, (rows,); leave rows without a label out.
      predictions: probability of label 1, (rows,), or as `Predictor.predict` answers them, (rows, ...).
      slices: name, such as `payment_type=Cash`, to the rows that belong to it.

    Raises:
      ValueError: no rows, other labels, or predictions that are none of the task.
    """
    y, p = np.asarray(labels, np.float64), np.asarray(predictions, np.float64)
    dimensions = 1 if task == "binary" else 2
    if y.shape != p.shape[:1] or p.ndim != dimensions or len(y) == 0:
        raise ValueError(
            f"Expected as many labels as predictions of a {task} model, at least one. Received: {y.shape}, {p.shape}."
        )
    if task == "binary" and not np.isin(y, (0.0, 1.0)).all():
        raise ValueError(f"Expected labels 0 and 1. Received: {np.unique(y)[:5].tolist()}.")
    if task == "regression":
        if not np.isfinite(p).all():
            raise ValueError(f"Expected finite predictions. Received: {p[~np.isfinite(p)][:3].tolist()}.")
    elif not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"Expected probabilities in [0, 1]. Received: {p[~((p >= 0) & (p <= 1))][:3].tolist()}.")
    parts = [("", np.ones(len(y), np.bool_)), *((name, rows) for name, rows in sorted((slices or {}).items()))]
    found = [_measure(name, y[rows], p[rows], seed, task) for name, rows in parts if rows.any()]
    return Evaluation(slices=tuple(found), task=task)


def compare(
    current: Evaluation,
    baseline: Evaluation,
    policy: GatePolicy,
    *,
    spans: Sequence[SpanResult] = (),
    pooled: bool = False,
) -> tuple[tuple[MetricChange, ...], list[NotCompared]]:
    """Compares the live model's metrics with its yardstick, given how they vary from span to span.

    A change matters when it is for the worse, larger than the margin, and certain: the one-sided Bonferroni-corrected
    interval over everything that is judged excludes zero, at the performance's share of `false_alarm_rate`.

    Args:
      baseline: the yardstick.
      spans: a model on each span of the window, which tells how its metrics vary between spans.
      pooled: whether all of these spans together are the yardstick, in place of `baseline`, which is one of them.

    Returns:
      The changes, overall first, and what could not be compared.
    """
    then = {item.slice: item for item in baseline.slices}
    by_slice = {name: [item for item in spans if item.slice == name] for name in {item.slice for item in spans}}
    pairs = [(_reference(then[now.slice], by_slice.get(now.slice, []), pooled), now) for now in current.slices
             if now.slice in then]  # fmt: skip
    small = [now.slice for before, now in pairs if min(before.rows, now.rows) < policy.min_slice_rows]
    rows = [
        row for before, now in pairs for row in _rows(before, now, policy, current.task, judged=now.slice not in small)
    ]
    rate = policy.alarm_rate("performance") / max(sum(row.judged for row in rows), 1)
    new = [now.slice for now in current.slices if now.slice not in then]
    gone = sorted(set(then) - {now.slice for now in current.slices})
    flat = [now.slice for before, now in pairs if now.slice not in small and (before.auc is None or now.auc is None)]
    if current.task != "binary":
        flat = []
    reasons = {
        f"not judged, with fewer than {policy.min_slice_rows} rows now or at push": small,
        "not in the evaluation at push": new,
        "without rows in this span": gone,
        "without an AUC, because all labels are equal": flat,
    }
    gaps = [NotCompared(subject="performance", text=_listed(names, why)) for why, names in reasons.items() if names]
    return tuple(_change(row, rate) for row in rows), gaps


def hold_to_floors(now: Evaluation, floors: Floors) -> tuple[FloorCheck, ...]:
    """Holds the live model on a span to the dataset file's limits; nothing is said of a handful of rows."""
    if now.overall.rows < SMALLEST_COMPARED:
        return ()
    checks = []
    if now.overall.ece is None:
        return ()
    if now.overall.auc is not None:
        missed = now.overall.auc.high < floors.min_auc
        checks.append(FloorCheck(metric="auc", current=now.overall.auc, limit=floors.min_auc, missed=missed))
    missed = now.overall.ece.low > floors.max_calibration_error
    limit = floors.max_calibration_error
    return (*checks, FloorCheck(metric="ece", current=now.overall.ece, limit=limit, missed=missed))


@dataclass(frozen=True, kw_only=True)
class _Past:
    """One number before, the spans that it was measured on, and how it varies between spans."""

    value: Estimate
    spans: int
    ordinary: Between


@dataclass(frozen=True, kw_only=True)
class _Reference:
    """What a slice is compared with."""

    rows: int
    label_share: float
    auc: _Past | None
    calibration: _Past
    loss: _Past


@dataclass(frozen=True, kw_only=True)
class _Row:
    """One comparison of one number."""

    metric: Metric
    slice: str
    before: _Past
    now: Estimate
    margin: float
    judged: bool


_MOST_NAMED = 3


def _reference(before: SliceEvaluation, spans: Sequence[SpanResult], pooled: bool) -> _Reference:
    def past(measured: Estimate, of_spans: Sequence[Estimate]) -> _Past:
        errors = [intervals.standard_error(each) for each in of_spans]
        ordinary = between_spans.ordinary([each.value for each in of_spans], errors)
        if not pooled or len(of_spans) < 2:
            return _Past(value=measured, spans=1, ordinary=ordinary)
        rows = np.array([each.rows for each in of_spans], np.float64)
        shares = rows / rows.sum()
        value = float(shares @ [each.value for each in of_spans])
        together = intervals.around(value, float(np.linalg.norm(shares * errors)), int(rows.sum()))
        return _Past(value=together, spans=len(of_spans), ordinary=ordinary)

    return _Reference(
        rows=sum(each.rows for each in spans) if pooled and spans else before.rows,
        label_share=before.label_share.value,
        auc=past(before.auc, [each.auc for each in spans if each.auc]) if before.auc is not None else None,
        calibration=past(before.calibration, [each.calibration for each in spans]),
        loss=past(before.loss, [each.loss for each in spans]),
    )


def _rows(before: _Reference, now: SliceEvaluation, policy: GatePolicy, task: TaskName, *, judged: bool) -> list[_Row]:
    # Of rare positives no error of calibration reaches the absolute margin, and all the loss is below it. A slice is
    # too small a part of the span for that.
    relative = policy.relative_margin if not now.slice else math.inf
    calibration_margin = min(policy.calibration_margin, relative * before.label_share)
    loss_margin = min(policy.loss_margin, relative * before.loss.value.value)
    pairs: list[tuple[Metric, _Past | None, Estimate | None, float]] = [
        ("auc", before.auc, now.auc, policy.auc_margin),
        ("calibration", before.calibration, now.calibration, calibration_margin),
        ("loss", before.loss, now.loss, loss_margin),
    ]
    if task == "regression":  # In the label's unit, whatever that is.
        margin = policy.error_margin * before.loss.value.value
        pairs = [("bias", before.calibration, now.calibration, margin), ("error", before.loss, now.loss, margin)]
    return [
        _Row(metric=metric, slice=now.slice, before=past, now=measured, margin=margin, judged=judged)
        for metric, past, measured, margin in pairs
        if past is not None and measured is not None
    ]


def _listed(names: Sequence[str], why: str) -> str:
    """Says the same of many slices in one sentence; the whole span has no name."""
    if "" in names:
        return f"the live model's performance: {why}"
    shown = ", ".join(names[:_MOST_NAMED]) + (", ..." if len(names) > _MOST_NAMED else "")
    return f"{len(names)} slice{'s' if len(names) > 1 else ''} of the performance ({shown}): {why}"


def _change(row: _Row, rate: float) -> MetricChange:
    """Judges one comparison; `rate` is one-sided."""
    past, now = row.before, row.now
    # Of calibration, too high and too low are equally bad.
    sizes = [_size(each) if row.metric in ("calibration", "bias") else each for each in (past.value, now)]
    low, high = between_spans.difference(sizes[0], sizes[1], past.ordinary, 2 * rate, spans_before=past.spans)
    worse = high < 0 if row.metric == "auc" else low > 0
    return MetricChange(
        metric=row.metric,
        slice=row.slice,
        baseline=past.value,
        current=now,
        low=low,
        high=high,
        margin=row.margin,
        judged=row.judged,
        matters=row.judged and worse and abs(sizes[1].value - sizes[0].value) > row.margin,
        between_spans=math.sqrt(past.ordinary.variance) if past.ordinary.spans > 1 else None,
    )


def _size(signed: Estimate) -> Estimate:
    return intervals.around(abs(signed.value), intervals.standard_error(signed), signed.rows)


def _measure(name: str, y: Floats, p: Floats, seed: int, task: TaskName) -> SliceEvaluation:
    if task == "regression":
        return SliceEvaluation(slice=name, rows=len(y), auc=None, ece=None, **task_measures.of_numbers(y, p))
    if task == "multiclass":
        right, confidence, loss = task_measures.as_classes(y, p)
        return dataclasses.replace(_measure(name, right, confidence, seed, "binary"), auc=None, loss=loss)
    return SliceEvaluation(
        slice=name,
        rows=len(y),
        label_share=intervals.mean(y),
        mean_prediction=intervals.mean(p),
        auc=auc(y, p),
        calibration=intervals.mean(p - y),
        ece=_expected_calibration_error(y, p, seed),
        loss=intervals.mean(losses(y, p)),
    )


def losses(labels: npt.NDArray[Any], probabilities: npt.NDArray[Any]) -> Floats:
    """Returns the log loss of each row, in nats."""
    p = np.clip(probabilities, _SMALLEST_PROBABILITY, 1 - _SMALLEST_PROBABILITY)
    return np.asarray(-np.where(labels == 1, np.log(p), np.log1p(-p)), np.float64)


def auc(labels: Floats, scores: Floats) -> Estimate | None:
    """Returns the area under the ROC curve with DeLong's interval; None where one class has no rows.

    With the placement values V of the positive rows and W of the negative ones, the variance is
    var(V) / positives + var(W) / negatives.
    """
    v, w = _placements(labels, scores)
    m, n = len(v), len(w)
    if m == 0 or n == 0:
        return None
    variance = (v.var(ddof=1) / m if m > 1 else 0.25) + (w.var(ddof=1) / n if n > 1 else 0.25)
    # Perfect separation has no spread; one more row of each class could still be misplaced.
    error = math.sqrt(max(variance, 1 / (4.0 * m * n * (m + n))))
    return intervals.around(float(v.mean()), error, len(labels))


def auc_difference(labels: npt.NDArray[Any], one: Floats, other: Floats) -> Estimate:
    """Returns by how much `other` has the larger AUC than `one` on the same rows, with DeLong's paired interval.

    Each class needs two rows.
    """
    (v, w), (v_other, w_other) = _placements(labels, one), _placements(labels, other)
    of_positive, of_negative = v_other - v, w_other - w
    variance = of_positive.var(ddof=1) / len(v) + of_negative.var(ddof=1) / len(w)
    return intervals.around(float(of_positive.mean()), math.sqrt(variance), len(labels))


def _placements(labels: npt.NDArray[Any], scores: Floats) -> tuple[Floats, Floats]:
    """Returns the share of the negatives below each positive row, and of the positives above each negative one."""
    positive, negative = scores[labels == 1], scores[labels == 0]
    m, n = len(positive), len(negative)
    if m == 0 or n == 0:
        return np.empty(m), np.empty(n)
    together = midranks(np.concatenate([positive, negative]))
    v = (together[:m] - midranks(positive)) / n  # (positives,)
    w = 1 - (together[m:] - midranks(negative)) / m  # (negatives,)
    return v, w


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
