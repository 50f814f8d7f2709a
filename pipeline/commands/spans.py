"""`spans`: what exists, and what was processed."""

import argparse
import sys
import time
from dataclasses import asdict
from typing import Any

from pipeline.commands import options
from pipeline.ingest import spans as span_files
from pipeline.state import backlog, span_records, version_folder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares what `spans` reads."""
    options.add_data(parser)
    options.add_json(parser)


def command(args: argparse.Namespace) -> int:
    """Prints every span that exists or was processed."""
    from pipeline.runs import whole_periods
    from pipeline.runs.request import locate_data, settle_seconds

    dataset, root = options.load(args)
    data_root = locate_data(dataset, root, args.data_root)
    files = span_files.newest_versions(data_root, dataset.spans.pattern, dataset.spans.marker)
    records = span_records.newest_records(
        span_records.reopened(span_records.read_records(str(root.state)), dataset.thresholds)
    )
    serving_dir = root.serving(dataset.serving.model_name)
    live = version_folder.live_training(serving_dir)
    set_aside = backlog.set_aside(root, files)
    settle, now = settle_seconds(dataset, root, data_root), time.time()
    open_until = whole_periods.open_spans(files, dataset, now)
    ready = {span: found for span, found in files.items() if span not in open_until}
    following = next(backlog.unprocessed(root, serving_dir, ready, dataset.thresholds), None)
    incomplete = span_files.incomplete(data_root, dataset.spans.pattern, dataset.spans.marker)
    remembered_from = span_records.remembered_from(str(root.state))
    rows = [
        {
            "span": span,
            "version": files[span][0].version if span in files else (records.get(span) or incomplete[span]).version,
            "files": [file.path for file in files.get(span, [])],
            "rows": records[span].rows if span in records else None,
            "verdict": records[span].verdict if span in records else None,
            "processed_version": records[span].version if span in records else None,
            "waiting": span in records and records[span].waiting,
            "trained_on": span in live.window,
            "done": span_records.is_done(records[span], live) if span in records else span < remembered_from,
            "quarantined": set_aside.get(span),
            "waits_for": _waits_for(incomplete.get(span), span_files.unsettled(files.get(span, []), settle, now))
            or (f"not over until {open_until[span]:%Y-%m-%d %H:%M} UTC" if span in open_until else None),
        }
        for span in sorted(files.keys() | records.keys() | incomplete.keys())
    ]
    if args.json:
        value = {"data_root": data_root, "spans": rows, "next": asdict(following) if following else None}
        print(options.json_text(value, dataset))
        return 0
    terminal = options.terminal(sys.stdout, sys.stderr, dataset)
    columns = ("span", "version", "rows", "live model trained on it", "verdict")
    terminal.table(f"Spans in {data_root}", columns, [_row(row) for row in rows])
    return 0


def _waits_for(incomplete: span_files.SpanFile | None, unsettled: span_files.Unsettled | None) -> str | None:
    """Returns in words what must happen before the span's newest files are read; None where nothing must."""
    if incomplete is not None:
        return f"version {incomplete.version} waits for its marker {incomplete.marker}"
    return f"waits: {unsettled}" if unsettled is not None else None


def _row(row: dict[str, Any]) -> tuple[object, ...]:  # Any: JSON.
    unprocessed = "set aside" if row["quarantined"] else "not processed" if row["files"] else "not complete"
    verdict = row["verdict"] or ("done; its record is not kept" if row["done"] else unprocessed)
    if row["processed_version"] is not None and row["version"] > row["processed_version"]:
        verdict += f" (version {row['processed_version']}; version {row['version']} is new)"
    if row["waiting"]:
        verdict += ", waiting for more rows"
    if row["processed_version"] is not None and not row["done"]:
        verdict += ", to be finished"
    if row["waits_for"]:
        verdict += f", {row['waits_for']}"
    return row["span"], row["version"], row["rows"] or "-", "yes" if row["trained_on"] else "", verdict
