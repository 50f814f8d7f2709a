"""The metrics of a regression with an interval, from arrays of weighted rows."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipeline.evaluation.registry import EXAMPLE_COUNT

Floats = npt.NDArray[np.float64]


def weighted(labels: Floats, predictions: Floats, weights: Floats, interval: float) -> dict[str, float]:
    """Returns each metric; NaN where it is not defined.

    Args:
      labels: (rows,).
      predictions: value, lower and upper, (rows, 3).
      weights: (rows,), at least one above 0.
      interval: share of the rows that lower to upper shall cover.
    """
    value, lower, upper = predictions.T
    total = weights.sum()

    def mean(values: Floats) -> float:
        return float(values @ weights / total)

    error = labels - value
    squared = mean(error**2)
    spread = mean((labels - mean(labels)) ** 2)
    some = (labels != 0) & (weights > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        percentages = np.abs(error[some] / labels[some]) * 100
    return {
        EXAMPLE_COUNT: float(total),
        "mean_label": mean(labels),
        "mean_prediction": mean(value),
        "mean_absolute_error": mean(np.abs(error)),
        "mean_squared_error": squared,
        "root_mean_squared_error": float(np.sqrt(squared)),
        # As in TFMA: a row whose label is 0 is off by no percentage.
        "mean_absolute_percentage_error": float(percentages @ weights[some] / weights[some].sum())
        if some.any()
        else float("nan"),
        "r_squared": 1 - squared / spread if spread > 0 else float("nan"),
        "mean_pinball_loss": mean(
            (pinball(labels - lower, (1 - interval) / 2) + pinball(labels - upper, (1 + interval) / 2)) / 2
        ),
        "interval_coverage": mean(((lower <= labels) & (labels <= upper)).astype(np.float64)),
        "interval_width": mean(upper - lower),
    }


def pinball(miss: Floats, level: float) -> Floats:
    """Returns the quantile loss of each row. Source: Koenker and Bassett, "Regression quantiles", 1978."""
    return np.maximum(level * miss, (level - 1) * miss)
