"""What the gate measures of a model, by its task, in the words that binary models have.

|                 | two classes            | several classes                | numbers                             |
|-----------------|------------------------|--------------------------------|-------------------------------------|
| label_share     | share of positive rows | share of right answers         | mean label                          |
| mean_prediction | mean probability       | the answer's mean probability  | mean value                          |
| calibration     | prediction less label  | probability less share         | mean error: prediction less label   |
| loss            | log loss, nats         | log loss, nats                 | absolute error, in the label's unit |
| chosen by       | auc                    | accuracy                       | loss                                |
| promised        | auc, loss              | accuracy, loss                 | width of the interval               |

"Promised" is what a model's answers say of its performance before any label has come: of probabilities, what is
expected where each class comes as often as its probability says (confidence-based performance estimation). A number
with an interval has no probabilities of labels: what its width promises of the error is in pipeline/gate/promises.py.

Sources: Garg, Balakrishnan, Lipton, Neyshabur and Sedghi, "Leveraging unlabeled data to predict out-of-distribution
performance", ICLR 2022 (the accuracy, "average confidence"); Białek, Kuberski, Perrakis and Bifet, "Estimating model
performance under covariate shift without labels", 2024 (the AUC).

Of weighted rows every measure is the weighted one, and as certain as the weights leave it.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from models.calibration import quantile
from models.target import TaskName
from pipeline.evaluation import intervals
from pipeline.evaluation.intervals import Estimate
from pipeline.gate.discrimination import auc
from pipeline.gate.evidence import PromisedMetric

Floats = npt.NDArray[np.float64]
Measures = dict[str, Any]  # Any: an Estimate, a float or None, by the names of SliceEvaluation's fields.

_ECE_BINS = 10
_SMALLEST_PROBABILITY = 1e-7
_BOOTSTRAPS = 400


def measure(labels: Floats, predictions: Floats, weights: Floats | None, task: TaskName, seed: int) -> Measures:
    """Returns the fields of a SliceEvaluation.

    Args:
      labels: 0 or 1, the index of each row's class, or numbers, (rows,).
      predictions: probabilities (rows,) or (rows, classes), or value, lower and upper (rows, 3).
      weights: (rows,), each above 0; None for alike.
    """
    if task == "regression":
        return _of_numbers(labels, predictions, weights)
    if task == "multiclass":
        return _of_classes(labels, predictions, weights, seed)
    found = _of_probabilities(labels, predictions, weights, seed)
    loss = intervals.mean(losses(labels, predictions), weights)
    return found | {"auc": auc(labels, predictions, weights), "loss": loss}


def promise(predictions: Floats, weights: Floats | None, task: TaskName) -> dict[PromisedMetric, Estimate]:
    """Returns what a model's answers, believed, say of its performance on these rows, the task's main metric first.

    Nothing is said where the answers cannot tell, as of rows that are all of one class for certain.

    Args:
      predictions, weights: as `measure` takes them.
    """
    found = _PROMISED[task](np.asarray(predictions, np.float64), weights)
    return {metric: estimate for metric, estimate in found.items() if estimate is not None}


def _promised_of_two(probabilities: Floats, weights: Floats | None) -> dict[PromisedMetric, Estimate | None]:
    """Every row is there twice: as a positive one with its probability, and as a negative one with the rest."""
    both = np.column_stack([1 - probabilities, probabilities])
    counts = both if weights is None else both * weights[:, None]
    labels, scores, there = np.tile([0.0, 1.0], len(both)), np.repeat(probabilities, 2), counts.ravel() > 0
    of_rows = auc(labels[there], scores[there], counts.ravel()[there])
    return {
        "auc": of_rows and dataclasses.replace(of_rows, rows=len(both)),
        "loss": intervals.mean(_entropies(both), weights),
    }


def _promised_of_classes(probabilities: Floats, weights: Floats | None) -> dict[PromisedMetric, Estimate | None]:
    return {
        "accuracy": intervals.mean(probabilities.max(axis=1), weights),
        "loss": intervals.mean(_entropies(probabilities), weights),
    }


def _promised_of_numbers(predictions: Floats, weights: Floats | None) -> dict[PromisedMetric, Estimate | None]:
    widths = predictions[:, 2] - predictions[:, 1]
    return {"width": intervals.mean(widths, weights) if (widths > 0).any() else None}


_PROMISED: Mapping[TaskName, Callable[[Floats, Floats | None], dict[PromisedMetric, Estimate | None]]] = {
    "binary": _promised_of_two,
    "multiclass": _promised_of_classes,
    "regression": _promised_of_numbers,
}


def _entropies(probabilities: Floats) -> Floats:
    """Returns each row's expected log loss, in nats, of probabilities (rows, classes)."""
    return np.asarray(-(probabilities * np.log(np.clip(probabilities, _SMALLEST_PROBABILITY, 1.0))).sum(axis=1))


