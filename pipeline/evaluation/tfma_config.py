"""The EvaluationSpec in TFMA's own terms, for the stock Evaluator and for whoever opens the results with TFMA.

Needs only TFMA's message types; TensorFlow comes with them (the package's __init__ imports it).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from google.protobuf import wrappers_pb2

from models.target import Target, TaskName
from models.thresholds import Thresholds
from pipeline.evaluation import registry
from pipeline.evaluation.binary_metrics import BUCKETS
from pipeline.evaluation.registry import CLASS_SUMS, NUMBER_SUMS
from pipeline.evaluation.spec import EvaluationSpec

CANDIDATE, BASELINE = "candidate", "baseline"
"""TFMA's model names where two models are evaluated; a model evaluated alone has the empty name."""

PREDICT_SIGNATURE = "serve_examples"
TRANSFORM_SIGNATURE = "transform_features"
LABEL = "label_xf"
WEIGHT = "weight_xf"

EvalConfig = Any  # tfma.EvalConfig: TFMA is not imported for a type.


def eval_config(spec: EvaluationSpec, target: Target, *, has_baseline: bool | None = None) -> EvalConfig:
    """Returns the tfma.EvalConfig of a spec: models, slices, metrics, plots and the thresholds over the whole split.

    The thresholds per slice are not part of it: TFMA cannot leave slices with few examples unjudged. The judge
    applies them (pipeline/evaluation/judge.py).

    Args:
      spec: what dataset.toml says.
      target: what is predicted.
      has_baseline: whether a live model is evaluated too. None, for a pipeline that learns this at run time: the
        config names both models, and TFX's executor drops what is not there.
    """
    from tensorflow_model_analysis.proto import config_pb2

    config = config_pb2.EvalConfig()
    names = (CANDIDATE, BASELINE) if has_baseline is None or has_baseline else ("",)
    for name in names:
        config.model_specs.add(
            name=name,
            signature_name=PREDICT_SIGNATURE,
            label_key=LABEL,
            prediction_key=PREDICTIONS[target.task],
            example_weight_key=WEIGHT if target.weight else "",
            preprocessing_function_names=[TRANSFORM_SIGNATURE],
            is_baseline=name == BASELINE,
        )
    config.slicing_specs.add()
    for columns in spec.slices:
        config.slicing_specs.add(feature_keys=columns)
    metrics = config.metrics_specs.add()
    if has_baseline is not None:
        metrics.model_names.extend(names)
    by_name = _add_metrics(metrics, target.task)
    if target.weight:
        _count_rows(config)
    for plot in _PLOTS[target.task]:
        metrics.metrics.add(class_name=plot)
    _set_thresholds(by_name, spec, target.task, has_baseline=has_baseline is not False)
    config.options.compute_confidence_intervals.CopyFrom(wrappers_pb2.BoolValue(value=spec.bootstraps > 0))
    config.options.confidence_intervals.method = config_pb2.ConfidenceIntervalOptions.POISSON_BOOTSTRAP
    return config


def _add_metrics(metrics: Any, task: TaskName) -> dict[str, Any]:  # Any: TFMA's messages.
    """Adds what measures a task; returns by name what measures one metric alone, which may have a threshold."""
    by_name = {}
    for item in registry.of_task(task):
        kind = item.tfma_of(task)
        if kind in (CLASS_SUMS, NUMBER_SUMS):
            if kind not in {metric.class_name for metric in metrics.metrics}:
                metrics.metrics.add(class_name=kind, module=_MODULES[kind])
        elif kind:
            config = _CONFIGS.get(task, {}).get(item.name)
            by_name[item.name] = metrics.metrics.add(
                class_name=kind, module=_MODULES.get(kind, ""), config=json.dumps(config) if config else ""
            )
    return by_name


