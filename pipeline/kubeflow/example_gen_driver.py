"""ExampleGen's driver on Vertex, run before the cache is asked: the one of local runs, spoken to as Vertex does.

Vertex starts it with the compiled file's `lifecycle.preCacheCheck`. TFX's own driver there looks for the newest span by
its own rules: it knows nothing of a parameter that asks for another, nor of a marker.
"""

import argparse
import os
from collections.abc import Sequence

from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2
from tfx.components.example_gen import driver as stock_driver
from tfx.components.example_gen import utils
from tfx.dsl.io import fileio
from tfx.orchestration.kubeflow.v2.container import kubeflow_v2_entrypoint_utils as entrypoint
from tfx.types import artifact_utils
from tfx.types.standard_component_specs import EXAMPLES_KEY, INPUT_CONFIG_KEY

from pipeline.components.example_gen import resolved

MODULE = "pipeline.kubeflow.example_gen_driver"


def main(argv: Sequence[str] | None = None) -> None:
    """Resolves span, version and fingerprint, and writes them to the output file that the arguments name.

    Raises:
      SpanNotFoundError: there is no such span, or it is not complete.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {MODULE}")
    parser.add_argument("--json_serialized_invocation_args", required=True)
    parser.add_argument("--json_serialized_inputs_spec_args")
    args, _ = parser.parse_known_args(argv)  # Beam's options come along.
    task = pipeline_spec_pb2.ExecutorInput()
    json_format.Parse(args.json_serialized_invocation_args, task, ignore_unknown_fields=True)
    spec = None
    if args.json_serialized_inputs_spec_args:
        spec = pipeline_spec_pb2.ComponentInputsSpec()
        json_format.Parse(args.json_serialized_inputs_spec_args, spec, ignore_unknown_fields=True)
    properties = resolved(
        entrypoint.parse_execution_properties(task.inputs.parameter_values, task.inputs.parameters, spec)
    )
    names: dict[int, str] = {}
    outputs = entrypoint.parse_raw_artifact_dict(task.outputs.artifacts, names)
    examples = artifact_utils.get_single_instance(outputs[EXAMPLES_KEY])
    stock_driver.update_output_artifact(properties, examples.mlmd_artifact)

    answer = pipeline_spec_pb2.ExecutorOutput()
    for name in (utils.FINGERPRINT_PROPERTY_NAME, INPUT_CONFIG_KEY):
        answer.parameter_values[name].string_value = properties[name]
    for name in (utils.SPAN_PROPERTY_NAME, utils.VERSION_PROPERTY_NAME):
        if properties[name] is not None:
            answer.parameter_values[name].number_value = properties[name]
    answer.artifacts[EXAMPLES_KEY].artifacts.add().CopyFrom(entrypoint.to_runtime_artifact(examples, names))
    fileio.makedirs(os.path.dirname(task.outputs.output_file))
    with fileio.open(task.outputs.output_file, "wb") as file:
        file.write(json_format.MessageToJson(answer, sort_keys=True).encode())


if __name__ == "__main__":
    main()
