"""Every metric, declared once: name, type, help, labels, and where its value comes from.

Names and units follow Prometheus' conventions: base units, `_total` on counters, times as seconds since 1970 (an age is
`time() - ..._timestamp_seconds`, so a file that cron wrote does not lie about it). Label values are bounded: features
and slices of the dataset file, the newest versions and spans, fixed words for the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric as Family

from monitoring.snapshot import MOST_VERSIONS, Compared, Snapshot
from pipeline.evaluation import registry
from pipeline.evaluation.registry import EXAMPLE_COUNT

Sample = tuple[tuple[str, ...], float]
VERDICTS = ("block", "skip", "recalibrate", "rerun")
ALERT_KINDS = ("skew", "prediction", "performance")
AVAILABLE = "AVAILABLE"


@dataclass(frozen=True)
class Metric:
    """One metric.

    Attributes:
      labels: beside `dataset`, which all have.
      values: label values and number of each sample; none where nothing is known.
    """

    name: str
    kind: Literal["gauge", "counter"]
    help: str
    labels: tuple[str, ...]
    values: Callable[[Snapshot], Iterable[Sample]]


def _one(value: float | None) -> list[Sample]:
    return [] if value is None else [((), float(value))]


def _drift(snapshot: Snapshot) -> tuple[Compared, ...]:
    return snapshot.newest.drift if snapshot.newest else ()


def _skew(snapshot: Snapshot) -> tuple[Compared, ...]:
    return snapshot.served.skew if snapshot.served else ()


def _versions(snapshot: Snapshot, field: str) -> list[Sample]:
    newest = sorted(snapshot.progress.versions)[-MOST_VERSIONS:]
    return [((str(version),), getattr(snapshot.progress.versions[version], field)) for version in newest]


def _areas(snapshot: Snapshot) -> Iterator[Sample]:
    if snapshot.newest is not None:
        model = "live" if snapshot.newest.live in (snapshot.live_version, snapshot.made_at) else "replaced"
        for name, value in snapshot.newest.auc.items():
            yield (name, "span", model), value
    for name, value in (snapshot.served.auc if snapshot.served else {}).items():
        yield (name, "requests", "live"), value


def _available(snapshot: Snapshot) -> list[Sample]:
    if snapshot.server_states is None or snapshot.live_version is None:
        return []
    return _one(snapshot.server_states.get(snapshot.live_version) == AVAILABLE)


def _limits(snapshot: Snapshot, better: str) -> list[Sample]:
    limits = snapshot.limits.items()
    return [((name,), limit) for name, limit in limits if registry.METRICS[name].better == better]


def _prediction(snapshot: Snapshot, field: str) -> list[Sample]:
    prediction = snapshot.served.prediction if snapshot.served else None
    return [] if prediction is None else _one(getattr(prediction, field))


METRICS: tuple[Metric, ...] = (
    Metric("driftgate_newest_span", "gauge", "Number of the span that was decided last.", (),
           lambda s: _one(s.newest.span if s.newest else None)),
    Metric("driftgate_newest_span_timestamp_seconds", "gauge", "When the newest span was decided.", (),
           lambda s: _one(s.newest_decided_at)),
    Metric("driftgate_newest_span_rows", "gauge", "Rows of the span that was decided last, waiting spans included.",
           (), lambda s: _one(s.newest.rows if s.newest else None)),
    Metric("driftgate_newest_decision", "gauge", "1 for the verdict of the last decision, 0 for the others.",
           ("verdict",),
           lambda s: [((verdict,), float(s.newest.verdict == verdict)) for verdict in VERDICTS] if s.newest else []),
    Metric("driftgate_decisions_total", "counter", "Decisions by verdict and by the kind of their first reason.",
           ("verdict", "reason"), lambda s: [(kind, count) for kind, count in sorted(s.decisions.items())]),
    Metric("driftgate_drift_distance", "gauge", "Distance of the newest span from the training rows.",
           ("feature",), lambda s: [((item.feature,), item.distance) for item in _drift(s)]),
    Metric("driftgate_drift_threshold", "gauge", "What the distance must exceed for the feature to count as moved.",
           ("feature",), lambda s: [((item.feature,), item.threshold) for item in _drift(s)]),
    Metric("driftgate_span_drift_ratio", "gauge", "Distance as a multiple of its threshold, for the newest spans.",
           ("feature", "span"),
           lambda s: [((item.feature, str(span.span)), item.distance / item.threshold)
                      for span in s.history for item in span.drift if item.threshold > 0]),
    Metric("driftgate_unfollowed_drift_features", "gauge",
           "Features of the newest span that moved, while the live model was not trained on it.", (),
           lambda s: _one(s.unfollowed)),
    Metric("driftgate_live_model_info", "gauge", "1, with the live version as label.", ("version",),
           lambda s: [((str(s.live_version),), 1.0)] if s.live_version is not None else []),
    Metric("driftgate_live_model_pushed_timestamp_seconds", "gauge",
           "When the live version was made live, by a push or a rollback.", (), lambda s: _one(s.live_version)),
    Metric("driftgate_live_model_made_timestamp_seconds", "gauge",
           "When the live version's model was first pushed; earlier than the above after a rollback.", (),
           lambda s: _one(s.made_at)),
    Metric("driftgate_live_model_max_age_seconds", "gauge", "The age from which the gate retrains; +Inf for none.", (),
           lambda s: _one(s.max_age_seconds)),
    Metric("driftgate_live_model_auc", "gauge",
           "AUC of the live model, on the newest span or on requests whose labels have come; slice `all` is overall, "
           "model `replaced` where the one that was scored on the span is no longer live.",
           ("slice", "source", "model"), _areas),
    Metric("driftgate_auc_floor", "gauge", "The AUC below which no candidate of a binary task is blessed.", (),
           lambda s: _one(s.auc_floor)),
    Metric("driftgate_runs_total", "counter", "Pipeline runs by how they ended.", ("result",),
           lambda s: [((result,), count) for result, count in sorted(s.runs.items())]),
    Metric("driftgate_run_component_duration_seconds", "gauge", "Wall time of each component in the last run.",
           ("component",), lambda s: [((name,), seconds) for name, seconds in s.run_seconds.items()]),
    Metric("driftgate_run_last_timestamp_seconds", "gauge", "When the last run ended, however it did.", (),
           lambda s: _one(s.last_run_at)),
    Metric("driftgate_run_last_success_timestamp_seconds", "gauge", "When a run last ended without a failure.", (),
           lambda s: _one(s.last_success_at)),
    Metric("driftgate_served_requests_total", "counter",
           "Requests by the version that answered; a record of a sampled log counts as what it stands for.",
           ("version",), lambda s: _versions(s, "requests")),
    Metric("driftgate_served_errors_total", "counter", "Log records without an answer.", ("version",),
           lambda s: _versions(s, "errors")),
    Metric("driftgate_log_records_total", "counter", "Records read from the request log.", ("version",),
           lambda s: _versions(s, "records")),
    Metric("driftgate_log_records_dropped_total", "counter", "Log records, or files, that could not be used.",
           ("reason",), lambda s: [((reason,), count) for reason, count in sorted(s.progress.dropped.items())]),
    Metric("driftgate_served_window_rows", "gauge", "Rows of the newest judged window of the live version.", (),
           lambda s: _one(s.served.rows if s.served else None)),
    Metric("driftgate_skew_distance", "gauge", "Distance of the newest window of requests from the training rows.",
           ("feature",), lambda s: [((item.feature,), item.distance) for item in _skew(s)]),
    Metric("driftgate_skew_threshold", "gauge", "What the distance must exceed for the feature to count as skewed.",
           ("feature",), lambda s: [((item.feature,), item.threshold) for item in _skew(s)]),
    Metric("driftgate_skew_alert", "gauge",
           "1 for a feature that the newest window of requests alerts for: skewed, missing or impossible.",
           ("feature",),
           lambda s: [((name,), float(name in s.served.alerting)) for name in
                      sorted({*(item.feature for item in s.served.skew), *s.served.alerting})] if s.served else []),
    Metric("driftgate_serving_alerts", "gauge", "Alerts of the newest window of requests, by kind.", ("kind",),
           lambda s: [((kind,), s.served.alerts.get(kind, 0)) for kind in ALERT_KINDS] if s.served else []),
    Metric("driftgate_prediction_mean", "gauge",
           "Mean prediction in the newest window of requests: the probability of label 1 or of the class that is "
           "answered, or the value.", (),
           lambda s: _one(s.served.mean_prediction if s.served else None)),
    Metric("driftgate_prediction_class_mean", "gauge",
           "Mean probability of each of several classes in the newest window of requests.", ("class",),
           lambda s: [((name,), value) for name, value in s.served.classes.items()] if s.served else []),
    Metric("driftgate_prediction_distance", "gauge", "Distance of the newest window's predictions from those at push.",
           (), lambda s: _prediction(s, "distance")),
    Metric("driftgate_prediction_threshold", "gauge", "What that distance must exceed to count as moved.", (),
           lambda s: _prediction(s, "threshold")),
    Metric("driftgate_served_metric", "gauge",
           "Each metric of the task over the answers whose labels have come, by the name that [evaluation] has for it.",
           ("metric",),
           lambda s: [((name,), value) for name, value in s.served.metrics.items() if name != EXAMPLE_COUNT]
           if s.served else []),
    Metric("driftgate_metric_floor", "gauge", "What a metric must reach, of those of which higher is better.",
           ("metric",), lambda s: _limits(s, "higher")),
    Metric("driftgate_metric_ceiling", "gauge", "What a metric may be at most, of those of which lower is better.",
           ("metric",), lambda s: _limits(s, "lower")),
    Metric("driftgate_served_labelled_rows", "gauge", "Answers of the newest labelled window whose label has come.",
           (), lambda s: _one(s.served.labelled if s.served else None)),
    Metric("driftgate_monitor_last_look_timestamp_seconds", "gauge", "When the monitor last looked at the log.", (),
           lambda s: _one(s.looked_at)),
    Metric("driftgate_monitor_interval_seconds", "gauge", "How often the monitor means to look.", (),
           lambda s: _one(s.look_interval)),
    Metric("driftgate_server_version_state", "gauge", "1 for the state that the model server gives each version.",
           ("version", "state"),
           lambda s: [((str(version), state), 1.0) for version, state in
                      sorted((s.server_states or {}).items())[-MOST_VERSIONS:]]),
    Metric("driftgate_live_model_available", "gauge",
           "1 where the model server has loaded the version that was pushed last, 0 where it has not.", (),
           _available),
)  # fmt: skip


def families(snapshot: Snapshot, dataset: str) -> Iterator[Family]:
    """Yields every metric of a snapshot in prometheus_client's form; those without a sample too."""
    for metric in METRICS:
        labels = ["dataset", *metric.labels]
        family = (
            GaugeMetricFamily(metric.name, metric.help, labels=labels)
            if metric.kind == "gauge"
            else CounterMetricFamily(metric.name.removesuffix("_total"), metric.help, labels=labels)
        )
        for values, number in metric.values(snapshot):
            family.add_metric([dataset, *values], float(number))
        yield family