def _count_rows(config: EvalConfig) -> None:
    """Counts rows as one each, whatever their weight: slices are judged from a number of rows on."""
    weighted = config.metrics_specs[0]
    kept = [metric for metric in weighted.metrics if metric.class_name != "ExampleCount"]
    del weighted.metrics[:]
    weighted.metrics.extend(kept)
    counted = config.metrics_specs.add(model_names=weighted.model_names)
    counted.metrics.add(class_name="ExampleCount")
    counted.example_weights.unweighted = True


def set_answer_thresholds(config: EvalConfig, thresholds: Mapping[str, Thresholds]) -> None:
    """Measures, in a config of `eval_config`, what each model answers, by its own threshold or factors.

    Args:
      thresholds: by TFMA's model name.
    """
    specs = config.metrics_specs[0]
    found = [metric for metric in specs.metrics if metric.class_name in _OF_ANSWERS]
    if len({one.values for one in thresholds.values()}) > 1:
        kept = [metric for metric in specs.metrics if metric.class_name not in _OF_ANSWERS]
        del specs.metrics[:]
        specs.metrics.extend(kept)
        for model in thresholds:
            config.metrics_specs.add(model_names=[model], metrics=found)
    for index, part in enumerate(config.metrics_specs):
        for metric in part.metrics:
            if metric.class_name in _OF_ANSWERS:
                own = thresholds[part.model_names[0] if index else next(iter(thresholds))]
                # TFMA calls what lies above a threshold; a model answers 1 from it on.
                below = float(np.nextafter(np.float32(own.of_binary), np.float32(0)))
                value = list(own.values) if metric.class_name == CLASS_SUMS else below
                metric.config = json.dumps({_OF_ANSWERS[metric.class_name]: value})


def _set_thresholds(by_name: Mapping[str, Any], spec: EvaluationSpec, task: TaskName, *, has_baseline: bool) -> None:
    """Writes the floors and drops of the metrics that TFMA measures; it knows no noise, so the judge has the say."""
    from tensorflow_model_analysis.proto import config_pb2

    for name, limit in spec.floors_of(task).items():
        if name in by_name:
            bound = by_name[name].threshold.value_threshold
            (bound.lower_bound if registry.METRICS[name].better == "higher" else bound.upper_bound).value = limit
    for name, most in spec.drops_of(task).items():
        definition = registry.METRICS[name]
        if name in by_name and has_baseline:
            change = by_name[name].threshold.change_threshold
            is_higher = definition.better == "higher"
            directions = config_pb2.MetricDirection
            change.direction = directions.HIGHER_IS_BETTER if is_higher else directions.LOWER_IS_BETTER
            (change.relative if definition.is_relative else change.absolute).value = -most if is_higher else most


_CONFIGS: Mapping[TaskName, Mapping[str, Mapping[str, str | float]]] = {
    "binary": {
        "recall_at_precision": {"precision": registry.PRECISION, "num_thresholds": BUCKETS},
        "brier_score": {"name": "brier_score"},
    }
}
_MODULES = {
    "ExpectedCalibrationError": "pipeline.evaluation.tfma_calibration",
    CLASS_SUMS: "pipeline.evaluation.tfma_metrics",
    NUMBER_SUMS: "pipeline.evaluation.tfma_metrics",
}
_OF_ANSWERS: Mapping[str, str] = {
    "BinaryAccuracy": "threshold",
    "Precision": "thresholds",
    "Recall": "thresholds",
    "F1Score": "thresholds",
    "MatthewsCorrelationCoefficient": "thresholds",
    CLASS_SUMS: "factors",
}
"""Metrics of what a model answers, and what TFMA, or our own, calls that by which it does."""
PREDICTIONS: Mapping[TaskName, str] = {"binary": "probability", "multiclass": "probabilities", "regression": "value"}
_PLOTS: Mapping[TaskName, tuple[str, ...]] = {
    "binary": ("CalibrationPlot", "ConfusionMatrixPlot"),
    "multiclass": ("MultiClassConfusionMatrixPlot",),
    "regression": (),
}
