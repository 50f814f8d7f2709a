"""Each task's learning: what the network puts out, its loss, its calibration, and the answer that is served.

| task       | outputs of the network      | loss                             | answer                        |
|------------|-----------------------------|----------------------------------|-------------------------------|
| binary     | logit                       | log loss                         | probability, class            |
| multiclass | logit of each class         | log loss                         | probabilities, classes, class |
| regression | value, lower, upper         | of the value, and of two         | value, lower, upper           |
|            | (standard deviations)       | quantiles (pinball)              |                               |

Calibration maps each output by a slope and an offset, fitted on rows that were not trained on (models/calibration.py).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from models import calibration, repair, scores
from models.calibration import Calibration
from models.errors import TrainingError
from models.target import Target, TaskName

Tensor = Any  # tf.Tensor: TensorFlow is imported where tensors come in.

_FEWEST_OF_A_CLASS = 2
_FEWEST_ROWS = 4


class Task(ABC):
    """What differs between tasks; `targets` are what `Target.evaluate` answers, none of them unknown.

    Attributes:
      outputs: of the network, for each member and row.
      names: of the tensors that are served, the one that `predictions` stands for first.
      output_names: of the outputs, in words.
    """

    name: ClassVar[TaskName]
    names: ClassVar[tuple[str, ...]]
    outputs: int
    output_names: tuple[str, ...]

    @abstractmethod
    def check(self, targets: np.ndarray) -> None:
        """Raises TrainingError where nothing can be learned from these targets."""

    @abstractmethod
    def start(self, targets: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """The outputs before anything is learned, (outputs,), float64: what the network's last offset starts from."""

    @abstractmethod
    def encode(self, targets: np.ndarray) -> np.ndarray:
        """The targets as the losses take them, float32 (rows,)."""

    @abstractmethod
    def loss(self, encoded: Tensor, outputs: Tensor) -> Tensor:
        """The loss of each row and member, (batch, members), of outputs (batch, members, outputs)."""

    @abstractmethod
    def losses(self, encoded: np.ndarray, outputs: np.ndarray) -> np.ndarray:
        """The same loss of each row, float64 (rows,), of outputs (rows, outputs)."""

    @property
    @abstractmethod
    def uncalibrated(self) -> Calibration:
        """The calibration that takes the outputs as they are."""

    @abstractmethod
    def calibrate(self, outputs: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> Calibration:
        """Fits the calibration to outputs (rows, outputs) of rows that were not trained on."""

    @abstractmethod
    def outputs_of(self, predictions: np.ndarray) -> np.ndarray:
        """The calibrated outputs that a model's predictions tell of, float64 (rows, outputs)."""

    def repair(self, calibrated: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> Calibration:
        """Fits a calibration on top of the model's own: what brings its outputs (rows, outputs) closer to targets."""
        return self.calibrate(calibrated, targets, weights)

    @abstractmethod
    def answer(self, calibrated: Tensor, thresholds: Tensor) -> dict[str, Tensor]:
        """What is served, by `names`, from calibrated outputs (rows, outputs) and `Thresholds.variable`, which
        is None where no class is answered."""

    @abstractmethod
    def predictions(self, calibrated: np.ndarray) -> np.ndarray:
        """What is judged: probabilities (rows,) or (rows, classes), or value, lower and upper (rows, 3), float64."""

    @abstractmethod
    def summary(self, calibrated: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> dict[str, float]:
        """A few figures of held-out rows for the training's record, by metric name."""


class Binary(Task):
    """One of two: the probability of label 1."""

    name = "binary"
    names = ("probability", "class")
    outputs = 1
    output_names = ("log-odds",)

    def check(self, targets: np.ndarray) -> None:
        positives = int(np.count_nonzero(targets == 1))
        negatives = int(np.count_nonzero(targets == 0))
        if positives + negatives != len(targets):
            raise TrainingError(
                f"Labels must be 0 or 1. {len(targets) - positives - negatives} of {len(targets)} are not."
            )
        if min(positives, negatives) < _FEWEST_OF_A_CLASS:
            raise TrainingError(
                "Training needs at least two rows of each label. "
                f"Received: {positives} positive of {len(targets)} rows. Check [label] and [spans] window in "
                "dataset.toml."
            )

    def start(self, targets: np.ndarray, weights: np.ndarray) -> np.ndarray:
        rate = float(np.average(targets, weights=weights))
        return np.array([np.log(rate / (1 - rate))])

    def encode(self, targets: np.ndarray) -> np.ndarray:
        return targets.astype(np.float32)

    def loss(self, encoded: Tensor, outputs: Tensor) -> Tensor:
        import tensorflow as tf

        logits = outputs[:, :, 0]
        labels = tf.repeat(encoded[:, None], tf.shape(logits)[1], axis=1)
        return tf.nn.sigmoid_cross_entropy_with_logits(labels, logits)

    def losses(self, encoded: np.ndarray, outputs: np.ndarray) -> np.ndarray:
        z = outputs[:, 0].astype(np.float64)
        return np.asarray(np.logaddexp(0.0, z) - encoded * z)

    @property
    def uncalibrated(self) -> Calibration:
        return Calibration()

    def calibrate(self, outputs: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> Calibration:
        return calibration.calibrate(outputs[:, 0], targets, weights)

    def outputs_of(self, predictions: np.ndarray) -> np.ndarray:
        return scores.logit(predictions)[:, None]

    def answer(self, calibrated: Tensor, thresholds: Tensor) -> dict[str, Tensor]:
        import tensorflow as tf

        probability = tf.sigmoid(calibrated[:, 0])
        return {"probability": probability, "class": tf.cast(probability >= thresholds, tf.int64)}

    def predictions(self, calibrated: np.ndarray) -> np.ndarray:
        return scores.sigmoid(calibrated[:, 0])

    def summary(self, calibrated: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> dict[str, float]:
        logits = calibrated[:, 0]
        return {
            "auc": scores.auc(logits, targets),
            "log_loss": float(np.average(self.losses(targets, calibrated), weights=weights)),
            "calibration_error": scores.expected_calibration_error(scores.sigmoid(logits), targets),
        }


class Multiclass(Task):
    """One of several: the probability of each class."""

    name = "multiclass"
    names = ("probabilities", "classes", "class")

    def __init__(self, classes: Sequence[str]) -> None:
        self._classes = tuple(classes)
        self.outputs = len(classes)
        self.output_names = self._classes

    def check(self, targets: np.ndarray) -> None:
        counts = np.bincount(targets, minlength=self.outputs)
        few = [
            f"{name} ({n})" for name, n in zip(self._classes, counts.tolist(), strict=True) if n < _FEWEST_OF_A_CLASS
        ]
        if few:
            raise TrainingError(
                f"Training needs at least two rows of each class. Of {len(targets)} rows, too few are of: "
                f"{', '.join(few)}. Remove the class from [label] classes, or train on a window that has it."
            )

    def start(self, targets: np.ndarray, weights: np.ndarray) -> np.ndarray:
        shares = np.bincount(targets, weights, self.outputs) / weights.sum()
        return np.asarray(np.log(shares))

    def encode(self, targets: np.ndarray) -> np.ndarray:
        return targets.astype(np.float32)

    def loss(self, encoded: Tensor, outputs: Tensor) -> Tensor:
        import tensorflow as tf

        index = tf.repeat(tf.cast(encoded, tf.int32)[:, None], tf.shape(outputs)[1], axis=1)
        return tf.nn.sparse_softmax_cross_entropy_with_logits(index, outputs)

    def losses(self, encoded: np.ndarray, outputs: np.ndarray) -> np.ndarray:
        log_probabilities = scores.log_softmax(outputs)
        return np.asarray(-log_probabilities[np.arange(len(outputs)), encoded.astype(np.int64)])

    @property
    def uncalibrated(self) -> Calibration:
        return Calibration(slope=(1.0,) * self.outputs, offset=(0.0,) * self.outputs)

    def calibrate(self, outputs: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> Calibration:
        return calibration.calibrate_classes(outputs, targets, weights)

    def outputs_of(self, predictions: np.ndarray) -> np.ndarray:
        return np.log(np.maximum(np.asarray(predictions, np.float64), 2.0**-126))

    def answer(self, calibrated: Tensor, thresholds: Tensor) -> dict[str, Tensor]:
        import tensorflow as tf

        names = tf.constant(self._classes)
        probabilities = tf.nn.softmax(calibrated)
        return {
            "probabilities": probabilities,
            "classes": tf.repeat(names[None], tf.shape(calibrated)[0], axis=0),
            "class": tf.gather(names, tf.argmax(probabilities * thresholds, axis=1)),
        }

    def predictions(self, calibrated: np.ndarray) -> np.ndarray:
        return np.asarray(np.exp(scores.log_softmax(calibrated)))

    def summary(self, calibrated: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> dict[str, float]:
        right = calibrated.argmax(axis=1) == targets
        return {
            "accuracy": float(np.average(right, weights=weights)),
            "log_loss": float(np.average(self.losses(targets, calibrated), weights=weights)),
        }


class Regression(Task):
    """A number: its expectation and an interval that covers a stated share of the rows.

    A learner learns standard deviations of the transformed label; calibration leads back to its unit.

    Attributes:
      levels: the quantiles that lower and upper stand for.
    """

    name = "regression"
    names = ("value", "lower", "upper")
    outputs = 3
    output_names = ("value", "lower", "upper")

    def __init__(self, target: Target, loss: str, targets: np.ndarray, weights: np.ndarray) -> None:
        """Takes centre and spread from the rows that are trained on.

        Args:
          loss: of the value: squared, absolute or huber.
        """
        self._log = target.transform == "log1p"
        self._loss = loss
        self.levels = ((1 - target.interval) / 2, (1 + target.interval) / 2)
        self._interval = target.interval
        transformed = self._transform(targets)
        self._centre = float(np.average(transformed, weights=weights))
        spread = float(np.sqrt(np.average((transformed - self._centre) ** 2, weights=weights)))
        self._spread = spread if spread > 0 else 1.0

    def check(self, targets: np.ndarray) -> None:
        if len(targets) < _FEWEST_ROWS or targets.min() == targets.max():
            raise TrainingError(
                f"Training needs at least {_FEWEST_ROWS} rows and two different numbers to predict. Received: "
                f"{len(targets)} rows from {targets.min():g} to {targets.max():g}. Check [label] and [spans] window in "
                "dataset.toml."
            )

    def start(self, targets: np.ndarray, weights: np.ndarray) -> np.ndarray:
        encoded = self.encode(targets)
        return np.array([0.0, *(calibration.quantile(encoded, weights, level) for level in self.levels)])

    def encode(self, targets: np.ndarray) -> np.ndarray:
        return ((self._transform(targets) - self._centre) / self._spread).astype(np.float32)

    def _transform(self, targets: np.ndarray) -> np.ndarray:
        if not self._log:
            return targets
        if targets.min() <= -1:
            raise TrainingError(
                f"transform log1p takes numbers above -1. Received: {targets.min():g}. Remove it from [label]."
            )
        return np.asarray(np.log1p(targets))

    def loss(self, encoded: Tensor, outputs: Tensor) -> Tensor:
        import tensorflow as tf

        error = encoded[:, None] - outputs[:, :, 0]
        size = tf.abs(error)
        of_value = {"squared": error * error / 2, "absolute": size}.get(
            self._loss, tf.where(size < 1.0, error * error / 2, size - 0.5)
        )
        for output, level in enumerate(self.levels, start=1):
            miss = encoded[:, None] - outputs[:, :, output]
            of_value += tf.maximum(level * miss, (level - 1) * miss)
        return of_value

    def losses(self, encoded: np.ndarray, outputs: np.ndarray) -> np.ndarray:
        y, o = encoded.astype(np.float64), outputs.astype(np.float64)
        error = y - o[:, 0]
        size = np.abs(error)
        total = {"squared": error**2 / 2, "absolute": size}.get(
            self._loss, np.where(size < 1.0, error**2 / 2, size - 0.5)
        )
        for output, level in enumerate(self.levels, start=1):
            miss = y - o[:, output]
            total = total + np.maximum(level * miss, (level - 1) * miss)
        return total

    @property
    def uncalibrated(self) -> Calibration:
        return Calibration(slope=(self._spread,) * 3, offset=(self._centre,) * 3)

    def calibrate(self, outputs: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> Calibration:
        """Moves each end of the interval so that it keeps its own share of the rows outside."""
        ends = self.uncalibrated.apply(outputs)[:, 1:]
        lower, upper = calibration.conformal_moves(self._transform(targets), ends, self._interval, weights)
        offset = (self._centre, self._centre + lower, self._centre + upper)
        return Calibration(slope=(self._spread,) * 3, offset=offset)

    def outputs_of(self, predictions: np.ndarray) -> np.ndarray:
        numbers = np.asarray(predictions, np.float64)
        return np.log1p(np.maximum(numbers, -1 + 1e-12)) if self._log else numbers

    def repair(self, calibrated: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> Calibration:
        """A line through the value by the loss that it was learned by, and the ends moved to cover what they say."""
        transformed = self._transform(targets)
        slope, offset = repair.line(calibrated[:, 0], transformed, weights, self._loss, self._spread)
        ends = slope * calibrated[:, 1:] + offset
        lower, upper = calibration.conformal_moves(transformed, ends, self._interval, weights)
        return Calibration(slope=(slope,) * 3, offset=(offset, offset + lower, offset + upper))

    def answer(self, calibrated: Tensor, thresholds: Tensor) -> dict[str, Tensor]:
        import tensorflow as tf

        del thresholds  # A number is no class.
        numbers = tf.math.expm1(calibrated) if self._log else calibrated
        value, lower, upper = tf.unstack(numbers, axis=1)
        return {"value": value, "lower": tf.minimum(lower, value), "upper": tf.maximum(upper, value)}

    def predictions(self, calibrated: np.ndarray) -> np.ndarray:
        numbers = np.expm1(calibrated) if self._log else calibrated
        value = numbers[:, 0]
        return np.stack([value, np.minimum(numbers[:, 1], value), np.maximum(numbers[:, 2], value)], axis=1)

    def summary(self, calibrated: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> dict[str, float]:
        value, lower, upper = self.predictions(calibrated).T
        return {
            "mean_absolute_error": float(np.average(np.abs(targets - value), weights=weights)),
            "root_mean_squared_error": float(np.sqrt(np.average((targets - value) ** 2, weights=weights))),
            "interval_coverage": float(np.average((lower <= targets) & (targets <= upper), weights=weights)),
        }


PREDICTED: Mapping[str, TaskName] = {
    "probability": Binary.name,
    "probabilities": Multiclass.name,
    "value": Regression.name,
}
"""By which of its outputs a model's task is known."""


def predictions_of(outputs: Mapping[str, np.ndarray]) -> np.ndarray:
    """What is judged, as `Task.predictions` gives it, from the arrays that a model has answered, by output.

    Raises:
      KeyError: they are of no task.
    """
    if "value" in outputs:
        return np.stack([outputs[name] for name in Regression.names], axis=1)
    return next(outputs[name] for name in PREDICTED if name in outputs)


def one_number(predictions: np.ndarray, task: TaskName) -> np.ndarray:
    """The number by which a distribution of predictions is watched, (rows,): the probability of label 1 or of the class
    that is answered, or the value."""
    if task == "binary":
        return predictions
    return np.asarray(predictions.max(axis=1) if task == "multiclass" else predictions[:, 0])


def task_of(target: Target, loss: str, targets: np.ndarray, weights: np.ndarray) -> Task:
    """Returns the task of a target, fitted to the rows that are trained on.

    Args:
      loss: of a regression's value.
      targets, weights: (rows,).
    """
    if target.task == "multiclass":
        return Multiclass(target.classes)
    if target.task == "regression":
        return Regression(target, loss, targets, weights)
    return Binary()
