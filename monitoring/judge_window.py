"""Judges a window of requests as the gate judges a span: values, distributions, answers, and labels that have come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2

from columnar.statistics import statistics_of
from models.target import is_known
from monitoring import predictions
from monitoring.request_rows import PREDICTION
from monitoring.window_report import Performance, WindowReport, describe_period
from pipeline.gate import drift, quality, scoring, words
from pipeline.gate import tfdv as tfdv_evidence
from pipeline.gate.baseline import Baseline
from pipeline.gate.evidence import Drift, Finding, MetricChange, NotCompared, ServingAlert
from pipeline.gate.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Version:
    """The version that answered, with the data that its requests are compared with.

    Attributes:
      baseline: of its training window; None where it carries none or is gone.
      why_no_baseline: in words, where it is None.
      predictions: what its answers are compared with; None where it carries none.
    """

    number: int
    baseline: Baseline | None
    why_no_baseline: str = ""
    predictions: predictions.AtPush | None = None


def judge(
    rows: pa.Table,
    labels: npt.NDArray[Any],  # Any: int64, or float64 of a regression.
    period: tuple[int, int],
    version: Version,
    schema: schema_pb2.Schema,
    settings: Settings,
) -> tuple[WindowReport, statistics_pb2.DatasetFeatureStatisticsList]:
    """Judges a window.

    Args:
      rows: as `request_rows.Decoder` makes them.
      labels: of each row, as `Target.evaluate` answers them, unknown where none has come; (rows,).
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
    answers, answer_gaps = predictions.compare(rows, version.predictions, policy)
    measured, label_gaps = score(rows, labels, version.baseline, settings)
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
    rows: pa.Table, labels: npt.NDArray[Any], baseline: Baseline | None, settings: Settings
) -> tuple[Performance | None, list[NotCompared]]:
    """Measures the answers whose label has come, overall and per slice, and compares with the evaluation at push."""
    task = settings.features.task
    known = is_known(labels) & ~np.isnan(rows.column(PREDICTION).to_numpy())
    if not known.any():
        return None, []
    if task == "multiclass":
        text = "the answers were not held to their labels: of several classes one probability alone is kept"
        return None, [NotCompared(subject="performance", text=text)]
    labelled = rows.filter(pa.array(known))
    answered = labelled.column(PREDICTION).to_numpy()
    if task == "regression":  # Of the interval, which is not kept, nothing is judged.
        answered = np.stack([answered] * 3, axis=1)
    evaluation = scoring.evaluate(labelled, labels[known], answered, settings.slices, target=settings.features.target)
    changes: tuple[MetricChange, ...] = ()
    yardstick = baseline.yardstick if baseline is not None else None
    if yardstick is None:
        text = "the answers were not compared with those at push: no out-of-time evaluation was stored"
        gaps = [NotCompared(subject="performance", text=text)]
    else:
        changes, gaps = yardstick.compare(evaluation, settings.policy)
    return Performance(labelled=int(known.sum()), evaluation=evaluation, changes=changes), gaps


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
