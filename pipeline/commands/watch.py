"""`watch`: continuous training. Each new span or corrected version is processed once, oldest first."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import datetime
import logging
import threading
import time
import traceback
from collections import Counter
from typing import TYPE_CHECKING

from pipeline.commands import edge, options
from pipeline.commands.clean import tidy
from pipeline.commands.pull import Puller
from pipeline.commands.report_after import write_report
from pipeline.commands.stopping import stoppable
from pipeline.commands.terminal import Terminal
from pipeline.config import beam_options
from pipeline.errors import ConfigError, PipelineError, RootBusyError
from pipeline.ingest import spans as span_files
from pipeline.runs.child import in_child
from pipeline.runs.log_capture import captured, new_log
from pipeline.runs.outcome import Outcome, Result
from pipeline.state import backlog
from pipeline.state.backlog import QUARANTINE, SetAside, Waiting
from pipeline.state.root import Root

if TYPE_CHECKING:
    from pipeline.runs.request import Request

logger = logging.getLogger(__name__)

_BUSY_POLL_S = 1.0


class StopRequestedError(KeyboardInterrupt):
    """SIGTERM or Ctrl-C came; raised between components, where nothing is half done."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares what `watch` reads."""
    options.add_data(parser)
    parser.add_argument("--poll", type=float, default=30.0, metavar="SECONDS", help="how often to look (default: 30)")
    parser.add_argument(
        "--tries", type=int, default=2, metavar="N", help="then a failing span is set aside (default: 2)"
    )
    parser.add_argument("--once", action="store_true", help="end when nothing is waiting")
    beam_options.add_arguments(parser)


def command(args: argparse.Namespace) -> int:
    """Watches until it is told to stop. Exit status: 0 stopped.

    Raises:
      ConfigError: the dataset has no schema, so no span could ever be trained on.
    """
    from pipeline.runs.request import Request, locate_data, shared_folders

    dataset, root = options.load(args)
    if dataset.schema_path is None:
        raise ConfigError(
            f"{dataset.path} names no schema, and nothing is trained without one. Have one inferred, and correct it: "
            f"{options.hint(args, 'run', with_data=True)}"
        )
    options.claim(dataset, root)
    log = new_log(root.logs, "watch")
    with contextlib.ExitStack() as held, stoppable() as stop, captured(log) as (out, err):
        held.enter_context(root.locked())
        terminal = options.terminal(out, err, dataset)
        puller = Puller(dataset, root, args.data_root) if dataset.source is not None and dataset.source.pulls else None
        data_root = locate_data(dataset, root, args.data_root)
        request = Request(
            dataset=dataset,
            root=root,
            data_root=data_root,
            engine=args.engine,
            beam_args=beam_options.of_arguments(args, dataset, shared_folders(dataset, root, data_root, args.engine)),
        )
        terminal.note(f"watching {data_root} every {args.poll:g} s; log: {log}")
        tries: Counter[Waiting] = Counter()
        said: set[str] = set()
        while not stop.is_set():
            if puller is not None:
                _pull(puller, terminal, stop, insist=args.once)
            said = _say_incomplete(request, terminal, said)
            waiting = _following(request)
            if waiting is None:
                if args.once:
                    break
                # Free while there is nothing to do, so that a rollback need not wait for a watcher to be stopped.
                held.close()
                stop.wait(args.poll)
                _hold_again(held, root, stop)
                continue
            if backlog.release(root, waiting):
                terminal.note(f"span {waiting.span}: its files changed after it was set aside; it is taken again")
            elif waiting.changed:
                terminal.note(f"span {waiting.span}: its files changed after they were processed; it is taken again")
            tries[waiting] += 1
            tried = span_files.identity(waiting.files)
            try:
                outcome = process(request, waiting, terminal, stop)
                left = _following(request)
                if left == waiting and not (left.changed and span_files.identity(left.files) != tried):
                    # Refused while the window was read, say. Without this the span would come again for ever.
                    raise PipelineError(outcome.refusal or "the run ended without finishing it")
            except StopRequestedError:
                break
            except Exception as error:  # noqa: BLE001 - one span's failure must not stop the next.
                logger.error("Span %d failed.\n%s", waiting.span, traceback.format_exc())
                text = edge.describe(error).text.removeprefix("error: ").splitlines()[0][:300]
                terminal.err.print(f"span {waiting.span} failed (try {tries[waiting]}): {text}")
                if tries[waiting] >= args.tries:
                    backlog.quarantine(root, waiting, SetAside(text, tried))
                    del tries[waiting]
                    again = options.hint(args, "run", *options.span_words(waiting.span), with_data=True)
                    terminal.err.print(
                        f"span {waiting.span} is quarantined until its files change; see {root.path / QUARANTINE}"
                    )
                    terminal.err.print(f"once it is repaired: {again}")
        terminal.note("stopped")
    return 0


