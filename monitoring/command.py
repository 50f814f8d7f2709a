"""`monitor`: looks at the request log once or repeatedly, and prints its findings."""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monitoring import metrics_options
from pipeline import files, program
from pipeline.commands import options
from pipeline.commands.stopping import stoppable
from pipeline.commands.terminal import Terminal
from pipeline.errors import ConfigError, PipelineError
from pipeline.json_values import to_json_values
from pipeline.runs.log_capture import captured

if TYPE_CHECKING:
    from models.target import TaskName
    from monitoring.monitor import Look
    from monitoring.window_report import WindowReport
    from pipeline.config.dataset import Dataset
    from pipeline.state.root import Root

logger = logging.getLogger(__name__)

_SHOWN_FEATURES = 8
_SHOWN_WINDOWS = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares what `monitor` reads."""
    options.add_root(parser)
    parser.add_argument("--log-dir", type=Path, required=True, metavar="DIR", help="the request log's folder")
    parser.add_argument(
        "--labels", metavar="DIR", help="folder of spans whose labels belong to requests, such as the data root"
    )
    often = parser.add_mutually_exclusive_group()
    often.add_argument("--every", type=float, default=60.0, metavar="SECONDS", help="how often to look (default: 60)")
    often.add_argument("--once", action="store_true", help="look once, for cron")
    parser.add_argument(
        "--server-url", metavar="URL", help="model server's REST address, to export which versions it has loaded"
    )
    metrics_options.add_arguments(parser)
    parser.add_argument("--judge-open", action="store_true", help="judge windows that are not over, too")
    parser.add_argument("--json", action="store_true", help="print one JSON object for each look")


def command(args: argparse.Namespace) -> int:
    """Monitors until it is told to stop. Exit status: 0 looked or stopped, with or without alerts; 1 a look failed."""
    with metrics_options.exporting(args):
        return monitor(args)


def monitor(args: argparse.Namespace) -> int:
    """Looks once, or again and again."""
    from monitoring.monitor import Monitor

    dataset, root = options.load(args)
    if args.once and not args.log_dir.is_dir():
        raise ConfigError(
            f"--log-dir: there is no folder {args.log_dir}. Start the server with a request log first: "
            f"{_serve(args, dataset, root)}"
        )
    if dataset.schema_path is None:
        raise ConfigError(
            f"{dataset.path} names no schema yet, so no model can have been served. "
            f"Have one inferred, and correct it: {options.hint(args, 'run')}"
        )
    if args.every <= 0:
        raise ConfigError(f"--every: expected more than 0 seconds. Received: {args.every:g}.")
    if args.labels is not None and "://" not in args.labels and not Path(args.labels).is_dir():
        raise ConfigError(f"--labels: there is no folder {args.labels}.")
    options.claim(dataset, root)
    looking = Monitor(dataset, root, args.log_dir, args.labels, judge_open=args.judge_open)
    with looking.locked(), stoppable() as stop, captured(root.logs / "monitor.log") as (out, err):
        terminal = Terminal(out, err, quiet=args.json)
        if not args.once:
            terminal.note(f"monitoring {args.log_dir} every {args.every:g} s; log: {root.logs / 'monitor.log'}")
        while not stop.is_set():
            try:
                look = looking.look(time.time(), *([] if args.once else [args.every]))
                page = write_page(look, dataset, root)
                if args.json:
                    value = {**as_json(look), "report": str(page) if page else None}
                    print(json.dumps(value, sort_keys=True, ensure_ascii=False), file=out)
                else:
                    show(look, terminal, dataset.features.task, changes_only=not args.once)
                    if page and (look.judged or args.once):
                        terminal.say(f"Report: {page}")
            except Exception as error:
                if args.once and isinstance(error, PipelineError):
                    raise
                # Whatever it is, a person gets one line and the log; and the next look may fare better (a full disk).
                logger.exception("The look failed.")
                text = f"{type(error).__name__}: {error}".splitlines()[0][:500]
                terminal.err.print(f"error: {text}\nThe log: {root.logs / 'monitor.log'}")
                if args.once:
                    return 1
            if args.once:
                break
            stop.wait(args.every)
    return 0


def write_page(look: Look, dataset: Dataset, root: Root) -> Path | None:
    """Writes the page of the windows where one was judged, and returns where it is; None where none ever was."""
    from monitoring import page  # Charts and templates, which `monitor --help` needs for nothing.

    if not look.reports:
        return None
    path = root.monitoring / page.FILE
    if look.judged or not path.exists():
        task = dataset.features.task
        text = page.page(dataset.name, task, look.reports, dataset.evaluation.floors_of(task))
        files.write(str(root.monitoring), page.FILE, text.encode())
    return path


def _serve(args: argparse.Namespace, dataset: Dataset, root: Root) -> str:
    model = dataset.serving.model_name
    words = ["--model-name", model, "--model-base-path", str(root.serving(model)), "--log-dir", str(args.log_dir)]
    return program.line("serve", *words)


def show(look: Look, terminal: Terminal, task: TaskName, *, changes_only: bool) -> None:
    """Prints the findings of a look. If only changes are wanted, it prints nothing for a look without news."""
    from monitoring.window_report import describe_period
    from pipeline.evaluation import registry

    for fault in look.label_faults:
        terminal.err.print(f"labels were not read: {fault}")
    if changes_only and not look.new_records and not look.judged:
        return
    terminal.table(
        f"Requests, {look.new_records:,} new records",
        ("version", "requests", "errors", "log records", "rows"),
        [
            (str(version) if version else "unknown", counts.requests, counts.errors, counts.records, counts.rows)
            for version, counts in sorted(look.progress.versions.items())
        ],
    )
    for reason, number in look.progress.dropped.items():
        terminal.say(f"dropped: {number:,} {reason.replace('_', ' ')}")
    shown = look.judged if changes_only else look.reports[-_SHOWN_WINDOWS:]
    main = registry.MAIN[task]
    columns = (*_COLUMNS, registry.METRICS[main].title, "alerts")
    terminal.table("Windows", columns, [_row(report, main) for report in shown])
    for report in look.judged or look.reports[-1:]:
        _show_features(report, terminal)
    for (start, version), rows in sorted(look.waiting.items()):
        terminal.say(f"waiting: {rows:,} rows of version {version} since {describe_period(start, start + 60)[:16]} UTC")
    if not look.reports and not look.waiting:
        terminal.say("No requests yet.")


_COLUMNS = ("window", "version", "rows", "moved", "worst", "mean prediction", "at push")


def _row(report: WindowReport, main: str) -> tuple[object, ...]:
    moved = report.skew.moved if report.skew else ()
    worst = report.skew.features[0] if report.skew and report.skew.features else None
    answers, scored = report.prediction, report.performance
    value = scored.metrics.get(main) if scored else None
    if scored and value is None and scored.evaluation.overall.auc is not None:  # A report of an earlier release.
        value = scored.evaluation.overall.auc.value
    return (
        report.period,
        str(report.version),
        report.rows,
        len(moved) if report.skew else "-",
        f"{worst.feature} {worst.excess:.1f}x" if worst else "-",
        f"{answers.mean.value:.3f}" if answers else "-",
        f"{answers.mean_at_push.value:.3f}" if answers and answers.mean_at_push else "-",
        "-" if value is None else f"{value:.4f}",
        len(report.alerts),
    )


def _show_features(report: WindowReport, terminal: Terminal) -> None:
    title = f"{report.period}, version {report.version}"
    if report.skew is not None:
        rows = f"{report.skew.rows:,} requested rows against {report.skew.reference_rows:,} training rows"
        terminal.table(
            f"{title}: {rows}",
            ("feature", "distance", "threshold", "moved", "what"),
            [
                (item.feature, item.distance, item.threshold, "yes" if item.moved else "", item.direction)
                for item in report.skew.features[:_SHOWN_FEATURES]
            ],
        )
    if report.prediction is not None and report.prediction.classes:
        terminal.table(
            f"{title}: mean probability of each class",
            ("class", "requests", "at push"),
            [
                (item.name, f"{item.mean.value:.3f}", f"{item.mean_at_push.value:.3f}" if item.mean_at_push else "-")
                for item in report.prediction.classes[:_SHOWN_FEATURES]
            ],
        )
    if report.performance is not None and report.performance.metrics:
        from pipeline.evaluation import registry

        measured = report.performance.metrics
        terminal.table(
            f"{title}: {report.performance.labelled:,} answers whose label has come",
            ("metric", "value"),
            [
                (item.title, f"{measured[item.name]:.4f}")
                for item in registry.METRICS.values()
                if item.name in measured and item.name != registry.EXAMPLE_COUNT
            ],
        )
    terminal.say()
    for alert in report.alerts:
        terminal.say(f"ALERT {alert.text}")
    if not report.alerts:
        terminal.say(f"{title}: nothing moved beyond its threshold")
    for finding in report.findings:
        if finding.severity == "warn":
            terminal.say(f"  warning: {finding.text}")
    for gap in report.not_compared:
        terminal.say(f"  not compared: {gap.text}")


def as_json(look: Look) -> dict[str, Any]:  # Any: JSON.
    """Returns a look as `--json` prints it."""
    return {
        "new_records": look.new_records,
        "versions": {str(version): dataclasses.asdict(counts) for version, counts in look.progress.versions.items()},
        "dropped": dict(look.progress.dropped),
        "judged": [to_json_values(dataclasses.asdict(report)) for report in look.judged],
        "windows": [to_json_values(dataclasses.asdict(report)) for report in look.reports],
        "waiting": [
            {"start": start, "version": version, "rows": rows}
            for (start, version), rows in sorted(look.waiting.items())
        ],
        "label_faults": list(look.label_faults),
        "evidence": to_json_values(dataclasses.asdict(look.evidence)) if look.evidence else None,
    }
