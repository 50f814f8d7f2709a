"""Trains the ensemble on rows in memory: an epoch is one TensorFlow call, validation is cross-fitted.

Member m never trains on fold m of the rows. So the folds together judge on rows that the judged member has not seen,
while the ensemble as a whole learns from all of them. A fold is a span where there are several, the newest span first:
random rows of the same days flatter a model that learns the days by heart (see docs/decisions/0100-folds-are-spans.md).
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from models.calibration import Calibration
from models.errors import TrainingError
from models.network import Ensemble, Layout
from models.target import Target
from models.tasks import Task, task_of
from models.training_loop import Loop, Rows
from models.training_spec import TrainingSpec

logger = logging.getLogger(__name__)

_VALIDATION_ROWS = 65_536
_OUT_OF_SPAN_ROWS = 32_768
_PREDICTION_BATCH = 8_192

_LARGEST_FOLD = 0.5
"""A fold with a larger share of the rows leaves too few to train on."""
_NEWEST = 0
"""The newest span's fold, where a member holds it out."""


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """One point of the training curve; losses are the task's own, of classes log loss in nats."""

    epoch: int
    steps: int
    train_loss: float
    validation_loss: float
    seconds: float


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
    """A trained network, its calibration and its training curve; `best_epoch` counts from 1.

    Attributes:
      validation_outputs: calibrated outputs of rows that the members which made them have not been trained on.
      validation_labels, validation_weights: of those rows.
      newest_predictions: of every row of the newest span, in order, by members that were trained on earlier spans
        alone and calibrated on them: how well the model does out of time. None where there are no earlier spans to
        train on.
      earlier: of each earlier span that a member holds out, oldest first: how much the result differs between spans.
    """

    task: Task
    network: Ensemble
    calibration: Calibration
    curve: list[Epoch]
    best_epoch: int
    validation_outputs: np.ndarray
    validation_labels: np.ndarray
    validation_weights: np.ndarray
    newest_predictions: np.ndarray | None
    earlier: tuple[OutOfSpan, ...] = ()


_BINARY = Target(label="label")


def fit(
    rows: Rows,
    layout: Layout,
    spec: TrainingSpec,
    base_weights: list[np.ndarray] | None = None,
    target: Target = _BINARY,
) -> Fitted:
    """Trains until the validation loss has not fallen for `spec.patience` epochs, and keeps the best epoch's weights.

    Args:
      base_weights: of a network with the same layout and spec, to start from instead of random weights.
      target: what the labels are.

    Raises:
      TrainingError: too few rows, or labels that hold nothing to learn.
    """
    trained = _train(rows, layout, spec, target, base_weights)
    validation = trained.validation
    outputs = validation.outputs()
    calibration = validation.calibration(outputs, spec)
    return Fitted(
        task=trained.task,
        network=trained.network,
        calibration=calibration,
        curve=trained.curve,
        best_epoch=trained.best_epoch,
        validation_outputs=calibration.apply(outputs),
        validation_labels=validation.labels,
        validation_weights=validation.shares,
        newest_predictions=_out_of_time(trained, outputs, rows, layout, spec, target),
        earlier=tuple(_out_of_spans(trained, outputs, rows, spec)),
    )


@dataclass(frozen=True, kw_only=True)
class _Trained:
    task: Task
    network: Ensemble
    validation: _Validation
    fold: np.ndarray
    holds_out_newest: bool
    curve: list[Epoch]
    best_epoch: int


