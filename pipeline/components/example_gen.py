"""ExampleGen for both engines: TFX's driver, fingerprint and cache; our search, reader, encoder and splits."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, ClassVar, TypeAlias

import apache_beam as beam
import numpy as np
from tfx.components.example_gen import driver as stock_driver
from tfx.components.example_gen import utils as example_gen_utils
from tfx.components.example_gen.base_example_gen_executor import BaseExampleGenExecutor
from tfx.components.example_gen.component import FileBasedExampleGen
from tfx.components.example_gen.input_processor import FileBasedInputProcessor
from tfx.components.util import examples_utils
from tfx.dsl.components.base import base_beam_component
from tfx.dsl.components.base.base_executor import BaseExecutor
from tfx.dsl.components.base.executor_spec import BeamExecutorSpec, ExecutorClassSpec, ExecutorSpec
from tfx.proto import example_gen_pb2, range_config_pb2
from tfx.types import Artifact, Channel, artifact_utils, standard_artifacts, standard_component_specs
from tfx.types.component_spec import ExecutionParameter
from tfx.utils import proto_utils

from columnar.example_encoder import encode
from columnar.example_writer import each_bytes
from pipeline.errors import ConfigError
from pipeline.ingest import parquet_reader
from pipeline.ingest import spans as span_files
from pipeline.ingest.columns import Columns, without_label
from pipeline.ingest.config import IngestConfig
from pipeline.ingest.reader import open_span, read_file
from pipeline.ingest.span_to_examples import DEFAULT_SPLITS, assign_splits, write_examples

# Custom property of the Examples artifact: 0 where the span has no labels yet and is judged on its inputs only.
LABELLED_PROPERTY = "labelled"
UNEXPECTED_PROPERTY = "unexpected_columns"

ExecProperties = dict[str, Any]  # TFX's own type.
Artifacts = dict[str, list[Artifact]]


MARKER = "marker"
# The parameter `span` that means: the newest there is, found at run time.
NEWEST = -1

Span: TypeAlias = int | Any  # Any: TFX's RuntimeParameter, untyped.


class ExampleGenSpec(standard_component_specs.FileBasedExampleGenSpec):
    """The standard spec, a marker, and the span to read: a number that compiled pipelines leave open until they run."""

    PARAMETERS: ClassVar[dict[str, ExecutionParameter]] = {
        **standard_component_specs.FileBasedExampleGenSpec.PARAMETERS,
        example_gen_utils.SPAN_PROPERTY_NAME: ExecutionParameter(type=int),
        MARKER: ExecutionParameter(type=str),
    }


class _InputProcessor(FileBasedInputProcessor):
    """Finds the span by pipeline/ingest/spans.py: TFX's own would read `*`, `?` and `[` in the data root's path."""

    _filled: str

    def __init__(
        self, data_root: str, marker: str, splits: Any, range_config: range_config_pb2.RangeConfig | None
    ) -> None:
        super().__init__(data_root, splits, range_config)
        self._marker = marker
        self._wanted = range_config.static_range.start_span_number if range_config is not None else None
        (self._split,) = splits

    def resolve_span_and_version(self) -> tuple[int, int | None]:
        """Returns the span and its newest version; None where versions have no place in the pattern."""
        pattern = str(self._split.pattern)
        newest = span_files.choose_span(self._input_base_uri, pattern, self._marker, self._wanted)[0]
        self._filled = newest.pattern
        files = span_files.below(self._input_base_uri, self._filled)
        self._fingerprint = span_files.fingerprint(self._split.name, files)
        return newest.span, newest.version if self._is_match_version else None

    def get_pattern_for_span_version(self, pattern: str, span: int, version: int | None) -> str:
        """Returns the pattern of the span that was found; TFX's own would lose zeros in front of a number."""
        del pattern, span, version
        return self._filled


class Driver(stock_driver.FileBasedDriver):
    """TFX's driver, asked for the parameters `span` and `marker`."""

    _marker = ""

    def get_input_processor(
        self, splits: Any, range_config: range_config_pb2.RangeConfig | None = None, input_base_uri: str | None = None
    ) -> _InputProcessor:
        """Returns what finds the span. Any: protobuf's repeated field."""
        return _InputProcessor(str(input_base_uri), self._marker, splits, range_config)

    def resolve_exec_properties(
        self, exec_properties: ExecProperties, pipeline_info: Any, component_info: Any
    ) -> ExecProperties:
        """Adds version and fingerprint, and puts the span's numbers into the pattern."""
        properties = dict(exec_properties)
        self._marker = str(properties.get(MARKER, ""))  # A file that an older release compiled has none.
        span = int(properties[example_gen_utils.SPAN_PROPERTY_NAME])
        properties[standard_component_specs.RANGE_CONFIG_KEY] = range_config(span)
        return dict(super().resolve_exec_properties(properties, pipeline_info, component_info))


def range_config(span: int) -> str | None:
    """Returns the range in which TFX's driver looks for the newest span, as JSON; None for all there are."""
    if span == NEWEST:
        return None
    only = range_config_pb2.StaticRange(start_span_number=span, end_span_number=span)
    return str(proto_utils.proto_to_json(range_config_pb2.RangeConfig(static_range=only)))


