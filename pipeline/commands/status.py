"""`spans` and `status`: what exists, what was processed, what is live."""

import argparse
import datetime
import json
import sys
from dataclasses import asdict
from typing import Any

from pipeline.commands.options import root_of
from pipeline.commands.terminal import Terminal
from pipeline.config.dataset import load_dataset
from pipeline.gate.decision import Decision
from pipeline.ingest import spans as span_files
from pipeline.report import files as reports
from pipeline.runs.records import read_decisions
from pipeline.runs.request import locate_data
from pipeline.state import backlog, rollback, span_records, version_folder

_SHOWN_DECISIONS = 10


def spans(args: argparse.Namespace) -> int:
    """Prints every span that exists or was processed."""
    dataset = load_dataset(args.dataset)
    root = root_of(args, dataset.name)
    data_root = locate_data(dataset, root, args.data_root)
    files = span_files.newest_versions(data_root, dataset.spans.pattern)
    records = span_records.newest_records(span_records.read_records(str(root.state)))
    serving_dir = root.serving(dataset.serving.model_name)
    live = version_folder.live_training(serving_dir)
    set_aside = {(waiting.span, waiting.version): why for waiting, why in backlog.read_quarantine(root).items()}
    following = next(backlog.unprocessed(root, serving_dir, data_root, dataset.spans.pattern), None)
    rows = [
        {
            "span": span,
            "version": files[span][0].version if span in files else records[span].version,
            "files": [file.path for file in files.get(span, [])],
            "rows": records[span].rows if span in records else None,
            "verdict": records[span].verdict if span in records else None,
            "processed_version": records[span].version if span in records else None,
            "waiting": span in records and records[span].waiting,
            "trained_on": span in live.window,
            "done": span in records and span_records.is_done(records[span], live),
            "quarantined": set_aside.get((span, files[span][0].version)) if span in files else None,
        }
        for span in sorted(files.keys() | records.keys())
    ]
    if args.json:
        value = {"data_root": data_root, "spans": rows, "next": asdict(following) if following else None}
        print(json.dumps(value, sort_keys=True))
        return 0
    terminal = Terminal(sys.stdout, sys.stderr)
    columns = ("span", "version", "rows", "verdict", "live model trained on it")
    terminal.table(f"Spans in {data_root}", columns, [_span_row(row) for row in rows])
    return 0


def _span_row(row: dict[str, Any]) -> tuple[object, ...]:  # Any: JSON.
    verdict = row["verdict"] or ("set aside" if row["quarantined"] else "not processed")
    if row["processed_version"] is not None and row["version"] > row["processed_version"]:
        verdict += f" (version {row['processed_version']}; version {row['version']} is new)"
    if row["waiting"]:
        verdict += ", waiting for more rows"
    if row["processed_version"] is not None and not row["done"]:
        verdict += ", to be finished"
    return row["span"], row["version"], row["rows"] or "-", verdict, "yes" if row["trained_on"] else ""


def status(args: argparse.Namespace) -> int:
    """Prints pushed versions, the newest decisions and where everything is."""
    dataset = load_dataset(args.dataset)
    root = root_of(args, dataset.name)
    serving_dir = root.serving(dataset.serving.model_name)
    versions = rollback.versions(serving_dir)
    decisions = read_decisions(root)[-_SHOWN_DECISIONS:]
    logs = sorted(root.logs.glob("run-*.log")) if root.logs.is_dir() else []
    report = reports.newest(root)
    value = {
        "dataset": dataset.name,
        "root": str(root.path),
        "serving": str(serving_dir),
        "live_version": versions[-1].number if versions else None,
        "versions": [version.number for version in versions],
        "rollbacks": {version.number: asdict(version.rollback) for version in versions if version.rollback},
        "trained_on": list(version_folder.training_window(serving_dir)),
        "decisions": [record.to_dict() for record in decisions],
        "last_log": str(logs[-1]) if logs else None,
        "last_report": str(report) if report else None,
    }
    if args.json:
        print(json.dumps(value, sort_keys=True))
        return 0
    terminal = Terminal(sys.stdout, sys.stderr)
    terminal.say(f"root        {root.path}")
    terminal.say(f"served from {serving_dir}")
    terminal.say(f"metadata    {root.metadata}")
    if logs:
        terminal.say(f"last log    {logs[-1]}")
    if report is not None:
        terminal.say(f"last report {report}")
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
    if not versions and not decisions:
        terminal.say(f"Nothing has run here yet. Try: python local_runner.py run --dataset {dataset.name}")
    return 0


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
    """Returns a version's time: versions are seconds since 1970."""
    return f"{datetime.datetime.fromtimestamp(version):%Y-%m-%d %H:%M:%S}"