def _train(
    rows: Rows, layout: Layout, spec: TrainingSpec, target: Target, base_weights: list[np.ndarray] | None
) -> _Trained:
    task = task_of(target, spec.loss, rows.labels, rows.shares)
    task.check(rows.labels)
    random = np.random.default_rng(spec.seed)
    fold, folds, holds_out_newest = _folds(rows.spans, spec, random)
    network = Ensemble(layout, spec, task.outputs)
    if base_weights is None:
        network.set_prior(task.start(rows.labels, rows.shares))
    else:
        network.start_from(base_weights)
    loop = Loop(network, task, rows, spec, fold, folds)
    validation = _Validation(network, task, rows, fold, folds, random)

    best_loss, best_epoch, best_weights = math.inf, 0, network.get_weights()
    curve: list[Epoch] = []
    for epoch, chunk in enumerate(loop.chunks(random), start=1):
        start = time.perf_counter()
        train_loss = loop.run(chunk)
        validation_loss = validation.loss(validation.outputs())
        seconds = time.perf_counter() - start
        steps = loop.steps_done
        curve.append(
            Epoch(epoch=epoch, steps=steps, train_loss=train_loss, validation_loss=validation_loss, seconds=seconds)
        )
        logger.info(
            "Epoch %d, step %d: train loss %.4f, validation loss %.4f, %.2f s",
            *(epoch, steps, train_loss, validation_loss, seconds),
        )
        if not math.isfinite(train_loss):
            raise TrainingError(f"The training loss is {train_loss} in epoch {epoch}. Lower learning_rate.")
        if validation_loss < best_loss:
            best_loss, best_epoch, best_weights = validation_loss, epoch, network.get_weights()
        elif epoch - best_epoch >= spec.patience and not spec.max_steps:
            break
    network.set_weights(best_weights)
    return _Trained(
        task=task,
        network=network,
        validation=validation,
        fold=fold,
        holds_out_newest=holds_out_newest,
        curve=curve,
        best_epoch=best_epoch,
    )


def _out_of_time(
    trained: _Trained, outputs: np.ndarray, rows: Rows, layout: Layout, spec: TrainingSpec, target: Target
) -> np.ndarray | None:
    """Predictions of the newest span's rows by what has not learned from that span: members and calibration.

    Where no member can be spared the newest span, a second ensemble is trained on the earlier ones, for this alone.
    """
    of_newest = rows.spans == rows.spans.max()
    earlier = rows.part(~of_newest)
    if not len(earlier) or not _can_learn(trained.task, earlier.labels):
        return None
    if trained.holds_out_newest:
        judged = trained.validation.folds != _NEWEST
        members = np.flatnonzero(trained.validation.member_folds == _NEWEST)
    else:
        logger.info("A second ensemble is trained on the earlier spans, to be scored on the newest one.")
        trained = _train(earlier, layout, spec, target, None)
        outputs = trained.validation.outputs()
        judged = np.ones(len(outputs), np.bool_)
        members = np.arange(trained.network.members)
    return _predictions(trained, outputs, judged, members, rows.part(of_newest), spec)


def _out_of_spans(trained: _Trained, outputs: np.ndarray, rows: Rows, spec: TrainingSpec) -> Iterator[OutOfSpan]:
    """Yields what members that hold out a whole earlier span predict for it."""
    if not trained.holds_out_newest:
        return
    random = np.random.default_rng(spec.seed)
    for span in np.unique(rows.spans)[:-1]:
        of_span = np.flatnonzero(rows.spans == span)
        fold = trained.fold[of_span[0]]
        members = np.flatnonzero(trained.validation.member_folds == fold)
        whole = (trained.fold[of_span] == fold).all() and np.count_nonzero(trained.fold == fold) == len(of_span)
        judged = trained.validation.folds != fold
        if not (len(members) and whole and judged.any()):
            continue
        chosen = np.arange(len(of_span))
        if len(chosen) > _OUT_OF_SPAN_ROWS:
            chosen = np.sort(random.choice(chosen, _OUT_OF_SPAN_ROWS, replace=False))
        predictions = _predictions(trained, outputs, judged, members, rows.part(of_span[chosen]), spec)
        yield OutOfSpan(span=int(span), rows=chosen, predictions=predictions)