class ExampleGen(FileBasedExampleGen):
    """A FileBasedExampleGen that takes the span as a parameter."""

    SPEC_CLASS = ExampleGenSpec
    DRIVER_CLASS = Driver

    def __init__(
        self, input_base: str, pattern: str, config: IngestConfig, span: Span, marker: str, executor: ExecutorSpec
    ) -> None:
        """Arguments as of `local_example_gen`."""
        splits = [
            example_gen_pb2.SplitConfig.Split(name=name, hash_buckets=buckets)
            for name, buckets in DEFAULT_SPLITS.items()
        ]
        spec = ExampleGenSpec(
            input_base=input_base,
            input_config=example_gen_pb2.Input(splits=[example_gen_pb2.Input.Split(name="span", pattern=pattern)]),
            output_config=example_gen_pb2.Output(split_config=example_gen_pb2.SplitConfig(splits=splits)),
            output_data_format=example_gen_pb2.FORMAT_TF_EXAMPLE,
            output_file_format=example_gen_pb2.FORMAT_TFRECORDS_GZIP,
            custom_config=config.to_proto(),
            span=span,
            marker=marker,
            examples=Channel(type=standard_artifacts.Examples),
        )
        # Not FileBasedExampleGen's own constructor: it makes the standard spec, which has no such parameter.
        base_beam_component.BaseBeamComponent.__init__(self, spec=spec, custom_executor_spec=executor)


def local_example_gen(
    input_base: str, pattern: str, config: IngestConfig, span: Span = NEWEST, marker: str = ""
) -> ExampleGen:
    """Returns the local engine's ExampleGen: whole Arrow batches in this process.

    Args:
      input_base: the data root.
      pattern: path below it, with `{SPAN}` and `{VERSION}`.
      span: the span to read, or the run-time parameter that will hold it; NEWEST leaves it to the driver.
      marker: name of the file without which a span is not complete; "" for none.
    """
    return ExampleGen(input_base, pattern, config, span, marker, ExecutorClassSpec(LocalExecutor))


def beam_example_gen(
    input_base: str, pattern: str, config: IngestConfig, span: Span = NEWEST, marker: str = ""
) -> ExampleGen:
    """Returns the Beam engine's ExampleGen: the same reader, encoder and splits inside DoFns. Arguments as above."""
    return ExampleGen(input_base, pattern, config, span, marker, BeamExecutorSpec(BeamExecutor))


def resolved(exec_properties: ExecProperties) -> ExecProperties:
    """Returns the properties as the driver leaves them; Kubeflow's backend runs no driver.

    Raises:
      SpanNotFoundError: there is no such span.
    """
    if example_gen_utils.FINGERPRINT_PROPERTY_NAME in exec_properties:
        return exec_properties
    return Driver(None).resolve_exec_properties(exec_properties, None, None)


def _describe_span(examples: Artifact, exec_properties: ExecProperties) -> None:
    """Sets the properties that the driver sets, where the orchestrator runs one and hands them on."""
    version = exec_properties.get(example_gen_utils.VERSION_PROPERTY_NAME)
    numbers = {
        # Vertex hands numbers over as floats.
        example_gen_utils.SPAN_PROPERTY_NAME: int(exec_properties[example_gen_utils.SPAN_PROPERTY_NAME]),
        example_gen_utils.VERSION_PROPERTY_NAME: None if version is None else int(version),
    }
    stock_driver.update_output_artifact({**exec_properties, **numbers}, examples.mlmd_artifact)


def _note_unexpected(examples: Artifact, names: Sequence[str]) -> None:
    """Keeps the columns that the schema does not have, for the gate, as JSON."""
    if names:
        examples.set_string_custom_property(UNEXPECTED_PROPERTY, json.dumps(names, ensure_ascii=False))


def unexpected_columns(examples: Artifact) -> tuple[str, ...]:
    """Returns the columns of the span's files that the schema does not have."""
    return tuple(json.loads(examples.get_string_custom_property(UNEXPECTED_PROPERTY) or "[]"))


class LocalExecutor(BaseExecutor):
    """Reads the span's files and writes its splits in one streaming pass.

    Not a Beam executor: TFX packs itself up for Beam's workers whenever it makes one of those, which takes 1.5 s.
    """

    def Do(self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: ExecProperties) -> None:
        """Writes the examples and sets the properties that stock executors set, and `labelled`."""
        self._log_startup(input_dict, output_dict, exec_properties)
        exec_properties = resolved(exec_properties)
        paths, config = _inputs(exec_properties)
        examples = artifact_utils.get_single_instance(output_dict["examples"])
        splits = _splits(exec_properties)
        conversion = write_examples(paths, config.format, config.columns(paths), examples.uri, splits)
        examples.split_names = artifact_utils.encode_split_names(list(splits))
        examples.set_int_custom_property(LABELLED_PROPERTY, int(conversion.labelled))
        _note_unexpected(examples, conversion.unexpected)
        _describe_span(examples, exec_properties)
        examples_utils.set_payload_format(examples, example_gen_pb2.FORMAT_TF_EXAMPLE)
        examples_utils.set_file_format(examples, "tfrecords_gzip")


