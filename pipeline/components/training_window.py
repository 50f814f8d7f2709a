"""The examples that a model is trained on: train rows of the last spans, held-out rows of the newest.

An ExampleGen over several spans. TFX's own reads one; a resolver over earlier artifacts works on no other
orchestrator, and would miss spans that were never processed. Its driver resolves the spans at run time and puts their
files' fingerprints into the cache key, so a corrected version of any of them is noticed.
"""

import json
import logging
import os
from typing import Any

from google.protobuf import json_format, struct_pb2
from tfx.components.example_gen import driver as stock_driver
from tfx.components.example_gen import utils as example_gen_utils
from tfx.components.example_gen.component import FileBasedExampleGen
from tfx.components.util import examples_utils
from tfx.dsl.components.base import base_executor, executor_spec
from tfx.orchestration import data_types
from tfx.proto import example_gen_pb2, range_config_pb2
from tfx.types import Artifact, artifact_utils
from tfx.utils import io_utils, proto_utils

from pipeline import spans as span_files
from pipeline import state
from pipeline.engine import window
from pipeline.engine.ingest_config import IngestConfig
from pipeline.errors import DataError
from pipeline.ingest.reader import open_span
from pipeline.spans import SpanFile

logger = logging.getLogger(__name__)

ExecProperties = dict[str, Any]  # TFX's own type.
WINDOW_PROPERTY = "window"


class Driver(stock_driver.FileBasedDriver):
    """Resolves the newest span as TFX does, then the earlier ones of the window."""

    def resolve_exec_properties(
        self,
        exec_properties: ExecProperties,
        pipeline_info: data_types.PipelineInfo,
        component_info: data_types.ComponentInfo,
    ) -> ExecProperties:
        resolved = super().resolve_exec_properties(exec_properties, pipeline_info, component_info)
        settings = read_settings(resolved["custom_config"])
        files = choose_spans(
            span_files.newest_versions(resolved["input_base"], settings["pattern"]),
            state.newest_records(state.read_records(settings["state_dir"])),
            newest=resolved[example_gen_utils.SPAN_PROPERTY_NAME],
            size=int(settings["size"]),
        )
        settings["spans"] = {str(span): [file.path for file in paths] for span, paths in files.items()}
        # Sorted keys: a protobuf map has no order, and the text is part of the cache key.
        resolved["custom_config"] = proto_utils.proto_to_json(pack_settings(settings))
        resolved[example_gen_utils.FINGERPRINT_PROPERTY_NAME] = "\n".join(
            io_utils.generate_fingerprint(f"span-{span}", os.path.join(os.path.dirname(file.path), "*"))
            for span, paths in files.items()
            for file in paths
        )
        return dict(resolved)


def choose_spans(
    spans: dict[int, list[SpanFile]], records: dict[int, state.SpanRecord], *, newest: int, size: int
) -> dict[int, list[SpanFile]]:
    """Returns the last `size` usable spans up to `newest`, ascending.

    A span whose present version the gate has blocked is left out; one that was never judged is taken, because its
    rows must pass the same reader and are measured with the window.
    """
    usable = []
    for span, files in spans.items():
        record = records.get(span)
        blocked = record is not None and record.version == files[0].version and record.verdict == "block"
        if blocked and span != newest:
            logger.warning("Span %d was blocked and is left out of the training window.", span)
        elif span <= newest:
            usable.append(span)
    return {span: spans[span] for span in sorted(usable)[-size:]}


def read_settings(custom_config: str) -> dict[str, Any]:  # Any: JSON.
    """Returns the settings packed into ExampleGen's `custom_config`."""
    packed = struct_pb2.Struct()
    json_format.Parse(custom_config, example_gen_pb2.CustomConfig()).custom_config.Unpack(packed)
    settings: dict[str, Any] = json.loads(json_format.MessageToJson(packed))
    return settings


def pack_settings(settings: dict[str, Any]) -> example_gen_pb2.CustomConfig:  # Any: JSON.
    """Packs settings as `read_settings` reads them."""
    config = example_gen_pb2.CustomConfig()
    config.custom_config.Pack(json_format.ParseDict(settings, struct_pb2.Struct()))
    return config


def is_labelled(span: int, paths: list[str], config: IngestConfig) -> bool:
    """Tells whether a span can be trained on; its labels may be yet to come."""
    labelled = open_span(paths, config.file_format, config.columns(paths)).labelled
    if not labelled:
        logger.warning("Span %d has no labels yet and is left out of the training window.", span)
    return labelled


class Executor(base_executor.BaseExecutor):
    """Writes the window's examples; the shards are named by span, so that the spans stay recognisable."""

    def Do(
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: ExecProperties,
    ) -> None:
        settings = read_settings(exec_properties["custom_config"])
        config = IngestConfig.from_json(exec_properties["custom_config"])
        spans = [
            window.WindowSpan(span=int(span), paths=tuple(paths))
            for span, paths in settings["spans"].items()
            if is_labelled(int(span), paths, config)
        ]
        if not spans:
            raise DataError(
                f"None of the spans {', '.join(settings['spans'])} has labels, so there is nothing to train on."
            )
        examples = artifact_utils.get_single_instance(output_dict["examples"])
        window.write_window(spans, config, examples.uri)
        examples.split_names = artifact_utils.encode_split_names(["train", "eval"])
        examples.set_string_custom_property(WINDOW_PROPERTY, json.dumps(sorted(span.span for span in spans)))
        examples_utils.set_payload_format(examples, example_gen_pb2.FORMAT_TF_EXAMPLE)
        examples_utils.set_file_format(examples, "tfrecords_gzip")


class TrainingWindow(FileBasedExampleGen):
    """An ExampleGen with the driver above."""

    DRIVER_CLASS = Driver


def training_window(
    data_root: str, pattern: str, ingest: IngestConfig, *, span: int | None, size: int, state_dir: str
) -> TrainingWindow:
    """Returns the component.

    Args:
      pattern: path below `data_root`, with TFX's `{SPAN}` and `{VERSION}`.
      span: the newest span of the window; None for the newest there is.
      size: how many spans.
      state_dir: where the gate's records are.
    """
    settings = read_settings(proto_utils.proto_to_json(ingest.to_proto()))
    only = None
    if span is not None:
        static = range_config_pb2.StaticRange(start_span_number=span, end_span_number=span)
        only = range_config_pb2.RangeConfig(static_range=static)
    return TrainingWindow(
        input_base=data_root,
        input_config=example_gen_pb2.Input(splits=[example_gen_pb2.Input.Split(name="span", pattern=pattern)]),
        custom_config=pack_settings({**settings, "pattern": pattern, "size": size, "state_dir": state_dir}),
        range_config=only,
        custom_executor_spec=executor_spec.ExecutorClassSpec(Executor),
    )