def _predictions(
    trained: _Trained, outputs: np.ndarray, judged: np.ndarray, members: np.ndarray, rows: Rows, spec: TrainingSpec
) -> np.ndarray:
    """Returns what these members predict, calibrated on the validation rows `judged`; (rows, ...)."""
    calibration = trained.validation.calibration(outputs, spec, judged)
    parts = []
    for start in range(0, len(rows), _PREDICTION_BATCH):
        batch = slice(start, start + _PREDICTION_BATCH)
        parts.append(trained.validation.predict(rows.floats[batch], rows.ids[batch]).numpy()[:, members].mean(axis=1))
    return trained.task.predictions(calibration.apply(np.concatenate(parts)))


def _can_learn(task: Task, labels: np.ndarray) -> bool:
    try:
        task.check(labels)
    except TrainingError:
        return False
    return True


def _folds(spans: np.ndarray, spec: TrainingSpec, random: np.random.Generator) -> tuple[np.ndarray, int, bool]:
    """Fold of each row, the number of folds, and whether fold _NEWEST is the newest span.

    The folds are the spans, counted from the newest, where each leaves others enough to train on; the members hold
    out the newest of them. Where an earlier span holds most of the rows, those before the newest span are held out at
    random. Where the newest span does, where it is the only one, or where the only network would never learn it, no
    member is spared it.
    """
    _, index, counts = np.unique(spans, return_inverse=True, return_counts=True)
    newest_first = len(counts) - 1 - index.astype(np.int64)
    several, parts = len(counts) > 1, max(2, round(1 / spec.validation_fraction))
    if several and counts.max() <= _LARGEST_FOLD * len(spans):
        if spec.ensemble_size == 1:
            return index.astype(np.int64), len(counts), False
        return newest_first, len(counts), True
    if several and counts[-1] <= _LARGEST_FOLD * len(spans) and spec.ensemble_size > 1:
        at_random = 1 + random.permutation(len(spans)) % parts
        return np.where(newest_first == 0, _NEWEST, at_random), 1 + parts, True
    return random.permutation(len(spans)) % parts, parts, False


class _Validation:
    """Outputs of rows by the members that have not been trained on them."""

    def __init__(
        self, network: Ensemble, task: Task, rows: Rows, fold: np.ndarray, folds: int, random: np.random.Generator
    ) -> None:
        self._task = task
        self.member_folds = np.arange(network.members) % folds
        chosen = np.flatnonzero(fold < network.members)
        if len(chosen) > _VALIDATION_ROWS:
            chosen = np.sort(random.choice(chosen, _VALIDATION_ROWS, replace=False))
        self._floats, self._ids, self.labels = rows.floats[chosen], rows.ids[chosen], rows.labels[chosen]
        self.shares, self.folds = rows.shares[chosen], fold[chosen]
        self._targets = task.encode(self.labels)
        held_out = (fold[chosen][:, None] == self.member_folds).astype(np.float32)  # (rows, members)
        self._weights = held_out / held_out.sum(axis=1, keepdims=True)
        self.predict = tf.function(lambda floats, ids: network((floats, ids)), reduce_retracing=True, autograph=False)

    def outputs(self) -> np.ndarray:
        """Mean outputs of the members that each row is held out from; (rows, outputs)."""
        parts = []
        for start in range(0, len(self.labels), _PREDICTION_BATCH):
            batch = slice(start, start + _PREDICTION_BATCH)
            of_members = self.predict(self._floats[batch], self._ids[batch]).numpy()
            parts.append((of_members * self._weights[batch][:, :, None]).sum(axis=1))
        return np.concatenate(parts)

    def loss(self, outputs: np.ndarray) -> float:
        """Mean loss of `outputs`."""
        return float(np.average(self._task.losses(self._targets, outputs), weights=self.shares))

    def calibration(
        self, outputs: np.ndarray, spec: TrainingSpec, judged: np.ndarray | slice = slice(None)
    ) -> Calibration:
        """The calibration of `outputs`, fitted on those that are `judged`."""
        if not spec.calibrate:
            return self._task.uncalibrated
        return self._task.calibrate(outputs[judged], self.labels[judged], self.shares[judged])
