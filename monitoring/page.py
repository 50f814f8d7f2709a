"""The monitor's page: what it has found in the requests of every window, for eyes, in one file."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence

from markupsafe import Markup

from models.task_names import TaskName
from monitoring.window_report import WindowReport
from pipeline.evaluation import registry
from pipeline.gate.evidence import MAIN, FeatureDrift
from pipeline.report import charts, numbers, pictures
from pipeline.report.charts import Axis, Line
from pipeline.report.render import environment

FILE = "monitoring.html"
_MOST_WINDOWS, _MOST_DATES = 90, 4

Point = tuple[float, float]


def page(dataset: str, task: TaskName, reports: Sequence[WindowReport], limits: Mapping[str, float]) -> str:
    """Returns the page of a root's windows.

    Args:
      reports: of the judged windows, the oldest first; at least one.
      limits: what `[evaluation]` asks of metrics, by name: at least where higher is better, at most where lower is.
    """
    shown, newest = reports[-_MOST_WINDOWS:], reports[-1]
    labelled = next((report for report in reversed(reports) if report.performance), None)
    highest = pictures.highest_excess(newest.skew)

    def drift_bar(item: FeatureDrift) -> Markup:
        return pictures.drift_bar(item, highest)

    return (
        environment()
        .get_template("monitoring.html")
        .render(
            dataset=dataset,
            newest=newest,
            labelled=labelled,
            main=registry.METRICS[registry.MAIN[task]],
            limits_of=limits,
            windows=list(reversed(shown)),
            charts=[chart for chart in (_scores(shown, task), _answers(shown, task)) if chart],
            drift_bar=drift_bar,
            change_interval=pictures.change_interval,
        )
    )


def _scores(reports: Sequence[WindowReport], task: TaskName) -> Markup | None:
    """Returns the main metric by window, over the answers whose labels have come, and the same at push."""
    name = registry.MAIN[task]
    now, at_push = [], []
    for report in reports:
        scored = report.performance
        if scored is None or name not in scored.metrics:
            continue
        now.append((float(report.start), scored.metrics[name]))
        whole = (change for change in scored.changes if not change.slice and change.metric == MAIN[task])
        at_push += [(float(report.start), change.baseline.value) for change in whole]
    return _by_window(registry.METRICS[name].title, now, at_push)


def _answers(reports: Sequence[WindowReport], task: TaskName) -> Markup | None:
    """Returns the mean answer by window, and the same at push."""
    answered = [(float(report.start), report.prediction) for report in reports if report.prediction]
    now = [(start, answers.mean.value) for start, answers in answered]
    at_push = [(start, answers.mean_at_push.value) for start, answers in answered if answers.mean_at_push]
    what = {"binary": "mean probability", "multiclass": "mean probability of the answered class"}
    return _by_window(what.get(task, "mean prediction"), now, at_push)


def _by_window(title: str, now: Sequence[Point], at_push: Sequence[Point]) -> Markup | None:
    if not now:
        return None
    values = [value for _, value in (*now, *at_push)]
    room = max((max(values) - min(values)) * 0.15, abs(max(values)) * 0.02, 1e-6)
    starts = [start for start, _ in now]
    aside = max((starts[-1] - starts[0]) * 0.02, 1.0)
    every = -(-len(starts) // _MOST_DATES)
    is_of_days = all(start % 86_400 == 0 for start in starts)
    return charts.lines(
        f"{title} by window",
        "; ".join(f"{_date(start, is_of_days)} {value:.4g}" for start, value in now[-60:]),
        [
            *([Line(name="at push", points=at_push, class_="baseline")] if at_push else []),
            Line(name="requests", points=now, class_="span"),
        ],
        Axis(
            name="window",
            low=starts[0] - aside,
            high=starts[-1] + aside,
            write=lambda value: _date(value, is_of_days),
        ),
        Axis(name=title, low=min(values) - room, high=max(values) + room, write=numbers.value),
        x_ticks=starts[::every],
        dots=True,
        labelled=False,
    )


def _date(start: float, is_of_days: bool) -> str:
    return datetime.datetime.fromtimestamp(start, datetime.UTC).strftime("%d %b" if is_of_days else "%d %b %H:%M")