class BeamExecutor(BaseExampleGenExecutor):
    """Reads the span's files in DoFns: one file, or one row group of a Parquet file, per work item."""

    def GetInputSourceToExamplePTransform(self) -> beam.PTransform:
        raise NotImplementedError("Splits are assigned while reading; see GenerateExamplesByBeam.")

    def Do(self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: ExecProperties) -> None:
        """Checks the files' columns before anything is launched, then runs the Beam pipeline."""
        exec_properties = resolved(exec_properties)
        paths, config = _inputs(exec_properties)
        span = open_span(paths, config.format, config.columns(paths))
        next(span.batches)  # Raises where there is no row at all, or the first block is at fault.
        super().Do(input_dict, output_dict, exec_properties)
        examples = artifact_utils.get_single_instance(output_dict["examples"])
        examples.set_int_custom_property(LABELLED_PROPERTY, int(span.labelled))
        _note_unexpected(examples, span.unexpected)
        _describe_span(examples, exec_properties)

    def GenerateExamplesByBeam(
        self, pipeline: beam.Pipeline, exec_properties: ExecProperties
    ) -> dict[str, beam.PCollection]:
        """Returns the serialized examples of each split."""
        paths, config = _inputs(exec_properties)
        splits = _splits(exec_properties)
        encoded = pipeline | "ReadAndSplit" >> ReadAndSplit(paths, config, splits)
        return {name: encoded[name] for name in splits}


class ReadAndSplit(beam.PTransform):
    """From files to serialized examples, one output for each split, spread over the workers by file or row group.

    The splits of `labelled_only` are given the rows that have a label.
    """

    def __init__(
        self,
        paths: list[str],
        config: IngestConfig,
        splits: Mapping[str, int] = DEFAULT_SPLITS,
        labelled_only: Collection[str] = (),
    ) -> None:
        super().__init__()
        self._paths, self._config, self._splits, self._labelled_only = paths, config, splits, labelled_only

    def expand(self, pipeline: beam.Pipeline) -> beam.pvalue.DoOutputsTuple:
        columns = self._config.columns(self._paths)
        read = _ReadAndSplit(self._config, columns, self._splits, self._labelled_only)
        return (
            pipeline
            | "WorkItems" >> beam.Create(_work_items(self._paths, self._config))
            | "Spread" >> beam.Reshuffle()
            | "Read" >> beam.ParDo(read).with_outputs(*self._splits)
        )


class _ReadAndSplit(beam.DoFn):
    """Turns a work item into serialized examples, each to the output of its split."""

    def __init__(
        self, config: IngestConfig, columns: Columns, splits: Mapping[str, int], labelled_only: Collection[str]
    ) -> None:
        super().__init__()
        self._labelled_only = frozenset(labelled_only)
        self._format = config.format
        self._columns = columns
        self._splits = splits

    def process(self, item: tuple[str, int | None]) -> Iterator[beam.pvalue.TaggedOutput]:
        path, row_group = item
        if row_group is None:
            batches = read_file(path, self._format, self._columns)
        else:
            batches = parquet_reader.read_row_group(path, self._columns, row_group)
        names = list(self._splits)
        for batch in batches:
            encoded = encode(batch)
            assigned = assign_splits(encoded.keys, list(self._splits.values()))
            unlabelled = (
                without_label(batch, self._columns) if self._labelled_only else np.zeros(batch.num_rows, np.bool_)
            )
            for record, index, has_none in zip(each_bytes(encoded.records), assigned, unlabelled, strict=True):
                if has_none and names[index] in self._labelled_only:
                    continue
                yield beam.pvalue.TaggedOutput(names[index], record)


def _work_items(paths: list[str], config: IngestConfig) -> list[tuple[str, int | None]]:
    if config.file_format != "parquet":
        return [(path, None) for path in paths]
    return [(path, group) for path in paths for group in range(parquet_reader.num_row_groups(path))]


def _inputs(exec_properties: ExecProperties) -> tuple[list[str], IngestConfig]:
    """Returns the files of the span that the driver has resolved, sorted, and how to read them."""
    pattern = span_files.below(exec_properties["input_base"], _pattern(exec_properties))
    paths = sorted(span_files.files_of(pattern))
    return paths, IngestConfig.from_json(exec_properties["custom_config"])


def _pattern(exec_properties: ExecProperties) -> str:
    input_config = example_gen_pb2.Input()
    proto_utils.json_to_proto(exec_properties["input_config"], input_config)
    if len(input_config.splits) != 1:
        raise ConfigError(f"Expected one input pattern per span. Received: {len(input_config.splits)}.")
    return str(input_config.splits[0].pattern)


def _splits(exec_properties: ExecProperties) -> dict[str, int]:
    output_config = example_gen_pb2.Output()
    proto_utils.json_to_proto(exec_properties["output_config"], output_config)
    if output_config.split_config.HasField("partition_feature_name"):
        raise ConfigError("Splits come from the whole row's content; partition_feature_name is not supported.")
    return {split.name: split.hash_buckets for split in output_config.split_config.splits}
