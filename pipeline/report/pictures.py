"""Which charts a report shows beside the distributions, and of what."""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup

from pipeline.evaluation import registry
from pipeline.evaluation.curves import EvaluationCurves, ModelCurves
from pipeline.evaluation.intervals import half_width
from pipeline.gate.evidence import Drift, FeatureDrift, MetricChange
from pipeline.report import charts, numbers, task_pictures
from pipeline.report.charts import Axis, Line
from pipeline.report.data import Cost, RunReport, Training
from pipeline.report.distributions import Picture
from pipeline.report.series_data import SeriesReport
from pipeline.report.svg import Scale, percent, tag, text


def drift_bar(item: FeatureDrift, highest: float) -> Markup:
    """Returns a feature's distance as a multiple of its threshold, which is the mark."""
    words = f"{numbers.times(item.excess)} its threshold"
    return charts.bar(min(item.excess, highest), 1.0, highest, strong=item.moved, words=words)


def highest_excess(drift: Drift | None) -> float:
    """Returns the end of the bars' scale: at least twice the threshold, at most eight times."""
    largest = max((item.excess for item in drift.features), default=1.0) if drift else 1.0
    return min(max(largest, 2.0), 8.0)


def change_interval(item: MetricChange) -> Markup:
    """Returns the change of one metric with its interval; the mark is no change."""
    reach = max(abs(item.low), abs(item.high), 2 * item.margin)
    middle = (item.low + item.high) / 2
    words = f"change {numbers.change(middle)}, interval {numbers.change(item.low)} to {numbers.change(item.high)}"
    return charts.interval(item.low, middle, item.high, 0.0, (-reach, reach), strong=item.matters, words=words)


