"""`tune`: the pipeline up to its Tuner. What it finds is written into dataset.toml only where the user says so."""

from __future__ import annotations

import argparse
import dataclasses
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.commands import fold_options, options
from pipeline.commands.clean import tidy
from pipeline.commands.terminal import Terminal
from pipeline.config import toml_edit
from pipeline.errors import ConfigError, PipelineError
from pipeline.runs.log_capture import captured, new_log

if TYPE_CHECKING:
    from pipeline.config.dataset import Dataset
    from pipeline.runs.outcome import Outcome
    from pipeline.selection.trials import Tuning

PAGE = "tuning.html"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares what `tune` reads."""
    options.add_data(parser)
    parser.add_argument("--trials", type=int, metavar="N", help="configurations to try (default: [tuning] trials, 20)")
    parser.add_argument(
        "--minutes", type=float, metavar="M", help="begin no trial after so long (default: [tuning] minutes, no limit)"
    )
    parser.add_argument(
        "--write", action="store_true", help="write what was found into [training] of dataset.toml, if it is better"
    )
    parser.add_argument("--report", type=Path, metavar="FILE.html", help="where the page goes (default: the root's)")
    options.add_json(parser)


def command(args: argparse.Namespace) -> int:
    """Searches, and shows what was found. Exit status: 0 searched, whether or not anything is better.

    Raises:
      PipelineError: the newest span is blocked, or there are too few spans.
    """
    from pipeline.commands.run import newest_whole, run
    from pipeline.ingest import spans as span_files
    from pipeline.runs.request import Request, locate_data

    dataset, root = options.load(args)
    dataset = _with_budget(dataset, args)
    if dataset.schema_path is None:
        raise ConfigError(
            f"{dataset.path} has no schema yet. Have one inferred: {options.hint(args, 'run', with_data=True)}"
        )
    options.claim(dataset, root)
    spans = dataset.spans
    with root.locked():
        log = new_log(root.logs, "tune")
        data_root = locate_data(dataset, root, args.data_root)
        newest, waits = newest_whole(None, dataset, data_root)
        request = Request(
            dataset=dataset,
            root=root,
            data_root=data_root,
            files=tuple(span_files.choose_span(data_root, spans.pattern, spans.marker, newest)),
            forced=True,
            explain=True,
            tune=True,
        )
        with captured(log) as (out, err):
            terminal = options.terminal(out, err, dataset, quiet=args.json)
            for text in waits:
                terminal.note(text)
            try:
                outcome = run(request, terminal, log)
            except KeyboardInterrupt as error:
                error.add_note("Nothing is lost: the same command goes on with the trial that it was at.")
                raise
            tuning = dataclasses.replace(_found(outcome), dataset=dataset.name)
            # What earlier searches have left that were killed and not gone on with: the root is locked.
            shutil.rmtree(root.state / "tuning", ignore_errors=True)
            tidy(dataset, root, terminal)
            report = fold_options.write_page(lambda: _page(tuning), PAGE, root, args.report, terminal)
            written = bool(tuning.chosen) and args.write
            if not args.json:
                _show(tuning, terminal)
            if written or (tuning.chosen and not args.json):
                text, changed = toml_edit.in_file(dataset.path, "training", tuning.chosen)
                if not args.json:
                    _show_change(dataset, text, changed, terminal)
                if written:
                    _write(dataset, changed)
                    terminal.say(f"Written to {dataset.path}; the next run trains with it.")
                else:
                    terminal.say(f"Take it:   {options.hint(args, 'tune', *_budget(args), '--write', with_data=True)}")
            if args.json:
                value = {**json.loads(tuning.to_json()), "written": written, "report": str(report) if report else None}
                print(options.json_text(value, dataset), file=out)
            if report is not None:
                terminal.say(f"Report:    {report}")
            terminal.note(f"log: {log}")
    return 0


def _budget(args: argparse.Namespace) -> list[str]:
    """Returns the budget as it was given: the same search is taken from the cache."""
    given = {"--trials": args.trials, "--minutes": args.minutes}
    return [word for name, value in given.items() if value is not None for word in (name, f"{value:g}")]


def _with_budget(dataset: Dataset, args: argparse.Namespace) -> Dataset:
    """Returns the dataset with the budget that was given."""
    given = {name: getattr(args, name) for name in ("trials", "minutes") if getattr(args, name) is not None}
    try:
        tuning = dataclasses.replace(dataset.tuning, **given)
    except ValueError as error:
        raise ConfigError(f"--{error}") from error
    try:
        tuning.choices(dataset.training, dataset.model, dataset.own)
    except ValueError as error:
        raise ConfigError(f"{dataset.path} [tuning]: {error}") from error
    return dataclasses.replace(dataset, tuning=tuning)


def _found(outcome: Outcome) -> Tuning:
    """Returns the search of a run.

    Raises:
      PipelineError: there was none, because the span is blocked.
    """
    from pipeline.selection import trials

    if outcome.refusal or outcome.tuner_results is None:
        raise PipelineError(
            f"Span {outcome.span} was refused, so there is nothing to tune on. {outcome.refusal or ''}".strip()
        )
    return trials.Tuning.from_json((outcome.tuner_results / trials.FILE).read_text(encoding="utf-8"))


def _page(tuning: Tuning) -> str:
    from pipeline.report.scores_page import tuning_page

    return tuning_page(tuning)


def _show(tuning: Tuning, terminal: Terminal) -> None:
    """Prints the trials, the best first."""

    own = tuning.trials[0]
    rows = [
        (
            number,
            f"{trial.mean:.4f}" if trial.is_measured else "-",
            f"{trial.ahead:+.4f}" if trial.is_measured else "-",
            len(trial.by_fold),
            f"{trial.seconds:.1f}",
            ", ".join(f"{name} {value}" for name, value in trial.values.items() if value != own.values[name])
            or "the dataset's own",
        )
        for number, trial in tuning.ranked[:_SHOWN]
    ]
    terminal.table(
        f"{len(tuning.trials)} trials on {len(tuning.spans)} spans, each predicted from spans before it",
        ("trial", tuning.title, "better by", "spans", "seconds", "differs in"),
        rows,
    )
    terminal.say()
    terminal.say(tuning.words)


_SHOWN = 15


def _show_change(dataset: Dataset, before: str, after: str, terminal: Terminal) -> None:
    import difflib

    lines = difflib.unified_diff(
        before.splitlines(), after.splitlines(), str(dataset.path), str(dataset.path), lineterm="", n=1
    )
    for line in lines:
        terminal.say(line)


def _write(dataset: Dataset, text: str) -> None:
    from pipeline import files

    files.write(str(dataset.path.parent), dataset.path.name, text.encode("utf-8"))
