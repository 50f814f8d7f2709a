"""`run`: the pipeline once, with progress while it works and the whole outcome at the end."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import functools
import json
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import program
from pipeline.commands import edge, options
from pipeline.commands.clean import tidy
from pipeline.commands.report_after import write_report
from pipeline.commands.terminal import Terminal
from pipeline.config import beam_options
from pipeline.errors import SpanNotFoundError
from pipeline.evaluation import intervals
from pipeline.gate.decision import describe
from pipeline.ingest import span_names
from pipeline.runs.log_capture import captured, new_log
from pipeline.runs.outcome import Outcome, Result, result_of_error
from pipeline.state import version_folder

if TYPE_CHECKING:
    from pipeline.config.dataset import Dataset
    from pipeline.evaluation.judge import Judgement, SliceJudgement
    from pipeline.runs.request import Request


_SEARCH = "pipeline.selection.tuner"
"""The logger whose lines are the progress of a search for hyperparameters."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares what `run` reads."""
    options.add_data(parser)
    parser.add_argument("--span", type=options.span, metavar="N|DATE", help="the span to process (default: the newest)")
    parser.add_argument(
        "--force", action="store_true", help="rerun even where nothing asks for it; broken data still blocks"
    )
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--explain", action="store_true", help="only look at the decision; nothing is recorded")
    only.add_argument("--decide", action="store_true", help="record the decision and stop; `run` carries on from there")
    only.add_argument("--no-push", action="store_true", help="train, evaluate and report, and push nothing")
    beam_options.add_arguments(parser)
    options.add_json(parser)


def command(args: argparse.Namespace) -> int:
    """Runs the pipeline once.

    Returns:
      The exit status of the outcome.

    Raises:
      PipelineError: wrong configuration, a busy or read-only root.
      Exception: whatever a component raised; a report of the run is written first.
    """
    from pipeline.ingest import spans as span_files
    from pipeline.runs.request import Request, locate_data, shared_folders
    from pipeline.state import rollback_records

    dataset, root = options.load(args)
    options.claim(dataset, root)
    spans = dataset.spans
    with root.locked():
        log = new_log(root.logs, "run")
        rollback_records.record_missing(root, dataset.name, root.serving(dataset.serving.model_name))
        data_root = locate_data(dataset, root, args.data_root)
        span, waits = newest_whole(args.span, dataset, data_root)
        request = Request(
            dataset=dataset,
            root=root,
            data_root=data_root,
            files=tuple(span_files.choose_span(data_root, spans.pattern, spans.marker, span)),
            forced=args.force,
            explain=args.explain,
            decide=args.decide,
            push=not args.no_push,
            engine=args.engine,
            beam_args=beam_options.of_arguments(args, dataset, shared_folders(dataset, root, data_root, args.engine)),
        )
        with captured(log) as (out, err):
            terminal = options.terminal(out, err, dataset, quiet=args.json)
            for text in waits:
                terminal.note(text)
            for number, file in span_files.incomplete(data_root, spans.pattern, spans.marker).items():
                if args.span is None and number >= request.span:
                    terminal.note(f"span {number} waits for its marker {file.marker}")
            try:
                outcome = run(request, terminal, log)
            except (Exception, KeyboardInterrupt) as error:
                report = None
                if isinstance(error, KeyboardInterrupt):
                    error.add_note("Nothing is lost: the same command carries on.")
                else:
                    report = None if args.explain else write_report(root, request.run_id, terminal)
                    tidy(dataset, root, terminal)
                if report is not None:
                    error.add_note(f"The report: {report}")
                if args.json:
                    print(json.dumps(failure_as_json(error, log, report)), file=out)
                raise
            report = None if args.explain else write_report(root, request.run_id, terminal)
            tidy(dataset, root, terminal)
            if args.json:
                print(options.json_text(as_json(outcome, request, log, report), dataset), file=out)
            else:
                show(outcome, request, log, terminal, functools.partial(options.hint, args, with_data=True))
                if report is not None:
                    terminal.say(f"Report:    {report}")
    return outcome.result.exit_status


