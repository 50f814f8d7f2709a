"""`init`: a dataset's folder from a file."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from models.task_names import TaskName
from pipeline import program
from pipeline.commands import options
from pipeline.commands.terminal import Terminal
from pipeline.errors import ConfigError, ExitStatus

if TYPE_CHECKING:
    from pipeline.onboarding.cut import SpanSummary
    from pipeline.onboarding.label import Label
    from pipeline.onboarding.onboard import NoLabelError, Onboarded
    from pipeline.onboarding.query import Query

_MOST_CANDIDATES = 12
_EVERY = ("hour", "day", "week", "month", "quarter", "year")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares what `init` reads."""
    parser.add_argument(
        "path",
        nargs="?",
        type=Path,
        metavar="FILE|FOLDER",
        help="CSV, Parquet or JSON (lines or an array), gzipped or not; of a folder, all its files by their names",
    )
    query = parser.add_argument_group("instead of a file, a query (needs --url, --every, --begin, and --name or --out)")
    query.add_argument("--query", metavar="SQL", help="SELECT ... WHERE time >= :begin AND time < :end")
    query.add_argument("--url", metavar="env:NAME", help="the environment variable that holds the database's URL")
    query.add_argument("--begin", metavar="DATE", help="a moment of the first span, such as 2024-01-31 (UTC)")
    parser.add_argument("--label", metavar="COLUMN", help="what is predicted; without it candidates are listed")
    parser.add_argument(
        "--positive",
        nargs="+",
        action="extend",
        default=[],
        metavar="VALUE",
        help="the label's values that count as 1 (not needed for pairs such as Yes and No, true and false, 1 and 0)",
    )
    parser.add_argument(
        "--task",
        choices=get_args(TaskName),
        help="what the label is: one of two, one of several classes, or a number (default: told from its values)",
    )
    parser.add_argument("--time", metavar="COLUMN", help="cut spans by this column: dates, years or seconds since 1970")
    parser.add_argument("--every", choices=_EVERY, help="how long a span is; goes with --time, or with --query")
    parser.add_argument(
        "--rows-per-span",
        type=_rows,
        metavar="N",
        help="cut spans of N rows, in the order of the file (default: one span a file)",
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="the folder to write (default: the dataset's name)")
    parser.add_argument("--name", help="the dataset's name (default: the file's)")
    parser.add_argument("--own-model", action="store_true", help="write model.py too: a model of your own, to edit")
    parser.add_argument("--force", action="store_true", help="replace what an earlier `init` wrote into the folder")
    options.add_json(parser)


def _rows(text: str) -> int:
    rows = int(text) if text.isdecimal() else 0
    if rows < 1:
        raise argparse.ArgumentTypeError(f"expected a number of rows from 1 on. Received: {text!r}.")
    return rows


def _query(args: argparse.Namespace) -> Query | None:
    """Returns the query that was given instead of a file.

    Raises:
      ConfigError: both or neither were given, or what belongs to them is missing.
    """
    given = [name for name in ("query", "url", "begin") if getattr(args, name)]
    if args.path is not None:
        if given:
            raise ConfigError(f"--{given[0]} belongs to a query, and a file was named: {args.path}. Give one of them.")
        return None
    missing = [name for name in ("query", "url", "every", "begin") if not getattr(args, name)]
    if missing or not (args.name or args.out):
        wanted = f"--{missing[0]}" if missing else "--name NAME, or --out DIR"
        example = '--query "SELECT ... WHERE time >= :begin AND time < :end" --url env:DATABASE_URL'
        raise ConfigError(
            f"Give a file, or a query: {example} --every month --begin 2024-01-01 --name NAME. Missing: {wanted}."
        )
    if args.time or args.rows_per_span:
        raise ConfigError("--time and --rows-per-span cut a file into spans; a query has :begin and :end for that.")
    from pipeline.commands.pull import clock
    from pipeline.onboarding.query import Query

    return Query(sql=args.query, url=args.url, every=args.every, begin=args.begin, environment=os.environ, clock=clock)


