"""What a person looks at of a model of several classes, or of numbers: its mistakes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.evaluation.curves import ERROR_LEVELS, EvaluationCurves, ModelCurves
from pipeline.report import charts, numbers
from pipeline.report.charts import Axis, Line
from pipeline.report.distributions import Picture
from pipeline.report.svg import Scale, drawing, hover, percent, tag, text

MOST_CLASSES = 12
"""More do not fit into a matrix that can be read; the table below it has them all."""
_CELL = 34
_HEATS = 5


@dataclass(frozen=True, kw_only=True)
class ClassRow:
    """One class of the candidate: its rows' weight, and how well it is told; None where nothing was answered so."""

    name: str
    rows: float
    precision: float | None
    recall: float | None
    f1: float | None
    mistaken_for: str


def classes(model: ModelCurves) -> list[ClassRow]:
    """Returns the table of a multiclass model's classes; empty for other tasks."""
    if not model.classes:
        return []
    answered = [sum(column) for column in zip(*model.confusion, strict=True)]
    rows = []
    for index, (name, row) in enumerate(zip(model.classes, model.confusion, strict=True)):
        right, truly = row[index], sum(row)
        wrong = [(weight, model.classes[other]) for other, weight in enumerate(row) if other != index and weight]
        rows.append(
            ClassRow(
                name=name,
                rows=truly,
                precision=right / answered[index] if answered[index] else None,
                recall=right / truly if truly else None,
                f1=2 * right / (truly + answered[index]) if truly + answered[index] else None,
                mistaken_for=f"{max(wrong)[1]} ({max(wrong)[0] / truly:.0%})" if wrong else "",
            )
        )
    return rows


def confusion(model: ModelCurves) -> Picture | None:
    """Returns the matrix of true and answered classes; None where there are too many to read, or none."""
    size = len(model.confusion)
    names = model.classes or ("0", "1")
    if not 0 < size <= MOST_CLASSES:
        return None
    across, left = Scale(0, size, 28, 100), 27.0
    parts = [text(100, 10, "answered", anchor="end", class_="axis"), text(0, 10, "true class", class_="axis")]
    for column, name in enumerate(names):
        parts.append(text(across(column + 0.5), 26, numbers.short(name, 10), anchor="middle", class_="tick"))
    for index, row in enumerate(model.confusion):
        top, total = 32 + index * _CELL, sum(row)
        parts.append(text(left, top + 21, numbers.short(names[index], 16), anchor="end", class_="label"))
        for column, weight in enumerate(row):
            share = weight / total if total else 0.0
            words = f"{names[index]} answered as {names[column]}: {weight:,.0f} of {total:,.0f} rows ({share:.0%})"
            parts.append(
                tag(
                    "rect",
                    hover(words),
                    x=percent(across(column) + 0.2),
                    y=top,
                    width=percent(across(1) - across(0) - 0.4),
                    height=_CELL - 2,
                    class_=f"heat-{min(int(share * _HEATS), _HEATS - 1)}",
                )
            )
            ink = "letter rerun" if share >= 3 / _HEATS else "label"
            parts.append(text(across(column + 0.5), top + 21, f"{share:.0%}", anchor="middle", class_=ink))
    described = "; ".join(
        f"{name}: " + ", ".join(f"{other} {weight:.0f}" for other, weight in zip(names, row, strict=True))
        for name, row in zip(names, model.confusion, strict=True)
    )
    return Picture(
        title="Confusion",
        caption=f"of each true class, the share of rows by what was answered{_chosen(model)}",
        chart=drawing("Confusion matrix: true class by answered class", described, 36 + size * _CELL, *parts),
    )


def _chosen(model: ModelCurves) -> str:
    """Returns which class is answered, and who says so."""
    thresholds = model.thresholds
    if thresholds is None:
        return ""
    if model.classes:
        if not thresholds.values:
            return "; answered is the most probable class"
        factors = ", ".join(f"{name} {value:.3g}" for name, value in zip(model.classes, thresholds.values, strict=True))
        said = f"; answered is the class with the largest probability times its factor: {factors}"
    else:
        said = f"; answered is 1 from a probability of {numbers.score(thresholds.of_binary)} on"
    if not thresholds.rows:
        return f"{said} ([serving] threshold)" if thresholds.rule != "0.5" else said
    which = "later rows than were trained on" if thresholds.out_of_time else "held-out rows"
    return f"{said} ({thresholds.rule} on {thresholds.rows:,} {which})"


def predicted_and_actual(evaluation: EvaluationCurves) -> Picture:
    """Returns means of the label by prediction, with the range in which the labels lie."""
    bins = evaluation.candidate.numbers
    ends = [end for item in bins for end in (item.predicted, item.low, item.high)]
    low, high = min(ends), max(ends)
    drawn = [Line(name="candidate", points=[(item.predicted, item.actual) for item in bins], class_="span")]
    if evaluation.live:
        points = [(item.predicted, item.actual) for item in evaluation.live.numbers if low <= item.predicted <= high]
        drawn.insert(0, Line(name="live", points=points, class_="baseline"))
    across, down = Scale(low, high, 0.5, 99.5), Scale(low, high, charts.HEIGHT - charts.BOTTOM, charts.TOP)
    whiskers = charts.whiskers(((item.predicted, item.low, item.high) for item in bins), across, down)
    description = "; ".join(f"predicted {item.predicted:.4g}, actual {item.actual:.4g}" for item in bins)
    errors = dict(zip(ERROR_LEVELS, evaluation.candidate.errors, strict=True))
    return Picture(
        title="Predicted and actual",
        caption="means of equally many rows; whiskers hold the rows that the interval is for. Half of the errors lie "
        f"between {numbers.value(errors[0.25])} and {numbers.value(errors[0.75])}, nine in ten between "
        f"{numbers.value(errors[0.05])} and {numbers.value(errors[0.95])}",
        chart=charts.lines(
            "Mean label by prediction",
            description,
            drawn,
            Axis(name="prediction", low=low, high=high, write=numbers.value),
            Axis(name="label", low=low, high=high, write=numbers.value),
            labelled=False,
            dots=True,
            extra=[charts.diagonal(), *whiskers],
        ),
    )


def coverage(evaluation: EvaluationCurves) -> Picture:
    """Returns, by prediction, the share of rows between their own lower and upper end."""
    models: Sequence[tuple[str, str, ModelCurves | None]] = (
        ("live", "baseline", evaluation.live),
        ("candidate", "span", evaluation.candidate),
    )
    bins = evaluation.candidate.numbers
    low, high = bins[0].predicted, bins[-1].predicted
    drawn = [
        Line(
            name=name,
            points=[(item.predicted, item.covered) for item in model.numbers if low <= item.predicted <= high],
            class_=class_,
        )
        for name, class_, model in models
        if model
    ]
    values = {name: dict(model.metrics).get("interval_coverage") for name, _, model in reversed(models) if model}
    said = ", ".join(f"{name} {numbers.share(value)}" for name, value in values.items())
    description = "; ".join(f"at {item.predicted:.4g}: {item.covered:.0%}" for item in bins)
    return Picture(
        title="Rows within lower and upper",
        caption=f"over all rows: {said}",
        chart=charts.lines(
            "Share of rows within their interval, by prediction",
            description,
            drawn,
            Axis(name="prediction", low=low, high=high, write=numbers.value),
            Axis(name="share of the rows", low=0.0, high=1.0, write=lambda value: f"{value:g}"),
            labelled=False,
            dots=True,
        ),
    )