def _pull(puller: Puller, terminal: Terminal, stop: threading.Event, *, insist: bool) -> None:
    """Pulls what is due. A source that does not answer is asked again at the next look, and keeps no span waiting.

    Raises:
      PipelineError: the source fails and there is no next look, or its settings are wrong.
    """
    try:
        puller.pull_due(terminal, stop)
    except PipelineError as error:
        if insist or isinstance(error, ConfigError):
            raise
        terminal.err.print(f"pull failed: {error}")


def _following(request: Request) -> Waiting | None:
    """Returns the span to process next."""
    from pipeline.runs import whole_periods

    dataset, root = request.dataset, request.root
    spans = span_files.newest_versions(request.data_root, dataset.spans.pattern, dataset.spans.marker)
    spans = whole_periods.whole(spans, dataset, time.time())
    serving_dir = root.serving(dataset.serving.model_name)
    return next(backlog.unprocessed(root, serving_dir, spans, dataset.thresholds), None)


def _say_incomplete(request: Request, terminal: Terminal, said: set[str]) -> set[str]:
    """Says which spans wait for their marker, each once; returns what is said by now."""
    spans = request.dataset.spans
    waiting = span_files.incomplete(request.data_root, spans.pattern, spans.marker)
    texts = [f"span {span} waits for its marker {file.marker}" for span, file in waiting.items()]
    for text in texts:
        if text not in said:
            terminal.note(text)
    return set(texts)


def _hold_again(held: contextlib.ExitStack, root: Root, stop: threading.Event) -> None:
    """Takes the root's lock, once whoever has it gives it back; not if told to stop before."""
    while not stop.is_set():
        try:
            held.enter_context(root.locked())
        except RootBusyError:
            stop.wait(_BUSY_POLL_S)
        else:
            return


def process(request: Request, waiting: Waiting, terminal: Terminal, stop: threading.Event) -> Outcome:
    """Runs the pipeline on one span, in a process and with a log of its own; prints a line and returns the outcome.

    Raises:
      StopRequestedError: between two components.
      Exception: whatever failed.
    """
    from pipeline.runs import execute
    from pipeline.runs.request import new_run_id

    started = datetime.datetime.now()
    log = new_log(request.root.logs, "run")

    def before(_node: str) -> None:
        if stop.is_set():
            raise StopRequestedError

    def work() -> Outcome:
        with captured(log):
            one = dataclasses.replace(request, files=waiting.files, run_id=new_run_id())
            try:
                outcome = execute.execute(
                    one, log=str(log), on_wait=terminal.note, on_start=before, on_end=lambda *_: None
                )
            except Exception:
                write_report(request.root, one.run_id, terminal)
                raise
            else:
                write_report(request.root, one.run_id, terminal)
                return outcome
            finally:
                tidy(request.dataset, request.root, terminal)

    execute.preload()
    outcome = in_child(work, stop)
    seconds = (datetime.datetime.now() - started).total_seconds()
    terminal.say(f"{started:%Y-%m-%d %H:%M:%S}  span {waiting.span:>5}  {describe(outcome)}  ({seconds:.0f} s)")
    return outcome


def describe(outcome: Outcome) -> str:
    """Returns what became of a span, in a line: the decision, its first reason, and what came of it."""
    if outcome.decision is None:
        return f"refused: {outcome.refusal}"
    reasons = outcome.decision.reasons
    text = f"{outcome.decision.verdict:5}  {reasons[0].text if reasons else ''}"
    if outcome.pushed is not None:
        return f"{text}; pushed version {outcome.pushed.name}"
    if outcome.result is Result.NOT_BLESSED:
        why = outcome.not_servable or "; ".join(outcome.judgement.reasons if outcome.judgement else ())
        return f"{text}; not pushed: {why}"
    return text
