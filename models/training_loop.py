"""The compiled loop that trains the network on packed rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import keras
import numpy as np
import tensorflow as tf

from models.network import Ensemble
from models.packed import Rows
from models.tasks import Task
from models.training_spec import TrainingSpec

# Rows between two looks at the validation loss, at most: on millions of rows a whole pass is too long to overfit in.
_EPOCH_ROWS = 131_072
# And at least so many steps: a pass over a few dozen rows is one, and a dozen passes would have learned nothing.
_LEAST_STEPS = 8
_WARM_UP_STEPS = 20
_BETA_1, _BETA_2, _EPSILON = 0.9, 0.999, 1e-7  # Keras' defaults.

Schedule = Callable[[tf.Tensor], tf.Tensor]


class AdamW:
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019), by TensorFlow's kernel: one op a variable.

    Keras' optimizer computes the same with a dozen ops each, which cost as much as the network's own.
    """

    def __init__(self, variables: Sequence[keras.Variable], schedule: Schedule, weight_decay: float) -> None:
        """Starts with moments of zero.

        Args:
          schedule: the learning rate after a number of steps.
          weight_decay: share of each weight, times the learning rate, that a step takes; biases keep theirs.
        """
        self.variables = [variable.value for variable in variables]
        self._decays = ["bias" not in variable.name for variable in variables]
        self._schedule, self._weight_decay = schedule, weight_decay
        self._first = [tf.Variable(tf.zeros_like(variable)) for variable in self.variables]
        self._second = [tf.Variable(tf.zeros_like(variable)) for variable in self.variables]
        self._steps = tf.Variable(0.0)

    def apply(self, gradients: Sequence[tf.Tensor | tf.IndexedSlices]) -> None:
        """Makes one step."""
        rate = self._schedule(self._steps)
        step = self._steps.assign_add(1.0)
        shared = {"beta1": _BETA_1, "beta2": _BETA_2, "epsilon": _EPSILON, "lr": rate}
        shared |= {"beta1_power": _BETA_1**step, "beta2_power": _BETA_2**step}
        of_variables = zip(self.variables, self._decays, self._first, self._second, gradients, strict=True)
        for variable, decays, first, second, gradient in of_variables:
            if decays:
                variable.assign_sub(variable * (rate * self._weight_decay))
            tf.raw_ops.ResourceApplyAdam(
                var=variable.handle, m=first.handle, v=second.handle, grad=tf.convert_to_tensor(gradient), **shared
            )


class Loop:
    """The optimizer and the compiled epoch."""

    def __init__(
        self, network: Ensemble, task: Task, rows: Rows, spec: TrainingSpec, fold: np.ndarray, member_fold: np.ndarray
    ) -> None:
        self._network, self._task, self._rows, self._spec = network, task, rows, spec
        self._targets = task.encode(rows.labels)
        self._fold, self._member_fold = fold, member_fold
        self._batch = min(spec.batch_size, len(rows))
        least = 1 if spec.max_steps else _LEAST_STEPS
        self._epoch_steps = max(least, min(len(rows), _EPOCH_ROWS) // self._batch)
        self.total_steps = spec.max_steps or spec.epochs * max(least, len(rows) // self._batch)
        self.steps_done = 0
        schedule = keras.optimizers.schedules.CosineDecay(
            initial_learning_rate=0.0,
            warmup_target=spec.learning_rate,
            warmup_steps=_WARM_UP_STEPS,
            decay_steps=max(1, self.total_steps - _WARM_UP_STEPS),
        )
        self._optimizer = AdamW(network.trainable_variables, schedule, spec.weight_decay)
        # One call per epoch: with batches this small, a call per step would cost more than the step.
        # Of any number of steps: the last epoch is shorter, and tracing takes half a second.
        signature = [
            tf.TensorSpec([None, *array.shape[1:]], array.dtype) for array in (rows.floats, rows.ids, self._targets)
        ]
        signature.append(tf.TensorSpec([None, len(member_fold)], tf.float32))
        self._run = tf.function(self._run_steps, input_signature=signature, autograph=False)

    def chunks(self, random: np.random.Generator) -> Iterator[np.ndarray]:
        """Row indices of one epoch after the other, reshuffled after each pass, until `total_steps`."""
        steps = 0
        left = np.empty(0, np.int64)
        while steps < self.total_steps:
            take = min(self._epoch_steps, self.total_steps - steps)
            needed = take * self._batch
            if len(left) < needed:
                passes = -(-needed // len(self._rows))
                left = np.concatenate([random.permutation(len(self._rows)) for _ in range(passes)])
            yield left[:needed]
            left = left[needed:]
            steps += take

    def run(self, chunk: np.ndarray) -> float:
        """Trains on these rows, in batches; returns the mean loss."""
        rows = self._rows
        weights = (self._fold[chunk][:, None] != self._member_fold).astype(np.float32)  # (rows, members)
        weights *= rows.shares[chunk][:, None].astype(np.float32)
        loss = self._run(rows.floats[chunk], rows.ids[chunk], self._targets[chunk], weights)
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
        with tf.GradientTape() as tape:
            outputs = self._network((floats, ids), training=True)  # (batch, members, outputs)
            losses = self._task.loss(labels, outputs) * weights
            # A sum over members: each must see the gradient that it would see alone.
            per_member = tf.reduce_sum(losses, axis=0) / tf.maximum(tf.reduce_sum(weights, axis=0), 1.0)
            loss = tf.reduce_sum(per_member) + sum(self._network.losses)  # What layers ask for themselves.
        variables = self._optimizer.variables
        # A variable of own code's may lead nowhere.
        gradients = tape.gradient(loss, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        self._optimizer.apply(gradients)
        return tf.reduce_mean(per_member)
