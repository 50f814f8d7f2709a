"""From the network's outputs to answers that can be believed: a slope and an offset of each output.

They are fitted on rows that were not trained on. Two classes: Platt scaling. Several: one slope for all logits and an
offset for each (between temperature and vector scaling). Numbers: conformal moves of an interval's ends.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import optimize

from models.scores import log_softmax, sigmoid

_NEWTON_STEPS = 50
# A weak normal prior around "leave the logits as they are", worth a few rows: separable data has no finite optimum.
_PRIOR_WEIGHT = 1.0
_ROUNDING = 2.0**-20
"""Of the largest number: an end that meets a number which many rows have must still meet it in the model's float32."""
SMALLEST_SLOPE = 0.05
"""Ranks must never be turned around, whatever the held-out rows say."""


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """calibrated = slope * output + offset, output by output; the default leaves one output as it is."""

    slope: tuple[float, ...] = (1.0,)
    offset: tuple[float, ...] = (0.0,)

    def apply(self, outputs: np.ndarray) -> np.ndarray:
        """Returns calibrated outputs, float64 (rows, outputs)."""
        return np.asarray(np.asarray(outputs, np.float64) * np.array(self.slope) + np.array(self.offset))

    def then(self, change: Calibration) -> Calibration:
        """Returns this calibration followed by `change`, as one: a line of a line is a line."""
        slope, offset = np.array(change.slope), change.apply(np.array(self.offset))
        return Calibration(slope=tuple((slope * self.slope).tolist()), offset=tuple(offset.tolist()))


def calibrate(logits: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None) -> Calibration:
    """Fits slope and offset to logits (rows,) and 0/1 labels by maximum a posteriori (Newton's method).

    Source: Platt, "Probabilistic outputs for support vector machines", 1999.
    """
    x = np.stack([logits.astype(np.float64), np.ones(len(logits))], axis=1)  # (rows, 2)
    rows = as_rows(weights, len(logits))
    prior = np.array([1.0, 0.0])
    theta = prior.copy()
    for _ in range(_NEWTON_STEPS):
        p = sigmoid(x @ theta)
        gradient = x.T @ (rows * (p - labels)) + _PRIOR_WEIGHT * (theta - prior)
        hessian = (x * (rows * p * (1 - p))[:, None]).T @ x + _PRIOR_WEIGHT * np.eye(2)
        step = np.linalg.solve(hessian, gradient)
        theta = theta - step
        if np.abs(step).max() < 1e-9:
            break
    return Calibration(slope=(float(max(theta[0], SMALLEST_SLOPE)),), offset=(float(theta[1]),))


def calibrate_classes(logits: np.ndarray, classes: np.ndarray, weights: np.ndarray | None = None) -> Calibration:
    """Fits one slope and an offset of each class to logits (rows, classes), by maximum a posteriori.

    Source: Guo et al., "On calibration of modern neural networks", 2017.

    Args:
      classes: index of each row's class, (rows,).
    """
    z, rows = logits.astype(np.float64), as_rows(weights, len(logits))
    here = np.arange(len(z))

    def objective(theta: np.ndarray) -> tuple[float, np.ndarray]:
        slope, offset = math.exp(theta[0]), theta[1:]
        log_p = log_softmax(slope * z + offset)
        excess = np.exp(log_p) * rows[:, None]
        excess[here, classes] -= rows
        value = -(rows * log_p[here, classes]).sum() + _PRIOR_WEIGHT * (theta @ theta) / 2
        gradient = np.concatenate([[slope * (excess * z).sum()], excess.sum(axis=0)]) + _PRIOR_WEIGHT * theta
        return float(value), gradient

    start = np.zeros(1 + z.shape[1])
    bounds = [(math.log(SMALLEST_SLOPE), None)] + [(None, None)] * z.shape[1]
    best = optimize.minimize(objective, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    return Calibration(slope=(math.exp(best[0]),) * z.shape[1], offset=tuple(best[1:].tolist()))


def conformal_moves(
    targets: np.ndarray, ends: np.ndarray, interval: float, weights: np.ndarray | None = None
) -> tuple[float, float]:
    """By how much the lower and the upper end move so that each leaves (1 - interval) / 2 of the rows outside.

    Source: Romano, Patterson and Candès, "Conformalized quantile regression", 2019, with a share for each end.

    Args:
      targets: (rows,).
      ends: lower and upper end of each row, (rows, 2).
      interval: share of the rows that lie between the ends afterwards.
    """
    rows = as_rows(weights, len(targets))
    level = (1 + interval) / 2
    rounding = _ROUNDING * max(np.abs(targets).max(), np.abs(ends).max())
    below = quantile(ends[:, 0] - targets, rows, level) + rounding
    above = quantile(targets - ends[:, 1], rows, level) + rounding
    return -below, above


def quantile(values: np.ndarray, weights: np.ndarray, level: float) -> float:
    """Returns the least value with at least `level` of the weight, a row of mean weight more included, at or below."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    needed = level * (reached[-1] + weights.mean())
    return float(values[order[min(np.searchsorted(reached, needed - 1e-9), len(values) - 1)]])


def as_rows(weights: np.ndarray | None, rows: int) -> np.ndarray:
    """Weights with a mean of 1, so that the priors stay worth a few rows."""
    return np.ones(rows) if weights is None else weights * (rows / weights.sum())
