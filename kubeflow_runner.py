"""The pipeline for Vertex AI Pipelines and Kubeflow Pipelines v2: compile it, rehearse the file here, submit it.

Nothing heavy is imported until a command needs it, so `--help` and wrong usage answer at once.
Exit status: 0 done, 2 wrong usage or configuration or a missing extra, 3 the run refused the data, 4 its candidate was
not blessed, 130 interrupted, 1 anything else.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from pipeline.config import beam_options
from pipeline.errors import PipelineError

DEFAULT_IMAGE = "driftgate:latest"


def main(argv: Sequence[str] | None = None) -> int:
    """Parses `argv`, runs one command and returns its exit status."""
    args = build_parser().parse_args(argv)
    try:
        status: int = args.command(args)
    except PipelineError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return 0
    return status


def build_parser() -> argparse.ArgumentParser:
    """Returns the whole command line."""
    parser = argparse.ArgumentParser(prog="kubeflow_runner.py", description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    compiled = commands.add_parser(
        "compile", help="write the pipeline as a file for a backend", description="Compile the pipeline."
    )
    compiled.add_argument(
        "--target", choices=("vertex", "kubeflow"), default="vertex", help="the backend (default: vertex)"
    )
    compiled.add_argument(
        "--dataset",
        default="taxi",
        metavar="NAME|PATH",
        help="a shipped dataset, or a folder with a dataset.toml (default: taxi)",
    )
    compiled.add_argument(
        "--pipeline-root",
        metavar="URI",
        help="gs://BUCKET/PATH, or file:///PATH for a rehearsal (default: runs/DATASET-kubeflow)",
    )
    compiled.add_argument("--data-root", metavar="URI", help="folder of the spans (default: PIPELINE_ROOT/data)")
    compiled.add_argument(
        "--serving-dir", metavar="URI", help="the model server's base path (default: PIPELINE_ROOT/serving/MODEL)"
    )
    compiled.add_argument("--state-dir", metavar="URI", help="the gate's span records (default: PIPELINE_ROOT/state)")
    compiled.add_argument(
        "--image", default=DEFAULT_IMAGE, help=f"what every task runs in; see `make image` (default: {DEFAULT_IMAGE})"
    )
    compiled.add_argument(
        "--span", type=int, metavar="N", help="value of the parameter `span` (default: the newest at run time)"
    )
    beam_options.add_arguments(compiled)
    compiled.add_argument("--output", type=Path, metavar="FILE", help="default: pipeline.json or pipeline.yaml")
    compiled.add_argument("--json", action="store_true", help="print one JSON object on standard output")
    compiled.set_defaults(command=_compile)

    rehearsed = commands.add_parser(
        "rehearse",
        help="run a compiled file here, as its backend would",
        description="Run a compiled file here: each task in its own process, with the file's own command.",
    )
    _add_pipeline(rehearsed)
    rehearsed.add_argument("--jobs", type=int, default=2, metavar="N", help="tasks at a time (default: 2)")
    rehearsed.add_argument("--json", action="store_true", help="print one JSON object on standard output")
    rehearsed.set_defaults(command=_rehearse)

    submitted = commands.add_parser(
        "submit",
        help="hand a compiled file to its backend",
        description="Submit a compiled file, once or on a schedule.",
    )
    submitted.add_argument("--to", choices=("vertex", "kubeflow"), required=True, help="the backend")
    _add_pipeline(submitted)
    submitted.add_argument("--schedule", metavar="CRON", help="start a run at each of these times, one at a time")
    submitted.add_argument("--wait", action="store_true", help="follow the run; the exit status is its outcome's")
    submitted.add_argument(
        "--poll", type=float, default=30.0, metavar="SECONDS", help="how often --wait asks (default: 30)"
    )
    submitted.add_argument("--json", action="store_true", help="print one JSON object on standard output")
    vertex = submitted.add_argument_group("vertex")
    vertex.add_argument("--project", help="the Google Cloud project")
    vertex.add_argument("--region", help="such as europe-west4")
    vertex.add_argument("--service-account", metavar="EMAIL", help="what tasks run as (default: the project's)")
    vertex.add_argument("--network", metavar="NAME", help="full name of a peered network")
    vertex.add_argument("--api-endpoint", metavar="URL", help="another endpoint than the region's")
    kubeflow = submitted.add_argument_group("kubeflow")
    kubeflow.add_argument("--host", metavar="URL", help="the Kubeflow Pipelines API")
    kubeflow.add_argument("--experiment", metavar="NAME", help="default: the pipeline's name")
    kubeflow.add_argument("--namespace", metavar="NAME", help="of a multi-user installation")
    kubeflow.add_argument("--token-file", type=Path, metavar="FILE", help="holds a bearer token")
    submitted.set_defaults(command=_submit)
    return parser


def _add_pipeline(parser: argparse.ArgumentParser) -> None:
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


def _compile(args: argparse.Namespace) -> int:
    from pipeline.commands import compile

    return compile.command(args)


def _rehearse(args: argparse.Namespace) -> int:
    from pipeline.commands import rehearse

    return rehearse.command(args)


def _submit(args: argparse.Namespace) -> int:
    from pipeline.commands import submit

    return submit.command(args)


def console_main() -> None:
    """Entry point of the installed command."""
    sys.exit(main())


if __name__ == "__main__":
    console_main()
