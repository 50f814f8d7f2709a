"""Transform without Beam: constants from whole Arrow batches, the transform graph in TFT's own format."""

import json
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
from tfx.components.transform import executor as transform
from tfx.components.transform.component import Transform
from tfx.dsl.components.base import base_executor, executor_spec
from tfx.dsl.components.base.executor_spec import BeamExecutorSpec
from tfx.types import Artifact, artifact_utils
from tfx.utils import io_utils

from columnar import examples as example_files
from columnar.domains import without_impossible
from models.analysis import analyze
from models.features import FeatureSpec
from models.own.source import OwnCode
from models.own.transform import write_own_graph
from models.transform_graph import write_transform_graph
from pipeline.components.beam_reads import spread_reads

ExecProperties = dict[str, Any]  # TFX's own type.
Artifacts = dict[str, list[Artifact]]

_OWN_BATCH_ROWS = 65_536
"""Each batch costs Beam some milliseconds of every analyzer."""


class Executor(base_executor.BaseExecutor):
    """Analyzes the train split and writes the graph; takes the stock component's parameters.

    `custom_config` must hold `features`, and `own` where `preprocessing_fn` is own code; the examples are never
    materialized, because training applies the graph once and keeps the result in memory.
    """

    def Do(self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: ExecProperties) -> None:
        config = json.loads(exec_properties["custom_config"])
        features = FeatureSpec.from_json(config["features"])
        schema_dir = artifact_utils.get_single_uri(input_dict["schema"])
        schema = io_utils.SchemaReader().read(io_utils.get_only_uri_in_dir(schema_dir))
        paths = [
            path for artifact in input_dict["examples"] for path in example_files.split_paths(artifact.uri, "train")
        ]
        columns = features.columns

        def batches(rows: int) -> Iterator[pa.RecordBatch]:
            # As training does, so that no vocabulary and no mean holds what the schema rules out.
            for batch in example_files.iter_batches(paths, schema, batch_size=rows, columns=columns):
                yield without_impossible(batch, schema, columns)

        output_dir = artifact_utils.get_single_uri(output_dict["transform_graph"])
        if "own" in config:
            own = OwnCode.from_json(config["own"])
            write_own_graph(own, features, schema, lambda: batches(_OWN_BATCH_ROWS), output_dir)
        else:
            write_transform_graph(analyze(batches(example_files.BATCH_SIZE), features), features, schema, output_dir)


def local_transform(**arguments: Any) -> Transform:  # Any: Transform's own arguments.
    """Returns TFX's Transform with the local executor. Takes Transform's arguments."""
    component = Transform(**arguments)
    # A Beam executor would spend 1.5 s on packaging for workers that do not exist.
    component.executor_spec = executor_spec.ExecutorClassSpec(Executor)
    return component


class TransformExecutor(transform.Executor):
    """The stock executor."""

    def Do(self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: ExecProperties) -> None:
        """Runs the stock executor with reads that are spread."""
        with spread_reads():
            super().Do(input_dict, output_dict, exec_properties)


def beam_transform(**arguments: Any) -> Transform:  # Any: Transform's own arguments.
    """Returns TFX's Transform whose workers all read."""
    component = Transform(**arguments)
    component.executor_spec = BeamExecutorSpec(TransformExecutor)
    return component
