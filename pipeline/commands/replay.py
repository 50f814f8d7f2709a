"""`replay`: the time-lapse. Plays a dataset's spans in order on a fresh root, and compares policies of retraining."""

from __future__ import annotations

import argparse
import functools
import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pipeline import files
from pipeline.commands import options
from pipeline.commands.report_after import write_report, write_series_report
from pipeline.commands.terminal import Terminal
from pipeline.components import nodes
from pipeline.errors import ConfigError
from pipeline.gate.decision import Verdict
from pipeline.ingest import spans as span_files
from pipeline.report.series_data import FILE as REPLAY_FILE
from pipeline.runs.child import in_child
from pipeline.runs.log_capture import captured
from pipeline.state import owner
from pipeline.state.root import Root
from pipeline.state.version_folder import pushed_versions

if TYPE_CHECKING:
    from pipeline.config.dataset import Dataset

Policy = Literal["gate", "always", "never"]
POLICIES: tuple[Policy, ...] = ("gate", "always", "never")


@dataclass(frozen=True, kw_only=True)
class Step:
    """What one span brought.

    Attributes:
      auc: of the model that was live when the span arrived, on all of the span; None where none was.
      trained: whether a candidate was trained.
      pushed: whether it went live.
    """

    span: int
    verdict: str
    reason: str
    auc: float | None
    trained: bool
    pushed: bool
    seconds: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares what `replay` reads."""
    options.add_data(parser)
    parser.add_argument("--spans", metavar="A-B", help="only these (default: all)")
    parser.add_argument("--compare", action="store_true", help="also always and never retrain, side by side")
    parser.add_argument("--keep", action="store_true", help="keep the artifacts of every step")
    options.add_json(parser)


def command(args: argparse.Namespace) -> int:
    """Plays the spans. Exit status: 0 played to the end."""
    from pipeline.runs import execute
    from pipeline.runs.request import locate_data

    dataset = options.load_dataset(args)
    base = (args.root or dataset.runs.with_name(f"{dataset.runs.name}-replay")).absolute()
    if base.exists():
        raise ConfigError(f"--root: {base} exists, and a replay needs a fresh one. Remove it, or name another.")
    base.mkdir(parents=True)
    data = Root(base)
    owner.claim(data, dataset.name, dataset.path)
    log = base / "replay.log"
    data_root = locate_data(dataset, data, args.data_root)
    listing = span_files.newest_versions(data_root, dataset.spans.pattern, dataset.spans.marker)
    spans = choose(listing, args.spans)
    policies = POLICIES if args.compare else POLICIES[:1]
    played: dict[Policy, list[Step]] = {}
    with captured(log) as (out, err):
        terminal = Terminal(out, err, quiet=args.json)
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
                        terminal,
                        log,
                        keep=args.keep,
                    )
                )
                for span in spans
            ]
            if not args.keep:
                shutil.rmtree(base / policy / "artifacts", ignore_errors=True)
        summary = {policy: summarise(steps) for policy, steps in played.items()}
        steps = {policy: [asdict(step) for step in steps] for policy, steps in played.items()}
        value = {"dataset": dataset.name, "steps": steps, "summary": summary}
        files.write(str(base), REPLAY_FILE, (json.dumps(value, sort_keys=True) + "\n").encode())
        report = write_series_report(base, terminal)
        if args.json:
            print(json.dumps({**value, "report": str(report) if report else None}, sort_keys=True), file=out)
        elif args.compare:
            terminal.table(
                f"{dataset.name}, spans {spans[0]} to {spans[-1]}",
                ("policy", "trainings", "pushes", "seconds", "mean AUC of the live model"),
                [(policy, *values.values()) for policy, values in summary.items()],
            )
        if report is not None:
            terminal.say(f"Report: {report}")
        terminal.note(f"log: {log}")
    return 0


def choose(existing: dict[int, list[span_files.SpanFile]], wanted: str | None) -> list[int]:
    """Returns the spans to play, ascending, from `A-B`.

    Raises:
      ConfigError: not two numbers, or no span between them.
    """
    if wanted is None:
        return sorted(existing)
    first, dash, last = wanted.partition("-")
    if not (first.isdecimal() and dash and last.isdecimal()):
        raise ConfigError(f"--spans: expected FIRST-LAST, such as 5-9. Received: {wanted!r}.")
    spans = [span for span in sorted(existing) if int(first) <= span <= int(last)]
    if not spans:
        raise ConfigError(f"--spans: no span from {first} to {last}. Found: {', '.join(map(str, existing))}.")
    return spans


def play(
    dataset: Dataset,
    root: Root,
    data_root: str,
    span_as_listed: Sequence[span_files.SpanFile],
    policy: Policy,
    terminal: Terminal,
    log: Path,
    *,
    keep: bool,
) -> Step:
    """Processes one span under a policy, and prints its line; a step that is kept gets a report of its own."""
    from pipeline.runs import execute
    from pipeline.runs.request import Request

    span = span_as_listed[0].span
    options.claim(dataset, root)
    serving_dir = root.serving(dataset.serving.model_name)
    versions = pushed_versions(serving_dir)
    request = Request(
        dataset=dataset,
        root=root,
        data_root=data_root,
        files=tuple(span_as_listed),
        forced=policy == "always",
        explain=policy == "never" and bool(versions),
    )
    auc = score_live(dataset, serving_dir / str(versions[-1]), data_root, span) if versions else None
    started = time.monotonic()
    outcome = execute.execute(
        request, log=str(log), on_wait=terminal.note, on_start=lambda _: None, on_end=lambda *_: None
    )
    reasons = outcome.decision.reasons if outcome.decision else ()
    step = Step(
        span=span,
        verdict=(outcome.decision.verdict if outcome.decision else Verdict.BLOCK).value,
        reason=reasons[0].text if reasons else outcome.refusal or "",
        auc=auc,
        trained=any(node.node == nodes.TRAINER and node.status == "ran" for node in outcome.nodes),
        pushed=outcome.pushed is not None,
        seconds=round(time.monotonic() - started, 1),
    )
    if keep:
        write_report(root, request.run_id, terminal)
    shown = f"AUC {step.auc:.4f}" if step.auc is not None else "AUC      -"
    done = "pushed" if step.pushed else "trained, not pushed" if step.trained else ""
    terminal.say(f"  span {span:>3}  {step.verdict:5}  {shown}  {step.seconds:6.1f} s  {done:6}  {step.reason}")
    return step


def score_live(dataset: Dataset, model_dir: Path, data_root: str, span: int) -> float | None:
    """Returns the AUC of the live model on all of a span that it has not seen; None where it has none."""
    from pipeline.commands.drift import read_span
    from pipeline.gate import scoring
    from pipeline.gate.settings import Settings

    settings = Settings(features=dataset.features, policy=dataset.gate)
    overall = scoring.evaluate_model(model_dir, read_span(dataset, data_root, span), settings).overall
    return overall.auc.value if overall.auc is not None else None


def summarise(steps: Sequence[Step]) -> dict[str, object]:
    """Returns what a policy cost and what it brought; the mean is over spans on which a live model was scored."""
    scored = [step.auc for step in steps if step.auc is not None]
    return {
        "trainings": sum(step.trained for step in steps),
        "pushes": sum(step.pushed for step in steps),
        "seconds": round(sum(step.seconds for step in steps), 1),
        "mean_auc": round(sum(scored) / len(scored), 4) if scored else None,
    }
