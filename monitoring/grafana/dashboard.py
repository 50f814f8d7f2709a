"""Makes the dashboard: `python -m monitoring.grafana.dashboard` writes dashboards/driftgate.json anew.

Panels are written here as what they show; the JSON beside this file is what Grafana provisions, and a test holds the
two together. Source of the form: Grafana, "Dashboard JSON model".
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Json = dict[str, Any]  # Any: JSON.

FILE = Path(__file__).with_name("dashboards") / "driftgate.json"
SOURCE = {"type": "prometheus", "uid": "driftgate-prometheus"}
WIDTH = 24
_LATENCY = ':tensorflow:serving:request_latency_bucket{API!="", model_name=~"$model"}'
_BUCKETS = f"sum by (le) (rate({_LATENCY}[$__rate_interval]))"
_VERDICT_COLORS = {"block": "red", "skip": "blue", "rerun": "green"}


def target(expression: str, legend: str = "", *, instant: bool = False) -> Json:
    """Returns one query."""
    query: Json = {"datasource": SOURCE, "expr": expression, "legendFormat": legend or "__auto"}
    return query | ({"instant": True, "range": False, "format": "table"} if instant else {"range": True})


def panel(
    title: str,
    kind: str,
    targets: Sequence[Json],
    *,
    size: tuple[int, int],
    description: str,
    unit: str = "short",
    field: Mapping[str, Any] | None = None,  # Any: JSON.
    overrides: Sequence[Json] = (),
    options: Mapping[str, Any] | None = None,  # Any: JSON.
    transformations: Sequence[Json] = (),
) -> Json:
    """Returns a panel; `size` is its width of 24 and its height."""
    width, height = size
    return {
        "title": title,
        "description": description,
        "type": kind,
        "datasource": SOURCE,
        "targets": [query | {"refId": chr(ord("A") + index)} for index, query in enumerate(targets)],
        "fieldConfig": {"defaults": {"unit": unit, **(field or {})}, "overrides": list(overrides)},
        "options": dict(options or {}),
        "transformations": list(transformations),
        "gridPos": {"w": width, "h": height},
    }


def stat(title: str, expression: str, description: str, unit: str = "short", **more: Any) -> Json:  # Any: JSON.
    """Returns one number of the first row."""
    steps = more.pop("steps", [("green", None)])
    options = {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "value", "graphMode": "none"}
    return panel(
        title,
        "stat",
        [target(expression, more.pop("legend", ""))],
        size=(3, 4),
        description=description,
        unit=unit,
        field={"thresholds": thresholds(steps), **more.pop("field", {})},
        options={**options, **more},
    )


def lines(
    title: str, targets: Sequence[Json], description: str, unit: str = "short", **more: Any
) -> Json:  # Any: JSON.
    """Returns a picture over time."""
    custom = {"lineWidth": 1, "fillOpacity": 10, "showPoints": "auto", "spanNulls": True, **more.pop("custom", {})}
    options = {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}}
    return panel(
        title,
        "timeseries",
        targets,
        size=more.pop("size", (12, 8)),
        description=description,
        unit=unit,
        field={"custom": custom, **more.pop("field", {})},
        overrides=more.pop("overrides", ()),
        options=options,
    )


def thresholds(steps: Sequence[tuple[str, float | None]]) -> Json:
    """Returns colours by value."""
    return {"mode": "absolute", "steps": [{"color": color, "value": value} for color, value in steps]}


def color_of(name: str, color: str) -> Json:
    """Returns the override that gives a series its colour."""
    fixed = {"id": "color", "value": {"mode": "fixed", "fixedColor": color}}
    return {"matcher": {"id": "byName", "options": name}, "properties": [fixed]}


def service_health() -> list[Json]:
    """Is it answering, and how well?"""
    return [
        stat(
            "Requests",
            'sum(driftgate:requests:rate5m{model_name=~"$model"})',
            "Per second, over five minutes.",
            "reqps",
        ),
        stat(
            "Server errors",
            'max(driftgate:request_errors:ratio5m{model_name=~"$model"})',
            "Share of requests with a status of 5xx, over five minutes.",
            "percentunit",
            steps=[("green", None), ("red", 0.01)],
        ),
        stat(
            "p99",
            'max(driftgate:request_latency_seconds:p99_5m{model_name=~"$model"})',
            "One request in a hundred takes longer.",
            "s",
            steps=[("green", None), ("red", 0.25)],
        ),
        stat(
            "Live version",
            'driftgate_live_model_info{dataset=~"$dataset"}',
            "The version that was pushed last: seconds since 1970.",
            legend="{{version}}",
            textMode="name",
        ),
        stat(
            "Live model's age",
            'max(driftgate:live_model_age:seconds{dataset=~"$dataset"})',
            "Since it was trained.",
            "s",
        ),
        stat(
            "Newest span's age",
            'min(driftgate:newest_span_age:seconds{dataset=~"$dataset"})',
            "Since the newest span was decided.",
            "s",
        ),
        stat(
            "Monitor looked",
            'time() - max(driftgate_monitor_last_look_timestamp_seconds{dataset=~"$dataset"})',
            "Ago.",
            "s",
        ),
        stat(
            "Alerts",
            'sum(ALERTS{alertstate="firing", alertname=~"Driftgate.*"}) or vector(0)',
            "Firing now; docs/runbook.md has a section for each.",
            steps=[("green", None), ("red", 1)],
        ),
        lines(
            "Requests by status",
            [
                target(
                    'sum by (status) (rate(:tensorflow:serving:request_count{model_name=~"$model"}[$__rate_interval]))',
                    "{{status}}",
                )
            ],
            "The status is the name of a gRPC code; OK is 200, INVALID_ARGUMENT is 400.",
            "reqps",
            custom={"stacking": {"mode": "normal"}},
        ),
        lines(
            "Latency",
            [target(f"histogram_quantile({q}, {_BUCKETS}) / 1e6", f"p{q * 100:g}") for q in (0.5, 0.9, 0.99)],
            "Of requests that were answered, in the server.",
            "s",
        ),
        panel(
            "Versions in the model server",
            "state-timeline",
            [target('driftgate_server_version_state{dataset=~"$dataset"}', "{{version}} {{state}}")],
            size=(12, 6),
            description="What the server says of each version, where the monitor has --server-url.",
            options={"showValue": "never", "mergeValues": True},
        ),
        lines(
            "Requests by version",
            [target('sum by (version) (driftgate_served_requests_total{dataset=~"$dataset"})', "{{version}}")],
            "What the request log holds, by the version that answered.",
            size=(12, 6),
        ),
    ]


def decisions() -> list[Json]:
    """What did the gate decide, and why?"""
    return [
        panel(
            "Decisions over time",
            "state-timeline",
            [target('driftgate_newest_decision{dataset=~"$dataset"} == 1', "{{verdict}}")],
            size=(12, 6),
            description="The verdict of the newest decision.",
            overrides=[color_of(verdict, color) for verdict, color in _VERDICT_COLORS.items()],
            options={"showValue": "never", "mergeValues": True},
        ),
        panel(
            "Decisions by verdict and reason",
            "bargauge",
            [
                target(
                    'sum by (verdict, reason) (driftgate_decisions_total{dataset=~"$dataset"})',
                    "{{verdict}}: {{reason}}",
                )
            ],
            size=(12, 6),
            description="All decisions, by the kind of their first reason.",
            options={"orientation": "horizontal", "reduceOptions": {"calcs": ["lastNotNull"]}, "displayMode": "basic"},
        ),
        panel(
            "Drift by feature and span",
            "table",
            [target('max by (feature, span) (driftgate_span_drift_ratio{dataset=~"$dataset"})', instant=True)],
            size=(24, 12),
            description="Distance as a multiple of its threshold: above 1 the feature moved.",
            field={
                "custom": {"cellOptions": {"type": "color-background"}, "align": "center"},
                "decimals": 1,
                "thresholds": thresholds([("green", None), ("yellow", 0.7), ("orange", 1), ("red", 2)]),
            },
            overrides=[
                {
                    "matcher": {"id": "byRegexp", "options": "feature.*"},
                    "properties": [
                        {"id": "custom.cellOptions", "value": {"type": "auto"}},
                        {"id": "custom.align", "value": "left"},
                    ],
                }
            ],
            transformations=[
                {
                    "id": "groupingToMatrix",
                    "options": {"rowField": "feature", "columnField": "span", "valueField": "Value"},
                }
            ],
        ),
    ]


def quality() -> list[Json]:
    """Is the live model still right?"""
    floor = {"id": "custom.lineStyle", "value": {"dash": [8, 6], "fill": "dash"}}
    return [
        lines(
            "AUC of the live model",
            [
                target('max by (source) (driftgate_live_model_auc{dataset=~"$dataset", slice="all"})', "{{source}}"),
                target('driftgate_auc_floor{dataset=~"$dataset"}', "floor"),
            ],
            "On the newest span, and on requests whose labels have come; the markers are pushes.",
            "percentunit",
            field={"max": 1},
            overrides=[{"matcher": {"id": "byName", "options": "floor"}, "properties": [floor]}],
        ),
        lines(
            "Lowest AUC by slice",
            [
                target(
                    'bottomk(6, max by (slice, source) (driftgate_live_model_auc{dataset=~"$dataset", slice!="all"}))',
                    "{{slice}} ({{source}})",
                )
            ],
            "The six slices on which the live model is worst.",
            "percentunit",
            field={"max": 1},
        ),
        lines(
            "Skew by feature",
            [target('topk(10, driftgate:skew:ratio{dataset=~"$dataset"})', "{{feature}}")],
            "Requests against the training rows; distance as a multiple of its threshold, above 1 it is skew.",
            field={"thresholds": thresholds([("transparent", None), ("red", 1)])},
            custom={"thresholdsStyle": {"mode": "line"}, "scaleDistribution": {"type": "log", "log": 10}},
        ),
        lines(
            "Predictions",
            [
                target('driftgate_prediction_mean{dataset=~"$dataset"}', "mean probability"),
                target('driftgate_prediction_distance{dataset=~"$dataset"}', "distance from those at push"),
                target('driftgate_prediction_threshold{dataset=~"$dataset"}', "threshold"),
            ],
            "Of the newest judged window; seen without any label.",
        ),
    ]


def machinery() -> list[Json]:
    """Do the runs and the monitor work?"""
    return [
        panel(
            "Seconds by component, last run",
            "bargauge",
            [target('driftgate_run_component_duration_seconds{dataset=~"$dataset"}', "{{component}}")],
            size=(8, 9),
            description="Wall time; what was taken from the cache is missing.",
            unit="s",
            options={"orientation": "horizontal", "reduceOptions": {"calcs": ["lastNotNull"]}, "displayMode": "basic"},
        ),
        lines(
            "Runs",
            [target('sum by (result) (driftgate_runs_total{dataset=~"$dataset"})', "{{result}}")],
            "Runs since the root exists, by how they ended.",
            size=(8, 9),
        ),
        lines(
            "Log records",
            [
                target('sum(driftgate_log_records_total{dataset=~"$dataset"})', "read"),
                target('sum(driftgate_log_records_dropped_total{dataset=~"$dataset"}) or vector(0)', "dropped"),
            ],
            "Records of the request log that the monitor has read, and those that it could not use.",
            size=(8, 9),
        ),
    ]


def push_markers() -> list[Json]:
    """Returns the markers of pushes: one at each value of the push's time, which is in milliseconds there."""
    return [
        {
            "name": "Pushes",
            "datasource": SOURCE,
            "enable": True,
            "iconColor": "purple",
            "expr": 'driftgate_live_model_pushed_timestamp_seconds{dataset=~"$dataset"} * 1000',
            "useValueForTime": "on",
            "step": "60s",
            "titleFormat": "pushed",
        }
    ]


