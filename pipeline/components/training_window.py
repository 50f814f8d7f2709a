"""The examples that a model is trained on: train rows of the last spans, held-out rows of the newest.

An ExampleGen over several spans. TFX's own reads one; a resolver over earlier artifacts works on no other
orchestrator, and would miss spans that were never processed. Which spans they are is found at run time, up to the span
that the gate has decided on: by a driver, which puts their files' fingerprints into the cache key, so a corrected
version of any of them is noticed; by the executor, where the orchestrator runs no drivers and caches nothing here.
"""

import json
import logging
import os
from collections.abc import Collection, Iterable, Sequence
from typing import Any, ClassVar

import apache_beam as beam
from tfx.components.util import examples_utils
from tfx.dsl.components.base import base_beam_executor, base_component, base_executor, executor_spec
from tfx.dsl.components.base import base_driver as component_driver
from tfx.orchestration import data_types_utils
from tfx.orchestration.portable import base_driver, data_types
from tfx.proto import example_gen_pb2
from tfx.proto.orchestration import driver_output_pb2
from tfx.types import Artifact, BaseChannel, Channel, artifact_utils, standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter
from tfx.utils import proto_utils

from columnar import split_files
from pipeline.artifacts import GateDecision
from pipeline.components import example_gen
from pipeline.errors import DataError
from pipeline.ingest import spans as span_files
from pipeline.ingest import training_window
from pipeline.ingest.config import IngestConfig
from pipeline.ingest.errors import IngestError
from pipeline.ingest.reader import open_span
from pipeline.ingest.spans import SpanFile
from pipeline.state import span_records

logger = logging.getLogger(__name__)

ExecProperties = dict[str, Any]  # TFX's own type.
Artifacts = dict[str, list[Artifact]]
WINDOW_PROPERTY = "window"
SPANS = "spans"
FINGERPRINT = "fingerprint"


def resolve(input_dict: Artifacts, exec_properties: ExecProperties) -> dict[int, list[SpanFile]]:
    """Returns the files of the window's spans, ascending."""
    decision = artifact_utils.get_single_instance(input_dict["decision"])
    return choose_spans(
        span_files.newest_versions(
            exec_properties["data_root"],
            exec_properties["pattern"],
            exec_properties.get("marker", ""),  # A file that an older release compiled has none.
        ),
        span_records.newest_records(span_records.read_records(exec_properties["state_dir"])),
        newest=decision.get_int_custom_property("span"),
        size=exec_properties["size"],
    )


class Driver(component_driver.BaseDriver, base_driver.BaseDriver):
    """Makes spans and content of the window part of the cache key."""

    def __init__(self, metadata_handle: Any) -> None:  # Any: what the launcher gives; nothing is looked up in it.
        component_driver.BaseDriver.__init__(self, metadata_handle)
        base_driver.BaseDriver.__init__(self, metadata_handle)

    def run(self, execution_info: data_types.ExecutionInfo) -> driver_output_pb2.DriverOutput:
        files = resolve(execution_info.input_dict, execution_info.exec_properties)
        result = driver_output_pb2.DriverOutput()
        for name, value in execution_info.exec_properties.items():
            data_types_utils.set_metadata_value(result.exec_properties[name], value)
        spans = {str(span): [file.path for file in paths] for span, paths in files.items()}
        result.exec_properties[SPANS].string_value = json.dumps(spans)
        result.exec_properties[FINGERPRINT].string_value = "\n".join(
            span_files.fingerprint(f"span-{span}", span_files.literal(file.path))
            for span, paths in files.items()
            for file in paths
        )
        return result


def choose_spans(
    spans: dict[int, list[SpanFile]], records: dict[int, span_records.SpanRecord], *, newest: int, size: int
) -> dict[int, list[SpanFile]]:
    """Returns the last `size` usable spans up to `newest`, ascending.

    Small spans that waited and counted together are one of them: else a few handfuls of rows would take the place of
    whole spans. A span whose present version the gate has blocked is left out; one that was never judged is taken,
    because its rows must pass the same reader and are measured with the window.
    """
    usable = []
    for span, files in spans.items():
        record = records.get(span)
        blocked = record is not None and record.version == files[0].version and record.verdict == "block"
        if blocked and span != newest:
            logger.warning("Span %d was blocked and is left out of the training window.", span)
        elif span <= newest:
            usable.append(span)
    group = span_records.groups(usable, records, newest)
    last = sorted(set(group.values()))[-size:]
    return {span: spans[span] for span in sorted(usable) if group[span] in last}


def more_spans(
    spans: Collection[int], records: Sequence[span_records.SpanRecord], trained: Sequence[int], size: int
) -> tuple[int, int] | None:
    """Returns how many spans the live model was trained on and how many a training would read, where that is a reason.

    It is one where the window becomes full, or at least half as large again; and only once for each number of spans: a
    model that was trained on as many and refused is not tried again. Groups count as one.

    Args:
      spans: that a training would read now, the newest of which is at hand.
      records: of all spans.
      trained: the live model's window; empty where it is not known.
      size: `[spans] window`.
    """
    newest, by_span = max(spans), span_records.newest_records(records)

    def count(numbers: Iterable[int]) -> int:
        return len(set(span_records.groups(numbers, by_span, newest).values()))

    def with_later(last: int) -> int:
        return then + count(span for span in by_span.keys() | {newest} if max(trained) < span <= last)

    if not trained:
        return None
    then = count(trained)
    labelled = [span for span in spans if span not in by_span or by_span[span].labelled or span == newest]
    # What was never judged may have no labels: the live model's window grows by what has come since, at most.
    now = min(count(labelled), with_later(newest))
    refused = [
        record.span
        for record in records
        if record.outcome == "not_blessed" and record.verdict == "rerun" and record.span > max(trained)
    ]
    tried = max((min(with_later(span), size) for span in refused), default=0)
    enough = now == size or 2 * now >= 3 * then
    return (then, now) if now > max(then, tried) and enough else None


