"""A compiled pipeline of two or three tasks, each a line of Python, in the specification's own words."""

import json
from typing import Any

from pipeline.kubeflow.package import Package

MODEL = {"schemaTitle": "tfx.Model"}

# What a task does with its ExecutorInput: writes a file, and an ExecutorOutput with one property.
MAKE = """
import json, os, sys
given = json.loads(sys.argv[1])
model = given["outputs"]["artifacts"]["model"]["artifacts"][0]
open(os.path.join(model["uri"], "weights"), "w").write(json.dumps(given["inputs"]["parameterValues"]))
model["metadata"] = {"good": given["inputs"]["parameterValues"]["good"]}
output = {"artifacts": {"model": {"artifacts": [model]}}, "parameterValues": {"answer": 42}}
json.dump(output, open(given["outputs"]["outputFile"], "w"))
"""
USE = """
import json, sys
given = json.loads(sys.argv[1])
json.dump({}, open(given["outputs"]["outputFile"], "w"))
print("used", given["inputs"]["artifacts"]["model"]["artifacts"][0]["uri"])
"""


def container(code: str, **more: Any) -> dict[str, Any]:
    return {"container": {"image": "i", "command": ["python", "-c", code], "args": ["{{$}}"], **more}}


def package(target: str = "vertex") -> Package:
    """Make's model, with the run's parameter `good`, is used where it is good."""
    spec: dict[str, Any] = {
        "pipelineInfo": {"name": "small"},
        "schemaVersion": "2.1.0",
        "deploymentSpec": {"executors": {"make": container(MAKE), "use": container(USE)}},
        "components": {
            "Make": {
                "executorLabel": "make",
                "inputDefinitions": {"parameters": {"good": {"parameterType": "NUMBER_INTEGER"}}},
                "outputDefinitions": {
                    "artifacts": {"model": {"artifactType": MODEL}},
                    "parameters": {"answer": {"parameterType": "NUMBER_INTEGER"}},
                },
            },
            "Use": {
                "executorLabel": "use",
                "inputDefinitions": {"artifacts": {"model": {"artifactType": MODEL}}},
            },
        },
        "root": {
            "inputDefinitions": {"parameters": {"good": {"parameterType": "NUMBER_INTEGER", "defaultValue": 1}}},
            "dag": {
                "tasks": {
                    "Make": {
                        "componentRef": {"name": "Make"},
                        "taskInfo": {"name": "Make"},
                        "inputs": {"parameters": {"good": {"componentInputParameter": "good"}}},
                        "cachingOptions": {"enableCache": True},
                    },
                    "Use": {
                        "componentRef": {"name": "Use"},
                        "taskInfo": {"name": "Use"},
                        "dependentTasks": ["Make"],
                        "inputs": {
                            "artifacts": {
                                "model": {"taskOutputArtifact": {"producerTask": "Make", "outputArtifactKey": "model"}}
                            }
                        },
                        "triggerPolicy": {
                            "condition": "inputs.artifacts['model'].artifacts[0].metadata['good'] == 1.0"
                        },
                    },
                }
            },
        },
    }
    return Package(target=target, spec=json.loads(json.dumps(spec)), root="/nowhere")  # type: ignore[arg-type]
