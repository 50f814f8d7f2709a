"""One local run: from a request to an outcome, with everything a caller may print or put into a report."""

import contextlib
import importlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pipeline import spans as span_files
from pipeline import state
from pipeline.config import Dataset, PipelineConfig
from pipeline.errors import ConfigError
from pipeline.root import Root, pushed_versions
from pipeline.startup import quick_imports

SECONDS_PER_DAY = 86_400

Result = Literal["pushed", "skipped", "explained", "decided", "refused", "not_blessed", "schema_inferred"]
EXIT_STATUS: Mapping[Result, int] = {
    "pushed": 0,
    "skipped": 0,
    "explained": 0,
    "decided": 0,
    "schema_inferred": 0,
    "refused": 3,
    "not_blessed": 4,
}


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the user asked for: `explain` only looks at the decision, `decide` makes it and stops there."""

    dataset: Dataset
    root: Root
    data_root: str
    span: int | None = None
    forced: bool = False
    explain: bool = False
    decide: bool = False
    engine: Literal["local", "beam"] = "local"
    beam_args: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a run came to.

    Attributes:
      decision: the gate's decision as in decision.json; None where the run ended before it.
      judgement: the Evaluator's, as in judgement.json; None where nothing was trained.
      not_servable: why a model server could not be trusted with the candidate; None where it could.
      nodes: node id, status, wall seconds and peak memory, in order.
      statistics_uri: the span's statistics artifact.
      pushed: the new version's folder; None where nothing was pushed.
      sample_request: one row as a predict request, for the `curl` line.
      refusal: why the data was refused, in words.
      decision_text: the decision as a person reads it.
    """

    result: Result
    span: int
    nodes: list[dict[str, Any]]  # Any: JSON.
    decision: dict[str, Any] | None = None
    judgement: dict[str, Any] | None = None
    not_servable: str | None = None
    statistics_uri: str | None = None
    pushed: Path | None = None
    sample_request: dict[str, Any] | None = None
    inferred_schema: Path | None = None
    refusal: str | None = None
    decision_text: str | None = None


def locate_data(dataset: Dataset, root: Root, data_root: str | None) -> str:
    """Returns the data root: the one given, or the shipped spans, written below the run's root where missing.

    Raises:
      ConfigError: the dataset ships no spans and no folder was given, or the given one does not exist.
    """
    if data_root is not None:
        if "://" in data_root:
            return data_root
        if not Path(data_root).is_dir():
            raise ConfigError(f"--data-root: there is no folder {data_root}.")
        # Beam's workers have working directories of their own.
        return str(Path(data_root).absolute())
    if dataset.spans.source is None:
        raise ConfigError(
            f"{dataset.path} names no [spans] source, so the spans' folder must be given: --data-root DIR."
        )
    folder = root.path / "data"
    module = importlib.import_module(dataset.spans.source)
    module.write_spans(folder)
    return str(folder)


def artifacts_of(dataset: Dataset, root: Root, engine: Literal["local", "beam"]) -> str:
    """Returns where artifacts are written: below the root, or where `[beam]` says for the Beam engine."""
    return (dataset.beam.artifacts if engine == "beam" else None) or str(root.artifacts)


def shared_folders(dataset: Dataset, root: Root, data_root: str, engine: Literal["local", "beam"]) -> dict[str, str]:
    """Returns what Beam's workers must reach, by what names it."""
    return {"--data-root": data_root, "[beam] artifacts": artifacts_of(dataset, root, engine)}


