"""The picture of a search: how far ahead of the dataset's own configuration each trial was."""

from __future__ import annotations

from markupsafe import Markup

from pipeline.evaluation import registry
from pipeline.report import charts
from pipeline.report.charts import Axis, Line
from pipeline.selection.trials import Tuning


def by_trial(tuning: Tuning) -> Markup:
    """Returns how far ahead of the dataset's own configuration each trial was, and the best so far."""
    title = registry.METRICS[tuning.metric].title
    places = range(1, len(tuning.trials) + 1)
    best, so_far = 0.0, []
    for place, trial in zip(places, tuning.trials, strict=True):
        best = best if trial.stopped else max(best, trial.ahead)
        so_far.append((float(place), best))
    dots = [
        Line(
            name=f"trial {place}{', stopped' if trial.stopped else ''}",
            points=[(float(place), trial.ahead)],
            class_="baseline" if trial.stopped else "span",
        )
        for place, trial in zip(places, tuning.trials, strict=True)
    ]
    # One trial that fails badly must not flatten all others.
    values = sorted(trial.ahead for trial in tuning.trials if trial.is_measured)
    low, high = max(values[0], -4 * max(best, abs(values[len(values) // 2]), 1e-4)), max(best, 0.0)
    room = max((high - low) * 0.1, 1e-4)
    return charts.lines(
        f"Trials: by how much {title} is better than the dataset's own",
        f"{len(tuning.trials)} trials, the best {best:+.4f}",
        [
            Line(name="best so far", points=so_far, class_="third"),
            *(dot for dot in dots if dot.points[0][1] >= low),
        ],
        Axis(name="trial", low=0.5, high=len(tuning.trials) + 0.5, write=lambda value: f"{value:g}"),
        Axis(name="better by", low=low - room, high=high + room, write=lambda value: f"{value:+.4f}"),
        labelled=False,
        height=300.0,
    )
