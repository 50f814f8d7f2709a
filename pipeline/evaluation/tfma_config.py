"""The EvaluationSpec in TFMA's own terms, for the stock Evaluator and for whoever opens the results with TFMA.

Needs only TFMA's message types; TensorFlow comes with them (the package's __init__ imports it).
"""

from __future__ import annotations

from typing import Any

from google.protobuf import wrappers_pb2

from pipeline.evaluation.spec import EvaluationSpec

CANDIDATE, BASELINE = "candidate", "baseline"
"""TFMA's model names where two models are evaluated; a model evaluated alone has the empty name."""

PREDICT_SIGNATURE = "serve_examples"
TRANSFORM_SIGNATURE = "transform_features"
LABEL = "label_xf"
PREDICTION = "probability"

EvalConfig = Any  # tfma.EvalConfig: TFMA is not imported for a type.


def eval_config(spec: EvaluationSpec, *, has_baseline: bool | None = None) -> EvalConfig:
    """Returns the tfma.EvalConfig of a spec: models, slices, metrics, plots and the thresholds over the whole split.

    The thresholds per slice are not part of it: TFMA cannot leave slices with few examples unjudged. The judge
    applies them (pipeline/evaluation/judge.py).

    Args:
      spec: what dataset.toml says.
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
            prediction_key=PREDICTION,
            preprocessing_function_names=[TRANSFORM_SIGNATURE],
            is_baseline=name == BASELINE,
        )
    config.slicing_specs.add()
    for columns in spec.slices:
        config.slicing_specs.add(feature_keys=columns)
    metrics = config.metrics_specs.add()
    if has_baseline is not None:
        metrics.model_names.extend(names)
    for class_name, settings in _METRICS:
        metrics.metrics.add(class_name=class_name, config=settings)
    metrics.metrics.add(class_name="ExpectedCalibrationError", module="pipeline.evaluation.tfma_calibration")
    by_name = {metric.class_name: metric for metric in metrics.metrics}
    auc = by_name["AUC"].threshold
    auc.value_threshold.lower_bound.value = spec.min_auc
    if has_baseline is not False:
        auc.change_threshold.direction = config_pb2.MetricDirection.HIGHER_IS_BETTER
        auc.change_threshold.absolute.value = -spec.max_auc_drop
    by_name["ExpectedCalibrationError"].threshold.value_threshold.upper_bound.value = spec.max_calibration_error
    config.options.compute_confidence_intervals.CopyFrom(wrappers_pb2.BoolValue(value=spec.bootstraps > 0))
    config.options.confidence_intervals.method = config_pb2.ConfidenceIntervalOptions.POISSON_BOOTSTRAP
    return config


_METRICS = (
    ("ExampleCount", ""),
    ("AUC", ""),
    ("AUCPrecisionRecall", ""),
    ("BinaryAccuracy", ""),
    ("BinaryCrossentropy", ""),
    ("Calibration", ""),
    ("MeanLabel", ""),
    ("MeanPrediction", ""),
    ("CalibrationPlot", ""),
    ("ConfusionMatrixPlot", ""),
)
