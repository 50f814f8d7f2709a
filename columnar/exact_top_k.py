"""Counts the distinct values of string and categorical features exactly, over streamed batches.

TFDV has two generators for this: a Beam transform that is exact, which stock StatisticsGen uses, and a sketch for
statistics in memory, whose counts are approximate above 1,024 distinct values. This one is exact and in memory.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc
from tensorflow_data_validation import types
from tensorflow_data_validation.arrow import arrow_util
from tensorflow_data_validation.statistics.generators import stats_generator
from tensorflow_data_validation.statistics.stats_options import StatsOptions
from tensorflow_data_validation.utils import schema_util, stats_util, top_k_uniques_stats_util
from tensorflow_metadata.proto.v0 import statistics_pb2

# Counts of single batches are added up once they have grown to this many rows: memory follows the distinct values.
_PENDING_ROWS = 1 << 18


@dataclass
class _Counts:
    """Counts of one feature's values: parts that may repeat a value, and how many rows those have."""

    parts: list[pa.Table] = field(default_factory=list)
    rows: int = 0

    def add(self, part: pa.Table) -> None:
        self.parts.append(part)
        self.rows += part.num_rows
        if len(self.parts) > 1 and self.rows > max(_PENDING_ROWS, 2 * self.parts[0].num_rows):
            self.merge()

    def merge(self) -> pa.Table:
        """Returns one row per value."""
        if len(self.parts) > 1:
            grouped = pa.concat_tables(self.parts).group_by("value").aggregate([("count", "sum")])
            self.parts = [grouped.rename_columns({"value": "value", "count_sum": "count"})]
            self.rows = self.parts[0].num_rows
        return self.parts[0]


_Accumulator = dict[types.FeaturePath, _Counts]


class ExactTopKGenerator(stats_generator.CombinerStatsGenerator):
    """Most frequent values and number of distinct values, as TFDV's TopKUniquesStatsGenerator has them."""

    def __init__(self, options: StatsOptions) -> None:
        super().__init__("ExactTopKGenerator", options.schema)
        self._options = options
        schema = options.schema
        self._bytes_features = frozenset(schema_util.get_bytes_features(schema) if schema else ())
        self._categorical = schema_util.get_categorical_numeric_feature_types(schema) if schema else {}

    def create_accumulator(self) -> _Accumulator:
        return {}

    def add_input(self, accumulator: _Accumulator, batch: pa.RecordBatch) -> _Accumulator:
        for path, lists, _ in arrow_util.enumerate_arrays(batch, example_weight_map=None, enumerate_leaves_only=True):
            kind = stats_util.get_feature_type_from_arrow_type(path, lists.type)
            if path in self._bytes_features or not self._is_counted(path, kind):
                continue
            counted = lists.flatten().value_counts()
            if len(counted):
                part = pa.table({"value": counted.field("values"), "count": counted.field("counts")})
                accumulator.setdefault(path, _Counts()).add(part)
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[_Accumulator]) -> _Accumulator:
        result: _Accumulator = {}
        for accumulator in accumulators:
            for path, counts in accumulator.items():
                for part in counts.parts:
                    result.setdefault(path, _Counts()).add(part)
        return result

    def extract_output(self, accumulator: _Accumulator) -> statistics_pb2.DatasetFeatureStatistics:
        result = statistics_pb2.DatasetFeatureStatistics()
        for path, counts in accumulator.items():
            merged = counts.merge()
            kept = max(self._options.num_top_values, self._options.num_rank_histogram_buckets)
            order = pc.sort_indices(merged, sort_keys=[("count", "descending"), ("value", "descending")])
            top = merged.take(order[:kept])
            pairs = zip(top["value"].to_pylist(), top["count"].to_pylist(), strict=True)
            result.features.add().CopyFrom(
                top_k_uniques_stats_util.make_feature_stats_proto_topk_uniques(
                    feature_path=path,
                    num_top_values=self._options.num_top_values,
                    num_rank_histogram_buckets=self._options.num_rank_histogram_buckets,
                    num_unique=merged.num_rows,
                    value_count_list=[top_k_uniques_stats_util.FeatureValueCount(*pair) for pair in pairs],
                    frequency_threshold=self._options.frequency_threshold,
                )
            )
        return result

    def _is_counted(self, path: types.FeaturePath, kind: int | None) -> bool:
        """Strings, and integers that the schema calls categorical; stock TFX does not count floats either."""
        if kind == statistics_pb2.FeatureNameStatistics.STRING:
            return True
        categorical = top_k_uniques_stats_util.output_categorical_numeric(self._categorical, path, kind)
        return bool(categorical) and kind == statistics_pb2.FeatureNameStatistics.INT
