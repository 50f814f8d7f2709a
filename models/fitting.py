"""Trains the ensemble on rows in memory: an epoch is one TensorFlow call, validation is cross-fitted.

Member m never trains on fold m of the rows. So the folds together judge on rows that the judged member has not seen,
while the ensemble as a whole learns from all of them. A fold is a span where there are several: random rows of the
same days flatter a model that learns the days by heart (see docs/decisions/0100-folds-are-spans.md).
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from models.calibration import Calibration, calibrate
from models.errors import TrainingError
from models.network import Ensemble, Layout
from models.scores import log_loss, sigmoid
from models.training_spec import TrainingSpec

logger = logging.getLogger(__name__)

# Rows between two looks at the validation loss, at most: on millions of rows a whole pass is too long to overfit in.
_EPOCH_ROWS = 131_072
_VALIDATION_ROWS = 65_536
_PREDICTION_BATCH = 8_192
_WARM_UP_STEPS = 20


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Packed training rows.

    Attributes:
      floats: (rows, floats of the layout), float32.
      ids: (rows, ids of the layout), int32.
      labels: (rows,), 0 or 1.
      spans: (rows,), which span each row is from, in any integers; only equality counts.
    """

    floats: np.ndarray
    ids: np.ndarray
    labels: np.ndarray
    spans: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """One point of the training curve; losses are mean log-loss in nats."""

    epoch: int
    steps: int
    train_loss: float
    validation_loss: float
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """A trained network, its calibration and its training curve; `best_epoch` counts from 1.

    Attributes:
      validation_logits: calibrated logits of rows that the members which made them have not been trained on.
      validation_labels: the labels of those rows.
      newest_probabilities: of every row of the newest span, in order, by the members that were trained on earlier
        spans alone and calibrated on them: how well the model does out of time. None where the window has one span.
    """

    network: Ensemble
    calibration: Calibration
    curve: list[Epoch]
    best_epoch: int
    validation_logits: np.ndarray
    validation_labels: np.ndarray
    newest_probabilities: np.ndarray | None


def fit(rows: Rows, layout: Layout, spec: TrainingSpec, base_weights: list[np.ndarray] | None = None) -> Fitted:
    """Trains until the validation loss has not fallen for `spec.patience` epochs, and keeps the best epoch's weights.

    Args:
      base_weights: of a network with the same layout and spec, to start from instead of random weights.

    Raises:
      TrainingError: too few rows, or labels of one class only.
    """
    _check(rows)
    random = np.random.default_rng(spec.seed)
    fold, folds = _folds(rows.spans, spec, random)
    network = Ensemble(layout, spec)
    if base_weights is None:
        network.set_prior(float(rows.labels.mean()))
    else:
        network.start_from(base_weights)
    loop = _Loop(network, rows, spec, fold, folds)
    validation = _Validation(network, rows, fold, folds, random)

    best_loss, best_epoch, best_weights = math.inf, 0, network.get_weights()
    curve: list[Epoch] = []
    for epoch, chunk in enumerate(loop.chunks(random), start=1):
        start = time.perf_counter()
        train_loss = loop.run(chunk)
        validation_loss = log_loss(validation.logits(), validation.labels)
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
    logits = validation.logits()
    calibration = calibrate(logits, validation.labels) if spec.calibrate else Calibration()
    newest = int(rows.spans.max())
    # Folds are the spans themselves, or random rows; only in the former case has any member not seen the newest span.
    out_of_time = folds > 1 and bool((fold == rows.spans).all()) and newest < network.members
    return Fitted(
        network=network,
        calibration=calibration,
        curve=curve,
        best_epoch=best_epoch,
        validation_logits=calibration.slope * logits + calibration.offset,
        validation_labels=validation.labels,
        newest_probabilities=_out_of_time(network, rows, validation, logits, spec) if out_of_time else None,
    )


def _out_of_time(
    network: Ensemble, rows: Rows, validation: _Validation, logits: np.ndarray, spec: TrainingSpec
) -> np.ndarray:
    """Probabilities of the newest span's rows by what has not learned from that span: members and calibration."""
    newest = int(rows.spans.max())
    earlier = validation.folds != newest
    calibration = calibrate(logits[earlier], validation.labels[earlier]) if spec.calibrate else Calibration()
    of_newest = rows.spans == newest
    members = np.flatnonzero(np.arange(network.members) % (newest + 1) == newest)
    floats, ids = rows.floats[of_newest], rows.ids[of_newest]
    parts = [np.empty(0, np.float32)]
    for start in range(0, len(floats), _PREDICTION_BATCH):
        batch = slice(start, start + _PREDICTION_BATCH)
        parts.append(validation.predict(floats[batch], ids[batch]).numpy()[:, members].mean(axis=1))
    return sigmoid(calibration.slope * np.concatenate(parts) + calibration.offset)


def _check(rows: Rows) -> None:
    positives = int(np.count_nonzero(rows.labels == 1))
    negatives = int(np.count_nonzero(rows.labels == 0))
    if positives + negatives != len(rows):
        raise TrainingError(f"Labels must be 0 or 1. {len(rows) - positives - negatives} of {len(rows)} are not.")
    if positives < 2 or negatives < 2:
        raise TrainingError(
            "Training needs at least two rows of each label. "
            f"Received: {positives} positive of {len(rows)} rows. Check [label] and [spans] window in dataset.toml."
        )


