"""What a task is given: an ExecutorInput, made from the file's task and component and from what came before."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.kubeflow.package import Json
from pipeline.kubeflow.rehearse.errors import TaskError


@dataclass(frozen=True, kw_only=True)
class Done:
    """What a task has left, by output name."""

    artifacts: Mapping[str, list[Json]]
    parameters: Mapping[str, Any]  # Any: JSON.


def inputs(task: Json, component: Json, parameters: Json, done: Mapping[str, Done]) -> Json:
    """Returns the `inputs` of the ExecutorInput.

    Args:
      parameters: the run's parameters by name.
      done: the tasks that have ended well.

    Raises:
      TaskError: an input that the component needs is missing.
    """
    values = {name: p["defaultValue"] for name, p in _declared(component, "parameters") if "defaultValue" in p}
    given = task.get("inputs", {})
    for name, source in given.get("parameters", {}).items():
        if "componentInputParameter" in source:
            if source["componentInputParameter"] in parameters:
                values[name] = parameters[source["componentInputParameter"]]
        elif "taskOutputParameter" in source:
            output = source["taskOutputParameter"]
            produced = done[output["producerTask"]].parameters
            if output["outputParameterKey"] in produced:
                values[name] = produced[output["outputParameterKey"]]
        else:
            values[name] = source["runtimeValue"]["constant"]
    found = {}
    for name, source in given.get("artifacts", {}).items():
        output = source["taskOutputArtifact"]
        found[name] = {"artifacts": done[output["producerTask"]].artifacts.get(output["outputArtifactKey"], [])}
    for kind, have in (("parameters", values), ("artifacts", {name: v for name, v in found.items() if v["artifacts"]})):
        for name, declared in _declared(component, kind):
            if name not in have and not declared.get("isOptional"):
                raise TaskError(f"its input {name!r} is missing ({kind})")
    return {"parameterValues": values, "artifacts": found}


def outputs(component: Json, folder: str) -> Json:
    """Returns the `outputs` of the ExecutorInput: where the task is to write, all below `folder`."""
    definitions = component.get("outputDefinitions", {})
    return {
        "artifacts": {
            name: {
                "artifacts": [
                    {
                        "name": f"{folder}/{name}",
                        "uri": f"{folder}/{name}",
                        "type": declared["artifactType"],
                        "metadata": declared.get("metadata", {}),
                    }
                ]
            }
            for name, declared in definitions.get("artifacts", {}).items()
        },
        "parameters": {name: {"outputFile": f"{folder}/{name}.txt"} for name in definitions.get("parameters", {})},
        "outputFile": f"{folder}/executor_output.json",
    }


def cache_key(component: Json, container: Json, executor_input: Json) -> str:
    """Returns the key under which a task's result is kept.

    Of input artifacts it holds the names, so a task after one that ran anew runs anew too. Source: Kubeflow Pipelines,
    backend/src/v2/cacheutils; Vertex AI, "Configure execution caching".
    """
    given = executor_input["inputs"]
    names = {
        name: [artifact["name"] for artifact in listed["artifacts"]] for name, listed in given["artifacts"].items()
    }
    content = [
        given["parameterValues"],
        names,
        component.get("outputDefinitions", {}),
        {part: container.get(part) for part in ("image", "command", "args", "env")},
    ]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _declared(component: Json, kind: str) -> list[tuple[str, Json]]:
    return list(component.get("inputDefinitions", {}).get(kind, {}).items())
