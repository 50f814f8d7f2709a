"""ExampleGen's driver on Vertex, run before the cache is asked: TFX's own, told of the parameter `span`.

Vertex starts it with the compiled file's `lifecycle.preCacheCheck`. TFX's driver looks for the newest span and knows
nothing of a parameter that asks for another, so the answer would carry the newest span's number and fingerprint.
"""

import argparse
import json
from collections.abc import Sequence

from tfx.orchestration.kubeflow.v2.file_based_example_gen import driver as stock

from pipeline.components.example_gen import range_config
from pipeline.config.pipeline_config import SPAN_PARAMETER

MODULE = "pipeline.kubeflow.example_gen_driver"


def main(argv: Sequence[str] | None = None) -> None:
    """Resolves span, version and fingerprint, and writes them to the output file that the arguments name."""
    parser = argparse.ArgumentParser(prog=f"python -m {MODULE}")
    parser.add_argument("--json_serialized_invocation_args", required=True)
    parser.add_argument("--json_serialized_inputs_spec_args")
    args, _ = parser.parse_known_args(argv)  # Beam's options come along.
    executor_input = json.loads(args.json_serialized_invocation_args)
    parameters = executor_input["inputs"]["parameterValues"]
    wanted = range_config(int(parameters[SPAN_PARAMETER]))
    if wanted is not None:
        parameters["range_config"] = wanted
    args.json_serialized_invocation_args = json.dumps(executor_input)
    stock.main(args)


if __name__ == "__main__":
    main()