def _folds(spans: np.ndarray, spec: TrainingSpec, random: np.random.Generator) -> tuple[np.ndarray, int]:
    """Fold of each row, and their number: the spans, where each leaves others enough to train on."""
    _, fold, counts = np.unique(spans, return_inverse=True, return_counts=True)
    if len(counts) > 1 and counts.max() <= 0.5 * len(spans):
        return fold.astype(np.int64), len(counts)
    folds = max(2, round(1 / spec.validation_fraction))
    return random.permutation(len(spans)) % folds, folds


class _Loop:
    """The optimizer and the compiled epoch."""

    def __init__(self, network: Ensemble, rows: Rows, spec: TrainingSpec, fold: np.ndarray, folds: int) -> None:
        self._network, self._rows, self._spec = network, rows, spec
        self._fold = fold
        self._member_fold = np.arange(spec.ensemble_size) % folds
        self._batch = min(spec.batch_size, len(rows))
        self._epoch_steps = max(1, min(len(rows), _EPOCH_ROWS) // self._batch)
        self.total_steps = spec.max_steps or spec.epochs * max(1, len(rows) // self._batch)
        self.steps_done = 0
        schedule = keras.optimizers.schedules.CosineDecay(
            initial_learning_rate=0.0,
            warmup_target=spec.learning_rate,
            warmup_steps=_WARM_UP_STEPS,
            decay_steps=max(1, self.total_steps - _WARM_UP_STEPS),
        )
        self._optimizer = keras.optimizers.AdamW(learning_rate=schedule, weight_decay=spec.weight_decay)
        self._optimizer.exclude_from_weight_decay(var_names=["bias"])
        self._optimizer.build(network.trainable_variables)
        # One call per epoch: with batches this small, a call per step would cost more than the step.
        self._run = tf.function(self._run_steps, reduce_retracing=True, autograph=False)

    def chunks(self, random: np.random.Generator) -> Iterator[np.ndarray]:
        """Row indices of one epoch after the other, reshuffled after each pass, until `total_steps`."""
        steps = 0
        left = np.empty(0, np.int64)
        while steps < self.total_steps:
            take = min(self._epoch_steps, self.total_steps - steps)
            if len(left) < take * self._batch:
                left = random.permutation(len(self._rows))
            yield left[: take * self._batch]
            left = left[take * self._batch :]
            steps += take

    def run(self, chunk: np.ndarray) -> float:
        """Trains on these rows, in batches; returns the mean loss."""
        rows = self._rows
        weights = (self._fold[chunk][:, None] != self._member_fold).astype(np.float32)  # (rows, members)
        labels = rows.labels[chunk].astype(np.float32)
        loss = self._run(rows.floats[chunk], rows.ids[chunk], labels, weights)
        self.steps_done += len(chunk) // self._batch
        return float(loss)

    def _run_steps(self, floats: tf.Tensor, ids: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        steps = tf.shape(labels)[0] // self._batch

        def add_step(step: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            batch = slice(step * self._batch, (step + 1) * self._batch)
            return step + 1, total + self._step(floats[batch], ids[batch], labels[batch], weights[batch])

        # Written as AutoGraph would translate a `for`: on Python 3.13 AutoGraph warns at every function it reads.
        _, total = tf.while_loop(lambda step, _: step < steps, add_step, (tf.constant(0), tf.constant(0.0)))
        return total / tf.cast(steps, tf.float32)

    def _step(self, floats: tf.Tensor, ids: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        variables = self._network.trainable_variables
        with tf.GradientTape() as tape:
            logits = self._network((floats, ids), training=True)  # (batch, members)
            targets = tf.repeat(labels[:, None], tf.shape(logits)[1], axis=1)
            losses = tf.nn.sigmoid_cross_entropy_with_logits(targets, logits) * weights
            # A sum over members: each must see the gradient that it would see alone.
            per_member = tf.reduce_sum(losses, axis=0) / tf.maximum(tf.reduce_sum(weights, axis=0), 1.0)
            loss = tf.reduce_sum(per_member)
        self._optimizer.apply(tape.gradient(loss, variables), variables)
        return tf.reduce_mean(per_member)


class _Validation:
    """Logits of rows by the members that have not been trained on them."""

    def __init__(
        self, network: Ensemble, rows: Rows, fold: np.ndarray, folds: int, random: np.random.Generator
    ) -> None:
        member_fold = np.arange(network.members) % folds
        chosen = np.flatnonzero(fold < network.members)
        if len(chosen) > _VALIDATION_ROWS:
            chosen = np.sort(random.choice(chosen, _VALIDATION_ROWS, replace=False))
        self._floats, self._ids, self.labels = rows.floats[chosen], rows.ids[chosen], rows.labels[chosen]
        self.folds = fold[chosen]
        held_out = (fold[chosen][:, None] == member_fold).astype(np.float32)  # (rows, members)
        self._weights = held_out / held_out.sum(axis=1, keepdims=True)
        self.predict = tf.function(lambda floats, ids: network((floats, ids)), reduce_retracing=True, autograph=False)

    def logits(self) -> np.ndarray:
        """Mean logit of the members that each row is held out from; (rows,)."""
        parts = []
        for start in range(0, len(self.labels), _PREDICTION_BATCH):
            batch = slice(start, start + _PREDICTION_BATCH)
            parts.append((self.predict(self._floats[batch], self._ids[batch]).numpy() * self._weights[batch]).sum(1))
        return np.concatenate(parts)