def training(history: Training) -> Markup:
    """Returns the training curve with the epoch whose weights were kept."""
    epochs = [point.epoch for point in history.curve]
    losses = [loss for point in history.curve for loss in (point.train_loss, point.validation_loss)]
    low, high = min(losses), max(losses)
    room = (high - low) * 0.08 or 0.01
    x = Axis(name="epoch", low=min(epochs), high=max(max(epochs), min(epochs) + 1), write=lambda value: f"{value:g}")
    y = Axis(name=history.loss, low=low - room, high=high + room, write=lambda value: f"{value:.2f}")
    across = Scale(x.low, x.high, 0.5, 99.5)(history.best_epoch)
    best = tag(
        "line",
        x1=percent(across),
        x2=percent(across),
        y1=charts.TOP,
        y2=charts.HEIGHT - charts.BOTTOM,
        class_="reference",
    )
    drawn = [
        Line(name="train", points=[(point.epoch, point.train_loss) for point in history.curve], class_="baseline"),
        Line(
            name="validation", points=[(point.epoch, point.validation_loss) for point in history.curve], class_="span"
        ),
    ]
    near = "end" if across > 80 else "start"
    kept = text(across + (-0.8 if near == "end" else 0.8), charts.TOP + 10, "kept", anchor=near, class_="tick")
    every = max(1, len(epochs) // 8)
    description = "; ".join(
        f"epoch {point.epoch}: train {point.train_loss:.3f}, validation {point.validation_loss:.3f}"
        for point in history.curve[:: max(1, len(history.curve) // 40)]
    )
    return charts.lines(
        "Training curve: loss by epoch",
        description,
        drawn,
        x,
        y,
        x_ticks=epochs[::every],
        dots=len(epochs) <= 40,
        extra=[best, kept],
        labelled=False,
    )


def gains(report: SeriesReport) -> Markup | None:
    """Returns what trainings brought against what they were expected to; None where there were none."""
    of, unit = report.gains, report.gain_unit
    if not of:
        return None
    values = [value for _, *both in of for value in both]
    low, high = min(0.0, *values) - 0.005, max(0.0, *values) + 0.005
    mean = [sum(column) / len(of) for column in list(zip(*of, strict=True))[1:]]
    return charts.lines(
        "What a training brought on the next span, by what was expected",
        f"{len(of)} trainings: expected {mean[0]:+.4f} {unit} on average, brought {mean[1]:+.4f}",
        [Line(name=f"span {span}", points=[(expected, brought)], class_="span") for span, expected, brought in of],
        Axis(name=f"expected gain, {unit}", low=low, high=high, write=_signed),
        Axis(name="brought", low=low, high=high, write=_signed),
        labelled=False,
        extra=[charts.diagonal()],
    )


def _signed(value: float) -> str:
    return f"{value:+.3f}"


def curves(evaluation: EvaluationCurves) -> list[Picture]:
    """Returns ROC, precision against recall, and calibration of the candidate, the live model's behind it; of classes
    their confusion, of numbers what they miss."""
    if evaluation.candidate.numbers:
        return [task_pictures.predicted_and_actual(evaluation), task_pictures.coverage(evaluation)]
    models = [("live", "baseline", evaluation.live)] if evaluation.live else []
    models.append(("candidate", "span", evaluation.candidate))
    unit = {"low": 0.0, "high": 1.0, "write": _unit}
    pictures = []
    if evaluation.candidate.roc:
        drawn = [Line(name=name, points=model.roc, class_=class_) for name, class_, model in models if model.roc]
        pictures.append(
            Picture(
                title="ROC",
                caption=_caption(models, "auc", "area"),
                chart=charts.lines(
                    "ROC curve: true positive rate by false positive rate",
                    _caption(models, "auc", "area"),
                    drawn,
                    Axis(name="false positive rate", **unit),  # type: ignore[arg-type]  # One dict for two axes.
                    Axis(name="true positive rate", **unit),  # type: ignore[arg-type]
                    labelled=False,
                    extra=[charts.diagonal()],
                ),
            )
        )
    if evaluation.candidate.precision_recall:
        drawn = [
            Line(name=name, points=model.precision_recall, class_=class_)
            for name, class_, model in models
            if model.precision_recall
        ]
        pictures.append(
            Picture(
                title="Precision and recall",
                caption=_caption(models, "auc_precision_recall", "area"),
                chart=charts.lines(
                    "Precision by recall",
                    _caption(models, "auc_precision_recall", "area"),
                    drawn,
                    Axis(name="recall", **unit),  # type: ignore[arg-type]
                    Axis(name="precision", **unit),  # type: ignore[arg-type]
                    labelled=False,
                ),
            )
        )
    matrix = task_pictures.confusion(evaluation.candidate)
    if matrix:
        pictures.append(matrix)
    if evaluation.candidate.calibration:
        pictures.append(_calibration(models))
    return pictures


def _unit(value: float) -> str:
    return f"{value:g}"


def _caption(models: Sequence[tuple[str, str, ModelCurves]], metric: str, what: str) -> str:
    values = {name: dict(model.metrics).get(metric) for name, _, model in models}
    said = [f"{name} {numbers.score(item)}" for name, item in reversed(values.items()) if item is not None]
    return f"{what} under the curve: {', '.join(said)}" if said else ""


def _calibration(models: Sequence[tuple[str, str, ModelCurves]]) -> Picture:
    drawn = [
        Line(name=name, points=[(bin_.predicted, bin_.observed) for bin_ in model.calibration], class_=class_)
        for name, class_, model in models
    ]
    across, down = Scale(0, 1, 0.5, 99.5), Scale(0, 1, charts.HEIGHT - charts.BOTTOM, charts.TOP)
    whiskers = charts.whiskers(
        ((bin_.predicted, bin_.low, bin_.high) for bin_ in models[-1][2].calibration), across, down
    )
    errors = {name: dict(model.metrics).get("expected_calibration_error") for name, _, model in models}
    said = [f"{name} {numbers.score(item)}" for name, item in reversed(errors.items()) if item is not None]
    caption = f"calibration error: {', '.join(said)}; whiskers are 95 % intervals of the candidate's" if said else ""
    description = "; ".join(
        f"predicted {bin_.predicted:.2f}, observed {bin_.observed:.2f} in {bin_.examples} rows"
        for bin_ in models[-1][2].calibration
    )
    unit = {"low": 0.0, "high": 1.0, "write": _unit}
    several = bool(models[-1][2].classes)
    predicted = "probability of the answered class" if several else "predicted probability"
    observed = "share of right answers" if several else "observed share of positives"
    return Picture(
        title="Calibration",
        caption=caption,
        chart=charts.lines(
            f"Calibration: {observed} by predicted probability",
            description,
            drawn,
            Axis(name=predicted, **unit),  # type: ignore[arg-type]
            Axis(name=observed, **unit),  # type: ignore[arg-type]
            labelled=False,
            dots=True,
            extra=[charts.diagonal(), *whiskers],
        ),
    )


def slice_intervals(report: RunReport) -> list[Markup | None]:
    """Returns, per slice of the judgement, its main metric with interval; the mark is the live model's."""
    if report.evaluation is None:
        return []
    rows = report.evaluation.judgement.slices
    ends = [
        end
        for row in rows
        if row.value is not None
        for end in (
            row.value - half_width(row.deviation),
            row.value + half_width(row.deviation),
            row.live if row.live is not None else row.value,
        )
    ]
    title, unit = registry.METRICS[rows[0].metric].title, registry.METRICS[rows[0].metric].unit
    if unit:
        low, high = min(0.0, *ends, 0.0), max(*ends, 0.0, 0.0)
    else:
        low, high = math.floor(max(min(ends, default=0.0), 0.0) * 20) / 20, 1.0
    intervals: list[Markup | None] = []
    for row in rows:
        if row.value is None:
            intervals.append(None)
            continue
        half = half_width(row.deviation)
        words = f"{title} {row.value:.3f} ± {half:.3f}" + (f", live {row.live:.3f}" if row.live is not None else "")
        intervals.append(
            charts.interval(
                row.value - half,
                row.value,
                min(row.value + half, high),
                row.live,
                (low, high),
                strong=row.status != "not judged",
                words=words,
            )
        )
    return intervals


def cost_bars(costs: Sequence[Cost]) -> list[Markup]:
    """Returns when each component was at work."""
    whole = max((cost.start + cost.seconds for cost in costs), default=1.0)
    return [
        charts.period(cost.start, cost.seconds, whole, f"{cost.node}: {cost.seconds:.2f} s, from {cost.start:.1f} s on")
        for cost in costs
    ]


_POLICY_CLASSES = {"gate": "span", "always": "baseline", "never": "third"}
"""Of the policies that are drawn: the gate and the two ends between which it lies."""


def score_over_spans(report: SeriesReport) -> Markup | None:
    """Returns each policy's score by span; None where no span met a live model."""
    drawn = [
        Line(
            name=series.policy,
            points=[(float(step.span), step.score) for step in series.steps if step.score is not None],
            class_=_POLICY_CLASSES[series.policy],
        )
        for series in reversed(report.policies)
        if series.policy in _POLICY_CLASSES
    ]
    values = [score for line in drawn for _, score in line.points]
    if not values:
        return None
    is_share = registry.METRICS[report.metric].better == "higher"
    most = 1.0 if is_share else math.inf
    room = max((max(values) - min(values)) * 0.1, 0.005 * (1.0 if is_share else max(values)))
    x = charts.span_axis(report.spans, report.pattern)
    y = Axis(name=report.title, low=min(values) - room, high=min(max(values) + room, most), write=lambda v: f"{v:.3f}")
    description = "; ".join(
        f"{line.name}: " + ", ".join(f"span {x.write(span)} {score:.3f}" for span, score in line.points[:60])
        for line in drawn
    )
    return charts.lines(
        f"{report.title} of the live model by span",
        description,
        drawn,
        x,
        y,
        x_ticks=charts.span_ticks(report.spans, report.pattern),
        dots=len(report.spans) <= 40,
        height=300.0,
    )
