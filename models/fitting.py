"""Trains the members on rows in memory and judges them on rows that they have not seen: validation is cross-fitted.

Member m never trains on fold m of the rows. So the folds together judge on rows that the judged member has not seen,
while the members as a whole learn from all of them. A fold is a span where there are several, the newest span first:
random rows of the same days flatter a model that learns the days by heart (see docs/decisions/0100-folds-are-spans.md).
What trains the members is a learner (models/learners/).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from models.calibration import Calibration
from models.errors import TrainingError
from models.folds import NEWEST, Folds, HeldOut
from models.history import Contender, Epoch
from models.learners.protocol import Job, Learner, Members, Trained
from models.learners.registry import of_model
from models.model_spec import ModelSpec
from models.packed import Layout, Rows
from models.target import Target
from models.tasks import Task, task_of
from models.training_spec import TrainingSpec

logger = logging.getLogger(__name__)

_OUT_OF_SPAN_ROWS = 32_768


@dataclass(frozen=True, kw_only=True)
class OutOfSpan:
    """Predictions of rows of one span by members that were trained on the other spans, and calibrated on them.

    Attributes:
      span: as Rows.spans has it.
      rows: positions among the span's rows, ascending; a large span is sampled.
      predictions: of these rows.
    """

    span: int
    rows: np.ndarray
    predictions: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """Trained members, their calibration and their training curve; `best_epoch` counts from 1.

    Attributes:
      validation_outputs: calibrated outputs of rows that the members which made them have not been trained on.
      validation_labels, validation_weights: of those rows.
      newest_predictions: of every row of the newest span, in order, by members that were trained on earlier spans
        alone and calibrated on them: how well the model does out of time. None where there are no earlier spans to
        train on.
      earlier: of each earlier span that a member holds out, oldest first: how much the result differs between spans.
      contenders: where [model] names several learners, all of them.
    """

    task: Task
    members: Members
    calibration: Calibration
    curve: Sequence[Epoch]
    best_epoch: int
    validation_outputs: np.ndarray
    validation_labels: np.ndarray
    validation_weights: np.ndarray
    newest_predictions: np.ndarray | None
    earlier: tuple[OutOfSpan, ...] = ()
    contenders: Sequence[Contender] = ()


_BINARY = Target(label="label")
_NETWORK = ModelSpec(learner="network")


def fit(
    rows: Rows,
    layout: Layout,
    spec: TrainingSpec,
    start: Sequence[np.ndarray] | None = None,
    target: Target = _BINARY,
    model: ModelSpec = _NETWORK,
    learner: Learner | None = None,
) -> Fitted:
    """Trains the members of a model.

    Args:
      start: what the learner's `start_from` gave.
      target: what the labels are.
      model: which learner trains.
      learner: one that is not registered, as own code's.

    Raises:
      TrainingError: too few rows, or labels that hold nothing to learn.
    """
    learner = learner or of_model(model, len(rows))

    def train(rows: Rows, start: Sequence[np.ndarray] | None = None) -> _Training:
        task = task_of(target, spec.loss, rows.labels, rows.shares)
        task.check(rows.labels)
        random = np.random.default_rng(spec.seed)
        folds = Folds.of(rows.spans, spec, random)
        job = Job(
            rows=rows,
            layout=layout,
            spec=spec,
            model=model,
            task=task,
            folds=folds,
            held_out=HeldOut(task, rows, folds, random),
            random=random,
            start=start,
        )
        return _Training(job, learner.train(job))

    whole = train(rows, start)
    calibration = whole.calibration()
    return Fitted(
        task=whole.job.task,
        members=whole.members,
        calibration=calibration,
        curve=whole.trained.curve,
        best_epoch=whole.trained.best_epoch,
        validation_outputs=calibration.apply(whole.outputs),
        validation_labels=whole.job.held_out.labels,
        validation_weights=whole.job.held_out.shares,
        newest_predictions=_out_of_time(whole, train),
        earlier=tuple(_out_of_spans(whole)),
        contenders=whole.trained.contenders,
    )


class _Training:
    """What a learner has trained, and what its members say of held-out rows that they have not been trained on."""

    def __init__(self, job: Job, trained: Trained) -> None:
        self.job, self.trained, self.members = job, trained, trained.members
        known = trained.outputs
        self.outputs = job.held_out.outputs(self.members.predict, self.members.folds) if known is None else known

    def calibration(self, judged: np.ndarray | slice = slice(None)) -> Calibration:
        """Fits the calibration to those held-out rows that are `judged`."""
        return self.job.held_out.calibration(self.outputs, self.job.spec, judged)

    def predictions(self, judged: np.ndarray, members: np.ndarray, rows: Rows) -> np.ndarray:
        """Returns what these members predict, calibrated on the held-out rows `judged`; (rows, ...)."""
        outputs = self.members.predict(rows.floats, rows.ids)[:, members].mean(axis=1)
        return self.job.task.predictions(self.calibration(judged).apply(outputs))


def _out_of_time(training: _Training, train: Callable[[Rows], _Training]) -> np.ndarray | None:
    """Predictions of the newest span's rows by what has not learned from that span: members and calibration.

    Where no member can be spared the newest span, others are trained on the earlier ones, for this alone.
    """
    rows = training.job.rows
    of_newest = rows.spans == rows.spans.max()
    earlier = rows.part(~of_newest)
    if not len(earlier) or not _can_learn(training.job.task, earlier.labels):
        return None
    if training.job.folds.hold_out_newest:
        judged = training.job.held_out.folds != NEWEST
        members = np.flatnonzero(training.members.folds == NEWEST)
    else:
        logger.info("A second model is trained on the earlier spans, to be scored on the newest one.")
        training = train(earlier)
        judged = np.ones(len(training.outputs), np.bool_)
        members = np.arange(len(training.members.folds))
    return training.predictions(judged, members, rows.part(of_newest))


def _out_of_spans(training: _Training) -> Iterator[OutOfSpan]:
    """Yields what members that hold out a whole earlier span predict for it."""
    job = training.job
    if not job.folds.hold_out_newest:
        return
    rows, folds = job.rows, job.folds.of_rows
    random = np.random.default_rng(job.spec.seed)
    for span in np.unique(rows.spans)[:-1]:
        of_span = np.flatnonzero(rows.spans == span)
        fold = folds[of_span[0]]
        members = np.flatnonzero(training.members.folds == fold)
        whole = (folds[of_span] == fold).all() and np.count_nonzero(folds == fold) == len(of_span)
        judged = job.held_out.folds != fold
        if not (len(members) and whole and judged.any()):
            continue
        chosen = np.arange(len(of_span))
        if len(chosen) > _OUT_OF_SPAN_ROWS:
            chosen = np.sort(random.choice(chosen, _OUT_OF_SPAN_ROWS, replace=False))
        yield OutOfSpan(
            span=int(span), rows=chosen, predictions=training.predictions(judged, members, rows.part(of_span[chosen]))
        )


def _can_learn(task: Task, labels: np.ndarray) -> bool:
    try:
        task.check(labels)
    except TrainingError:
        return False
    return True