def newest_whole(span: int | None, dataset: Dataset, data_root: str) -> tuple[int | None, list[str]]:
    """Returns the span to take where none was named: the newest whose period is over; and what waits for that.

    Raises:
      SpanNotFoundError: no span's period is over.
    """
    from pipeline.ingest import spans as span_files
    from pipeline.runs import whole_periods

    if span is not None or whole_periods.end_of(0, dataset) is None:
        return span, []
    listed = span_files.newest_versions(data_root, dataset.spans.pattern, dataset.spans.marker)
    still_open = whole_periods.open_spans(listed, dataset, time.time())
    waits = [f"span {one} is not over until {end:%Y-%m-%d %H:%M} UTC" for one, end in sorted(still_open.items())]
    if listed and len(still_open) == len(listed):
        newest = span_names.name(max(listed), dataset.spans.pattern)
        raise SpanNotFoundError(
            f"No span's period is over yet; the newest is {newest}. Take it all the same with --span {newest}, or say "
            "`whole_periods = false` in [spans]."
        )
    return (max(listed.keys() - still_open.keys()) if still_open else None), waits


def run(request: Request, terminal: Terminal, log: Path) -> Outcome:
    """Runs the pipeline with live progress on standard error, that of a search for hyperparameters within it too."""
    from pipeline.runs import execute

    terminal.note(f"{request.dataset.name}: starting TFX (about ten seconds)")
    with _heard(terminal), contextlib.ExitStack() as current:

        def started(node: str) -> None:
            current.enter_context(terminal.doing(node))

        def ended(node: str, status: str, seconds: float) -> None:
            current.close()
            if status != "skipped":
                terminal.note(f"  {node:18} {status:7} {seconds:7.1f} s")

        return execute.execute(request, log=str(log), on_wait=terminal.note, on_start=started, on_end=ended)


