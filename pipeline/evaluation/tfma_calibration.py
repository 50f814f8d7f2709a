"""Expected calibration error as a TFMA metric, because TFMA 0.52 has none.

TFMA finds the class by the module's name in the EvalConfig, on Beam workers too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from tensorflow_model_analysis.metrics import calibration_histogram, metric_types, metric_util
from tensorflow_model_analysis.proto import config_pb2

from pipeline.evaluation.binary_metrics import calibration_error
from pipeline.evaluation.registry import CALIBRATION_ERROR


class ExpectedCalibrationError(metric_types.Metric):
    """The mean distance between predicted and observed rate over ten equal bins of the probability."""

    def __init__(self, name: str = CALIBRATION_ERROR) -> None:
        super().__init__(metric_util.merge_per_key_computations(_computations), name=name)


metric_types.register_metric(ExpectedCalibrationError)


def _computations(
    name: str = CALIBRATION_ERROR,
    eval_config: config_pb2.EvalConfig | None = None,
    model_name: str = "",
    output_name: str = "",
    sub_key: metric_types.SubKey | None = None,
    aggregation_type: metric_types.AggregationType | None = None,
    class_weights: dict[int, float] | None = None,
    example_weighted: bool = False,
) -> metric_types.MetricComputations:
    """Derives the metric from the histogram of 10,000 buckets that TFMA's AUC uses as well."""
    key = metric_types.MetricKey(
        name=name,
        model_name=model_name,
        output_name=output_name,
        sub_key=sub_key,
        aggregation_type=aggregation_type,
        example_weighted=example_weighted,
    )
    computations = calibration_histogram.calibration_histogram(
        eval_config=eval_config,
        model_name=model_name,
        output_name=output_name,
        sub_key=sub_key,
        aggregation_type=aggregation_type,
        class_weights=class_weights,
        example_weighted=example_weighted,
    )
    histogram_key = computations[-1].keys[-1]

    def result(metrics: Mapping[Any, Any]) -> dict[Any, float]:  # Any: TFMA's metrics by its untyped keys.
        buckets = metrics[histogram_key]
        return {
            key: calibration_error(
                np.array([bucket.bucket_id for bucket in buckets], np.int64),
                np.array([bucket.weighted_examples for bucket in buckets], np.float64),
                np.array([bucket.weighted_labels for bucket in buckets], np.float64),
                np.array([bucket.weighted_predictions for bucket in buckets], np.float64),
            )
        }

    return [*computations, metric_types.DerivedMetricComputation(keys=[key], result=result)]
