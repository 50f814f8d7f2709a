"""The page of configurations that were scored on spans over time: the metrics, each span, and what it cost."""

from __future__ import annotations

from markupsafe import Markup

from pipeline.evaluation import registry
from pipeline.ingest import span_names
from pipeline.report import charts, trial_pictures
from pipeline.report.charts import Axis, Line
from pipeline.report.render import environment
from pipeline.report.svg import Scale
from pipeline.selection.scores import NO_MODEL, Scores, paired
from pipeline.selection.trials import Tuning

_CLASSES = ("span", "baseline", "third", "baseline dashed")
"""Of the lines that are drawn: the first configurations; more lines than these cannot be told apart."""


def scores_page(scores: Scores, pattern: str) -> str:
    """Returns the page; `pattern`, of the spans' files, says whether they are days."""
    names = {name for score in scores.contenders for name in score.overall}
    return (
        environment()
        .get_template("scores.html")
        .render(
            scores=scores,
            main=registry.METRICS[scores.metric],
            chart=by_span(scores, pattern),
            named=lambda span: span_names.name(span, pattern),
            ahead=[None, *(paired(score, scores.contenders[0], scores.metric) for score in scores.contenders[1:])],
            shown=[item for item in registry.of_task(scores.task) if item.name in names],
        )
    )


def by_span(scores: Scores, pattern: str) -> Markup | None:
    """Returns the main metric by span, a line for each configuration; None where it is defined on no span."""
    title = registry.METRICS[scores.metric].title
    drawn, ends, values = [], [], []
    told_apart = [score for score in scores.contenders if score.name != NO_MODEL]
    for score, class_ in zip(told_apart, _CLASSES, strict=False):
        points = [(fold, fold.metrics[scores.metric]) for fold in score.folds if scores.metric in fold.metrics]
        if not points:
            continue
        drawn.append(Line(name=score.name, points=[(float(f.span), e.value) for f, e in points], class_=class_))
        values += [estimate.value for _, estimate in points]
        if class_ == "span":
            ends = [(float(fold.span), estimate.low, estimate.high) for fold, estimate in points]
    if not values:
        return None
    spans = sorted({fold.span for score in scores.contenders for fold in score.folds})
    low, high = min(values + [end[1] for end in ends]), max(values + [end[2] for end in ends])
    room = max((high - low) * 0.1, abs(high) * 0.005)
    x = charts.span_axis(spans, pattern)
    y = Axis(name=title, low=low - room, high=high + room, write=lambda value: f"{value:.4g}")
    description = "; ".join(
        f"{line.name}: " + ", ".join(f"span {x.write(span)} {value:.4g}" for span, value in line.points[:60])
        for line in drawn
    )
    return charts.lines(
        f"{title} by span",
        description,
        drawn,
        x,
        y,
        x_ticks=charts.span_ticks(spans, pattern),
        dots=True,
        labelled=len(drawn) > 1,
        extra=charts.whiskers(
            ends,
            Scale(x.low, x.high, 0.5, 84.0 if len(drawn) > 1 else 99.5),
            Scale(y.low, y.high, 300.0 - charts.BOTTOM, charts.TOP),
        ),
        height=300.0,
    )


def tuning_page(tuning: Tuning) -> str:
    """Returns the page of a search."""
    return (
        environment()
        .get_template("tuning.html")
        .render(tuning=tuning, main=registry.METRICS[tuning.metric], chart=trial_pictures.by_trial(tuning))
    )