def command(args: argparse.Namespace) -> int:
    """Writes the folder and shows what each column is for."""
    from pipeline.onboarding.onboard import NoLabelError, Wish, onboard

    terminal = Terminal(sys.stdout, sys.stderr, quiet=args.json)
    query = _query(args)
    wish = Wish(
        path=args.path or Path(args.name or args.out.name),
        query=query,
        label=args.label,
        positive=tuple(args.positive),
        task=args.task,
        time=args.time,
        every=args.every,
        rows_per_span=args.rows_per_span,
        out=args.out,
        name=args.name,
        force=args.force,
        own_model=args.own_model,
    )
    try:
        with terminal.progress("reading") as progress:
            outcome = onboard(wish, progress)
    except NoLabelError as error:
        _show_candidates(error, args, terminal)
        raise
    if args.json:
        print(json.dumps(_json(outcome), sort_keys=True))
    else:
        _show(outcome, args, terminal)
    return ExitStatus.DONE if outcome.written or not outcome.diff else ExitStatus.USAGE


def _next(outcome: Onboarded) -> str:
    """Returns the command that runs the dataset, by its path: a shipped name would mean the one that ships."""
    from pipeline.config.dataset import shipped_file

    folder = str(outcome.folder)
    return program.line("run", "--dataset", f"./{folder}" if shipped_file(folder) else folder)


def _show(outcome: Onboarded, args: argparse.Namespace, terminal: Terminal) -> None:
    table = outcome.table
    terminal.say(f"{table.given}: {table.rows:,} rows; {table.description}")
    for column, why in table.left_out.items():
        terminal.say(f"left out: {column}: {why}")
    rows = [
        (role.name, role.role, role.type, f"{role.missing:.1%}", role.distinct, role.why)
        for role in sorted(table.roles, key=lambda role: (role.role != "label", not role.is_feature))
    ]
    terminal.table("Columns", ("column", "role", "type", "missing", "values", "why"), rows)
    terminal.say()
    for line in _notes(outcome):
        terminal.say(line)
    if outcome.diff and not outcome.written:
        terminal.say()
        terminal.say(outcome.diff)
        terminal.note(f"{outcome.folder} is there already and differs; nothing was written. To replace it:")
        terminal.note(program.line("init", *_words(args), "--force"))
        return
    if not outcome.written:
        terminal.say(f"{outcome.folder} is there already and says the same; nothing was written.")
    terminal.say(f"Next: {_next(outcome)}")


def _notes(outcome: Onboarded) -> list[str]:
    from pipeline.onboarding import own_model

    table, result = outcome.table, outcome.table.result
    notes = [f"warning: {role.warning}" for role in table.roles if role.warning]
    if table.label.task == "binary" and not table.label.is_plain:
        positive = " or ".join(repr(str(value)) for value in table.label.positive)
        notes.append(f"The label {table.label.column!r} counts as 1 where it is {positive}, else as 0.")
    for part in table.parts:
        notes.append(f"Derived feature {part.name!r} = {part.expression}: {part.why}.")
    if result.without_label:
        notes.append(f"{result.without_label:,} rows have no label and are left out.")
    if result.without_time:
        notes.append(f"{result.without_time:,} rows have no {table.cutting.time!r} and are left out.")
    spans = result.spans
    fewest, most = min(span.rows for span in spans), max(span.rows for span in spans)
    count = f"1 span of {most:,} rows" if len(spans) == 1 else f"{len(spans)} spans of {fewest:,} to {most:,} rows"
    if table.cutting.time:
        how = f"cut by {table.cutting.time!r}, every {table.cutting.every}"
    elif table.cutting.pulled:
        how = "pulled from the database; `pull` brings the next"
    elif table.cutting.rows:
        how = "cut by rows in the order of the file: no time was named, so a span is not a period"
    else:
        how = "one for each file: no time was named (--time COLUMN --every month)"
    notes.append(f"{count}, {how}.")
    newest = spans[-1]
    if newest.rows in newest.classes:
        notes.append(
            f"warning: every row of the newest span, {newest.number}, has one label; no model can be judged on it. "
            "Take longer spans, or another order of the rows."
        )
    if outcome.written:
        model = f", {own_model.FILE}" if outcome.model == "written" else ""
        notes.append(f"Wrote {outcome.folder}: dataset.toml, schema.pbtxt, README.md{model} and the spans.")
        if outcome.model == "kept":
            notes.append(f"Kept {outcome.folder / own_model.FILE}, which was there and may be edited.")
    return notes


