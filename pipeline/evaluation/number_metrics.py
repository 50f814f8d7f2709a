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
    some = (labels != 0) & (weights > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        percentages = np.abs(error[some] / labels[some]) * 100
    return {
        EXAMPLE_COUNT: float(total),
        "mean_label": mean(labels),
        "mean_prediction": mean(value),
        "mean_absolute_error": mean(np.abs(error)),
        # As in TFMA: a row whose label is 0 is off by no percentage.
        "mean_absolute_percentage_error": float(percentages @ weights[some] / weights[some].sum())
        if some.any()
        else float("nan"),
        "mean_pinball_loss": mean(
            (pinball(labels - lower, (1 - interval) / 2) + pinball(labels - upper, (1 + interval) / 2)) / 2
        ),
        "interval_coverage": mean(((lower <= labels) & (labels <= upper)).astype(np.float64)),
        "interval_width": mean(upper - lower),
        # Less a label, so that squares of large numbers, such as points in time, do not swallow their spread.
        **of_sums(sums(labels - labels[0], predictions - labels[0], weights)),
    }


def sums(labels: Floats, predictions: Floats, weights: Floats) -> Floats:
    """Returns what the metrics of squares are computed from: sums over rows, so those of parts add up, (4,).

    Args:
      predictions: the value, in the first of their columns.
    """
    error = labels - predictions[:, 0]
    return np.array([weights.sum(), weights @ labels, weights @ labels**2, weights @ error**2])


def of_sums(summed: Floats) -> dict[str, float]:
    """Returns the metrics of squares from what `sums` returned; NaN where one is not defined."""
    mean, square, squared = summed[1:] / summed[0]
    spread = square - mean**2
    # Equal labels have no spread but for rounding.
    defined = spread > 1e-12 * square
    return {
        "mean_squared_error": float(squared),
        "root_mean_squared_error": float(np.sqrt(squared)),
        "r_squared": float(1 - squared / spread) if defined else float("nan"),
    }


def pinball(miss: Floats, level: float) -> Floats:
    """Returns the quantile loss of each row. Source: Koenker and Bassett, "Regression quantiles", 1978."""
    return np.maximum(level * miss, (level - 1) * miss)
