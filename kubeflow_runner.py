"""The pipeline for Vertex AI Pipelines and Kubeflow Pipelines v2: compile it, rehearse the file here, submit it.

Nothing heavy is imported until a command needs it, so `--help` and wrong usage answer at once.
Exit status: 0 done, 2 wrong usage or configuration or a missing extra, 3 the run refused the data, 130 interrupted,
1 anything else.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

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
    compiled.add_argument("--engine", choices=("local", "beam"), default="local", help="as local_runner.py's")
    compiled.add_argument("--output", type=Path, metavar="FILE", help="default: pipeline.json or pipeline.yaml")
    compiled.add_argument("--json", action="store_true", help="print one JSON object on standard output")
    compiled.set_defaults(command=_compile)
    return parser


def _compile(args: argparse.Namespace) -> int:
    from pipeline.commands import compile

    return compile.command(args)


def console_main() -> None:
    """Entry point of the installed command."""
    sys.exit(main())


if __name__ == "__main__":
    console_main()