def losses(labels: npt.NDArray[Any], probabilities: npt.NDArray[Any]) -> Floats:
    """Returns the log loss of each row, in nats."""
    p = np.clip(probabilities, _SMALLEST_PROBABILITY, 1 - _SMALLEST_PROBABILITY)
    return np.asarray(-np.where(labels == 1, np.log(p), np.log1p(-p)), np.float64)


def class_losses(labels: npt.NDArray[Any], probabilities: Floats) -> Floats:
    """Returns the log loss of each row, in nats, of probabilities (rows, classes)."""
    own = probabilities[np.arange(len(labels)), labels.astype(np.int64)]
    return np.asarray(-np.log(np.clip(own, _SMALLEST_PROBABILITY, 1.0)))


def is_right(labels: npt.NDArray[Any], probabilities: Floats) -> Floats:
    """Returns 1 for each row whose most probable class is its own, else 0."""
    return np.asarray(probabilities.argmax(axis=1) == labels.astype(np.int64), np.float64)


def residuals(labels: Floats, predictions: Floats, task: TaskName) -> Floats:
    """Returns how far each row's prediction lies above its label, (rows,); of several classes, the probability of the
    answer above 1 where it is right, above 0 where it is wrong."""
    if task == "binary":
        return predictions - labels
    if task == "regression":
        return predictions[:, 0] - labels
    return np.asarray(predictions.max(axis=1) - is_right(labels, predictions))


def _of_classes(labels: Floats, probabilities: Floats, weights: Floats | None, seed: int) -> Measures:
    found = _of_probabilities(is_right(labels, probabilities), probabilities.max(axis=1), weights, seed)
    loss = intervals.mean(class_losses(labels, probabilities), weights)
    return found | {"auc": None, "accuracy": found["label_share"], "loss": loss, "blind": _entropy(labels, weights)}


def _of_probabilities(labels: Floats, probabilities: Floats, weights: Floats | None, seed: int) -> Measures:
    return {
        "label_share": intervals.mean(labels, weights),
        "mean_prediction": intervals.mean(probabilities, weights),
        "calibration": intervals.mean(probabilities - labels, weights),
        "ece": _expected_calibration_error(labels, probabilities, weights, seed),
    }


def _of_numbers(labels: Floats, predictions: Floats, weights: Floats | None) -> Measures:
    value, lower, upper = predictions.T
    rows = np.ones(len(labels)) if weights is None else weights
    # Where only a value is known, as of requests, no row has an interval.
    within = ((lower <= labels) & (labels <= upper)).astype(np.float64) if (upper > lower).any() else None
    middle = quantile(labels, rows, 0.5)
    return {
        "label_share": intervals.mean(labels, weights),
        "mean_prediction": intervals.mean(value, weights),
        "auc": None,
        "calibration": intervals.mean(value - labels, weights),
        "ece": None,
        "loss": intervals.mean(np.abs(labels - value), weights),
        "coverage": None if within is None else intervals.mean(within, weights),
        "blind": float(np.average(np.abs(labels - middle), weights=rows)),
    }


def _entropy(labels: Floats, weights: Floats | None) -> float:
    """Returns the log loss of knowing the shares of the classes alone, in nats."""
    shares = np.bincount(labels.astype(np.int64), weights)
    shares = shares[shares > 0] / shares.sum()
    return float(-(shares * np.log(shares)).sum())


def _expected_calibration_error(y: Floats, p: Floats, weights: Floats | None, seed: int) -> Estimate:
    """Mean distance of predicted and observed rate over equally filled bins, with a parametric bootstrap's interval.

    In small bins chance alone makes a distance. The true error is at least the measured one less what chance adds to
    it (the triangle inequality), which is the interval's lower end.
    """
    rows = np.ones(len(y)) if weights is None else weights
    parts = np.array_split(np.argsort(p, kind="stable"), min(_ECE_BINS, len(y)))
    shares = np.array([rows[part].sum() for part in parts]) / rows.sum()
    residuals = p - y
    gaps, errors = np.array([_gap(residuals[part], rows[part]) for part in parts]).T
    noise = errors * np.random.default_rng(seed).standard_normal((_BOOTSTRAPS, len(parts)))
    high = float(np.quantile(np.abs(gaps + noise) @ shares, 0.975))
    value = float(np.abs(gaps) @ shares)
    low = value - float(np.quantile(np.abs(noise) @ shares, 0.975))
    return Estimate(value=value, low=max(low, 0.0), high=max(high, value), rows=len(y))


def _gap(residual: Floats, weights: Floats) -> tuple[float, float]:
    """Returns a bin's mean residual and its standard error."""
    gap = float(np.average(residual, weights=weights))
    spread = math.sqrt(float(np.average((residual - gap) ** 2, weights=weights)))
    return gap, spread / math.sqrt(intervals.effective_rows(weights))
