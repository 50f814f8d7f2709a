"""`schema`: what the newest span holds beyond the curated schema, and its widening by a command."""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import json
import sys
from typing import TYPE_CHECKING

from pipeline import files
from pipeline.commands import options
from pipeline.errors import ConfigError

if TYPE_CHECKING:
    from pipeline.config.dataset import Dataset
    from pipeline.onboarding.schema_diff import Beyond
    from pipeline.state.root import Root


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares what `schema` reads."""
    parser.add_argument("what", choices=("diff", "accept"), help="show what is beyond the schema, or take it in")
    parser.add_argument(
        "accepted",
        nargs="*",
        metavar="COLUMN=VALUE",
        help="with accept: a value of a closed domain, a number beyond a limit, or NEW_COLUMN:INT, :FLOAT or :BYTES",
    )
    parser.add_argument("--all", action="store_true", help="with accept: all that `schema diff` shows")
    parser.add_argument("--span", type=options.span, metavar="N|DATE", help="the span to look at (default: the newest)")
    options.add_data(parser)
    options.add_json(parser)


def command(args: argparse.Namespace) -> int:
    """Shows or widens. Exit status: 0 done, 2 something that cannot be accepted; the schema is then as it was.

    Raises:
      PipelineError: there is no schema, no such span, or its files cannot be read.
    """
    dataset, root = options.load(args)
    if dataset.schema_path is None:
        raise ConfigError(
            f"{dataset.path} has no schema yet. Have one inferred: {options.hint(args, 'run', with_data=True)}"
        )
    if args.what == "diff" and (args.accepted or args.all):
        raise ConfigError(f"schema diff only looks. To take something in: {_accept(args, args.accepted or ['--all'])}")
    if args.what == "accept" and bool(args.accepted) == args.all:
        raise ConfigError("schema accept needs COLUMN=VALUE, or --all for all that `schema diff` shows.")
    if args.what == "diff":
        _diff(args, dataset, root)
    else:
        _widen(args, dataset, root)
    return 0


def _beyond(args: argparse.Namespace, dataset: Dataset, root: Root) -> tuple[int, list[Beyond], int]:
    from pipeline.config.schema import read_schema
    from pipeline.ingest import spans as span_files
    from pipeline.onboarding.schema_diff import diff
    from pipeline.runs.request import locate_data

    assert dataset.schema_path is not None, "the command has checked it"
    data_root = locate_data(dataset, root, args.data_root)
    found = span_files.choose_span(data_root, dataset.spans.pattern, dataset.spans.marker, args.span)
    beyond, rows = diff([file.path for file in found], dataset.spans.file_format, read_schema(dataset.schema_path))
    return found[0].span, beyond, rows


def _diff(args: argparse.Namespace, dataset: Dataset, root: Root) -> None:
    span, beyond, rows = _beyond(args, dataset, root)
    if args.json:
        listed = [{**dataclasses.asdict(one), "accept": one.acceptance or None} for one in beyond]
        print(options.json_text({"span": span, "rows": rows, "beyond": listed}, dataset))
        return
    terminal = options.terminal(sys.stdout, sys.stderr, dataset)
    if not beyond:
        terminal.say(f"Span {span}, {rows:,} rows: nothing is beyond {dataset.schema_path}.")
        return
    words = {"column": "new column", "value": "new value", "range": "beyond the limit", "absent": "not in the span"}
    terminal.table(
        f"Span {span}, {rows:,} rows, beyond {dataset.schema_path}",
        ("column", "what", "value", "rows"),
        [(one.column, words[one.kind], one.value, one.rows) for one in beyond],
    )
    acceptable = [one.acceptance for one in beyond if one.acceptance]
    if acceptable:
        terminal.say()
        terminal.say("Where it is what the column means, take it in:")
    for one in acceptable:
        terminal.say(_accept(args, [one]))


def _accept(args: argparse.Namespace, words: list[str]) -> str:
    """Returns the command that takes something in."""
    return options.hint(args, "schema", "accept", *words, with_data="--all" in words)


def _widen(args: argparse.Namespace, dataset: Dataset, root: Root) -> None:
    from pipeline.config.dataset import load_dataset
    from pipeline.config.schema import read_schema
    from pipeline.onboarding.schema_diff import accept

    assert dataset.schema_path is not None, "the command has checked it"
    wanted = [one.acceptance for one in _beyond(args, dataset, root)[1]] if args.all else args.accepted
    path = dataset.schema_path
    before = after = path.read_text(encoding="utf-8")
    schema = read_schema(path)
    for one in filter(None, wanted):
        after = accept(after, one, schema)
    with files.replacing(path) as unfinished:
        unfinished.write_text(after, encoding="utf-8")
    load_dataset(str(dataset.path))
    changes = list(difflib.unified_diff(before.splitlines(), after.splitlines(), str(path), str(path), lineterm=""))
    if args.json:
        print(json.dumps({"schema": str(path), "accepted": wanted, "diff": "\n".join(changes)}, ensure_ascii=False))
        return
    terminal = options.terminal(sys.stdout, sys.stderr, dataset)
    for line in changes:
        terminal.say(line)
    terminal.say(f"Wrote {path}." if changes else f"{path} takes all of it already.")
