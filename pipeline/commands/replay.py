"""`replay`: the time-lapse. Plays a dataset's spans in order on a fresh root, and compares policies of retraining."""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import files
from pipeline.commands import options
from pipeline.commands.report_after import write_report, write_series_report
from pipeline.commands.terminal import Terminal
from pipeline.components import nodes
from pipeline.errors import ConfigError
from pipeline.evaluation import registry
from pipeline.gate.decision import Verdict
from pipeline.ingest import span_names
from pipeline.ingest import spans as span_files
from pipeline.report import series_data
from pipeline.report.series_data import Policy
from pipeline.runs.child import in_child
from pipeline.runs.log_capture import captured
from pipeline.state import owner
from pipeline.state.root import Root
from pipeline.state.version_folder import BASELINE_FOLDER, live_training, pushed_versions

if TYPE_CHECKING:
    from pipeline.config.dataset import Dataset
    from pipeline.runs.request import Request

POLICIES = series_data.POLICIES
_STOCK_THRESHOLD = 0.1


@dataclass(frozen=True, kw_only=True)
class Step:
    """What one span brought.

    Attributes:
      score: of the model that was live when the span arrived, on all of the span, by the task's main metric; None where
        none was.
      trained: whether a candidate was trained, which is more than a recalibration.
      pushed: whether a version went live.
      expected: what the gate expected a training to bring, see Challenge; None where it did not ask.
      replaced: the score, on this span too, of the version that the newest one replaced on the span before; None where
        it replaced none. So the difference to `score` is what that one brought.
    """

    span: int
    verdict: str
    reason: str
    score: float | None
    trained: bool
    pushed: bool
    seconds: float
    expected: float | None = None
    replaced: float | None = None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares what `replay` reads."""
    options.add_data(parser)
    parser.add_argument(
        "--spans",
        metavar="A-B",
        help="only these; where they are days, 2017-11-30..2017-12-02 (default: all)",
    )
    parser.add_argument(
        "--compare", action="store_true", help="beside it: always, never, every second span, and stock TFDV at 0.1"
    )
    parser.add_argument("--keep", action="store_true", help="keep the artifacts of every step")
    options.add_json(parser)


def command(args: argparse.Namespace) -> int:
    """Plays the spans. Exit status: 0 played to the end."""
    from pipeline.runs import execute
    from pipeline.runs.request import locate_data

    dataset = options.load_dataset(args)
    wanted = options.first_and_last(args.spans, dataset) if args.spans else None
    base = (args.root or dataset.runs.with_name(f"{dataset.runs.name}-replay")).absolute()
    if base.exists():
        raise ConfigError(f"--root: {base} exists, and a replay needs a fresh one. Remove it, or name another.")
    base.mkdir(parents=True)
    data = Root(base)
    owner.claim(data, dataset.name, dataset.path)
    log = base / "replay.log"
    data_root = locate_data(dataset, data, args.data_root)
    listing = span_files.newest_versions(data_root, dataset.spans.pattern, dataset.spans.marker)
    spans = choose(listing, wanted, dataset.spans.pattern)
    policies = POLICIES if args.compare else POLICIES[:1]
    played: dict[Policy, list[Step]] = {}
    with captured(log) as (out, err):
        terminal = options.terminal(out, err, dataset, quiet=args.json)
        execute.preload()
        for policy in policies:
            terminal.say(f"{dataset.name}, policy {policy}" if args.compare else dataset.name)
            played[policy] = [
                in_child(
                    functools.partial(
                        play,
                        dataset,
                        Root(base / policy),
                        data_root,
                        listing[span],
                        policy,
                        place,
                        spans[place - 1] if place else None,
                        terminal,
                        log,
                        keep=args.keep,
                    )
                )
                for place, span in enumerate(spans)
            ]
            if not args.keep:
                shutil.rmtree(base / policy / "artifacts", ignore_errors=True)
        summary = {policy: summarise(steps) for policy, steps in played.items()}
        steps = {policy: [asdict(step) for step in steps] for policy, steps in played.items()}
        metric = registry.METRICS[registry.MAIN[dataset.features.task]]
        value = {
            "dataset": dataset.name,
            "pattern": dataset.spans.pattern,
            "metric": metric.name,
            "steps": steps,
            "summary": summary,
        }
        files.write(str(base), series_data.FILE, (json.dumps(value, sort_keys=True) + "\n").encode())
        report = write_series_report(base, terminal)
        if args.json:
            print(options.json_text({**value, "report": str(report) if report else None}, dataset), file=out)
        elif args.compare:
            terminal.table(
                f"{dataset.name}, spans {spans[0]} to {spans[-1]}",
                ("policy", "trainings", "pushes", "seconds", f"{metric.title} of the live model, on average"),
                [(policy, *values.values()) for policy, values in summary.items()],
            )
        if report is not None:
            terminal.say(f"Report: {report}")
        terminal.note(f"log: {log}")
    return 0


def choose(existing: dict[int, list[span_files.SpanFile]], wanted: tuple[int, int] | None, pattern: str) -> list[int]:
    """Returns the spans to play, ascending, from the first to the last of `wanted`.

    Raises:
      ConfigError: no span is between them.
    """
    if wanted is None:
        return sorted(existing)
    first, last = wanted
    spans = [span for span in sorted(existing) if first <= span <= last]
    if not spans:
        there = ", ".join(span_names.name(span, pattern) for span in sorted(existing))
        between = f"{span_names.name(first, pattern)} to {span_names.name(last, pattern)}"
        raise ConfigError(f"--spans: no span from {between}. Found: {there}.")
    return spans


def play(
    dataset: Dataset,
    root: Root,
    data_root: str,
    span_as_listed: Sequence[span_files.SpanFile],
    policy: Policy,
    place: int,
    before: int | None,
    terminal: Terminal,
    log: Path,
    *,
    keep: bool,
) -> Step:
    """Processes one span under a policy, and prints its line; a step that is kept gets a report of its own.

    Args:
      place: of the span among those that are played, from 0.
      before: the span that was played before it.
    """
    from pipeline.runs import execute
    from pipeline.runs.request import Request

    span = span_as_listed[0].span
    options.claim(dataset, root)
    serving_dir = root.serving(dataset.serving.model_name)
    versions = pushed_versions(serving_dir)
    request = Request(dataset=dataset, root=root, data_root=data_root, files=tuple(span_as_listed))
    due = not versions or is_due(policy, place, request, serving_dir / str(max(versions)), str(log))
    if policy != "gate":
        # Without a model there is nothing to compare with, and every policy trains.
        request = dataclasses.replace(request, forced=due and (bool(versions) or policy == "always"), explain=not due)
    score = score_live(dataset, serving_dir / str(versions[-1]), data_root, span) if versions else None
    replaced = None
    if len(versions) > 1 and before in live_training(serving_dir).window:
        replaced = score_live(dataset, serving_dir / str(versions[-2]), data_root, span)
    started = time.monotonic()
    outcome = execute.execute(
        request, log=str(log), on_wait=terminal.note, on_start=lambda _: None, on_end=lambda *_: None
    )
    decision = outcome.decision
    reasons = decision.reasons if decision else ()
    challenge = decision.evidence.challenge if decision else None
    step = Step(
        span=span,
        verdict=(decision.verdict if decision else Verdict.BLOCK).value,
        reason=reasons[0].text if reasons else outcome.refusal or "",
        score=score,
        trained=any(node.node == nodes.TRAINER and node.status == "ran" for node in outcome.nodes)
        and not (decision is not None and decision.verdict is Verdict.RECALIBRATE),
        pushed=outcome.pushed is not None,
        seconds=round(time.monotonic() - started, 1),
        expected=challenge.expected.value if challenge else None,
        replaced=replaced,
    )
    if keep:
        write_report(root, request.run_id, terminal)
    title = registry.METRICS[registry.MAIN[dataset.features.task]].title
    shown = f"{title} {step.score:.4f}" if step.score is not None else f"{title}      -"
    done = "pushed" if step.pushed else "trained, not pushed" if step.trained else ""
    terminal.say(f"  span {span:>3}  {step.verdict:5}  {shown}  {step.seconds:6.1f} s  {done:6}  {step.reason}")
    return step


def is_due(policy: Policy, place: int, request: Request, version_dir: Path, log: str) -> bool:
    """Tells whether a policy other than the gate's asks for a training on a span that meets a live model."""
    if policy == "every-2":
        return place % 2 == 0
    if policy != "tfdv-0.1":
        return policy == "always"
    from pipeline.commands import statistics_table
    from pipeline.config.schema import read_schema
    from pipeline.gate import tfdv
    from pipeline.gate.baseline import Baseline
    from pipeline.runs import execute
    from pipeline.runs.request import new_run_id

    # A look at the span, for its statistics alone.
    looked = dataclasses.replace(request, explain=True, run_id=new_run_id())
    outcome = execute.execute(looked, log=log, on_wait=lambda _: None, on_start=lambda _: None, on_end=lambda *_: None)
    before = Baseline.load(str(version_dir / BASELINE_FOLDER)).statistics
    if outcome.statistics_uri is None or before is None or request.dataset.schema_path is None:
        return True
    now = statistics_table.read(outcome.statistics_uri)["train"]
    return tfdv.stock_drift(now, before, read_schema(request.dataset.schema_path), _STOCK_THRESHOLD)


def score_live(dataset: Dataset, model_dir: Path, data_root: str, span: int) -> float | None:
    """Returns the main metric of the live model on all of a span that it has not seen; None where it has none."""
    from pipeline.commands.drift import read_span
    from pipeline.gate import scoring
    from pipeline.gate.settings import Settings

    settings = Settings(features=dataset.features, policy=dataset.gate)
    overall = scoring.evaluate_model(model_dir, read_span(dataset, data_root, span), settings).overall
    of_task = {"binary": overall.auc, "multiclass": overall.accuracy, "regression": overall.loss}[
        settings.features.task
    ]
    return of_task.value if of_task is not None else None


def summarise(steps: Sequence[Step]) -> dict[str, object]:
    """Returns what a policy cost and what it brought; the mean is over spans on which a live model was scored."""
    scored = [step.score for step in steps if step.score is not None]
    return {
        "trainings": sum(step.trained for step in steps),
        "pushes": sum(step.pushed for step in steps),
        "seconds": round(sum(step.seconds for step in steps), 1),
        "mean_score": round(sum(scored) / len(scored), 4) if scored else None,
    }
