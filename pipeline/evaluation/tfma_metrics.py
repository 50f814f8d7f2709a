"""Metrics of several classes and of numbers that TFMA 0.52 lacks, as TFMA metrics, from the local engine's own sums.

TFMA finds the classes by the module's name in the EvalConfig, on Beam workers too.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
import numpy.typing as npt
from tensorflow_model_analysis.metrics import metric_types, metric_util
from tensorflow_model_analysis.proto import config_pb2

from models.target import TaskName
from models.thresholds import Thresholds
from pipeline.evaluation import class_metrics, number_metrics, registry
from pipeline.evaluation.registry import CLASS_SUMS, NUMBER_SUMS

Floats = npt.NDArray[np.float64]


class ClassSums(metric_types.Metric):
    """What the registry has of several classes and TFMA has not.

    Attributes:
      factors: of the classes' probabilities, by which the model answers; empty for the most probable class.
    """

    def __init__(self, name: str = "class_sums", factors: Sequence[float] = ()) -> None:
        computations = metric_util.merge_per_key_computations(_of_classes)
        super().__init__(computations, name=name, factors=tuple(factors))


class NumberSums(metric_types.Metric):
    """What the registry has of a number's value and TFMA has not."""

    def __init__(self, name: str = "number_sums") -> None:
        super().__init__(metric_util.merge_per_key_computations(_of_numbers), name=name)


metric_types.register_metric(ClassSums)
metric_types.register_metric(NumberSums)


class _Sums(beam.CombineFn):  # type: ignore[misc]  # Beam has no types.
    """Adds up what the metrics of one model and slice are computed from.

    Attributes:
      sums: labels (rows,), predictions (rows, outputs) and weights (rows,) to sums that add up.
      metrics: sums and the number of outputs to values by name.
    """

    def __init__(
        self,
        keys: Sequence[Any],  # Any: metric_types.MetricKey, which has no types.
        sums: Callable[[Floats, Floats, Floats], Floats],
        metrics: Callable[[Floats, int], dict[str, float]],
        eval_config: config_pb2.EvalConfig | None,
    ) -> None:
        self._keys, self._sums, self._metrics, self._eval_config = keys, sums, metrics, eval_config

    def create_accumulator(self) -> tuple[Floats, int]:
        return np.zeros(1), 0

    def add_input(self, accumulator: tuple[Floats, int], element: Any) -> tuple[Floats, int]:
        key = self._keys[0]
        rows = metric_util.to_label_prediction_example_weight(
            element,
            eval_config=self._eval_config,
            model_name=key.model_name,
            output_name=key.output_name,
            example_weighted=key.example_weighted,
            flatten=False,
        )
        for label, prediction, weight in rows:
            values = np.asarray(prediction, np.float64).reshape(1, -1)
            added = self._sums(np.reshape(label, 1).astype(np.float64), values, np.reshape(weight, 1))
            accumulator = accumulator[0] + added, values.shape[1]
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[tuple[Floats, int]]) -> tuple[Floats, int]:
        merged = self.create_accumulator()
        for summed, outputs in accumulators:
            merged = merged[0] + summed, max(merged[1], outputs)
        return merged

    def extract_output(self, accumulator: tuple[Floats, int]) -> dict[Any, float]:
        summed, outputs = accumulator
        found = self._metrics(summed, outputs) if outputs and summed.any() else {}
        return {key: found.get(key.name, float("nan")) for key in self._keys}


def _computations(
    task: TaskName,
    kind: str,
    sums: Callable[..., Floats],
    metrics: Callable[[Floats, int], dict[str, float]],
    name: str = "",  # noqa: ARG001  # TFMA gives it; each metric has its own.
    eval_config: config_pb2.EvalConfig | None = None,
    model_name: str = "",
    output_name: str = "",
    example_weighted: bool = False,
    factors: Sequence[float] = (),
    **_: Any,  # Any: what TFMA gives besides, for sub keys and aggregations that no metric here has.
) -> metric_types.MetricComputations:
    keys = [
        metric_types.MetricKey(
            name=item.name, model_name=model_name, output_name=output_name, example_weighted=example_weighted
        )
        for item in registry.of_task(task)
        if item.tfma_of(task) == kind
    ]
    if factors:
        sums = functools.partial(sums, thresholds=Thresholds(values=tuple(factors)))
    combiner = _Sums(keys, sums, metrics, eval_config)
    return [metric_types.MetricComputation(keys=keys, preprocessors=None, combiner=combiner)]


_of_classes = functools.partial(_computations, "multiclass", CLASS_SUMS, class_metrics.sums, class_metrics.of_sums)
_of_numbers = functools.partial(
    _computations, "regression", NUMBER_SUMS, number_metrics.sums, lambda summed, _: number_metrics.of_sums(summed)
)
