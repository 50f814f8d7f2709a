"""TFMA's result files, so that whatever reads the stock Evaluator's results reads ours.

Written with TFMA's own converters; `tfma.load_eval_result` and `tfma.load_validation_result` read them.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_model_analysis.api import types as tfma_types
from tensorflow_model_analysis.metrics import metric_types
from tensorflow_model_analysis.proto import validation_result_pb2
from tensorflow_model_analysis.slicer import slicer_lib
from tensorflow_model_analysis.writers import eval_config_writer
from tensorflow_model_analysis.writers import metrics_plots_and_validations_writer as writer

from columnar.examples import matching
from pipeline.evaluation.binary_metrics import BUCKETS
from pipeline.evaluation.curves import Histogram
from pipeline.evaluation.judge import Judgement, slice_name
from pipeline.evaluation.metrics import Metric, SliceKey
from pipeline.evaluation.registry import AUC

ByModel = Mapping[str, Mapping[SliceKey, Mapping[str, Metric]]]
# TFMA's own answer where all labels are equal. The judge does not take it for an AUC.
_ZERO_WHERE_UNDEFINED = frozenset({AUC, "auc_precision_recall", "recall_at_precision"})

EvalConfig = Any  # tfma.EvalConfig: a generated message without types.


def write(
    folder: str,
    results: ByModel,
    judgement: Judgement,
    eval_config: EvalConfig,
    *,
    data_location: str,
    model_locations: Mapping[str, str],
    bootstraps: int,
) -> None:
    """Writes metrics, validation and configuration of an evaluation.

    Args:
      results: TFMA's model name to slice to metrics; where there are two models, candidate and baseline.
    """
    tf.io.gfile.makedirs(folder)
    records = _metric_records(results, bootstraps)
    _write_records(os.path.join(folder, "metrics-00000-of-00001.tfrecord"), records)
    _write_records(os.path.join(folder, "plots-00000-of-00001.tfrecord"), [])
    write_validation(folder, judgement, [key for by_slice in results.values() for key in by_slice])
    run = eval_config_writer._serialize_eval_run(  # The public writer is a Beam transform.
        eval_config, data_location, "tfrecords_gzip", dict(model_locations)
    )
    with tf.io.gfile.GFile(os.path.join(folder, "eval_config.json"), "w") as file:
        file.write(run)


def write_validation(folder: str, judgement: Judgement, keys: Iterable[SliceKey]) -> None:
    """Writes the judgement as TFMA's ValidationResult, in place of what may be there.

    Args:
      keys: of every slice that was measured.
    """
    for old in matching(folder, "validations*"):
        tf.io.gfile.remove(old)
    result = validation_result_pb2.ValidationResult(validation_ok=judgement.blessed)
    by_name = {slice_name(key): key for key in keys}
    for row in judgement.slices:
        key = by_name.get(row.slice, ())
        if row.status == "not judged":
            continue
        detail = result.validation_details.slicing_details.add(num_matching_slices=1)
        detail.slicing_spec.feature_values.update({column: str(value) for column, value in key})
        if row.status == "failed":
            failures = result.metric_validations_per_slice.add()
            failures.slice_key.CopyFrom(slicer_lib.serialize_slice_key(key))
            for metric in row.failed or (row.metric,):
                failures.failures.add(message=row.why).metric_key.name = metric
    _write_records(os.path.join(folder, "validations.tfrecord"), [result.SerializeToString()])


def read_results(folder: str) -> dict[str, dict[SliceKey, dict[str, Metric]]]:
    """Reads metrics that TFMA, or `write`, has left: model name to slice to metrics."""
    found: dict[str, dict[SliceKey, dict[str, Metric]]] = {}
    for record in writer.load_and_deserialize_metrics(folder):
        key = tuple((str(column), value) for column, value in slicer_lib.deserialize_slice_key(record.slice_key))
        for item in record.metric_keys_and_values:
            if item.key.is_diff or not item.value.HasField("double_value"):
                continue
            deviation = None
            if item.HasField("confidence_interval"):
                error = item.confidence_interval.standard_error.double_value.value
                deviation = None if math.isnan(error) else error
            metrics = found.setdefault(item.key.model_name, {}).setdefault(key, {})
            metrics[item.key.name] = Metric(value=item.value.double_value.value, deviation=deviation)
    return found


def read_histograms(folder: str) -> dict[str, Histogram]:
    """Reads the histogram of predictions that TFMA's calibration plot holds, of the whole split, by model name."""
    found = {}
    for record in writer.load_and_deserialize_plots(folder):
        if record.slice_key.single_slice_keys:
            continue
        for item in record.plot_keys_and_values:
            buckets = item.value.calibration_histogram_buckets.buckets
            if buckets:
                found[item.key.model_name] = _histogram(buckets)
    return found


def _histogram(buckets: Iterable[Any]) -> Histogram:  # Any: CalibrationHistogramBuckets.Bucket.
    """Returns TFMA's buckets, of which it leaves out what is empty, in our fixed places."""
    rows, positives, predictions = np.zeros((3, BUCKETS + 1))
    for bucket in buckets:
        place = round(min(max(bucket.lower_threshold_inclusive * BUCKETS, 0.0), BUCKETS))  # The first begins at -inf.
        rows[place] += bucket.num_weighted_examples.value
        positives[place] += bucket.total_weighted_label.value
        predictions[place] += bucket.total_weighted_refined_prediction.value
    return Histogram(rows=rows, positives=positives, predictions=predictions)


def _metric_records(results: ByModel, bootstraps: int) -> list[bytes]:
    records = []
    keys = sorted({key for by_slice in results.values() for key in by_slice}, key=slice_name)
    for key in keys:
        values: dict[Any, Any] = {}  # Any: TFMA's metrics by its keys.
        for model, by_slice in results.items():
            for name, metric in by_slice.get(key, {}).items():
                values[metric_types.MetricKey(name=name, model_name=model)] = _value(name, metric, bootstraps)
        values |= _differences(results, key)
        records.append(writer.convert_slice_metrics_to_proto((key, values), None).SerializeToString())
    return records


def _differences(results: ByModel, key: SliceKey) -> dict[Any, float]:  # Any: TFMA's key.
    """Returns candidate minus baseline, as TFMA reports change."""
    if len(results) < 2:
        return {}
    (candidate, of_candidate), (_, of_baseline) = results.items()
    now, before = of_candidate.get(key, {}), of_baseline.get(key, {})
    return {
        metric_types.MetricKey(name=name, model_name=candidate, is_diff=True): now[name].value - before[name].value
        for name in now
        if name in before
    }


def _value(name: str, metric: Metric, bootstraps: int) -> Any:  # Any: a float, or TFMA's value with its distribution.
    if math.isnan(metric.value):
        return 0.0 if name in _ZERO_WHERE_UNDEFINED else metric.value
    if metric.deviation is None:
        return metric.value
    return tfma_types.ValueWithTDistribution(
        sample_mean=metric.value,
        sample_standard_deviation=metric.deviation,
        sample_degrees_of_freedom=bootstraps - 1,
        unsampled_value=metric.value,
    )


def _write_records(path: str, records: list[bytes]) -> None:
    with tf.io.TFRecordWriter(path) as file:
        for record in records:
            file.write(record)
