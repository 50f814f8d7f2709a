"""What the dashboard shows: a function for each section, each named by the question that it answers."""

from __future__ import annotations

from monitoring.grafana.panels import Json, color_of, lines, panel, stat, target, thresholds

_LATENCY = ':tensorflow:serving:request_latency_bucket{API!="", model_name=~"$model"}'
_BUCKETS = f"sum by (le) (rate({_LATENCY}[$__rate_interval]))"
_VERDICT_COLORS = {"block": "red", "skip": "blue", "recalibrate": "yellow", "rerun": "green"}


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
                target(
                    'label_replace(driftgate_prediction_mean{dataset=~"$dataset"}, "class", "mean", "", "") '
                    'or driftgate_prediction_class_mean{dataset=~"$dataset"}',
                    "{{class}}",
                ),
                target('driftgate_prediction_distance{dataset=~"$dataset"}', "distance from those at push"),
                target('driftgate_prediction_threshold{dataset=~"$dataset"}', "threshold"),
            ],
            "Of the newest judged window; seen without any label.",
        ),
        lines(
            "Metrics of answered requests",
            [
                target('driftgate_served_metric{dataset=~"$dataset"}', "{{metric}}"),
                target('driftgate_metric_floor{dataset=~"$dataset"}', "floor of {{metric}}"),
                target('driftgate_metric_ceiling{dataset=~"$dataset"}', "limit of {{metric}}"),
            ],
            "Of the answers whose labels have come, by the names of [evaluation].",
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
