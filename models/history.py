"""What history.json holds of a training's course, in types that load no TensorFlow: the report reads them too."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """One point of the training curve; losses are the task's own, of classes log loss in nats."""

    epoch: int
    steps: int
    train_loss: float
    validation_loss: float
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Contender:
    """One of several learners, on rows that the judging members have not seen.

    Attributes:
      loss, half_width: the task's own mean loss, and half its 95 % interval.
      behind, behind_half_width: by how much it is more than the chosen one's, row by row.
      seconds: of its training.
    """

    learner: str
    loss: float
    half_width: float
    behind: float
    behind_half_width: float
    seconds: float
    chosen: bool
