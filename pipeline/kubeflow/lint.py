"""Refuses a compiled pipeline that its backend could not run, naming the task: here, not after an hour in a cluster.

TFX's compiler writes such files without a word: producers that do not exist, parameters without a value, run-time
parameters without their defaults, resolvers that Kubeflow's backend has not implemented.
"""

import importlib
import importlib.util
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

import yaml
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

from pipeline.errors import ConfigError
from pipeline.kubeflow import conditions
from pipeline.kubeflow.package import Json, Package, Target

SCHEMA_VERSION = "2.1.0"
# Linux passes no single argument that is longer (MAX_ARG_STRLEN), and a task's whole input is one argument. What is
# known only at run time (URIs, metadata) is allowed for per artifact.
MAX_ARGUMENT_BYTES = 128 * 1024
_BYTES_PER_ARTIFACT = 1024

# Names that the backends take. Sources: TFX's pipeline_builder; Argo's rule for the names of a DAG's tasks.
_PIPELINE_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,127}")
_TASK_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_-]*")
_EXECUTORS: Mapping[Target, tuple[str, ...]] = {
    "vertex": ("container", "importer", "resolver", "customJob"),
    "kubeflow": ("container", "importer"),
}
_NUMBERS = ("NUMBER_INTEGER", "NUMBER_DOUBLE")


@dataclass(frozen=True)
class Finding:
    """What the backend would stumble over; `task` is "" for the pipeline itself."""

    task: str
    text: str

    def __str__(self) -> str:
        return f"task {self.task}: {self.text}" if self.task else f"pipeline: {self.text}"


def check(package: Package) -> None:
    """Raises ConfigError with every finding, one a line."""
    found = lint(package)
    if found:
        lines = "\n".join(f"  {finding}" for finding in found)
        raise ConfigError(f"{package.target} cannot run this pipeline:\n{lines}")


def lint(package: Package) -> list[Finding]:
    """Returns all findings, the pipeline's first, then task by task."""
    spec = package.spec
    try:
        json_format.ParseDict(spec, pipeline_spec_pb2.PipelineSpec())
    except json_format.ParseError as error:
        return [Finding("", f"not a PipelineSpec: {error}")]
    found = list(_pipeline(package))
    tasks = spec["root"].get("dag", {}).get("tasks", {})
    for name, task in sorted(tasks.items()):
        found += [Finding(name, text) for text in _task(name, task, tasks, package)]
    return found + [Finding("", text) for text in _cycle(tasks)]


def _pipeline(package: Package) -> Iterator[Finding]:
    spec = package.spec
    if spec.get("schemaVersion") != SCHEMA_VERSION:
        yield Finding("", f"schemaVersion must be {SCHEMA_VERSION}. Received: {spec.get('schemaVersion')!r}.")
    if not _PIPELINE_NAME.fullmatch(package.name):
        yield Finding("", f"the name must match {_PIPELINE_NAME.pattern}. Received: {package.name!r}.")
    declared = spec["root"].get("inputDefinitions", {}).get("parameters", {})
    for name, parameter in sorted(declared.items()):
        value = package.parameters.get(name, parameter.get("defaultValue"))
        if value is None:
            yield Finding("", f"the run-time parameter {name!r} has neither a value nor a default.")
        elif not fits(value, parameter["parameterType"]):
            yield Finding(
                "", f"the run-time parameter {name!r} is a {parameter['parameterType']}. Received: {value!r}."
            )
    for name in sorted(set(package.parameters) - set(declared)):
        yield Finding("", f"there is a value for {name!r}, which is no run-time parameter.")


def _task(name: str, task: Json, tasks: Json, package: Package) -> Iterator[str]:
    if not _TASK_NAME.fullmatch(name):
        yield f"the name must match {_TASK_NAME.pattern}."
    component = package.spec.get("components", {}).get(task.get("componentRef", {}).get("name"))
    if component is None:
        yield f"its component {task.get('componentRef', {}).get('name')!r} is not defined."
        return
    yield from _executor(task, component, package)
    for upstream in task.get("dependentTasks", []):
        if upstream not in tasks:
            yield f"it waits for the task {upstream!r}, which does not exist."
    yield from _parameters(task, component, tasks, package)
    yield from _artifacts(task, component, tasks, package)
    yield from _condition(task)


