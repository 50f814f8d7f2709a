"""A container task: its driver, the cache, its command, and what it has left."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

from pipeline.kubeflow.lint import title
from pipeline.kubeflow.package import Json, Target
from pipeline.kubeflow.rehearse import placeholders, task_input
from pipeline.kubeflow.rehearse.errors import TaskError
from pipeline.kubeflow.rehearse.process import Processes, last_line
from pipeline.kubeflow.rehearse.store import Store
from pipeline.kubeflow.rehearse.task_input import Done

logger = logging.getLogger(__name__)

# Linux's limit for one argument of a command (MAX_ARG_STRLEN), its final zero byte included.
_MAX_ARGUMENT_BYTES = 128 * 1024


@dataclass(frozen=True, kw_only=True)
class Task:
    """One task of a run.

    Attributes:
      folder: where its outputs and its log go.
      inputs: of its ExecutorInput.
    """

    name: str
    run: str
    target: Target
    spec: Json
    component: Json
    container: Json
    inputs: Json
    folder: str


def execute(task: Task, store: Store, processes: Processes, pause: Callable[[float], None]) -> tuple[Done, bool]:
    """Runs the task, or takes its result from the cache.

    Args:
      pause: waits between tries, seconds.

    Returns:
      What it has left, and whether that is from the cache.

    Raises:
      TaskError: every try has failed, or what it left is not what the file declares.
    """
    executor_input = {"inputs": task.inputs, "outputs": task_input.outputs(task.component, task.folder)}
    log = Path(task.folder) / "log"
    for listed in executor_input["outputs"]["artifacts"].values():
        Path(listed["artifacts"][0]["uri"]).mkdir(parents=True, exist_ok=True)
    hook = task.container.get("lifecycle", {}).get("preCacheCheck")
    if hook and task.target == "vertex":
        _run(task, hook, executor_input, processes, log)
        _merge_driver(executor_input, log)
    key = task_input.cache_key(task.component, task.container, executor_input)
    may_cache = task.spec.get("cachingOptions", {}).get("enableCache", False)
    if may_cache and (known := store.result(key)) is not None:
        return Done(artifacts=known["artifacts"], parameters=known["parameters"]), True
    _try(task, executor_input, processes, pause, log)
    done = _collect(task, executor_input, store)
    store.remember(key, {"artifacts": done.artifacts, "parameters": done.parameters}, task.run, task.name)
    return done, False


def _try(task: Task, executor_input: Json, processes: Processes, pause: Callable[[float], None], log: Path) -> None:
    """Runs the command, again where it fails, as often as the file says; each try finds what the last one left."""
    policy = task.spec.get("retryPolicy", {})
    tries = 1 + int(policy.get("maxRetryCount", 0))
    wait_s = _seconds(policy.get("backoffDuration", "0s"))
    for number in range(1, tries + 1):
        try:
            _run(task, task.container, executor_input, processes, log)
        except TaskError as error:
            if number == tries:
                raise
            logger.info("%s failed (%s); try %d of %d in %g s.", task.name, error, number + 1, tries, wait_s)
            pause(wait_s)
            wait_s *= float(policy.get("backoffFactor", 2.0))
            wait_s = min(wait_s, _seconds(policy.get("backoffMaxDuration", "3600s")))
        else:
            return


def _run(task: Task, command: Json, executor_input: Json, processes: Processes, log: Path) -> None:
    line = [placeholders.fill(part, executor_input) for part in (*command.get("command", []), *command.get("args", []))]
    if not line:
        raise TaskError("it names no command; what the image's ENTRYPOINT does cannot be rehearsed")
    longest = max(len(part.encode()) for part in line)
    if longest >= _MAX_ARGUMENT_BYTES:
        raise TaskError(f"an argument has {longest:,} bytes; Linux passes less than {_MAX_ARGUMENT_BYTES:,}")
    environment = {entry["name"]: entry.get("value", "") for entry in task.container.get("env", [])}
    status = processes.run(line, environment, log)
    if status:
        raise TaskError(f"exit status {status}: {last_line(log)} (log: {log})")


def _merge_driver(executor_input: Json, log: Path) -> None:
    """Takes over what the driver has found: parameters for cache and executor, properties of the outputs."""
    output = _read_output(Path(executor_input["outputs"]["outputFile"]), log)
    executor_input["inputs"]["parameterValues"].update(output.get("parameterValues", {}))
    for name, listed in output.get("artifacts", {}).items():
        artifact = executor_input["outputs"]["artifacts"][name]["artifacts"][0]
        artifact["metadata"] = {**artifact["metadata"], **listed["artifacts"][0].get("metadata", {})}


def _read_output(path: Path, log: Path) -> Json:
    if not path.exists():
        raise TaskError(f"it ended well but wrote no {path.name} (log: {log})")
    try:
        output = json_format.Parse(path.read_text(encoding="utf-8"), pipeline_spec_pb2.ExecutorOutput())
    except json_format.ParseError as error:
        raise TaskError(f"what it wrote to {path} is no ExecutorOutput: {error}") from error
    value: dict[str, Any] = json_format.MessageToDict(output)
    return value


def _collect(task: Task, executor_input: Json, store: Store) -> Done:
    """Returns what the task has left, recorded under names of their own."""
    output = _read_output(Path(executor_input["outputs"]["outputFile"]), Path(task.folder) / "log")
    provided: Mapping[str, Json] = executor_input["outputs"]["artifacts"]
    undeclared = sorted(set(output.get("artifacts", {})) - set(provided))
    if undeclared:
        raise TaskError(f"it left the artifact {undeclared[0]!r}, which its component does not declare")
    artifacts = {}
    for name, listed in provided.items():
        artifact = dict(listed["artifacts"][0])
        left = output.get("artifacts", {}).get(name, {}).get("artifacts", [{}])[0]
        artifact["uri"] = left.get("uri", artifact["uri"])
        artifact["metadata"] = {**artifact["metadata"], **left.get("metadata", {})}
        store.add(artifact, title(artifact["type"]), task.run, task.name)
        artifacts[name] = [artifact]
    parameters = dict(output.get("parameterValues", {}))
    for name in executor_input["outputs"]["parameters"]:
        if name not in parameters:
            raise TaskError(f"it left no value for its output parameter {name!r}")
    return Done(artifacts=artifacts, parameters=parameters)


def _seconds(duration: str) -> float:
    """Reads a protobuf Duration in JSON, such as `60s`."""
    return float(duration.removesuffix("s"))