@contextlib.contextmanager
def _heard(terminal: Terminal) -> Iterator[None]:
    """Passes the progress of a search on to the terminal."""

    class Passing(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            terminal.note(record.getMessage())

    handler, search = Passing(logging.INFO), logging.getLogger(_SEARCH)
    search.addHandler(handler)
    try:
        yield
    finally:
        search.removeHandler(handler)


def failure_as_json(error: BaseException, log: Path, report: Path | None) -> dict[str, Any]:  # Any: JSON.
    """Returns a run that ended without an outcome as `run --json` prints it."""
    failure = edge.describe(error)
    return {
        "result": result_of_error(error),
        "exit_status": failure.status,
        "error": failure.text.removeprefix("error: "),
        "log": str(log),
        "report": _text(report),
    }


def show(outcome: Outcome, request: Request, log: Path, terminal: Terminal, hint: Callable[..., str]) -> None:
    """Prints the outcome as tables, the most wanted last: the verdict, the version and the line to try it with."""
    from pipeline.commands import statistics_table

    terminal.table(
        f"Components, span {outcome.span}",
        ("component", "status", "seconds"),
        [(node.node, node.status, f"{node.seconds:.1f}") for node in outcome.nodes if node.status != "skipped"],
    )
    if outcome.statistics_uri:
        statistics = statistics_table.read(outcome.statistics_uri)
        counts = statistics_table.num_examples(statistics)
        split = max(counts, key=lambda name: counts[name])
        title = ", ".join(f"{count:,} {name}" for name, count in sorted(counts.items(), reverse=True))
        terminal.table(
            f"Span {outcome.span}: {title} examples (figures of the {split} split)",
            statistics_table.COLUMNS,
            statistics_table.rows(statistics[split]),
        )
    if outcome.judgement:
        show_judgement(outcome.judgement, terminal)
    terminal.say()
    if outcome.decision:
        terminal.say(describe(outcome.decision))
    if outcome.not_servable:
        terminal.say(f"Not servable, so not pushed: {outcome.not_servable}")
    if outcome.refusal:
        terminal.err.print(f"error: span {outcome.span} was refused.\n{outcome.refusal}")
    for line in closing_lines(outcome, request, hint):
        terminal.say(line)
    terminal.note(f"log: {log}")


def show_judgement(judgement: Judgement, terminal: Terminal) -> None:
    """Prints the metrics overall and per slice, candidate beside live model."""
    from pipeline.evaluation import registry  # It loads numpy, which `run --help` needs for nothing.

    overall = judgement.slices[0]
    title = registry.METRICS[overall.metric].title
    columns: list[tuple[str, Callable[[SliceJudgement], object]]] = [
        ("slice", lambda row: row.slice or "all"),
        ("examples", lambda row: row.examples),
        (title, lambda row: _number(row.value)),
        ("95 %", lambda row: f"± {intervals.half_width(row.deviation):.3f}" if row.deviation is not None else "-"),
        (f"live {title}", lambda row: _number(row.live)),
    ]
    for place, one in enumerate(overall.beside):
        columns.append((registry.METRICS[one.metric].title, functools.partial(_beside, place)))
    if overall.calibration_error is not None:
        columns.append(("calibration error", lambda row: _number(row.calibration_error)))
    if overall.mean_label is not None:
        columns.append(
            ("label / predicted", lambda row: f"{_number(row.mean_label, 3)} / {_number(row.mean_prediction, 3)}")
        )
    columns.append(("judgement", lambda row: row.status + (f": {row.why}" if row.why else "")))
    rows = [tuple(cell(row) for _, cell in columns) for row in judgement.slices]
    terminal.table("Evaluation on held-out rows of the newest span", tuple(name for name, _ in columns), rows)
    terminal.say()
    terminal.say("Blessed: yes" if judgement.blessed else "Blessed: NO")
    for reason in judgement.reasons:
        terminal.say(f"  - {reason}")
    for note in judgement.notes:
        terminal.say(f"  note: {note}")


def _beside(place: int, row: SliceJudgement) -> str:
    """Returns a metric that dataset.toml names, with its interval and the live model's."""
    one = row.beside[place]
    if one.value is None:
        return "undefined"
    half = f" ± {intervals.half_width(one.deviation):.3f}" if one.deviation is not None else ""
    return f"{one.value:.4f}{half}" + (f" (live {one.live:.4f})" if one.live is not None else "")


def _number(value: float | None, digits: int = 4) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def closing_lines(outcome: Outcome, request: Request, hint: Callable[..., str]) -> list[str]:
    """Returns the last lines: what was pushed, and how to ask it; or what to type next.

    Args:
      hint: returns a command on the same dataset and root.
    """
    span = options.span_words(outcome.span)
    if outcome.result is Result.SCHEMA_INFERRED:
        return [
            f"There is no schema yet. One was inferred from span {outcome.span}: {outcome.inferred_schema}",
            f"Correct it by what the columns mean, put it beside {request.dataset.path}, name it there "
            f'(`schema = "schema.pbtxt"`), and run again: {hint("run", *span)}',
        ]
    if outcome.result is Result.NOT_PUSHED:
        return [
            "The candidate is blessed and was not pushed, as asked (--no-push).",
            f"Push it:   {hint('run', *span)}",
        ]
    if outcome.result is Result.DECIDED:
        return [f"Carry on:  {hint('run', *span)}"]
    if outcome.result is Result.SKIPPED:
        return [f"Train all the same: {hint('run', *span, '--force')}"]
    if outcome.pushed is None:
        return []
    name = request.dataset.serving.model_name
    lines = [f"Pushed version {outcome.pushed.name} to {outcome.pushed}"]
    reason = version_folder.why_slow(outcome.pushed)
    if reason:
        lines.append(f"It answers through TFT's graph, several times slower than the stacked one: {reason}")
    if outcome.sample_request:
        base = str(outcome.pushed.parent)
        lines += [
            f"Serve it:  {program.line('serve', '--model-name', name, '--model-base-path', base)}",
            f"Ask it:    {curl(name, outcome.sample_request)}",
        ]
    return lines


def curl(model_name: str, request: dict[str, Any]) -> str:
    """Returns the shell command that asks the served model for one prediction."""
    body = json.dumps(request).replace("'", "'\\''")
    return f"curl -d '{body}' http://127.0.0.1:8501/v1/models/{model_name}:predict"


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


def as_json(outcome: Outcome, request: Request, log: Path, report: Path | None) -> dict[str, Any]:
    """Returns the outcome as `run --json` prints it."""
    from pipeline.commands import statistics_table

    statistics = statistics_table.read(outcome.statistics_uri) if outcome.statistics_uri else {}
    return {
        "result": outcome.result,
        "exit_status": outcome.result.exit_status,
        "dataset": request.dataset.name,
        "span": outcome.span,
        "root": str(request.root.path),
        "log": str(log),
        "report": _text(report),
        "components": [dataclasses.asdict(node) for node in outcome.nodes],
        "statistics": {split: statistics_table.as_json(value) for split, value in statistics.items()},
        "decision": outcome.decision.to_dict() if outcome.decision else None,
        "evaluation": outcome.judgement.to_dict() if outcome.judgement else None,
        "not_servable": outcome.not_servable,
        "refusal": outcome.refusal,
        "pushed_version": int(outcome.pushed.name) if outcome.pushed else None,
        "pushed_path": str(outcome.pushed) if outcome.pushed else None,
        "curl": curl(request.dataset.serving.model_name, outcome.sample_request) if outcome.sample_request else None,
    }
