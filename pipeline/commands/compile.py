"""`kubeflow_runner.py compile`: one file for one backend, checked before it is written."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import files, program
from pipeline.commands import options
from pipeline.config import beam_options
from pipeline.errors import ConfigError, PipelineError
from pipeline.kubeflow import extras
from pipeline.kubeflow.package import SUFFIX, Package
from pipeline.runs.log_capture import captured

if TYPE_CHECKING:
    from pipeline.kubeflow.locations import Locations

DEFAULT_IMAGE = "driftgate:latest"


def _bucket(data: str | None) -> str | None:
    """Returns `[spans] data` where every task can reach it."""
    return data if data is not None and "://" in data else None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares what `compile` reads."""
    parser.add_argument(
        "--target", choices=("vertex", "kubeflow"), default="vertex", help="the backend (default: vertex)"
    )
    options.add_dataset(parser)
    parser.add_argument(
        "--pipeline-root",
        metavar="URI",
        help="gs://BUCKET/PATH, or file:///PATH for a rehearsal (default: runs-kubeflow in the dataset's "
        "folder; of a shipped dataset runs/NAME-kubeflow in this one)",
    )
    parser.add_argument("--data-root", metavar="URI", help="folder of the spans (default: PIPELINE_ROOT/data)")
    parser.add_argument(
        "--serving-dir", metavar="URI", help="the model server's base path (default: PIPELINE_ROOT/serving/MODEL)"
    )
    parser.add_argument("--state-dir", metavar="URI", help="the gate's span records (default: PIPELINE_ROOT/state)")
    parser.add_argument(
        "--image", default=DEFAULT_IMAGE, help=f"what every task runs in; see `make image` (default: {DEFAULT_IMAGE})"
    )
    parser.add_argument(
        "--span",
        type=options.span,
        metavar="N|DATE",
        help="value of the parameter `span` (default: the newest at run time)",
    )
    beam_options.add_arguments(parser)
    parser.add_argument("--output", type=Path, metavar="FILE", help="default: pipeline.json or pipeline.yaml")
    options.add_json(parser)


def command(args: argparse.Namespace) -> int:
    """Compiles, checks and writes.

    Raises:
      ConfigError: wrong configuration, a missing extra, or a pipeline that the backend could not run.
    """
    from pipeline.config.dataset import load_dataset
    from pipeline.kubeflow import locations

    extras.require(args.target)
    output = args.output or Path(f"pipeline{SUFFIX[args.target]}")
    if output.suffix != SUFFIX[args.target]:
        raise ConfigError(f"--output: {args.target} takes a {SUFFIX[args.target]} file. Received: {output}.")
    dataset = load_dataset(args.dataset)
    options.check_days(args, dataset)
    found = locations.locate(
        dataset,
        pipeline_root=args.pipeline_root,
        data_root=args.data_root or _bucket(dataset.spans.data),
        serving_dir=args.serving_dir,
        state_dir=args.state_dir,
    )
    folders = {"--data-root": found.data_root, "--pipeline-root": found.root}
    beam_args = beam_options.of_arguments(args, dataset, folders, image=args.image)
    print(f"{dataset.name}: compiling for {args.target} (loads TFX, about ten seconds)", file=sys.stderr)
    with captured():
        from pipeline.kubeflow import compile, lint

        package = compile.compile_pipeline(
            compile.Request(
                dataset=dataset,
                target=args.target,
                data_root=found.data_root,
                pipeline_root=found.root,
                serving_dir=found.serving_dir,
                state_dir=found.state_dir,
                image=args.image,
                span=args.span,
                engine=args.engine,
                beam_args=beam_args,
            )
        )
        lint.check(package)
    write(output, package.text())
    if args.json:
        print(json.dumps(as_json(package, output, found), sort_keys=True))
    else:
        show(package, output, found)
    return 0


def write(path: Path, text: str) -> None:
    """Writes the file whole or not at all.

    Raises:
      PipelineError: the folder cannot be written.
    """
    try:
        files.write(str(path.parent), path.name, text.encode())
    except OSError as error:
        raise PipelineError(f"--output: {path} cannot be written: {error.strerror}.") from error


def as_json(package: Package, output: Path, found: Locations) -> dict[str, object]:
    """Returns what `compile --json` prints."""
    return {
        "file": str(output),
        "target": package.target,
        "pipeline": package.name,
        "tasks": sorted(package.spec["root"]["dag"]["tasks"]),
        "parameters": package.spec["root"]["inputDefinitions"]["parameters"],
        "pipeline_root": found.root,
        "data_root": found.data_root,
        "serving_dir": found.serving_dir,
        "state_dir": found.state_dir,
    }


def show(package: Package, output: Path, found: Locations) -> None:
    """Prints what was written, and what to type next."""
    from pipeline.kubeflow import locations

    tasks = package.spec["root"]["dag"]["tasks"]
    print(f"{output}: pipeline {package.name!r} for {package.target}, {len(tasks)} tasks, checked")
    for name, where in (
        ("spans", found.data_root),
        ("artifacts", found.root),
        ("models", found.serving_dir),
        ("records", found.state_dir),
    ):
        print(f"  {name:10} {where}")
    if locations.is_remote(found.root):
        place = ["--project", "PROJECT", "--region", "REGION"] if package.target == "vertex" else ["--host", "URL"]
        to = ["--to", package.target, "--pipeline", str(output), *place]
        print(f"Run it:    {program.line('submit', *to, runner='kubeflow_runner.py')}")
    else:
        print(f"Try it:    {program.line('rehearse', '--pipeline', str(output), runner='kubeflow_runner.py')}")
        print(f"No cluster reaches {found.root}; for {package.target}, compile with --pipeline-root gs://BUCKET/PATH.")
