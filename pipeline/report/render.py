"""From a report's values to one HTML file: the template, its style, and the charts inside it."""

from __future__ import annotations

import functools
from pathlib import Path

import jinja2
from markupsafe import Markup, escape

from pipeline.evaluation import registry
from pipeline.gate.evidence import FeatureDrift
from pipeline.ingest import span_names
from pipeline.report import distributions, numbers, pictures, strips, task_pictures, trial_pictures
from pipeline.report.data import RunReport
from pipeline.report.series_data import SeriesReport

_TEMPLATES = Path(__file__).parent / "templates"

LIMITS = {
    "noise": "sampling noise",
    "variation": "the window's own variation",
    "floor": "the smallest change that matters",
    "schema": "the schema",
}
SHOWN_ROWS, MOST_ROWS = 15, 600
"""Rows of a table before the rest is folded away, and how many at most: beyond, nobody reads, and the file grows."""


@functools.cache
def environment() -> jinja2.Environment:
    """Returns the templates; everything in them is escaped unless it is markup already."""
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters.update(numbers.FILTERS)
    templates.filters["marked"] = marked
    templates.globals.update(limits=LIMITS, metrics=registry.METRICS, shown_rows=SHOWN_ROWS, most_rows=MOST_ROWS)
    return templates


def marked(text: str) -> Markup:
    """Returns a sentence of the gate with what stands between backticks as code."""
    parts = numbers.short(text, 600).split("`")
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if index % 2 else escape(part) for index, part in enumerate(parts)
    )


def run_page(report: RunReport) -> str:
    """Returns the page of one run."""
    decision = report.decision
    drift = decision.evidence.drift if decision else None
    highest = pictures.highest_excess(drift)

    def drift_bar(item: FeatureDrift) -> Markup:
        return pictures.drift_bar(item, highest)

    evaluation = report.evaluation
    return (
        environment()
        .get_template("run.html")
        .render(
            report=report,
            decision=decision,
            evidence=decision.evidence if decision else None,
            distributions=distributions.distributions(drift, report.distributions) if drift else [],
            drift_bar=drift_bar,
            change_interval=pictures.change_interval,
            trials_chart=trial_pictures.by_trial(report.tuning) if report.tuning else None,
            training_chart=pictures.training(report.training) if report.training and report.training.curve else None,
            curves=pictures.curves(evaluation.curves) if evaluation and evaluation.curves else [],
            classes=task_pictures.classes(evaluation.curves.candidate) if evaluation and evaluation.curves else [],
            slices=list(zip(evaluation.judgement.slices, pictures.slice_intervals(report), strict=True))
            if evaluation
            else [],
            costs=list(zip(report.costs, pictures.cost_bars(report.costs), strict=True)),
        )
    )


def series_page(report: SeriesReport) -> str:
    """Returns the page of a replay."""
    drawn = [
        strips.decisions(series.policy, [(step.span, step.done, step.reason, step.pushed) for step in series.steps])
        for series in report.policies
    ]
    template = environment().get_template("series.html")
    return template.render(
        report=report,
        named=lambda span: span_names.name(span, report.pattern),
        chart=pictures.score_over_spans(report),
        gains=pictures.gains(report),
        header=strips.header(report.spans, report.pattern),
        strips=list(zip(report.policies, drawn, strict=True)),
        heat=[(row, strips.heat(row.feature, report.spans, row.excess)) for row in report.heat],
    )
