"""Fills the placeholders of a container's command: `{{$}}` is a task's whole input, the others are parts of it.

Source: Kubeflow Pipelines, PipelineContainerSpec in pipeline_spec.proto.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from pipeline.kubeflow.rehearse.errors import TaskError

Json = Mapping[str, Any]  # Any: JSON.

_PLACEHOLDER = re.compile(r"\{\{\$(.*?)\}\}")
_PART = re.compile(
    r"\.(?P<side>inputs|outputs)\.(?P<kind>artifacts|parameters)\['(?P<name>[^']+)'\]"
    r"(?P<field>\.uri|\.output_file|\.metadata\['(?P<key>[^']+)'\])?"
)


def fill(text: str, executor_input: Json) -> str:
    """Returns `text` with every placeholder replaced.

    Args:
      executor_input: an ExecutorInput in JSON.

    Raises:
      TaskError: a placeholder that the specification does not know, or of an input that is not there.
    """
    return _PLACEHOLDER.sub(lambda match: _value(match.group(1), executor_input), text)


def _value(path: str, executor_input: Json) -> str:
    if path == "":
        return json.dumps(executor_input, sort_keys=True)
    if path in (".outputs.output_file", ".outputs.output_metadata_uri"):
        return str(executor_input["outputs"]["outputFile"])
    match = _PART.fullmatch(path)
    if match is None:
        raise TaskError(f"the placeholder {{{{${path}}}}} is not one that the specification knows")
    side, kind, name, field, key = match.group("side", "kind", "name", "field", "key")
    try:
        part = executor_input[side]["parameterValues" if (side, kind) == ("inputs", "parameters") else kind][name]
        if kind == "artifacts":
            (artifact,) = part["artifacts"]
            return _text(artifact["metadata"][key] if key else artifact[(field or ".uri")[1:]])
        return _text(part["outputFile"] if side == "outputs" else part)
    except (KeyError, ValueError) as error:
        raise TaskError(f"the placeholder {{{{${path}}}}} asks for what the task does not have") from error


def _text(value: Any) -> str:  # Any: JSON.
    return value if isinstance(value, str) else json.dumps(value)
