"""Judges a window of requests as the gate judges a span: values, distributions, answers, and labels that have come."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2

from columnar.statistics import statistics_of
from models.target import Target, is_known
from models.thresholds import Thresholds
from monitoring import predictions
from monitoring.request_rows import answers_of
from monitoring.window_report import Performance, WindowReport, describe_period
from pipeline.evaluation import metrics
from pipeline.evaluation.metrics import Sample
from pipeline.gate import drift, quality, scoring, words
from pipeline.gate import tfdv as tfdv_evidence
from pipeline.gate.baseline import Baseline
from pipeline.gate.evidence import Drift, Finding, MetricChange, NotCompared, ServingAlert
from pipeline.gate.settings import Settings

_WEIGHT = "request/weight"
_OF_INTERVAL = ("interval_coverage", "interval_width", "mean_pinball_loss")


@dataclass(frozen=True, kw_only=True)
class Version:
    """The version that answered, with the data that its requests are compared with.

    Attributes:
      baseline: of its training window; None where it carries none or is gone.
      why_no_baseline: in words, where it is None.
      predictions: what its answers are compared with; None where it carries none.
      thresholds: which class it answers.
    """

    number: int
    baseline: Baseline | None
    why_no_baseline: str = ""
    predictions: predictions.AtPush | None = None
    thresholds: Thresholds = field(default_factory=Thresholds)


def judge(
    rows: pa.Table,
    labels: npt.NDArray[Any],  # Any: int64, or float64 of a regression.
    weights: npt.NDArray[np.float64] | None,
    period: tuple[int, int],
    version: Version,
    schema: schema_pb2.Schema,
    settings: Settings,
) -> tuple[WindowReport, statistics_pb2.DatasetFeatureStatisticsList]:
    """Judges a window.

    Args:
      rows: as `request_rows.Decoder` makes them.
      labels: of each row, as `Target.evaluate` answers them, unknown where none has come; (rows,).
      weights: how much each labelled row counts; None where each counts one.
      period: start and end of the window, seconds since 1970.
      schema: of the features alone.
    """
    import tensorflow_data_validation as tfdv

    features, policy = settings.features, settings.policy
    table = rows.select(list(features.names))
    statistics = statistics_of(table.to_batches(), schema)
    findings: tuple[Finding, ...] = ()
    skew, gaps = None, []
    name = describe_period(*period)
    if version.baseline is None:
        text = f"the requests were not compared with what version {version.number} was trained on: "
        gaps.append(NotCompared(subject="skew", text=text + version.why_no_baseline))
    else:
        compared = drift.compare(
            table,
            version.baseline,
            features,
            policy,
            schema=with_skew_comparators(schema),
            statistics=statistics,
            measure=tfdv_evidence.measure_skew,
        )
        skew = compared.drift
        # That requests have no labels is no news.
        gaps += [gap for gap in compared.not_compared if gap.subject != "label"]
        anomalies = [tfdv.validate_statistics(statistics, plain(schema))]
        known = version.baseline.known
        findings = quality.check(table, schema, features, policy, anomalies=anomalies, known=known)
    answers, answer_gaps = predictions.compare(rows, version.predictions, policy, features.target)
    measured, label_gaps = score(rows, labels, weights, version, settings)
    report = WindowReport(
        start=period[0],
        end=period[1],
        version=version.number,
        rows=rows.num_rows,
        skew=skew,
        findings=findings,
        prediction=answers,
        performance=measured,
        alerts=tuple(alerts(skew, findings, answers, measured.changes if measured else (), name)),
        not_compared=(*gaps, *answer_gaps, *label_gaps),
    )
    return report, statistics


def score(
    rows: pa.Table,
    labels: npt.NDArray[Any],  # Any: as in `judge`.
    weights: npt.NDArray[np.float64] | None,
    version: Version,
    settings: Settings,
) -> tuple[Performance | None, list[NotCompared]]:
    """Measures the answers whose label has come, overall and per slice, and compares with the evaluation at push."""
    target = settings.features.target
    answered = answers_of(rows, target)
    has_answer = ~np.isnan(answered if answered.ndim == 1 else answered[:, 0])
    known = is_known(labels) & has_answer
    if not known.any():
        if not is_known(labels).any():
            return None, []
        text = "the answers were not held to their labels: what is kept of these requests is not a whole answer"
        return None, [NotCompared(subject="performance", text=text)]
    labelled, truth, answered = rows.filter(pa.array(known)), labels[known], answered[known]
    if weights is not None:  # Under a name that no column of the requests has; they need not hold the weight's own.
        labelled = labelled.append_column(_WEIGHT, pa.array(weights[known]))
    target = dataclasses.replace(target, weight=f"`{_WEIGHT}`" if weights is not None else "")
    evaluation = scoring.evaluate(labelled, truth, answered, settings.slices, target=target)
    sample = Sample(
        labels=truth.astype(np.float64),
        predictions={"": answered},
        weights=np.ones(len(truth)) if weights is None else weights[known],
        thresholds={"": version.thresholds},
    )
    changes: tuple[MetricChange, ...] = ()
    gaps: list[NotCompared] = []
    yardstick = version.baseline.yardstick if version.baseline is not None else None
    if yardstick is None:
        text = "the answers were not compared with those at push: no out-of-time evaluation was stored"
        gaps = [NotCompared(subject="performance", text=text)]
    else:
        changes, gaps = yardstick.compare(evaluation, settings.policy)
    performance = Performance(
        labelled=int(known.sum()), evaluation=evaluation, changes=changes, metrics=_measured(sample, target)
    )
    return performance, gaps


def _measured(sample: Sample, target: Target) -> dict[str, float]:
    """Returns the metrics of the task that are defined; none of the interval where its ends are not known."""
    values = metrics.measure(sample, target, 0, 0)[""]
    of_interval = _OF_INTERVAL if target.task == "regression" and np.isnan(sample.predictions[""]).any() else ()
    return {
        name: metric.value for name, metric in values.items() if np.isfinite(metric.value) and name not in of_interval
    }


def alerts(
    skew: Drift | None,
    findings: Sequence[Finding],
    answers: predictions.PredictionChange | None,
    changes: Sequence[MetricChange],
    period: str,
) -> list[ServingAlert]:
    """Returns the alerts of the window; each text names the window."""
    where = f"requests of {period}: "
    raised = [
        ServingAlert(kind="skew", feature=item.feature, text=where + item.text)
        for item in findings
        if item.severity == "block"
    ]
    if skew is not None:
        # A column and its share of missing values may have moved for the same reason, which is said once.
        first = {item.direction: item for item in reversed(skew.moved)}
        raised += [
            ServingAlert(kind="skew", feature=item.feature, text=where + words.describe_drift(item))
            for item in skew.moved
            if first[item.direction] is item
        ]
    if answers is not None and answers.drift is not None and answers.drift.moved:
        raised.append(ServingAlert(kind="prediction", text=where + words.describe_drift(answers.drift)))
    raised += [
        ServingAlert(kind="performance", text=where + words.describe_metric(change))
        for change in changes
        if change.matters
    ]
    return raised


def with_skew_comparators(schema: schema_pb2.Schema) -> schema_pb2.Schema:
    """Returns the schema with each feature's skew_comparator, which a person wrote, where the gate looks for limits.

    TFDV measures both in the same way; only what they are compared with differs.
    """
    changed = plain(schema)
    for feature, original in zip(changed.feature, schema.feature, strict=True):
        if original.HasField("skew_comparator"):
            feature.drift_comparator.CopyFrom(original.skew_comparator)
    return changed


def plain(schema: schema_pb2.Schema) -> schema_pb2.Schema:
    """Returns the schema without comparators, and without the number of examples that a whole span must have."""
    changed = schema_pb2.Schema()
    changed.CopyFrom(schema)
    changed.ClearField("dataset_constraints")
    for feature in changed.feature:
        feature.ClearField("drift_comparator")
        feature.ClearField("skew_comparator")
    return changed