_MODELS = 'label_values(:tensorflow:serving:request_count{model_name!=""}, model_name)'


def variable(name: str, label: str, query: str) -> Json:
    """Returns a choice at the top of the dashboard."""
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": query, "refId": name},
        "definition": query,
        "refresh": 2,
        "sort": 1,
        "multi": False,
        "includeAll": False,
    }


def dashboard() -> Json:
    """Returns the whole dashboard; panels are laid out row by row, in the order in which they are written."""
    panels: list[Json] = []
    top = 0
    for title, section in (
        ("Service health", service_health()),
        ("Decisions", decisions()),
        ("The live model", quality()),
        ("Runs and monitor", machinery()),
    ):
        panels.append(
            {"type": "row", "title": title, "collapsed": False, "panels": [], "gridPos": _place(0, top, 24, 1)}
        )
        top += 1
        left = height = 0
        for item in section:
            size = item["gridPos"]
            if left + size["w"] > WIDTH:
                left, top, height = 0, top + height, 0
            panels.append(item | {"gridPos": _place(left, top, size["w"], size["h"])})
            left, height = left + size["w"], max(height, size["h"])
        top += height
    return {
        "uid": "driftgate",
        "title": "driftgate",
        "description": "Requests, the gate's decisions and the live model. Made by monitoring/grafana/dashboard.py.",
        "tags": ["driftgate"],
        "schemaVersion": 39,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "1m",
        "time": {"from": "now-24h", "to": "now"},
        "templating": {
            "list": [
                variable("dataset", "Dataset", "label_values(driftgate_live_model_max_age_seconds, dataset)"),
                variable("model", "Model", _MODELS),
            ]
        },
        "annotations": {"list": push_markers()},
        "panels": [item | {"id": index} for index, item in enumerate(panels, start=1)],
    }


def _place(x: int, y: int, w: int, h: int) -> Json:
    return {"x": x, "y": y, "w": w, "h": h}


def text() -> str:
    """Returns the file's content."""
    return json.dumps(dashboard(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