def _words(args: argparse.Namespace) -> list[str]:
    """Returns what was typed, the wish for JSON and for --force apart."""
    words = [str(args.path)] if args.path is not None else []
    for name in ("query", "url", "begin"):
        words += _option(f"--{name}", getattr(args, name)) if getattr(args, name) else []
    words += _option("--label", args.label) if args.label else []
    for value in args.positive:
        words += _option("--positive", value)
    words += ["--task", args.task] if args.task else []
    words += _option("--time", args.time) if args.time else []
    words += ["--every", args.every] if args.every else []
    words += ["--rows-per-span", str(args.rows_per_span)] if args.rows_per_span else []
    words += ["--own-model"] if args.own_model else []
    words += ["--out", str(args.out)] if args.out else []
    return [*words, *(["--name", args.name] if args.name else [])]


def _option(name: str, value: str) -> list[str]:
    """Returns an option and its value; in one word where the value would be read as an option itself."""
    return [f"{name}={value}"] if value.startswith("-") else [name, value]


def _show_candidates(error: NoLabelError, args: argparse.Namespace, terminal: Terminal) -> None:
    shown = error.candidates[:_MOST_CANDIDATES]
    commands = []
    for one in shown:
        positive = _option("--positive", one.positive) if one.positive else []
        commands.append(program.line("init", *_words(args), *_option("--label", one.column), *positive))
    if args.json:
        listed = [
            {"column": one.column, "task": one.task, "values": list(one.values), "command": line}
            for one, line in zip(shown, commands, strict=True)
        ]
        print(json.dumps({"candidates": listed}, sort_keys=True))
        return
    rows = [(one.column, one.task, one.described) for one in shown]
    terminal.table("What could be predicted", ("column", "task", "values"), rows)
    if len(error.candidates) > len(shown):
        terminal.say(f"and {len(error.candidates) - len(shown)} more columns")
    if commands:
        terminal.say()
        terminal.say("Next, one of:")
    for line in commands:
        terminal.say(line)


def _json(outcome: Onboarded) -> dict[str, Any]:  # Any: JSON.
    table = outcome.table
    return {
        "name": table.name,
        "folder": str(outcome.folder),
        "written": outcome.written,
        "diff": outcome.diff,
        "rows": table.rows,
        "file": table.description,
        "label": {
            "column": table.label.column,
            "task": table.label.task,
            "why": table.label.why,
            "positive": [str(value) for value in table.label.positive],
            "classes": list(table.label.classes),
            "transform": table.label.transform,
        },
        "columns": [
            {
                "name": role.name,
                "role": role.role,
                "feature": role.is_feature,
                "type": role.type,
                "why": role.why,
                "missing": role.missing,
                "distinct": role.distinct,
            }
            for role in table.roles
        ],
        "derived": {part.name: part.expression for part in table.parts},
        "left_out": dict(table.left_out),
        "spans": [
            {"span": span.number, "begins": span.begins, "rows": span.rows, **_labels(table.label, span)}
            for span in table.result.spans
        ],
        "notes": _notes(outcome),
        "next": _next(outcome),
    }


def _labels(label: Label, span: SpanSummary) -> dict[str, Any]:  # Any: JSON.
    if label.task == "binary":
        return {"positive": int(span.classes[1])}
    if label.task == "multiclass":
        return {"classes": dict(zip(label.outcomes, span.classes.tolist(), strict=True))}
    return {"mean": span.total / span.rows}
