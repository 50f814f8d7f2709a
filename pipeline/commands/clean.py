"""`clean`: removes what `[retention]` does not keep, now; every run does so by itself when it ends."""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING

from pipeline.commands import options
from pipeline.commands.terminal import Terminal
from pipeline.errors import ConfigError, PipelineError
from pipeline.runs import records
from pipeline.state import retention
from pipeline.state.root import Root

if TYPE_CHECKING:
    from pipeline.config.dataset import Dataset

logger = logging.getLogger(__name__)

_MB = 1e6


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares what `clean` reads."""
    options.add_root(parser)
    parser.add_argument("--dry-run", action="store_true", help="only say what would go, and how much room it takes")
    options.add_json(parser)


def command(args: argparse.Namespace) -> int:
    """Removes what is not kept, or says what would go. Exit status: 0 done.

    Raises:
      PipelineError: there is no root, another process holds it, or something cannot be removed.
    """
    dataset, root = options.load(args)
    if not root.path.is_dir():
        raise ConfigError(
            f"--root: there is no folder {root.path}. Run the pipeline first: {options.hint(args, 'run')}"
        )
    if args.dry_run:
        plan = _plan(dataset, root)
        sized = list(retention.sizes(plan.removals))
    else:
        with root.locked():
            plan = _plan(dataset, root)
            sized = list(retention.sizes(plan.removals))
            try:
                retention.apply(root, plan)
                records.shorten(root, dataset.retention.history)
            except OSError as error:
                raise PipelineError(f"{error.filename or root.path} cannot be removed: {error.strerror}.") from error
    if args.json:
        value = {
            "root": str(root.path),
            "dry_run": args.dry_run,
            "removals": [
                {"kind": removal.kind, "path": str(removal.path), "entries": entries, "bytes": free}
                for removal, entries, free in sized
            ],
            "forgotten_runs": len(plan.forgotten),
        }
        print(json.dumps(value, sort_keys=True))
        return 0
    terminal = options.terminal(sys.stdout, sys.stderr, dataset)
    if args.dry_run:
        for removal, _, free in sized:
            terminal.say(f"{removal.kind:9} {free / _MB:8.2f} MB  {removal.path}")
    _show(sized, len(plan.forgotten), terminal, verb="would go" if args.dry_run else "removed")
    return 0


def tidy(dataset: Dataset, root: Root, terminal: Terminal) -> None:
    """Removes what is not kept, after a run and under its lock. What cannot be removed fails no run."""
    try:
        retention.apply(root, _plan(dataset, root))
        records.shorten(root, dataset.retention.history)
    except (OSError, PipelineError) as error:
        logger.exception("Not everything that is not kept could be removed.")
        terminal.err.print(f"warning: not everything that is not kept could be removed: {error}", markup=False)


def _plan(dataset: Dataset, root: Root) -> retention.Plan:
    return retention.plan(root, root.serving(dataset.serving.model_name), dataset.retention, now=time.time())


def _show(sized: list[tuple[retention.Removal, int, int]], forgotten: int, terminal: Terminal, *, verb: str) -> None:
    """Prints the sums of each kind."""
    count: Counter[str] = Counter()
    entries: Counter[str] = Counter()
    free: Counter[str] = Counter()
    for removal, number, size in sized:
        count[removal.kind] += 1
        entries[removal.kind] += number
        free[removal.kind] += size
    if not count and not forgotten:
        terminal.say("Everything that is there is kept.")
        return
    terminal.table(
        f"What {verb}",
        ("kind", "number", "files and folders", "MB"),
        [(kind, str(count[kind]), str(entries[kind]), f"{free[kind] / _MB:.2f}") for kind in count],
    )
    terminal.say(f"Runs of ML Metadata: {forgotten}. In all {sum(free.values()) / _MB:.2f} MB.")
