"""The live model on labelled rows: how well it answers, with intervals, and what counts as a change."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from models.target import TaskName
from pipeline.evaluation import intervals
from pipeline.evaluation.intervals import Estimate
from pipeline.evaluation.slicing import Column, groups
from pipeline.gate import between_spans, task_measures
from pipeline.gate.between_spans import Between
from pipeline.gate.evidence import HIGHER_IS_BETTER, Metric, MetricChange, NotCompared, PromisedMetric
from pipeline.gate.policy import GatePolicy

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class SliceEvaluation:
    """The live model on one slice; every interval at 95 %.

    Attributes:
      slice: "" for all rows, or the slice's name.
      auc: None where the slice holds one class only, and for other tasks than binary ones.
      calibration: mean prediction minus share of positive labels; 0 is right.
      ece: expected calibration error over ten equally filled bins; reported, not judged. None for numbers.
      loss: mean log loss in nats.
      accuracy: share of right answers of several classes; None for other tasks.
      coverage: share of numbers within their interval; None for other tasks, and where no interval is known.
      blind: the loss of knowing nothing but the labels' distribution; None for binary models.
      promised: of all rows, what the answers alone say of the performance; empty of slices, and where an older release
        measured it.

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
    accuracy: Estimate | None = None
    coverage: Estimate | None = None
    blind: float | None = None
    promised: Mapping[PromisedMetric, Estimate] = field(default_factory=dict)


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
      auc, accuracy, coverage, promised: as in SliceEvaluation.
    """

    span: int
    slice: str
    rows: int
    auc: Estimate | None
    calibration: Estimate
    loss: Estimate
    accuracy: Estimate | None = None
    coverage: Estimate | None = None
    promised: Mapping[PromisedMetric, Estimate] = field(default_factory=dict)


def results_of(span: int, evaluation: Evaluation, policy: GatePolicy) -> tuple[SpanResult, ...]:
    """Returns what later spans are compared with of a span's evaluation; the smallest slices are left out."""
    return tuple(
        SpanResult(
            span=span,
            slice=of.slice,
            rows=of.rows,
            auc=of.auc,
            calibration=of.calibration,
            loss=of.loss,
            accuracy=of.accuracy,
            coverage=of.coverage,
            promised=of.promised,
        )
        for of in evaluation.slices
        if not of.slice or of.rows >= policy.min_slice_rows
    )


def evaluate(
    labels: npt.NDArray[Any],  # Any: numbers or booleans.
    predictions: npt.NDArray[Any],
    slices: Mapping[str, npt.NDArray[np.bool_]] | None = None,
    *,
    task: TaskName = "binary",
    weights: Floats | None = None,
    seed: int = 0,
) -> Evaluation:
    """Measures a model on labelled rows.

    Args:
      labels: 0 or 1, or as `Target.evaluate` answers them, (rows,); leave rows without a label out.
      predictions: probability of label 1, (rows,), or as `Predictor.predict` answers them, (rows, ...).
      slices: name, such as `payment_type=Cash`, to the rows that belong to it.
      weights: how much each row counts, (rows,), each above 0; None for alike.

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
    found = []
    for name, rows in parts:
        if rows.any():
            counts = None if weights is None else weights[rows]
            measures = task_measures.measure(y[rows], p[rows], counts, task, seed)
            promised = {} if name else task_measures.promise(p, counts, task)
            found.append(SliceEvaluation(slice=name, rows=int(rows.sum()), promised=promised, **measures))
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
    flat = [
        now.slice
        for before, now in pairs
        if current.task == "binary" and now.slice not in small and (before.auc is None or now.auc is None)
    ]
    reasons = {
        f"not judged, with fewer than {policy.min_slice_rows} rows now or at push": small,
        "not in the evaluation at push": new,
        "without rows in this span": gone,
        "without an AUC, because all labels are equal": flat,
    }
    gaps = [NotCompared(subject="performance", text=_listed(names, why)) for why, names in reasons.items() if names]
    return tuple(_change(row, rate) for row in rows), gaps


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
    accuracy: _Past | None
    coverage: _Past | None
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
    def past(measured: Estimate, every: Sequence[Estimate | None]) -> _Past:
        of_spans = [each for each in every if each]
        if not of_spans:
            return _Past(value=measured, spans=1, ordinary=between_spans.NOTHING)
        together, ordinary = between_spans.together(of_spans)
        if not pooled or len(of_spans) < 2:
            return _Past(value=measured, spans=1, ordinary=ordinary)
        return _Past(value=together, spans=len(of_spans), ordinary=ordinary)

    return _Reference(
        rows=sum(each.rows for each in spans) if pooled and spans else before.rows,
        label_share=before.label_share.value,
        auc=past(before.auc, [each.auc for each in spans]) if before.auc else None,
        accuracy=past(before.accuracy, [each.accuracy for each in spans]) if before.accuracy else None,
        coverage=past(before.coverage, [each.coverage for each in spans]) if before.coverage else None,
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
        ("accuracy", before.accuracy, now.accuracy, policy.accuracy_margin),
        ("calibration", before.calibration, now.calibration, calibration_margin),
        ("loss", before.loss, now.loss, loss_margin),
    ]
    if task == "regression":  # In the label's unit, whatever that is.
        margin = policy.error_margin * before.loss.value.value
        pairs = [
            ("bias", before.calibration, _as_erring(now.calibration, before.calibration), margin),
            ("error", before.loss, _as_erring(now.loss, before.loss), margin),
            ("coverage", before.coverage, now.coverage, policy.calibration_margin),
        ]
    return [
        _Row(metric=metric, slice=now.slice, before=past, now=measured, margin=margin, judged=judged)
        for metric, past, measured, margin in pairs
        if past is not None and measured is not None
    ]


def _as_erring(now: Estimate, before: _Past) -> Estimate:
    """Returns a mean of errors that is no more certain than the errors before make it on so many rows.

    Errors have long tails: a span that happens to hold none of the large ones has another mean and a short interval.
    """
    then = intervals.standard_error(before.value) * math.sqrt(before.value.rows / now.rows)
    return intervals.around(now.value, max(intervals.standard_error(now), then), now.rows)


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
    worse = high < 0 if row.metric in HIGHER_IS_BETTER else low > 0
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


def slice_masks(columns: Mapping[str, Column], crossed: Sequence[str]) -> dict[str, npt.NDArray[np.bool_]]:
    """Returns the rows of every slice of crossed columns, named as `a=1,b=x`; rows with a missing value are in none."""
    masks = {}
    for values, rows in groups([columns[name] for name in crossed]):
        mask = np.zeros(len(columns[crossed[0]]), np.bool_)
        mask[rows] = True
        masks[",".join(f"{name}={value}" for name, value in zip(crossed, values, strict=True))] = mask
    return dict(sorted(masks.items()))
