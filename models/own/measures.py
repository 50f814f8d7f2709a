"""`metrics(labels, predictions, weights)` of own code: further figures of rows that were not trained on."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping

import numpy as np

from models.errors import OwnCodeError
from models.own import loading
from models.own.source import METRICS, OwnCode


def measure(
    own: OwnCode | None, labels: np.ndarray, predictions: np.ndarray, weights: np.ndarray
) -> Mapping[str, float]:
    """Returns what own `metrics` make of held-out rows, by name; nothing where there are none.

    Args:
      labels: as `Target.evaluate` answers, (rows,).
      predictions: as `Task.predictions` gives them.
      weights: with a mean of 1 over all rows, (rows,).

    Raises:
      OwnCodeError: it failed, or its answer is no dict of numbers.
    """
    if own is None or METRICS not in own.functions:
        return {}
    measured = loading.function(own, METRICS)(labels, predictions, weights)
    if not isinstance(measured, Mapping) or not all(
        isinstance(name, str) and isinstance(value, numbers.Real) for name, value in measured.items()
    ):
        raise OwnCodeError(f"{own.entry}: {METRICS}: expected a dict of numbers by name. Received: {measured!r:.80}.")
    return {name: float(value) if math.isfinite(value) else math.nan for name, value in measured.items()}
