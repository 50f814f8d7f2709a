"""StatisticsGen of the local engine: TFX's component and artifact, statistics from whole shards without Beam."""

import os
from typing import Any

from tensorflow_data_validation.statistics.stats_options import StatsOptions
from tfx.components.statistics_gen import executor as statistics_gen
from tfx.components.statistics_gen import executor as stock
from tfx.components.statistics_gen.component import StatisticsGen
from tfx.components.util import examples_utils
from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
from tfx.dsl.components.base.base_executor import BaseExecutor
from tfx.dsl.components.base.executor_spec import BeamExecutorSpec, ExecutorClassSpec
from tfx.dsl.io import fileio
from tfx.types import Artifact, artifact_utils
from tfx.utils import io_utils, json_utils

from columnar.examples import iter_list_batches, split_paths
from columnar.statistics import can_stream, statistics_of
from pipeline.components.beam_reads import spread_reads
from pipeline.ingest.reuse import Reusable

ExecProperties = dict[str, Any]  # TFX's own type.
Artifacts = dict[str, list[Artifact]]

_measured: Reusable[bytes] = Reusable(most=4)


class LocalExecutor(BaseExecutor):
    """Writes what the stock executor writes. Options that need Beam transforms go to the stock executor.

    Not a Beam executor: TFX packs itself up for Beam's workers whenever it makes one of those, which takes 1.5 s.
    """

    def Do(self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: ExecProperties) -> None:
        """Computes one `Split-<name>/FeatureStats.pb` per split that is not excluded."""
        examples = artifact_utils.get_single_instance(input_dict["examples"])
        options = _options(input_dict, exec_properties)
        custom_pattern = examples.has_custom_property(examples_utils.CUSTOM_SPLIT_PATTERN_PROPERTY_NAME)
        sampled = json_utils.loads(exec_properties.get("sample_rate_by_split") or "null")
        if custom_pattern or sampled or not can_stream(options):
            _stock_executor().Do(input_dict, output_dict, exec_properties)
            return
        self._log_startup(input_dict, output_dict, exec_properties)
        excluded = json_utils.loads(exec_properties.get("exclude_splits") or "null") or []
        splits = [name for name in artifact_utils.decode_split_names(examples.split_names) if name not in excluded]
        statistics = artifact_utils.get_single_instance(output_dict["statistics"])
        statistics.split_names = artifact_utils.encode_split_names(splits)
        statistics.span = examples.span
        statistics.set_string_custom_property(stock.STATS_DASHBOARD_LINK, "")
        rates = json_utils.dumps(dict.fromkeys(splits, 1.0))
        statistics.set_json_value_custom_property(stock.SAMPLE_RATE_BY_SPLIT_PROPERTY_NAME, rates)
        for split in splits:
            result = measured(split_paths(examples.uri, split), options)
            folder = artifact_utils.get_split_uri([statistics], split)
            fileio.makedirs(folder)
            io_utils.write_bytes_file(os.path.join(folder, stock.DEFAULT_FILE_NAME), result)


def measured(shards: list[str], options: StatsOptions) -> bytes:
    """Returns the serialized statistics of these shards.

    A training window links the shards of the span that the run has just measured. Where it is made of nothing else, its
    statistics are those, and are not computed again.
    """
    how = options.to_json()
    result = _measured.get(shards, how)
    if result is None:
        result = bytes(statistics_of(iter_list_batches(shards), options=options).SerializeToString())
        _measured.put(shards, how, result)
    return result


def local_statistics_gen(**channels: Any) -> StatisticsGen:  # Any: StatisticsGen's own arguments.
    """Returns TFX's StatisticsGen with the local executor. Takes StatisticsGen's arguments."""
    component = StatisticsGen(**channels)
    component.executor_spec = ExecutorClassSpec(LocalExecutor)
    return component


def _stock_executor() -> stock.Executor:
    return stock.Executor(BaseBeamExecutor.Context(beam_pipeline_args=["--runner=FnApiRunner"]))


def _options(input_dict: Artifacts, exec_properties: ExecProperties) -> StatsOptions:
    options_json = exec_properties.get("stats_options_json")
    options = StatsOptions.from_json(options_json) if options_json else StatsOptions()
    if input_dict.get("schema"):
        if options.schema:
            raise ValueError("A schema came both as an input and in stats_options. Give one of them.")
        folder = artifact_utils.get_single_uri(input_dict["schema"])
        options.schema = io_utils.SchemaReader().read(io_utils.get_only_uri_in_dir(folder))
    return options


class StatisticsGenExecutor(statistics_gen.Executor):
    """The stock executor."""

    def Do(self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: ExecProperties) -> None:
        """Runs the stock executor with reads that are spread."""
        with spread_reads():
            super().Do(input_dict, output_dict, exec_properties)


def beam_statistics_gen(**arguments: Any) -> StatisticsGen:  # Any: StatisticsGen's own arguments.
    """Returns TFX's StatisticsGen whose workers all read."""
    component = StatisticsGen(**arguments)
    component.executor_spec = BeamExecutorSpec(StatisticsGenExecutor)
    return component
