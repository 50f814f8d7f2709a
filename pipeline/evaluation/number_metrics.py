"""The metrics of a regression with an interval, from arrays of weighted rows."""

from __future__ import annotations

from collections.abc import Callable

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
    return weighing(labels, predictions, interval)(weights)


def weighing(labels: Floats, predictions: Floats, interval: float) -> Callable[[Floats], dict[str, float]]:
    """Returns `weighted` of these rows as a function of their weights: what needs no weight is computed once."""
    value, lower, upper = predictions.T
    error = labels - value
    some = labels != 0  # As in TFMA: a row whose label is 0 is off by no percentage.
    misses = pinball(labels - lower, (1 - interval) / 2) + pinball(labels - upper, (1 + interval) / 2)
    means = {
        "mean_label": labels,
        "mean_prediction": value,
        "mean_absolute_error": np.abs(error),
        "mean_pinball_loss": misses / 2,
        "interval_coverage": (lower <= labels) & (labels <= upper),
        "interval_width": upper - lower,
    }
    percentages = np.abs(np.divide(error, labels, out=np.zeros_like(error), where=some)) * 100
    # Less a label, so that squares of large numbers, such as points in time, do not swallow their spread.
    of_squares = _squares(labels - labels[0], value - labels[0])
    of_rows = np.stack([*means.values(), percentages, some])  # (sums, rows)

    def measured(weights: Floats) -> dict[str, float]:
        total = float(weights.sum())
        *summed, off, counted = (of_rows @ weights).tolist()
        return {
            EXAMPLE_COUNT: total,
            **{name: one / total for name, one in zip(means, summed, strict=True)},
            "mean_absolute_percentage_error": off / counted if counted else float("nan"),
            **of_sums(np.append(total, of_squares @ weights)),
        }

    return measured


def sums(labels: Floats, predictions: Floats, weights: Floats) -> Floats:
    """Returns what the metrics of squares are computed from: sums over rows, so those of parts add up, (4,).

    Args:
      predictions: the value, in the first of their columns.
    """
    return np.append(weights.sum(), _squares(labels, predictions[:, 0]) @ weights)


def _squares(labels: Floats, values: Floats) -> Floats:
    """Returns what `sums` adds up of each row, (3, rows)."""
    return np.stack([labels, labels**2, (labels - values) ** 2])


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