def _executor(task: Json, component: Json, package: Package) -> Iterator[str]:
    target = package.target
    executors = package.spec.get("deploymentSpec", {}).get("executors", {})
    executor = executors.get(component.get("executorLabel"))
    if executor is None:
        yield f"its executor {component.get('executorLabel')!r} is not defined."
        return
    (kind,) = executor
    if kind not in _EXECUTORS[target]:
        yield f"{target} runs no {kind}. It runs: {', '.join(_EXECUTORS[target])}."
        return
    if kind == "importer" and target == "kubeflow" and task.get("triggerPolicy", {}).get("condition"):
        yield "kubeflow runs an importer whatever its condition says."
    if kind != "container":
        return
    container = executor["container"]
    if not container.get("image"):
        yield "no container image is named."
    if "lifecycle" in container and target == "kubeflow":
        yield "kubeflow never runs lifecycle.preCacheCheck, so what it finds would be missing."
    size = len(json.dumps(task.get("inputs", {}).get("parameters", {})).encode())
    size += _BYTES_PER_ARTIFACT * len(component.get("inputDefinitions", {}).get("artifacts", {}))
    size += _BYTES_PER_ARTIFACT * len(component.get("outputDefinitions", {}).get("artifacts", {}))
    longest = max([size, *(len(argument.encode()) for argument in container.get("args", []))])
    if longest > MAX_ARGUMENT_BYTES:
        yield (
            f"its inputs make an argument of {longest:,} bytes; Linux passes at most {MAX_ARGUMENT_BYTES:,}. "
            "Shorten the schema's comments, or the list of features."
        )


def _parameters(task: Json, component: Json, tasks: Json, package: Package) -> Iterator[str]:
    declared = component.get("inputDefinitions", {}).get("parameters", {})
    given = task.get("inputs", {}).get("parameters", {})
    root = package.spec["root"].get("inputDefinitions", {}).get("parameters", {})
    for name in sorted(set(declared) - set(given)):
        if not declared[name].get("isOptional") and "defaultValue" not in declared[name]:
            yield f"the parameter {name!r} has no value."
    for name, source in sorted(given.items()):
        if name not in declared:
            yield f"the parameter {name!r} is not declared."
            continue
        wanted = declared[name]["parameterType"]
        if "componentInputParameter" in source:
            if source["componentInputParameter"] not in root:
                yield f"the parameter {name!r} needs a run-time parameter that is not declared."
        elif "taskOutputParameter" in source:
            output = source["taskOutputParameter"]
            yield from _producer(f"the parameter {name!r}", output, "outputParameterKey", "parameters", tasks, package)
        elif "constant" not in source.get("runtimeValue", {}):
            yield f"the parameter {name!r} has a source that {package.target} does not know: {sorted(source)}."
        elif not fits(source["runtimeValue"]["constant"], wanted):
            constant = source["runtimeValue"]["constant"]
            yield f"the parameter {name!r} is a {wanted}. Received: {constant!r}."


def _artifacts(task: Json, component: Json, tasks: Json, package: Package) -> Iterator[str]:
    declared = component.get("inputDefinitions", {}).get("artifacts", {})
    given = task.get("inputs", {}).get("artifacts", {})
    for name in sorted(set(declared) - set(given)):
        if not declared[name].get("isOptional"):
            yield f"the input {name!r} has no producer."
    for name, source in sorted(given.items()):
        if name not in declared:
            yield f"the input {name!r} is not declared."
        elif "taskOutputArtifact" not in source:
            yield f"the input {name!r} has a source other than a task: {sorted(source)}."
        else:
            output = source["taskOutputArtifact"]
            faults = list(_producer(f"the input {name!r}", output, "outputArtifactKey", "artifacts", tasks, package))
            yield from faults
            if not faults:
                yield from _same_type(name, declared[name], output, tasks, package)
                if output["producerTask"] not in task.get("dependentTasks", []):
                    yield f"the input {name!r} comes from {output['producerTask']!r}, which it does not wait for."
    for artifact in (*declared.values(), *component.get("outputDefinitions", {}).get("artifacts", {}).values()):
        yield from _known_type(title(artifact["artifactType"]))


