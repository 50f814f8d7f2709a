"""`compare`: the dataset's configuration beside other tools' models, on the same rows, columns, folds and metrics."""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.commands import evaluate, fold_options, options
from pipeline.commands.evaluate import OWN, counted, written
from pipeline.runs.log_capture import captured

if TYPE_CHECKING:
    from pipeline.commands.terminal import Terminal
    from pipeline.selection.scores import Score, Scores
    from pipeline.selection.scoring import Contender

SKLEARN = ("majority", "linear", "trees")
"""What `--with sklearn` stands for: selection/baselines.py has them."""
PYCARET = "pycaret"
PAGE = "compare.html"
_TITLES = {
    "majority": "no model",  # selection/scores.py's NO_MODEL
    "linear": "linear model",
    "trees": "boosted trees",
    PYCARET: "PyCaret's best",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares what `compare` reads."""
    parser.add_argument(
        "--with",
        dest="others",
        nargs="+",
        choices=("sklearn", *SKLEARN, PYCARET),
        default=["sklearn"],
        help="what to compare with: sklearn is majority, linear and trees; pycaret is installed into an environment of "
        "its own (default: sklearn)",
    )
    parser.add_argument(
        "--pycaret-minutes",
        type=float,
        default=2.0,
        metavar="M",
        help="how long PyCaret may choose among its models, for each span (default: 2)",
    )
    fold_options.add_arguments(parser)


def command(args: argparse.Namespace) -> int:
    """Trains and scores all of them, fold by fold; nothing is pushed or recorded. Exit status: 0 scored.

    Raises:
      PipelineError: the spans cannot be read or have nothing to train on, or PyCaret cannot be had.
    """
    with fold_options.asked(args) as asked, captured() as (out, err):
        from pipeline.selection import own

        dataset = asked.dataset
        terminal = options.terminal(out, err, dataset, quiet=args.json)
        contenders = {
            OWN: own.contender(asked.configuration, deployed_on=asked.planned[-1].span),
            **_others(args, dataset.training.seed, terminal),
        }
        terminal.note(f"{dataset.name}: {counted(asked.planned)}, {len(contenders)} models on each")
        found = evaluate.scored(asked, contenders, terminal)
        evaluate.answer(args, asked, found, PAGE, lambda: show_comparison(found, terminal), terminal, out)
    return 0


def _others(args: argparse.Namespace, seed: int, terminal: Terminal) -> dict[str, Contender]:
    """Returns what was asked for beside the dataset's own configuration, by title."""
    from pipeline.selection import baselines, pycaret

    wanted = _names(args.others)
    found = {_TITLES[name]: baselines.contender(name, seed) for name in baselines.NAMES if name in wanted}
    if PYCARET in wanted:
        python = pycaret.environment(environment_folder(), terminal.note)
        found[_TITLES[PYCARET]] = pycaret.contender(python, seed, args.pycaret_minutes)
    return found


def _names(words: Sequence[str]) -> set[str]:
    return {name for word in words for name in (SKLEARN if word == "sklearn" else (word,))}


def environment_folder() -> Path:
    """Returns where PyCaret's environment is: in the user's folder for caches, so that one serves all datasets."""
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(caches) / "driftgate" / "pycaret"


def show_comparison(found: Scores, terminal: Terminal) -> None:
    """Prints one line for each model, the best first."""
    from pipeline.evaluation import registry
    from pipeline.report import numbers
    from pipeline.selection import scores

    definition = registry.METRICS[found.metric]
    own = found.contenders[0]

    ahead = {score.name: scores.paired(score, own, found.metric) for score in found.contenders}

    def place(score: Score) -> float:
        """On the same spans: the mean over other spans may be another one for no merit of the model's."""
        difference = ahead[score.name]
        return math.inf if difference is None else -difference.value

    rows = []
    for score in sorted(found.contenders, key=place):
        newest = score.folds[-1]
        behind = "-" if score is own else written(ahead[score.name], signed=True)
        notes = ", ".join(sorted({fold.note for fold in score.folds if fold.note}))
        rows.append(
            (
                f"{score.name}: {notes}" if notes else score.name,
                written(score.overall.get(found.metric)),
                behind,
                f"{sum(fold.fit_seconds for fold in score.folds) / len(score.folds):.2f}",
                f"{newest.predict_seconds / newest.rows * 1e6:.2f}",
                numbers.size(newest.size_bytes),
            )
        )
    terminal.table(
        f"{counted(own.folds)}, each predicted from spans before it; {definition.better} is better",
        (
            "model",
            f"{definition.title}, 95 %",
            "better than this one by",
            "fit seconds",
            "microseconds a row",
            "on disk",
        ),
        rows,
    )
    if left_out := own.left_out(found.metric):
        terminal.say(left_out)