def pipeline_config(request: Request, now: float) -> PipelineConfig:
    """Returns the pipeline's configuration, with the span and the state that this machine sees now."""
    from pipeline import live, serving_evidence

    dataset, root = request.dataset, request.root
    serving_dir = root.serving(dataset.serving.model_name)
    versions = pushed_versions(serving_dir)
    trained = (*live.training_window(serving_dir), *live.withdrawn_spans(serving_dir))
    closed = state.settled(state.read_records(str(root.state)), trained)
    return PipelineConfig(
        dataset=dataset,
        data_root=request.data_root,
        span=span_files.choose_span(request.data_root, dataset.spans.pattern, request.span),
        pipeline_root=artifacts_of(dataset, root, request.engine),
        serving_dir=str(serving_dir),
        state_dir=str(root.state),
        metadata_path=str(root.metadata),
        live_version=str(versions[-1]) if versions else "",
        # What the monitor has found since is a reason to decide anew.
        state_token=state.token(closed) + serving_evidence.token(str(root.state)),
        # By the day: a run that was killed and started again finds its gate's decision in the cache.
        evaluated_at=int(now) // SECONDS_PER_DAY * SECONDS_PER_DAY,
        forced=request.forced,
        explain=request.explain,
        decide=request.decide,
        engine=request.engine,
        beam_args=request.beam_args,
    )


def execute(
    request: Request, *, log: str, on_start: Callable[[str], None], on_end: Callable[[str, str, float], None]
) -> Outcome:
    """Runs the pipeline once. The caller holds the root's lock.

    Args:
      log: the run's log, named beside the decision.
      on_start: told a node's id before it starts.
      on_end: told its id, its status and its wall seconds.

    Raises:
      PipelineError: bad input or configuration that is not the data's fault.
      Exception: anything a component raised.
    """
    started = time.time()
    with quick_imports():
        from pipeline import outcome, runner
        from pipeline.errors import DataError
        from pipeline.pipeline import create_pipeline

    config = pipeline_config(request, started)
    assert isinstance(config.span, int)
    results: list[runner.NodeResult] = []
    ended_as = "failed"

    def ended(result: runner.NodeResult) -> None:
        results.append(result)
        on_end(result.node, result.status, result.seconds)
        if result.node == "RerunGate" and result.status == "ran" and not request.explain:
            outcome.append_decision(request.root.decisions, result, log)

    refusal = None
    try:
        try:
            runner.run(create_pipeline(config), on_start=on_start, on_end=ended)
        except DataError as error:
            refusal = str(error)
        result = outcome.read(config, results, refusal)
        ended_as = result.result
    finally:
        if not request.explain:
            record_run(request.root, config.span, started, ended_as, {item.node: item for item in results})
    if refusal is not None and result.decision is None and not request.explain:
        files = span_files.newest_versions(request.data_root, request.dataset.spans.pattern)[config.span]
        state.write_record(config.state_dir, _unreadable(config.span, files[0].version))
    return result


def record_run(root: Root, span: int, started: float, ended_as: str, nodes: Mapping[str, Any]) -> None:  # NodeResults.
    """Appends how a run ended to `runs.jsonl`; a full disk must not hide why it failed."""
    with contextlib.suppress(OSError):
        append_line(
            root.runs,
            {
                "span": span,
                "started_at": round(started),
                "ended_at": round(time.time()),
                "result": ended_as,
                "seconds": {name: round(node.seconds, 3) for name, node in nodes.items() if node.status == "ran"},
            },
        )


def _unreadable(span: int, version: int) -> state.SpanRecord:
    """Returns the record of a span that the gate never saw: it does not come again, and no window holds its rows."""
    return state.SpanRecord(
        span=span,
        version=version,
        fingerprint="",
        rows=0,
        verdict="block",
        accepted=False,
        waiting=False,
        examples_uri="",
        decided_at=int(time.time()),
    )


def append_line(path: Path, value: Mapping[str, Any]) -> None:  # Any: JSON.
    """Appends one JSON line; a line that an earlier crash cut short is ended first, so that it spoils no other."""
    text = json.dumps(value, sort_keys=True) + "\n"
    with path.open("ab+") as file:
        if file.tell() > 0:
            file.seek(-1, 2)
            if file.read(1) != b"\n":
                text = "\n" + text
        file.write(text.encode())
        file.flush()