def _producer(what: str, output: Json, key: str, kind: str, tasks: Json, package: Package) -> Iterator[str]:
    producer = tasks.get(output["producerTask"])
    if producer is None:
        yield f"{what} comes from the task {output['producerTask']!r}, which does not exist."
        return
    component = package.spec["components"].get(producer["componentRef"]["name"], {})
    if output[key] not in component.get("outputDefinitions", {}).get(kind, {}):
        yield f"{what} is the output {output[key]!r} of {output['producerTask']!r}, which has no such output."


def _same_type(name: str, declared: Json, output: Json, tasks: Json, package: Package) -> Iterator[str]:
    producer = package.spec["components"][tasks[output["producerTask"]]["componentRef"]["name"]]
    made = title(producer["outputDefinitions"]["artifacts"][output["outputArtifactKey"]]["artifactType"])
    wanted = title(declared["artifactType"])
    if made != wanted:
        yield f"the input {name!r} is a {wanted}, but {output['producerTask']!r} makes a {made}."


def title(artifact_type: Json) -> str:
    """Returns the type's name, such as `tfx.Model`; "" where there is none."""
    if "schemaTitle" in artifact_type:
        return str(artifact_type["schemaTitle"])
    schema = yaml.safe_load(artifact_type.get("instanceSchema", "")) or {}
    return str(schema.get("title", ""))


def _known_type(name: str) -> Iterator[str]:
    module, _, class_name = name.rpartition(".")
    if module == "tfx" and (_tfx_types() / f"{class_name}.yaml").exists():
        return
    try:
        getattr(importlib.import_module(module), class_name)
    except (ImportError, AttributeError, ValueError):
        yield f"the artifact type {name!r} is neither TFX's nor can it be imported."


def _tfx_types() -> Path:
    """Returns the folder of the types that TFX's compiler knows, without loading TFX."""
    found = importlib.util.find_spec("tfx")
    assert found is not None, "TFX is what compiled the pipeline"
    assert found.submodule_search_locations, "TFX is a package"
    return Path(found.submodule_search_locations[0]) / "orchestration" / "kubeflow" / "v2" / "artifact_types"


def _condition(task: Json) -> Iterator[str]:
    expression = task.get("triggerPolicy", {}).get("condition", "")
    if not expression:
        return
    try:
        conditions.check_syntax(expression)
    except conditions.ConditionError as error:
        yield f"{error}."
        return
    inputs = task.get("inputs", {})
    for kind, names in zip(("artifacts", "parameters"), conditions.names(expression), strict=True):
        for name in sorted(names - set(inputs.get(kind, {}))):
            yield f"its condition reads {name!r}, which is not among its inputs."


def _cycle(tasks: Json) -> Iterator[str]:
    graph = {name: [up for up in task.get("dependentTasks", []) if up in tasks] for name, task in tasks.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        yield f"tasks wait for each other: {' → '.join(error.args[1])}."


def fits(value: Any, parameter_type: str) -> bool:  # Any: JSON.
    """Returns whether a JSON value is one of the type; a STRING may hold anything that was made a string."""
    if parameter_type in _NUMBERS:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return number and (parameter_type == "NUMBER_DOUBLE" or float(value).is_integer())
    kinds = {"STRING": str, "BOOLEAN": bool, "LIST": list, "STRUCT": dict}
    return parameter_type in kinds and isinstance(value, kinds[parameter_type])
