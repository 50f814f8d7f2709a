"""The ensemble of small neural networks as a learner: an epoch is one TensorFlow call, and the best one is kept."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from models import warm_start
from models.calibration import Calibration
from models.errors import TrainingError
from models.folded_network import FoldedNetwork, can_fold, held
from models.history import Epoch
from models.learners.protocol import Job, OnStacked, Trained, Vocabularies
from models.model_spec import LearnerName
from models.network import Ensemble
from models.packed import Layout
from models.stacked_features import Names
from models.target import Target
from models.training_loop import Loop
from models.training_spec import TrainingSpec
from models.value_names import ValueNames

logger = logging.getLogger(__name__)

_PREDICTION_BATCH = 8_192


class NetworkMembers:
    """The networks of an ensemble."""

    def __init__(self, network: Ensemble, folds: np.ndarray) -> None:
        self.network = network
        self.layout = network.layout
        self.folds = folds
        signature = [
            tf.TensorSpec([None, self.layout.width], tf.float32),
            tf.TensorSpec([None, len(self.layout.ids)], tf.int32),
        ]
        self._predict = tf.function(
            lambda floats, ids: network((floats, ids)), input_signature=signature, autograph=False
        )

    def predict(self, floats: np.ndarray, ids: np.ndarray) -> np.ndarray:
        parts = [
            self._predict(floats[start : start + _PREDICTION_BATCH], ids[start : start + _PREDICTION_BATCH]).numpy()
            for start in range(0, max(1, len(floats)), _PREDICTION_BATCH)
        ]
        return np.concatenate(parts)

    def on_packed(self) -> OnPackedNetwork:
        return OnPackedNetwork(self.network)

    def on_stacked(self, names: Names) -> OnStacked | None:
        weights = self.network.weights_by_place
        return FoldedNetwork(weights, names, self.layout) if can_fold(weights) else None

    def explain(self, names: ValueNames, outputs: Sequence[str], calibration: Calibration) -> Mapping[str, Any]:
        del names, outputs, calibration
        return {}

    def keep(self, model_dir: str, vocabularies: Vocabularies, target: Target) -> None:
        warm_start.save(model_dir, self.network, vocabularies, target)


class OnPackedNetwork(tf.Module):
    """The network with weights of its own.

    They are copied into tensors and variables of this module and given to the network call by call: variables that
    Keras 3 owns cannot be found in a TF1 session, which is how BulkInferrer and TFX's older tools load a model.
    """

    def __init__(self, network: Ensemble) -> None:
        super().__init__()
        # A function, not the network: attributes that are Keras objects would be saved with the module.
        self._call = network.stateless_call
        self._state = [tf.constant(variable.numpy()) for variable in network.non_trainable_variables]
        self._weights = [held(variable.numpy()) for variable in network.trainable_variables]

    def __call__(self, floats: tf.Tensor, ids: tf.Tensor) -> tf.Tensor:
        weights = [tf.convert_to_tensor(weight) for weight in self._weights]
        outputs, _ = self._call(weights, self._state, (floats, ids), training=False)
        return outputs


class NetworkLearner:
    """Trains until the validation loss has not fallen for `patience` epochs, and keeps the best epoch's weights."""

    name: ClassVar[LearnerName] = "network"

    def start_from(
        self, base_model: str | None, layout: Layout, spec: TrainingSpec, vocabularies: Vocabularies, target: Target
    ) -> tuple[Sequence[np.ndarray] | None, str]:
        return warm_start.base_weights(base_model, layout, spec, vocabularies, target)

    def _network(self, job: Job) -> Ensemble:
        return Ensemble(job.layout, job.spec, job.task.outputs)

    def _members(self, network: Ensemble, folds: np.ndarray) -> NetworkMembers:
        return NetworkMembers(network, folds)

    def train(self, job: Job) -> Trained:
        spec, rows, held_out = job.spec, job.rows, job.held_out
        network = self._network(job)
        if job.start is None:
            network.set_prior(job.task.start(rows.labels, rows.shares))
        else:
            network.start_from(job.start)
        loop = Loop(network, job.task, rows, spec, job.folds.of_rows, job.folds.of_members)
        members = self._members(network, job.folds.of_members)

        best_loss, best_epoch, best_weights = math.inf, 0, network.get_weights()
        curve: list[Epoch] = []
        for epoch, chunk in enumerate(loop.chunks(job.random), start=1):
            start = time.perf_counter()
            train_loss = loop.run(chunk)
            validation_loss = held_out.loss(held_out.outputs(members.predict, members.folds))
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
        return Trained(members=members, curve=curve, best_epoch=best_epoch)
