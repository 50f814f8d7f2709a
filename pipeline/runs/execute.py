"""One local run: from a request to an outcome, with everything a caller may print or put into a report."""

import contextlib
import importlib
import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.components import nodes
from pipeline.ingest import spans as span_files
from pipeline.runs import leftovers, records
from pipeline.runs.outcome import Outcome, Result, result_of_error
from pipeline.runs.quick_imports import quick_imports
from pipeline.runs.request import Request, pipeline_config, settle_seconds
from pipeline.state import span_records
from pipeline.state.root import Root
from pipeline.state.version_folder import pushed_versions

if TYPE_CHECKING:
    from pipeline.runs.node_runner import NodeResult


logger = logging.getLogger(__name__)


def preload() -> None:
    """Imports what runs and their reports need, for a process whose children are to find it there.

    None of it starts TensorFlow's threads, which a fork would lack.
    """
    with quick_imports():
        importlib.import_module("pipeline.pipeline")
        importlib.import_module("pipeline.runs.node_runner")


def execute(
    request: Request,
    *,
    log: str,
    on_wait: Callable[[str], None],
    on_start: Callable[[str], None],
    on_end: Callable[[str, str, float], None],
) -> Outcome:
    """Runs the pipeline once, after sweeping up what killed runs left. The caller holds the root's lock.

    Args:
      log: the run's log, named beside the decision.
      on_wait: told in words which span is waited for, and for what.
      on_start: told a node's id before it starts.
      on_end: told its id, its status and its wall seconds.

    Raises:
      PipelineError: bad input or configuration that is not the data's fault.
      Exception: anything a component raised.
    """
    started = time.time()
    with quick_imports():
        from pipeline.errors import DataError
        from pipeline.pipeline import create_pipeline
        from pipeline.runs import node_runner, outcome

    config = pipeline_config(request, started)
    # Before they are read: what changes from now on is another state of them.
    files = _settled_files(request, on_wait)
    identity = span_files.identity(files)
    results: list[node_runner.NodeResult] = []
    ended_as = Result.FAILED

    def ended(result: node_runner.NodeResult) -> None:
        results.append(result)
        on_end(result.node, result.status, result.seconds)
        if result.node == nodes.RERUN_GATE and result.status in ("ran", "cached") and not request.explain:
            span_records.complete(config.state_dir, request.span, files[0].version, files=identity)
        if result.node == nodes.RERUN_GATE and result.status == "ran" and not request.explain:
            decision = outcome.decision_of(result)
            if decision is not None:
                records.append_decision(request.root, decision, log)

    refusal = None
    leftovers.end_executions(request.root)
    if not request.explain:
        records.end_killed_run(request.root, Path(config.serving_dir), now=round(started))
        newest = max(pushed_versions(Path(config.serving_dir)), default=0)
        begun = records.BegunRun(
            span=request.span, started_at=round(started), newest=newest, run_id=request.run_id, log=log
        )
        records.begin_run(request.root, begun)
    try:
        try:
            with leftovers.temporary_files():
                node_runner.run(create_pipeline(config), on_start=on_start, on_end=ended, run_id=request.run_id)
        except DataError as error:
            refusal = str(error)
        result = outcome.read(config, results, refusal)
        ended_as = result.result
    except BaseException as error:
        ended_as = result_of_error(error)
        raise
    finally:
        if not request.explain:
            record_run(request.root, begun, ended_as, results, outcome.pushed_by(results))
    if result.decision is not None and result.result in (Result.PUSHED, Result.NOT_BLESSED):
        evidence = result.decision.evidence
        span_records.complete(
            config.state_dir,
            evidence.span,
            evidence.version,
            outcome=result.result.value,
            thresholds=request.dataset.thresholds,
        )
    if refusal is not None and result.decision is None and not request.explain:
        span_records.write_record(config.state_dir, _unreadable(request.span, files[0].version, identity))
    return result


def _settled_files(request: Request, on_wait: Callable[[str], None]) -> Sequence[span_files.SpanFile]:
    """Waits until the files of the span and of those that it may be trained with have settled; returns the span's."""
    spans, files = request.dataset.spans, request.files
    seconds = settle_seconds(request.dataset, request.root, request.data_root)
    if seconds == 0:
        return files

    def find() -> list[span_files.SpanFile]:
        nonlocal files
        versions = span_files.newest_versions(request.data_root, spans.pattern, spans.marker)
        files = tuple(versions.get(request.span, files))
        window = [number for number in versions if number <= request.span][-spans.window :]
        return [file for number in window for file in versions[number]]

    def tell(waiting: span_files.Unsettled) -> None:
        text = f"span {waiting.file.span} waits: {waiting}"
        logger.info("%s", text)
        on_wait(text)

    span_files.wait_until_settled(find, seconds, clock=time.time, sleep=time.sleep, tell=tell)
    return files


def record_run(
    root: Root, begun: records.BegunRun, ended_as: Result, nodes: Sequence["NodeResult"], pushed: Path | None
) -> None:
    """Appends how a run ended to `runs.jsonl`; a full disk must not hide why it failed."""
    with contextlib.suppress(OSError):
        records.append_run(
            root,
            records.EndedRun(
                span=begun.span,
                started_at=begun.started_at,
                ended_at=round(time.time()),
                result=ended_as,
                seconds={item.node: round(item.seconds, 3) for item in nodes if item.status == "ran"},
                version=int(pushed.name) if pushed else None,
                run_id=begun.run_id,
                log=begun.log,
            ),
        )
        records.forget_begun_run(root)


def _unreadable(span: int, version: int, files: str) -> span_records.SpanRecord:
    """Returns the record of a span that the gate never saw: it does not come again, and no window holds its rows."""
    return span_records.SpanRecord(
        span=span,
        version=version,
        fingerprint="",
        rows=0,
        verdict="block",
        accepted=False,
        waiting=False,
        examples_uri="",
        decided_at=int(time.time()),
        files=files,
    )
