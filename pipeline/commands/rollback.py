"""`rollback`: an earlier version live again, and back."""

import argparse
import contextlib
import json
import sys
import time
from collections.abc import Iterator

from pipeline.commands import options
from pipeline.commands.terminal import Terminal
from pipeline.errors import ConfigError, PipelineError, RootBusyError
from pipeline.state import rollback, rollback_records
from pipeline.state.root import Root
from pipeline.state.version_folder import read_rollback

_POLL_S = 0.2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares what `rollback` reads."""
    options.add_root(parser)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--to", type=int, metavar="VERSION", help="(default: the one that was live before)")
    which.add_argument("--undo", action="store_true", help="make live what the last rollback replaced")
    options.add_json(parser)


def command(args: argparse.Namespace) -> int:
    """Makes an earlier version live, or undoes that. Exit status: 0 done, 2 there is nothing to go back to, 1 failed.

    Raises:
      PipelineError: wrong usage, or the disk is full.
    """
    dataset, root = options.load(args)
    if not root.path.is_dir():
        raise ConfigError(
            f"--root: there is no folder {root.path}. Run the pipeline first: {options.hint(args, 'run')}"
        )
    serving_dir = root.serving(dataset.serving.model_name)
    terminal = Terminal(sys.stdout, sys.stderr, quiet=args.json)
    with _locked(root, terminal):
        rollback_records.record_missing(root, dataset.name, serving_dir)
        try:
            now = int(time.time())
            made = rollback.undo(serving_dir, now) if args.undo else rollback.roll_back(serving_dir, now, args.to)
        except OSError as error:
            raise PipelineError(f"{serving_dir}: {error.strerror}. Nothing has changed.") from error
        rollback_records.record_missing(root, dataset.name, serving_dir)
    record = read_rollback(made)
    assert record is not None, "it was just written"
    if args.json:
        print(json.dumps({"version": int(made.name), **json.loads(record.to_json())}, sort_keys=True))
        return 0
    terminal.say(
        f"Live now: version {made.name}, which is version {record.origin} again, instead of {record.instead_of}"
    )
    if record.withdrawn_spans:
        spans = ", ".join(map(str, record.withdrawn_spans))
        newest = str(record.withdrawn_spans[-1])
        terminal.say(f"Not processed again by itself: span {spans}. To train on one all the same, such as the newest:")
        terminal.say(f"             {options.hint(args, 'run', '--span', newest, '--force')}")
    if record.undoes is None:
        terminal.say(f"Back again:  {options.hint(args, 'rollback', '--undo')}")
    return 0


@contextlib.contextmanager
def _locked(root: Root, terminal: Terminal) -> Iterator[None]:
    """Holds the root; waits for a run that is at work, whose push would otherwise follow on the rollback's heels."""
    said = False
    while True:
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(root.locked())
            except RootBusyError as error:
                if not said:
                    terminal.note(f"{str(error).split('. ')[0]}; waiting for its end")
                said = True
                time.sleep(_POLL_S)
                continue
            yield
            return
