"""A model's answers repaired: a slope and an offset on top of its own, fitted to rows that it was not trained on."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from models.calibration import SMALLEST_SLOPE, as_rows

if TYPE_CHECKING:
    from models.tasks import Task

_FOLDS = 3
_PRIOR_ROWS = 1.0
_REWEIGHTINGS = 30


def cross_fitted(task: Task, predictions: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Returns each row's prediction as repaired by what was fitted to others: the folds are blocks of rows."""
    outputs, fold = task.outputs_of(predictions), np.arange(len(targets)) * _FOLDS // max(len(targets), 1)
    repaired = outputs.copy()
    for index in range(_FOLDS):
        own = fold == index
        if own.any() and not own.all():
            repaired[own] = task.repair(outputs[~own], targets[~own], weights[~own]).apply(outputs[own])
    return task.predictions(repaired)


def line(
    values: np.ndarray, targets: np.ndarray, weights: np.ndarray | None, loss: str, scale: float
) -> tuple[float, float]:
    """Returns the slope and the offset that bring values (rows,) closest to targets; in doubt they stay 1 and 0.

    Args:
      loss: squared, absolute, or huber, which is squared within `scale`.

    Source: Holland and Welsch, "Robust regression using iteratively reweighted least-squares", 1977.
    """
    rows = as_rows(weights, len(values))
    centre = float(np.average(values, weights=rows))
    spread = math.sqrt(float(np.average((values - centre) ** 2, weights=rows))) or 1.0
    x = np.stack([(values - centre) / spread, np.ones(len(values))], axis=1)  # (rows, 2)
    error, move = targets - values, np.zeros(2)
    for _ in range(1 if loss == "squared" else _REWEIGHTINGS):
        size = np.maximum(np.abs(error - x @ move), 1e-3 * scale)
        each = rows * {"squared": np.ones(len(size)), "absolute": scale / size}.get(loss, np.minimum(scale / size, 1.0))
        move = np.linalg.solve((x * each[:, None]).T @ x + _PRIOR_ROWS * np.eye(2), x.T @ (each * error))
    slope = max(1 + move[0] / spread, SMALLEST_SLOPE)
    return float(slope), float(centre + move[1] - slope * centre)
