"""`report`: finds the page of a run, or makes it again from the run's artifacts."""

import argparse
import sys
import webbrowser
from pathlib import Path

from pipeline.commands import options
from pipeline.errors import ConfigError, PipelineError, ReportError
from pipeline.report import files
from pipeline.report.series_data import FILE as REPLAY_FILE
from pipeline.state.root import Root


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares what `report` reads."""
    options.add_root(parser)
    parser.add_argument(
        "--span", type=options.span, metavar="N|DATE", help="of this span's newest run (default: of the newest run)"
    )
    parser.add_argument("--open", action="store_true", help="open it in the browser")
    parser.add_argument("--output", type=Path, metavar="FILE", help="make it anew, into FILE")


def command(args: argparse.Namespace) -> int:
    """Prints the path of the report, and nothing else, on standard output. Exit status: 0 there it is.

    Raises:
      PipelineError: no such run, or the file cannot be written.
    """
    _, root = options.load(args)
    try:
        path = find_or_make(root, args.span, args.output)
    except ReportError as error:
        error.add_note(f"To run it: {options.hint(args, 'run', *options.span_words(args.span))}")
        raise
    except OSError as error:
        raise PipelineError(f"The report cannot be written: {error}. Name another file with --output.") from error
    print(path)
    if args.open and not webbrowser.open(path.as_uri()):
        print("no browser was found; open the file yourself", file=sys.stderr)
    return 0


def find_or_make(root: Root, span: int | None, output: Path | None) -> Path:
    """Returns the report of a span's newest run, or of the newest run.

    Args:
      output: where to make it anew; None to take the one that the run has left, made anew only where it is missing.
    """
    if output is not None and output.is_dir():
        raise ConfigError(f"--output: {output} is a folder. Name a file, such as {output / 'report.html'}.")
    if (root.path / REPLAY_FILE).exists():
        return _series(root, span, output)
    run = files.find_run(root, span)
    if output is not None:
        return files.write(run, output.absolute())
    return files.existing(root, run.span, run.run_id) or files.write(run, files.path_of(root, run.span, run.run_id))


def _series(root: Root, span: int | None, output: Path | None) -> Path:
    """Returns the page of a whole replay; its steps have roots of their own."""
    if span is not None:
        raise ConfigError(
            f"--span: {root.path} is a replay's. The steps of one that was played with --keep are below "
            f"{root.path / 'gate'}: name that with --root."
        )
    path = root.path / files.SERIES_PAGE
    if output is None and path.exists():
        return path
    return files.write_series(root.path, output.absolute() if output else None)
