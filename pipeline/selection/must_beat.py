"""Measures the baseline that a candidate must beat, fitted on the rows that the candidate was trained on."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping

import numpy as np
import pyarrow as pa

from models.features import FeatureSpec
from models.target import TaskName
from pipeline.evaluation import metrics, registry
from pipeline.evaluation.bar import Bar
from pipeline.evaluation.metrics import Metric, Sample
from pipeline.evaluation.spec import EvaluationSpec
from pipeline.selection import baselines
from pipeline.selection.fold_rows import labelled, targets

METRICS: Mapping[TaskName, str] = {**registry.MAIN, "multiclass": registry.LOSS["multiclass"]}
"""By which metric a candidate must be better: the main one. But of classes their log loss, since where one class is
frequent, useful probabilities answer it for every row as no model does, and with the same accuracy."""
ReadTrain = Callable[[Collection[str]], pa.Table]


def measure(
    features: FeatureSpec,
    spec: EvaluationSpec,
    overall: Mapping[str, Metric],
    read_rows: Callable[[], pa.Table],
    predict: Callable[[pa.Table], np.ndarray],
    read_train: ReadTrain,
) -> Bar | None:
    """Returns the bar; None where the candidate has no value to be held to it.

    No model at all has an AUC of exactly 0.5, on any rows: there nothing is read, fitted or predicted.

    Args:
      overall: the candidate's metrics over all evaluation rows.
      read_rows: returns the evaluation rows, flat columns; those without a label are left out.
      predict: answers as the candidate does.
      read_train: returns the train rows, with these columns, as the candidate was trained on them.
    """
    metric = METRICS[features.task]
    if metric not in overall or not math.isfinite(overall[metric].value):
        return None
    candidate, name = overall[metric], spec.must_beat
    if name == "majority" and features.task == "binary":
        return Bar(baseline=name, metric=metric, candidate=candidate.value, value=0.5, error=candidate.deviation)
    target = features.target
    columns = target.columns if name == "majority" else features.columns
    train = labelled(read_train(columns), target)
    rows = labelled(read_rows(), target)
    model = baselines.baseline(name, features, spec.seed)
    model.fit(train, *targets(train, target))
    labels, weights = targets(rows, target)
    sample = Sample(
        labels=labels,
        predictions={
            "candidate": np.asarray(predict(rows), np.float64),
            "baseline": np.asarray(model.predict(rows), np.float64),
        },
        weights=weights,
    )
    measured = metrics.measure(sample, target, spec.bootstraps, spec.seed)
    found = measured["baseline"][metric]
    if not math.isfinite(found.value):
        return None
    return Bar(
        baseline=name,
        metric=metric,
        candidate=measured["candidate"][metric].value,
        value=found.value,
        error=found.difference_deviation,
    )
