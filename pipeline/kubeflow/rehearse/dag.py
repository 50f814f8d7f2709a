"""The order of a run: a task starts when what it waits for has ended well, and its condition holds."""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pipeline.kubeflow import conditions
from pipeline.kubeflow.package import Json, Package
from pipeline.kubeflow.rehearse import container, sources, task_input
from pipeline.kubeflow.rehearse.errors import TaskError
from pipeline.kubeflow.rehearse.process import Processes
from pipeline.kubeflow.rehearse.store import Store
from pipeline.kubeflow.rehearse.task_input import Done

Status = Literal["ran", "cached", "skipped", "failed", "not started"]
_GOOD = ("ran", "cached")


@dataclass(frozen=True, kw_only=True)
class TaskResult:
    """What became of a task.

    Attributes:
      status: `skipped` where its condition did not hold or something it waits for was skipped, `not started` where
        something it waits for has failed.
      seconds: wall time.
      why: of a failed task, in words.
      done: what it has left; None unless it ran or came from the cache.
    """

    task: str
    status: Status
    seconds: float = 0.0
    why: str = ""
    done: Done | None = None


@dataclass(frozen=True, kw_only=True)
class Rehearsal:
    """A run.

    Attributes:
      folder: where its tasks' folders are.
      results: in the order in which they ended.
    """

    name: str
    folder: Path
    results: list[TaskResult] = field(default_factory=list)

    def outputs(self, task: str, output: str) -> list[Json]:
        """Returns the artifacts of one output; none where the task did not run."""
        for result in self.results:
            if result.task == task and result.done is not None:
                return list(result.done.artifacts.get(output, []))
        return []

    @property
    def failed(self) -> list[TaskResult]:
        return [result for result in self.results if result.status == "failed"]


def rehearse(
    package: Package,
    parameters: Mapping[str, Any],  # Any: JSON.
    root: Path,
    *,
    jobs: int,
    on_start: Callable[[str], None],
    on_end: Callable[[TaskResult], None],
    pause: Callable[[float], None] = time.sleep,
) -> Rehearsal:
    """Runs every task that the backend would run; after a failure, those that do not depend on it (its default).

    Args:
      parameters: the run's, over those that the file brings along.
      root: folder of the rehearsals' store and artifacts.
      jobs: how many tasks at a time.
      pause: waits between the tries of a task, seconds.
    """
    spec = package.spec
    store = Store(root / "store.sqlite")
    defaults = {
        name: parameter["defaultValue"]
        for name, parameter in spec["root"].get("inputDefinitions", {}).get("parameters", {}).items()
        if "defaultValue" in parameter
    }
    values = {**defaults, **package.parameters, **parameters}
    name = store.new_run(package.name)
    run = Rehearsal(name=name, folder=root / name)
    waiting: dict[str, Json] = dict(sorted(spec["root"]["dag"]["tasks"].items()))
    ended: dict[str, TaskResult] = {}
    running: dict[Future[TaskResult], str] = {}

    def end(result: TaskResult) -> None:
        ended[result.task] = result
        run.results.append(result)
        on_end(result)

    with Processes() as processes, ThreadPoolExecutor(max_workers=jobs) as pool:
        try:
            while waiting or running:
                for task_name, task in list(waiting.items()):
                    upstream = [ended.get(up) for up in task.get("dependentTasks", [])]
                    bad = _blocked(upstream)
                    if bad is not None:
                        del waiting[task_name]
                        end(TaskResult(task=task_name, status=bad))
                    elif all(upstream) and len(running) < jobs:
                        del waiting[task_name]
                        done = {up: r.done for up, r in ended.items() if r.done is not None}
                        work = _Work(package, task_name, task, values, done, run, store, processes, on_start, pause)
                        running[pool.submit(work.execute)] = task_name
                if running:
                    finished, _ = wait(running, return_when=FIRST_COMPLETED)
                    for future in finished:
                        del running[future]
                        end(future.result())
        except BaseException:
            # Leaving the pool would wait for tasks that leaving `processes` is to end.
            processes.__exit__(None, None, None)
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
            store.close()
    return run


def _blocked(upstream: list[TaskResult | None]) -> Status | None:
    """Returns what becomes of a task whose upstream tasks have ended so; None where it may still run."""
    statuses = [result.status for result in upstream if result is not None]
    if any(status in ("failed", "not started") for status in statuses):
        return "not started"
    return "skipped" if "skipped" in statuses else None


@dataclass(frozen=True)
class _Work:
    """One task, executed on a thread of its own."""

    package: Package
    name: str
    task: Json
    values: Json
    done: Mapping[str, Done]
    run: Rehearsal
    store: Store
    processes: Processes
    on_start: Callable[[str], None]
    pause: Callable[[float], None]

    def execute(self) -> TaskResult:
        started = time.monotonic()
        try:
            status, done = self._execute()
        except (TaskError, conditions.ConditionError, OSError) as error:
            return TaskResult(task=self.name, status="failed", seconds=time.monotonic() - started, why=str(error))
        return TaskResult(task=self.name, status=status, seconds=time.monotonic() - started, done=done)

    def _execute(self) -> tuple[Status, Done | None]:
        spec = self.package.spec
        component = spec["components"][self.task["componentRef"]["name"]]
        inputs = task_input.inputs(self.task, component, self.values, self.done)
        condition = self.task.get("triggerPolicy", {}).get("condition", "")
        if condition:
            seen = {"artifacts": inputs["artifacts"], "parameter_values": inputs["parameterValues"]}
            if not conditions.holds(condition, seen):
                return "skipped", None
        self.on_start(self.name)
        executor = spec["deploymentSpec"]["executors"][component["executorLabel"]]
        if "importer" in executor:
            done = sources.import_artifact(
                executor["importer"], component, inputs, self.store, self.run.name, self.name
            )
            return "ran", done
        if "resolver" in executor:
            return "ran", sources.resolve(executor["resolver"], inputs, self.store)
        if "container" not in executor:
            raise TaskError(f"a {next(iter(executor))} cannot be rehearsed")
        task = container.Task(
            name=self.name,
            run=self.run.name,
            target=self.package.target,
            spec=self.task,
            component=component,
            container=executor["container"],
            inputs=inputs,
            folder=str(self.run.folder / self.name),
        )
        done, cached = container.execute(task, self.store, self.processes, self.pause)
        return "cached" if cached else "ran", done
