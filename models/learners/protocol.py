"""What a learner is: it trains members on packed rows, each without its own fold, and gives a graph that answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from models.calibration import Calibration
from models.folds import Folds, HeldOut
from models.history import Contender, Epoch
from models.model_spec import ModelSpec
from models.packed import Layout, Rows
from models.stacked_features import Names, Stacked
from models.target import Target
from models.tasks import Task
from models.training_spec import TrainingSpec
from models.value_names import ValueNames

Tensor = Any  # tf.Tensor: TensorFlow has no types.
Vocabularies = Mapping[str, Sequence[str]]


class OnPacked(Protocol):
    """A tf.Module: raw outputs of every member, (rows, members, outputs), from the packed matrices; traceable."""

    def __call__(self, floats: Tensor, ids: Tensor) -> Tensor: ...


class OnStacked(Protocol):
    """A tf.Module: the same from stacked features."""

    def __call__(self, stacked: Stacked) -> Tensor: ...


class Members(Protocol):
    """What a learner has trained; the mean of the members' raw outputs is what is calibrated and served.

    Attributes:
      layout: of the packed matrices.
      folds: the fold that each member has not been trained on, (members,).
    """

    @property
    def layout(self) -> Layout: ...

    @property
    def folds(self) -> np.ndarray: ...

    def predict(self, floats: np.ndarray, ids: np.ndarray) -> np.ndarray:
        """Raw outputs in the task's own space, (rows, members, outputs), see models/tasks.py."""

    def on_packed(self) -> OnPacked:
        """The same as a graph with weights of its own, which needs no library but TensorFlow's."""

    def on_stacked(self, names: Names) -> OnStacked | None:
        """The same, faster, from stacked features; None where there is no such graph."""

    def explain(self, names: ValueNames, outputs: Sequence[str], calibration: Calibration) -> Mapping[str, Any]:
        """What a person can read of them, as JSON for history.json; empty where there is nothing.

        Args:
          outputs: the names of the raw outputs.
          calibration: of the mean of the members' outputs.
        """

    def keep(self, model_dir: str, vocabularies: Vocabularies, target: Target) -> None:
        """Writes what `Learner.start_from` needs into a SavedModel's folder."""


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What came of a training; `best_epoch` counts from 1, and is 0 where there are no epochs.

    Attributes:
      contenders: of several learners, all that were trained, and their blend.
      outputs: of the held-out rows, as `HeldOut.outputs` gives them, where they are known already.
    """

    members: Members
    curve: Sequence[Epoch] = ()
    best_epoch: int = 0
    contenders: Sequence[Contender] = ()
    outputs: np.ndarray | None = None


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a learner trains on.

    Attributes:
      folds: member m is not trained on rows of its own.
      held_out: rows to stop early by, and to choose settings by: each judges only members that are not trained on it.
      start: what `Learner.start_from` gave.
    """

    rows: Rows
    layout: Layout
    spec: TrainingSpec
    model: ModelSpec
    task: Task
    folds: Folds
    held_out: HeldOut
    random: np.random.Generator
    start: Sequence[np.ndarray] | None = None


class Learner(Protocol):
    """A way to train a model."""

    def start_from(
        self, base_model: str | None, layout: Layout, spec: TrainingSpec, vocabularies: Vocabularies, target: Target
    ) -> tuple[Sequence[np.ndarray] | None, str]:
        """What to start from, taken from an earlier model, or None; and one clause that says why."""

    def train(self, job: Job) -> Trained:
        """Trains `spec.ensemble_size` members.

        Raises:
          TrainingError: the rows or the settings hold nothing to learn with.
        """
