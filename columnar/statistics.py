"""TFDV's statistics over streamed Arrow batches, without Beam."""

import operator
from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa
from tensorflow_data_validation.statistics import stats_impl
from tensorflow_data_validation.statistics.generators import (
    basic_stats_generator,
    top_k_uniques_sketch_stats_generator,
)
from tensorflow_data_validation.statistics.stats_options import StatsOptions
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2
from tfx_bsl.arrow import array_util

from columnar.exact_top_k import ExactTopKGenerator
from columnar.examples import as_lists


def statistics_of(
    batches: Iterable[pa.RecordBatch], schema: schema_pb2.Schema | None = None, options: StatsOptions | None = None
) -> statistics_pb2.DatasetFeatureStatisticsList:
    """Returns the statistics of a stream of batches, each seen once; memory follows the distinct values.

    Args:
      batches: list columns as tf.Examples decode to, or flat columns.
      schema: which integers are categorical, and domains; replaces the one in `options`.
      options: TFDV's options, such that `can_stream` is true of them.
    """
    options = StatsOptions() if options is None else StatsOptions.from_json(options.to_json())
    if schema is not None:
        options.schema = schema
    generators = _generators(options)
    accumulators = [generator.create_accumulator() for generator in generators]
    for batch in batches:
        lists = _select(as_lists(batch), options)
        for index, generator in enumerate(generators):
            accumulators[index] = generator.add_input(accumulators[index], lists)
            _count_lengths_by_value(accumulators[index])
    return stats_impl.extract_statistics_output(accumulators, generators)


def can_stream(options: StatsOptions) -> bool:
    """Returns whether `statistics_of` can honour the options: example weights, slices, samples, lift, sketches and
    semantic domains need TFDV's Beam transforms."""
    return not (
        options.label_feature
        or options.sample_rate
        or options.slicing_config
        or options.experimental_slice_functions
        or options.example_weight_map.all_weight_features()
        or options.use_sketch_based_topk_uniques
        or options.enable_semantic_domain_stats
    )


def _generators(options: StatsOptions) -> list[Any]:  # Any: TFDV's generators are untyped.
    sketch = top_k_uniques_sketch_stats_generator.TopKUniquesSketchStatsGenerator
    generators = stats_impl.get_generators(options, in_memory=True)
    exact = [ExactTopKGenerator(options)] if options.add_default_generators else []
    return [generator for generator in generators if not isinstance(generator, sketch)] + exact


class _StringStats(basic_stats_generator._PartialStringStats):
    """TFDV's sums of lengths, without a Python call for each integer of a categorical feature: a third of the time."""

    __slots__ = ()

    def update(self, feature_array: pa.Array) -> None:
        values, _ = array_util.flatten_nested(feature_array)
        if not pa.types.is_integer(values.type):
            super().update(feature_array)
            return
        counted = values.value_counts()
        lengths = [len(str(value)) for value in counted.field("values").to_pylist()]
        self.total_bytes_length += sum(map(operator.mul, lengths, counted.field("counts").to_pylist()))


def _count_lengths_by_value(accumulator: Any) -> None:  # Any: as above; only BasicStatsGenerator's has such parts.
    for part in accumulator.values() if isinstance(accumulator, Mapping) else ():
        theirs = getattr(part, "string_stats", None)
        if type(theirs) is basic_stats_generator._PartialStringStats:
            part.string_stats = _StringStats()
            part.string_stats += theirs


def _select(batch: pa.RecordBatch, options: StatsOptions) -> pa.RecordBatch:
    if not options.feature_allowlist:
        return batch
    return batch.select([name for name in options.feature_allowlist if name in batch.schema.names])
