"""`evaluate --folds`: how well the dataset's configuration does on spans that come after those it is trained on."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TextIO

from pipeline.commands import fold_options, options
from pipeline.runs.log_capture import captured

if TYPE_CHECKING:
    from pipeline.commands.fold_options import Asked
    from pipeline.commands.terminal import Terminal
    from pipeline.evaluation.intervals import Estimate
    from pipeline.selection.scores import FoldScore, Score, Scores
    from pipeline.selection.scoring import Contender, Progress

OWN = "this configuration"
PAGE = "folds.html"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares what `evaluate` reads."""
    parser.add_argument(
        "--folds",
        action="store_true",
        required=True,
        help="predict each span by a model that is trained on spans before it",
    )
    fold_options.add_arguments(parser)


def command(args: argparse.Namespace) -> int:
    """Trains and scores fold by fold; nothing is pushed or recorded. Exit status: 0 scored.

    Raises:
      PipelineError: the spans cannot be read, or have nothing to train on.
    """
    with fold_options.asked(args) as asked, captured() as (out, err):
        from pipeline.selection import own

        window = asked.dataset.spans.window
        terminal = options.terminal(out, err, asked.dataset, quiet=args.json)
        terminal.note(f"{asked.dataset.name}: {counted(asked.planned)}, each trained on up to {window} spans")
        found = scored(asked, {OWN: own.contender(asked.configuration)}, terminal)
        answer(args, asked, found, PAGE, lambda: show_score(found.contenders[0], found.metric, terminal), terminal, out)
    return 0


def scored(asked: Asked, contenders: Mapping[str, Contender], terminal: Terminal) -> Scores:
    """Trains and scores them fold by fold, and says how far it is."""
    from pipeline.evaluation import registry
    from pipeline.selection import scores, scoring

    dataset = asked.dataset
    metric = registry.MAIN[dataset.features.task]
    folds: dict[str, list[FoldScore]] = {name: [] for name in contenders}
    with terminal.progress(f"fold 1 of {len(asked.planned)}") as show:
        for progress in scoring.score(contenders, asked.planned, asked.spans, dataset.evaluation):
            for name, fold in progress.fold.items():
                folds[name].append(fold)
            terminal.note(_progress_line(progress, metric))
            show(f"fold {min(progress.done + 1, progress.of)} of {progress.of}")
    return scores.Scores(
        dataset=dataset.name,
        task=dataset.features.task,
        metric=metric,
        window=dataset.spans.window,
        contenders=tuple(scores.total(name, of_name) for name, of_name in folds.items()),
    )


def answer(
    args: argparse.Namespace,
    asked: Asked,
    found: Scores,
    page: str,
    show: Callable[[], None],
    terminal: Terminal,
    out: TextIO,
) -> None:
    """Writes the page, and prints JSON or what `show` prints."""
    report = fold_options.write_scores(found, page, asked.root, args.report, terminal)
    if args.json:
        value = {**found.to_dict(), "report": str(report) if report else None}
        print(options.json_text(value, asked.dataset), file=out)
        return
    show()
    if report is not None:
        terminal.say(f"Report: {report}")


def _progress_line(progress: Progress, metric: str) -> str:
    """Returns what is said of a fold that is done."""
    from pipeline.evaluation import registry
    from pipeline.report import numbers

    fold, definition = progress.fold[OWN], registry.METRICS[metric]
    value = f"{definition.title} {written(fold.metrics.get(metric))}"
    if metric not in fold.metrics:
        value = f"no {definition.title}, since {definition.undefined}"
    left = f"; about {numbers.seconds(progress.seconds_left)} left" if progress.done < progress.of else ""
    spans = ", ".join(map(str, fold.trained_on))
    return (
        f"  fold {progress.done} of {progress.of}, span {fold.span}: {value}, {fold.rows:,} rows; trained on spans "
        f"{spans}: {fold.train_rows:,} rows in {numbers.seconds(fold.fit_seconds)}{left}"
    )


def show_score(score: Score, metric: str, terminal: Terminal) -> None:
    """Prints a configuration's metrics: a column for each fold, and the mean over them with its interval."""
    from pipeline.evaluation import registry

    spans = [f"span {fold.span}" for fold in score.folds]
    shown = spans if len(spans) <= _MOST_COLUMNS else []
    rows = [
        (
            registry.METRICS[name].title,
            *(_value(fold.metrics.get(name)) for fold in score.folds if shown),
            written(estimate),
        )
        for name, estimate in score.overall.items()
    ]
    columns = ("metric", *shown, "mean over spans, 95 %")
    terminal.table(f"{counted(score.folds)}, each predicted from spans before it", columns, rows)
    if left_out := score.left_out(metric):
        terminal.say(left_out)


_MOST_COLUMNS = 6


def counted(folds: Sequence[object]) -> str:
    """Returns how many spans are predicted."""
    return f"{len(folds)} span{'' if len(folds) == 1 else 's'}"


def written(estimate: Estimate | None, *, signed: bool = False) -> str:
    """Returns a value with half the width of its interval, where it has one."""
    if estimate is None:
        return "-"
    half = (estimate.high - estimate.low) / 2
    value = f"{'+' if signed and estimate.value >= 0 else ''}{_value(estimate)}"
    return f"{value} ± {_number(half)}" if half and math.isfinite(half) else value


def _value(estimate: Estimate | None) -> str:
    return "-" if estimate is None else _number(estimate.value)


def _number(value: float) -> str:
    return f"{value:.4f}" if abs(value) < 100 else f"{value:,.5g}"
