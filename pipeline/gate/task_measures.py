"""What the gate measures of a model of several classes or of numbers, in the words that binary models have.

|                 | several classes                                | numbers                                      |
|-----------------|------------------------------------------------|----------------------------------------------|
| label_share     | share of right answers                         | mean label                                   |
| mean_prediction | mean probability of the class that is answered | mean value                                   |
| calibration     | the latter less the former                     | the latter less the former, the mean error   |
| loss            | log loss, nats                                 | absolute error, in the label's unit          |
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.target import TaskName
from pipeline.evaluation import intervals
from pipeline.evaluation.intervals import Estimate

Floats = npt.NDArray[np.float64]

_SMALLEST_PROBABILITY = 1e-7


def as_classes(labels: Floats, probabilities: Floats) -> tuple[Floats, Floats, Estimate]:
    """Returns of each row whether the answer is right, its probability, and the mean log loss.

    Args:
      labels: index of each row's class, (rows,).
      probabilities: (rows, classes).
    """
    index = labels.astype(np.int64)
    own = np.clip(probabilities[np.arange(len(index)), index], _SMALLEST_PROBABILITY, 1.0)
    right = (probabilities.argmax(axis=1) == index).astype(np.float64)
    return right, probabilities.max(axis=1), intervals.mean(-np.log(own))


def residuals(labels: Floats, predictions: Floats, task: TaskName) -> Floats:
    """Returns how far each row's prediction lies above its label, (rows,); of several classes, the probability of the
    answer above 1 where it is right, above 0 where it is wrong."""
    if task == "binary":
        return predictions - labels
    if task == "regression":
        return predictions[:, 0] - labels
    right, confidence, _ = as_classes(labels, predictions)
    return confidence - right


def of_numbers(labels: Floats, predictions: Floats) -> dict[str, Estimate]:
    """Returns the estimates of a SliceEvaluation.

    Args:
      labels: (rows,).
      predictions: value, lower and upper, (rows, 3).
    """
    value = predictions[:, 0]
    return {
        "label_share": intervals.mean(labels),
        "mean_prediction": intervals.mean(value),
        "calibration": intervals.mean(value - labels),
        "loss": intervals.mean(np.abs(labels - value)),
    }
