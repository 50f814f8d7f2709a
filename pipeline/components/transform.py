"""Transform without Beam: constants from whole Arrow batches, the transform graph in TFT's own format."""

import json
from typing import Any

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
from models.transform_graph import write_transform_graph
from pipeline.components.beam_reads import spread_reads

ExecProperties = dict[str, Any]  # TFX's own type.
Artifacts = dict[str, list[Artifact]]


class Executor(base_executor.BaseExecutor):
    """Analyzes the train split and writes the graph; takes the stock component's parameters.

    `custom_config` must hold `features`; the examples are never materialized, because training applies the graph once
    and keeps the result in memory.
    """

    def Do(self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: ExecProperties) -> None:
        features = FeatureSpec.from_json(json.loads(exec_properties["custom_config"])["features"])
        schema_dir = artifact_utils.get_single_uri(input_dict["schema"])
        schema = io_utils.SchemaReader().read(io_utils.get_only_uri_in_dir(schema_dir))
        paths = [
            path for artifact in input_dict["examples"] for path in example_files.split_paths(artifact.uri, "train")
        ]
        columns = features.columns
        batches = example_files.iter_batches(paths, schema, columns=columns)
        # As training does, so that no vocabulary and no mean holds what the schema rules out.
        batches = (without_impossible(batch, schema, columns) for batch in batches)
        output_dir = artifact_utils.get_single_uri(output_dict["transform_graph"])
        write_transform_graph(analyze(batches, features), features, schema, output_dir)


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
