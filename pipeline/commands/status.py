"""`status`: what is live, and what was decided last."""

from __future__ import annotations

import argparse
import datetime
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.commands import options
from pipeline.errors import ConfigError
from pipeline.gate.decision import Decision
from pipeline.ingest import spans as span_files
from pipeline.report import files as reports
from pipeline.runs.records import EndedRun, read_begun_run, read_decisions, read_runs
from pipeline.state import rollback, version_folder
from pipeline.state.root import Root

if TYPE_CHECKING:
    from pipeline.config.dataset import Dataset

_SHOWN_DECISIONS = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares what `status` reads."""
    options.add_root(parser)
    options.add_json(parser)


def command(args: argparse.Namespace) -> int:
    """Prints pushed versions, the newest decisions and where everything is."""
    dataset, root = options.load(args)
    serving_dir = root.serving(dataset.serving.model_name)
    versions = rollback.versions(serving_dir)
    decisions = read_decisions(root)[-_SHOWN_DECISIONS:]
    runs = read_runs(root)
    log = _last_log(root, runs)
    report = reports.newest(root, runs)
    incomplete = _incomplete(dataset, root)
    value = {
        "dataset": dataset.name,
        "root": str(root.path),
        "serving": str(serving_dir),
        "live_version": versions[-1].number if versions else None,
        "versions": [version.number for version in versions],
        "rollbacks": {version.number: asdict(version.rollback) for version in versions if version.rollback},
        "trained_on": list(version_folder.live_training(serving_dir).window),
        "decisions": [record.to_dict() for record in decisions],
        "waits_for_marker": {span: file.marker for span, file in incomplete.items()},
        "last_run": asdict(runs[-1]) if runs else None,
        "last_log": str(log) if log else None,
        "last_report": str(report) if report else None,
    }
    if args.json:
        print(options.json_text(value, dataset))
        return 0
    terminal = options.terminal(sys.stdout, sys.stderr, dataset)
    terminal.say(f"root        {root.path}")
    terminal.say(f"served from {serving_dir}")
    terminal.say(f"metadata    {root.metadata}")
    if runs:
        terminal.say(f"last run    span {runs[-1].span}: {runs[-1].result.text}")
    if log is not None:
        terminal.say(f"last log    {log}")
    if report is not None:
        terminal.say(f"last report {report}")
    for span, file in incomplete.items():
        terminal.say(f"waiting     span {span} waits for its marker {file.marker}")
    terminal.table(
        "Pushed versions",
        ("version", "pushed", ""),
        [(str(version.number), _when(version.number), _what(version, versions[-1])) for version in versions],
    )
    terminal.table(
        "Newest decisions",
        ("span", "verdict", "why"),
        [_decision_row(record.decision) for record in decisions],
    )
    if not versions and not decisions and not runs:
        terminal.say(f"Nothing has run here yet. Try: {options.hint(args, 'run')}")
    return 0


def _incomplete(dataset: Dataset, root: Root) -> dict[int, span_files.SpanFile]:
    """Returns which spans wait for their marker, where the dataset itself says where the spans are."""
    from pipeline.runs.request import locate_data

    spans = dataset.spans
    if not spans.marker or spans.data is None:
        return {}
    try:
        return span_files.incomplete(locate_data(dataset, root, None), spans.pattern, spans.marker)
    except ConfigError:
        return {}  # The folder is not there, which what reads it will say; the root can be shown all the same.


def _last_log(root: Root, runs: Sequence[EndedRun]) -> Path | None:
    """Returns the log of the run at work, else of the last one that ended, by the order of the runs."""
    begun = read_begun_run(root)
    log = begun.log if begun else runs[-1].log if runs else ""
    if log and Path(log).exists():
        return Path(log)
    # An older release ran, or the root was moved. The names sort by time.
    return max(root.logs.glob("run-*.log"), default=None) if root.logs.is_dir() else None


def _decision_row(decision: Decision) -> tuple[object, ...]:
    why = decision.reasons[0].text if decision.reasons else ""
    return decision.evidence.span, decision.verdict.value, why


def _what(version: rollback.Version, live: rollback.Version) -> str:
    """Returns what is to be said of a version: whether it is live, and which one it is again."""
    words = ["live"] if version is live else []
    if version.rollback is not None:
        what = "rollback" if version.rollback.undoes is None else "rollback undone"
        words.append(f"{what}: {version.origin} again, instead of {version.rollback.instead_of}")
    return ", ".join(words)


def _when(version: int) -> str:
    """Returns a version's time: ours are seconds since 1970. One that was made by hand may be no time at all."""
    try:
        return f"{datetime.datetime.fromtimestamp(version):%Y-%m-%d %H:%M:%S}"
    except (ValueError, OverflowError, OSError):
        return "not a time"
