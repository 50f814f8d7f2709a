"""Which rows each member of a model is not trained on, and what the members say of those."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from models.calibration import Calibration
from models.packed import Rows
from models.tasks import Task
from models.training_spec import TrainingSpec

Predict = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Raw outputs of every member, (rows, members, outputs), of packed floats and ids."""

NEWEST = 0
"""The newest span's fold, where a member holds it out."""
_LARGEST_FOLD = 0.5
"""A fold with a larger share of the rows leaves too few to train on."""
_VALIDATION_ROWS = 65_536


@dataclass(frozen=True, kw_only=True)
class Folds:
    """Parts of the rows, of which member m is not trained on `of_members[m]`.

    Attributes:
      of_rows: fold of each row, (rows,).
      of_members: fold of each member, (members,).
      count: how many folds there are; of the last ones no member may hold out any.
      hold_out_newest: whether fold NEWEST is the newest span.
    """

    of_rows: np.ndarray
    of_members: np.ndarray
    count: int
    hold_out_newest: bool

    @classmethod
    def of(cls, spans: np.ndarray, spec: TrainingSpec, random: np.random.Generator) -> Folds:
        """The folds are the spans, counted from the newest, where each leaves others enough to train on.

        The members hold out the newest of them. Where an earlier span holds most of the rows, those before the newest
        span are held out at random. Where the newest span does, where it is the only one, or where the only member
        would never learn it, no member is spared it.
        """
        _, index, counts = np.unique(spans, return_inverse=True, return_counts=True)
        newest_first = len(counts) - 1 - index.astype(np.int64)
        several, parts = len(counts) > 1, max(2, round(1 / spec.validation_fraction))
        if several and counts.max() <= _LARGEST_FOLD * len(spans):
            newest = spec.ensemble_size > 1
            return cls._of(newest_first if newest else index.astype(np.int64), len(counts), newest, spec)
        if several and counts[-1] <= _LARGEST_FOLD * len(spans) and spec.ensemble_size > 1:
            at_random = 1 + random.permutation(len(spans)) % parts
            return cls._of(np.where(newest_first == 0, NEWEST, at_random), 1 + parts, True, spec)
        return cls._of(random.permutation(len(spans)) % parts, parts, False, spec)

    @classmethod
    def _of(cls, of_rows: np.ndarray, count: int, hold_out_newest: bool, spec: TrainingSpec) -> Folds:
        of_members = np.arange(spec.ensemble_size) % count
        return cls(of_rows=of_rows, of_members=of_members, count=count, hold_out_newest=hold_out_newest)


class HeldOut:
    """Rows that some member is not trained on, many of them where there are very many.

    Attributes:
      labels, shares, folds: of these rows, (rows,).
    """

    def __init__(self, task: Task, rows: Rows, folds: Folds, random: np.random.Generator) -> None:
        self._task = task
        chosen = np.flatnonzero(np.isin(folds.of_rows, folds.of_members))
        if len(chosen) > _VALIDATION_ROWS:
            chosen = np.sort(random.choice(chosen, _VALIDATION_ROWS, replace=False))
        self._floats, self._ids, self.labels = rows.floats[chosen], rows.ids[chosen], rows.labels[chosen]
        self.shares, self.folds = rows.shares[chosen], folds.of_rows[chosen]
        self._targets = task.encode(self.labels)

    def outputs(self, predict: Predict, of_members: np.ndarray) -> np.ndarray:
        """Mean outputs of the members that each row is held out from; (rows, outputs).

        Args:
          of_members: the fold that each member is not trained on.
        """
        held_out = (self.folds[:, None] == of_members).astype(np.float32)  # (rows, members)
        weights = held_out / held_out.sum(axis=1, keepdims=True)
        return np.asarray((predict(self._floats, self._ids) * weights[:, :, None]).sum(axis=1))

    def loss(self, outputs: np.ndarray) -> float:
        """Mean loss of `outputs`."""
        return float(np.average(self._task.losses(self._targets, outputs), weights=self.shares))

    def losses_of(self, outputs: np.ndarray, spec: TrainingSpec, judged: np.ndarray) -> np.ndarray:
        """The loss of each row that is `judged`, after the calibration that the others fit; (judged,).

        Where all are judged, it is fitted to them.
        """
        others = ~judged if not judged.all() else judged
        calibrated = self.calibration(outputs, spec, others).apply(outputs[judged])
        plain = self._task.uncalibrated
        as_learned = (calibrated - np.array(plain.offset)) / np.array(plain.slope)
        return self._task.losses(self._targets[judged], as_learned)

    def calibration(
        self, outputs: np.ndarray, spec: TrainingSpec, judged: np.ndarray | slice = slice(None)
    ) -> Calibration:
        """The calibration of `outputs`, fitted on those that are `judged`."""
        if not spec.calibrate:
            return self._task.uncalibrated
        return self._task.calibrate(outputs[judged], self.labels[judged], self.shares[judged])