def is_labelled(span: int, paths: list[str], config: IngestConfig, *, newest: int) -> bool:
    """Tells whether a span can be trained on; its labels may be yet to come.

    Raises:
      DataError: a file cannot be read; says whose it is where it is not the newest span's.
    """
    try:
        labelled = open_span(paths, config.format, config.columns(paths)).labelled
    except IngestError as error:
        raise training_window.blamed(error, span, newest) from error
    if not labelled:
        logger.warning("Span %d has no labels yet and is left out of the training window.", span)
    return labelled


class Executor(base_executor.BaseExecutor):
    """Writes the window's examples; the shards are named by span, so that the spans stay recognisable."""

    def Do(self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: ExecProperties) -> None:
        spans, config = _labelled_spans(input_dict, exec_properties)
        examples = artifact_utils.get_single_instance(output_dict["examples"])
        training_window.write_window(spans, config, examples.uri)
        _describe(examples, spans)


class BeamExecutor(base_beam_executor.BaseBeamExecutor):
    """The same rows in the same splits, read and written by Beam's workers."""

    def Do(self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: ExecProperties) -> None:
        spans, config = _labelled_spans(input_dict, exec_properties)
        examples = artifact_utils.get_single_instance(output_dict["examples"])
        newest = max(span.span for span in spans)
        with self._make_beam_pipeline() as pipeline:
            for span in spans:
                splits = ("train", "eval") if span.span == newest else ("train",)
                prefix = training_window.shard_prefix(span.span)
                # TFMA cannot leave out rows without a label.
                reading = example_gen.ReadAndSplit(list(span.paths), config, labelled_only=("eval",))
                records = pipeline | prefix >> reading
                for split in splits:
                    target = os.path.join(split_files.folder(examples.uri, split), prefix)
                    name = f"{prefix}-{split}"
                    _ = records[split] | name >> beam.io.WriteToTFRecord(target, file_name_suffix=".gz")
        _describe(examples, spans)


def _labelled_spans(
    input_dict: Artifacts, exec_properties: ExecProperties
) -> tuple[list[training_window.WindowSpan], IngestConfig]:
    if SPANS in exec_properties:
        found = json.loads(exec_properties[SPANS])
    else:
        files = resolve(input_dict, exec_properties)
        found = {span: [file.path for file in paths] for span, paths in files.items()}
    config = IngestConfig.from_json(exec_properties["ingest"])
    spans = [
        training_window.WindowSpan(span=int(span), paths=tuple(paths))
        for span, paths in found.items()
        if is_labelled(int(span), paths, config, newest=max(map(int, found)))
    ]
    if not spans:
        raise DataError(f"None of the spans {', '.join(map(str, found))} has labels, so there is nothing to train on.")
    return spans, config


def _describe(examples: Artifact, spans: list[training_window.WindowSpan]) -> None:
    examples.split_names = artifact_utils.encode_split_names(["train", "eval"])
    examples.set_string_custom_property(WINDOW_PROPERTY, json.dumps(sorted(span.span for span in spans)))
    examples_utils.set_payload_format(examples, example_gen_pb2.FORMAT_TF_EXAMPLE)
    examples_utils.set_file_format(examples, "tfrecords_gzip")


class TrainingWindowSpec(ComponentSpec):
    """Inputs, outputs and parameters of TrainingWindow."""

    PARAMETERS: ClassVar[dict[str, ExecutionParameter]] = {
        "data_root": ExecutionParameter(type=str),
        "pattern": ExecutionParameter(type=str),
        "marker": ExecutionParameter(type=str),
        "ingest": ExecutionParameter(type=str),
        "size": ExecutionParameter(type=int),
        "state_dir": ExecutionParameter(type=str),
    }
    INPUTS: ClassVar[dict[str, ChannelParameter]] = {"decision": ChannelParameter(type=GateDecision)}
    OUTPUTS: ClassVar[dict[str, ChannelParameter]] = {"examples": ChannelParameter(type=standard_artifacts.Examples)}


class TrainingWindow(base_component.BaseComponent):
    """Examples of the window that ends with the span that was decided on."""

    SPEC_CLASS = TrainingWindowSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)
    DRIVER_CLASS = Driver

    def __init__(
        self,
        decision: BaseChannel,
        data_root: str,
        pattern: str,
        ingest: IngestConfig,
        size: int,
        state_dir: str,
        marker: str = "",
    ) -> None:
        """Takes the gate's decision, whose span is the newest of the window.

        Args:
          pattern: path below `data_root`, with TFX's `{SPAN}` and `{VERSION}`.
          size: how many spans.
          state_dir: where the gate's records are.
          marker: name of the file without which a span is not complete; "" for none.
        """
        super().__init__(
            spec=TrainingWindowSpec(
                decision=decision,
                data_root=data_root,
                pattern=pattern,
                marker=marker,
                # Sorted keys: a protobuf map has no order, and the text is part of the cache key.
                ingest=proto_utils.proto_to_json(ingest.to_proto()),
                size=size,
                state_dir=state_dir,
                examples=Channel(type=standard_artifacts.Examples),
            )
        )


def beam_training_window(**arguments: Any) -> TrainingWindow:  # Any: TrainingWindow's own arguments.
    """Returns the component with the Beam executor. Takes TrainingWindow's arguments."""
    component = TrainingWindow(**arguments)
    component.executor_spec = executor_spec.BeamExecutorSpec(BeamExecutor)
    return component
