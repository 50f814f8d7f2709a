"""`kubeflow_runner.py rehearse`: a compiled file, run here as its backend would."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.commands import options
from pipeline.components import nodes
from pipeline.errors import ConfigError
from pipeline.gate.decision import DECISION_FILE, Decision, describe
from pipeline.kubeflow import extras
from pipeline.kubeflow import package as packages
from pipeline.kubeflow.package import Package
from pipeline.runs import outcome
from pipeline.runs.log_capture import captured
from pipeline.runs.outcome import Result

if TYPE_CHECKING:
    from pipeline.kubeflow.rehearse.dag import Rehearsal, TaskResult


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares what `rehearse` reads."""
    add_pipeline(parser)
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="tasks at a time (default: 2)")
    options.add_json(parser)


def add_pipeline(parser: argparse.ArgumentParser) -> None:
    """Adds the compiled file and the values of its parameters."""
    parser.add_argument(
        "--pipeline",
        type=Path,
        default=Path("pipeline.json"),
        metavar="FILE",
        help="what compile wrote (default: pipeline.json)",
    )
    parser.add_argument(
        "--param", action="append", default=[], metavar="NAME=VALUE", help="a run-time parameter, such as span=7"
    )


def command(args: argparse.Namespace) -> int:
    """Rehearses once.

    Raises:
      ConfigError: no compiled file, one that the backend could not run, a wrong parameter, a root in a bucket.
    """
    extras.require("kubeflow")
    from pipeline.kubeflow import locations
    from pipeline.kubeflow.rehearse.dag import rehearse

    package = packages.read(args.pipeline)
    check(package)
    parameters = parse_parameters(args.param, package)
    if args.jobs < 1:
        raise ConfigError(f"--jobs: expected 1 or more. Received: {args.jobs}.")
    if not package.root or locations.is_remote(package.root):
        raise ConfigError(
            f"{args.pipeline}: its artifacts would go to {package.root or 'no place that it names'}. "
            "For a rehearsal, compile with --pipeline-root file:///PATH."
        )

    def started(task: str) -> None:
        print(f"  {task} ...", file=sys.stderr, flush=True)

    def ended(result: TaskResult) -> None:
        if result.status != "skipped":
            print(f"  {result.task:18} {result.status:11} {result.seconds:7.1f} s", file=sys.stderr, flush=True)

    print(f"{package.name}: rehearsing {args.pipeline} as {package.target} would run it", file=sys.stderr)
    root = Path(package.root) / "rehearsals"
    run = rehearse(package, parameters, root, jobs=args.jobs, on_start=started, on_end=ended)
    result = result_of(run)
    if args.json:
        print(json.dumps(as_json(run, result), sort_keys=True))
    else:
        show(run, result)
    return result.exit_status


def check(package: Package) -> None:
    """Refuses what the backend could not run; artifact types are imported for that, which TensorFlow comments on."""
    from pipeline.kubeflow import lint

    with captured():
        lint.check(package)


def parse_parameters(given: Sequence[str], package: Package) -> dict[str, Any]:  # Any: JSON.
    """Returns `NAME=VALUE` options as values of the declared types.

    Raises:
      ConfigError: no such parameter, or a value of another type.
    """
    from pipeline.kubeflow import lint

    declared = package.spec["root"].get("inputDefinitions", {}).get("parameters", {})
    values: dict[str, Any] = {}  # Any: JSON.
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            raise ConfigError(f"--param: expected NAME=VALUE. Received: {text!r}.")
        if name not in declared:
            raise ConfigError(f"--param: there is no parameter {name!r}. There are: {', '.join(declared) or 'none'}.")
        kind = declared[name]["parameterType"]
        try:
            parsed = value if kind == "STRING" else json.loads(value)
        except ValueError:
            parsed = value
        if not lint.fits(parsed, kind):
            raise ConfigError(f"--param: {name!r} is a {kind}. Received: {value!r}.")
        values[name] = parsed
    return values


def decision_of(run: Rehearsal) -> Decision | None:
    """Returns the gate's decision; None where it did not come to one."""
    for artifact in run.outputs(nodes.RERUN_GATE, "decision"):
        return Decision.from_json((Path(artifact["uri"]) / DECISION_FILE).read_text(encoding="utf-8"))
    return None


def pushed_of(run: Rehearsal) -> str | None:
    """Returns the folder of the version that was pushed; None where none was."""
    for artifact in run.outputs(nodes.PUSHER, "pushed_model"):
        if artifact["metadata"].get("pushed") == 1:
            return str(artifact["metadata"]["pushed_destination"])
    return None


def result_of(run: Rehearsal) -> Result:
    """Returns how the run ended."""
    if run.failed and [result.task for result in run.failed] != [nodes.REFUSE_SPAN]:
        return Result.FAILED

    def left(task: str, output: str) -> dict[str, Any] | None:  # Any: JSON.
        return next((artifact["metadata"] for artifact in run.outputs(task, output)), None)

    return outcome.result_of(left)


def as_json(run: Rehearsal, result: Result) -> dict[str, Any]:  # Any: JSON.
    """Returns what `rehearse --json` prints."""
    decision = decision_of(run)
    return {
        "result": result,
        "exit_status": result.exit_status,
        "run": run.name,
        "folder": str(run.folder),
        "tasks": [
            {"task": one.task, "status": one.status, "seconds": round(one.seconds, 3), "why": one.why}
            for one in run.results
        ],
        "decision": decision.to_dict() if decision else None,
        "pushed_path": pushed_of(run),
    }


def show(run: Rehearsal, result: Result) -> None:
    """Prints the outcome, what failed first."""
    for failure in run.failed:
        print(f"{failure.task} failed: {failure.why}")
    decision = decision_of(run)
    if decision:
        print(describe(decision))
    if pushed := pushed_of(run):
        print(f"Pushed version {Path(pushed).name} to {pushed}")
    skipped = [one.task for one in run.results if one.status == "skipped"]
    if skipped:
        print(f"Not triggered: {', '.join(sorted(skipped))}")
    print(f"{run.name}: {result.text}; artifacts and logs: {run.folder}")
