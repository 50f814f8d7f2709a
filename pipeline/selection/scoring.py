"""Trains and judges configurations fold by fold: `evaluate`, `compare` and `tune` are loops over this one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from models.errors import TrainingError
from pipeline.errors import DataError
from pipeline.evaluation.spec import EvaluationSpec
from pipeline.selection import scores
from pipeline.selection.fold_rows import FoldRows, Spans
from pipeline.selection.folds import Fold
from pipeline.selection.scores import FoldScore


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What a configuration made of a fold.

    Attributes:
      predictions: of the test rows, as `Task.predictions` gives them.
      fit_seconds, predict_seconds, size_bytes, note: see FoldScore.
    """

    predictions: np.ndarray
    fit_seconds: float
    predict_seconds: float = 0.0
    size_bytes: int = 0
    note: str = ""


Contender = Callable[[FoldRows], Trained]


@dataclass(frozen=True, kw_only=True)
class Progress:
    """After each fold: where the work stands.

    Attributes:
      done, of: folds.
      seconds_left: by what the rows that are done have taken.
    """

    done: int
    of: int
    fold: Mapping[str, FoldScore]
    seconds: float
    seconds_left: float


def score(
    contenders: Mapping[str, Contender], planned: Sequence[Fold], spans: Spans, spec: EvaluationSpec
) -> Iterator[Progress]:
    """Yields each fold as it is done, with every contender's score on it.

    Raises:
      DataError: the rows before a span are nothing to be trained on, such as those of one class.
    """
    started = time.perf_counter()
    for index, fold in enumerate(spans.folds(planned), start=1):
        begun = time.perf_counter()
        with spans.rows(fold) as rows:
            trained = {name: _trained(name, contender, rows) for name, contender in contenders.items()}
            measured = scores.measure(rows, {name: one.predictions for name, one in trained.items()}, spec)
            found = {
                name: FoldScore(
                    span=fold.span,
                    trained_on=tuple(span for span, _ in rows.train),
                    train_rows=rows.train_rows,
                    rows=len(rows.labels),
                    metrics=scores.estimates(measured[name], len(rows.labels), rows.features.target),
                    fit_seconds=one.fit_seconds,
                    predict_seconds=one.predict_seconds,
                    size_bytes=one.size_bytes,
                    note=one.note,
                )
                for name, one in trained.items()
            }
        now = time.perf_counter()
        yield Progress(
            done=index,
            of=len(planned),
            fold=found,
            seconds=now - begun,
            seconds_left=(now - started) / index * (len(planned) - index),
        )


def _trained(name: str, contender: Contender, rows: FoldRows) -> Trained:
    try:
        return contender(rows)
    except TrainingError as error:
        spans = ", ".join(str(span) for span, _ in rows.train)
        raise DataError(
            f"{name}, trained on span{'' if len(rows.train) == 1 else 's'} {spans} to predict span {rows.fold.span}: "
            f"{error} Name other spans with --spans."
        ) from error
