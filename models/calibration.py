"""Platt scaling: probabilities from logits, with a slope and an offset fitted on rows not trained on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.scores import sigmoid

_NEWTON_STEPS = 50
# A weak normal prior around "leave the logits as they are", worth a few rows: separable data has no finite optimum.
_PRIOR_WEIGHT = 1.0


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """probability = sigmoid(slope * logit + offset); the default leaves logits as they are."""

    slope: float = 1.0
    offset: float = 0.0


def calibrate(logits: np.ndarray, labels: np.ndarray) -> Calibration:
    """Fits slope and offset to logits and 0/1 labels by maximum a posteriori (Newton's method).

    Source: Platt, "Probabilistic outputs for support vector machines", 1999.
    """
    x = np.stack([logits.astype(np.float64), np.ones(len(logits))], axis=1)  # (rows, 2)
    prior = np.array([1.0, 0.0])
    theta = prior.copy()
    for _ in range(_NEWTON_STEPS):
        p = sigmoid(x @ theta)
        gradient = x.T @ (p - labels) + _PRIOR_WEIGHT * (theta - prior)
        hessian = (x * (p * (1 - p))[:, None]).T @ x + _PRIOR_WEIGHT * np.eye(2)
        step = np.linalg.solve(hessian, gradient)
        theta = theta - step
        if np.abs(step).max() < 1e-9:
            break
    # Ranks must never be turned around, whatever the held-out rows say.
    return Calibration(slope=float(max(theta[0], 0.05)), offset=float(theta[1]))
