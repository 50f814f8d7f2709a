"""Several learners: all are trained, and the best out of time is the model, or their blend where that is surely better.

They are compared on the newest span, by members that were trained on earlier spans alone and calibrated on them; where
no member holds it out, on all held-out rows. The blend is the mean of all members' raw outputs. It is taken only if it
is better than the best by more than 1.96 standard errors of the rows' differences: it costs as much as all together.
"""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from models.calibration import Calibration
from models.folds import NEWEST
from models.history import Contender
from models.learners.protocol import Job, Learner, Members, OnPacked, OnStacked, Trained, Vocabularies
from models.packed import Layout
from models.stacked_features import Names, Stacked, packed
from models.target import Target
from models.training_spec import TrainingSpec
from models.value_names import ValueNames

logger = logging.getLogger(__name__)

_Z95 = 1.96
BLEND = "blend"


class Several:
    """Trains the learners one after the other, and chooses."""

    def __init__(self, learners: Mapping[str, Learner]) -> None:
        self._learners = dict(learners)

    def start_from(
        self, base_model: str | None, layout: Layout, spec: TrainingSpec, vocabularies: Vocabularies, target: Target
    ) -> tuple[Sequence[np.ndarray] | None, str]:
        """What one of them can start from; the others start anew."""
        reasons = []
        for name, learner in self._learners.items():
            start, reason = learner.start_from(base_model, layout, spec, vocabularies, target)
            if start is not None:
                return start, reason
            reasons.append(f"{name}: {reason}")
        return None, "; ".join(reasons)

    def train(self, job: Job) -> Trained:
        trained: dict[str, Trained] = {}
        seconds: dict[str, float] = {}
        for name, learner in self._learners.items():
            begun = time.perf_counter()
            trained[name] = learner.train(job)
            seconds[name] = time.perf_counter() - begun
        outputs = {name: job.held_out.outputs(one.members.predict, one.members.folds) for name, one in trained.items()}
        trained[BLEND] = Trained(members=BlendMembers([each.members for each in trained.values()]))
        outputs[BLEND] = np.mean(list(outputs.values()), axis=0)
        seconds[BLEND] = sum(seconds.values())
        judged = _judged(job)
        losses = {name: job.held_out.losses_of(each, job.spec, judged) for name, each in outputs.items()}
        shares = job.held_out.shares[judged]
        means = {name: float(np.average(each, weights=shares)) for name, each in losses.items()}
        chosen = min(self._learners, key=lambda name: means[name])
        gain, error = _mean_and_error(losses[chosen] - losses[BLEND], shares)
        if gain > _Z95 * error:
            chosen = BLEND
        contenders = []
        for name in trained:
            behind, of_difference = _mean_and_error(losses[name] - losses[chosen], shares)
            _, of_mean = _mean_and_error(losses[name], shares)
            contenders.append(
                Contender(
                    learner=name,
                    loss=means[name],
                    half_width=_Z95 * of_mean,
                    behind=behind,
                    behind_half_width=_Z95 * of_difference,
                    seconds=seconds[name],
                    chosen=name == chosen,
                )
            )
            logger.info("%s: loss %.4f, %.4f more than %s", name, means[name], behind, chosen)
        return dataclasses.replace(trained[chosen], contenders=contenders, outputs=outputs[chosen])


def _judged(job: Job) -> np.ndarray:
    """Which held-out rows the learners are compared on."""
    if job.folds.hold_out_newest:
        return np.asarray(job.held_out.folds == NEWEST)
    return np.ones(len(job.held_out.labels), np.bool_)


def _mean_and_error(values: np.ndarray, shares: np.ndarray) -> tuple[float, float]:
    """A weighted mean and its standard error."""
    mean = float(np.average(values, weights=shares))
    error = float(np.sqrt((shares**2 * (values - mean) ** 2).sum()) / shares.sum())
    return mean, error


class BlendMembers:
    """The members of several learners, each learner counting as much as another."""

    def __init__(self, parts: Sequence[Members]) -> None:
        self._parts = list(parts)
        self.layout = parts[0].layout
        self.folds = np.concatenate([part.folds for part in parts])

    def predict(self, floats: np.ndarray, ids: np.ndarray) -> np.ndarray:
        return np.concatenate([part.predict(floats, ids) for part in self._parts], axis=1)

    def on_packed(self) -> OnPacked:
        return _OnPackedBlend([part.on_packed() for part in self._parts])

    def on_stacked(self, names: Names) -> OnStacked | None:
        graphs = [part.on_stacked(names) for part in self._parts]
        if not any(graphs):
            return None
        rest = [part.on_packed() for part, graph in zip(self._parts, graphs, strict=True) if graph is None]
        return _OnStackedBlend([graph for graph in graphs if graph is not None], rest, names, self.layout)

    def explain(self, names: ValueNames, outputs: Sequence[str], calibration: Calibration) -> Mapping[str, Any]:
        """Nothing: no part is served as it is."""
        del names, outputs, calibration
        return {}

    def keep(self, model_dir: str, vocabularies: Vocabularies, target: Target) -> None:
        for part in self._parts:
            part.keep(model_dir, vocabularies, target)


class _OnPackedBlend(tf.Module):
    """The mean of each learner's members, (rows, learners, outputs)."""

    def __init__(self, graphs: Sequence[OnPacked]) -> None:
        super().__init__()
        self._graphs = list(graphs)

    def __call__(self, floats: tf.Tensor, ids: tf.Tensor) -> tf.Tensor:
        return _means([graph(floats, ids) for graph in self._graphs])


class _OnStackedBlend(tf.Module):
    """The same, of some learners from stacked features and of the others from what they are packed into."""

    def __init__(self, graphs: Sequence[OnStacked], rest: Sequence[OnPacked], names: Names, layout: Layout) -> None:
        super().__init__()
        self._graphs, self._rest = list(graphs), list(rest)
        self._names, self._layout = names, layout

    def __call__(self, stacked: Stacked) -> tf.Tensor:
        matrices = packed(stacked, self._names, self._layout)
        return _means([*(graph(stacked) for graph in self._graphs), *(graph(*matrices) for graph in self._rest)])


def _means(outputs: Sequence[tf.Tensor]) -> tf.Tensor:
    return tf.stack([tf.reduce_mean(each, axis=1) for each in outputs], axis=1)
