"""Scores of predicted probabilities over arrays: log-loss, AUC, calibration error."""

from __future__ import annotations

import numpy as np


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-logit)) without overflow, float64."""
    z = np.asarray(logits, np.float64)
    e = np.exp(-np.abs(z))
    return np.where(z >= 0, 1 / (1 + e), e / (1 + e))


def logit(probabilities: np.ndarray) -> np.ndarray:
    """log(p / (1 - p)), float64, finite: 0 and 1 are taken as float32's next numbers to them."""
    p = np.clip(np.asarray(probabilities, np.float64), 2.0**-126, 1 - 2.0**-24)
    return np.asarray(np.log(p) - np.log1p(-p))


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Logarithm of each class's probability, float64 (rows, classes)."""
    z = np.asarray(logits, np.float64)
    z = z - z.max(axis=1, keepdims=True)
    return np.asarray(z - np.log(np.exp(z).sum(axis=1, keepdims=True)))


def log_loss(logits: np.ndarray, labels: np.ndarray) -> float:
    """Mean negative log-likelihood of 0/1 labels, in nats."""
    z = logits.astype(np.float64)
    return float(np.mean(np.logaddexp(0.0, z) - labels * z))


def expected_calibration_error(probabilities: np.ndarray, labels: np.ndarray, bins: int = 10) -> float:
    """Mean distance of predicted and observed rate over bins of equal width, weighted by their rows.

    Source: Guo et al., "On calibration of modern neural networks", 2017.
    """
    index = np.minimum((probabilities * bins).astype(int), bins - 1)
    predicted = np.bincount(index, weights=probabilities, minlength=bins)
    observed = np.bincount(index, weights=labels, minlength=bins)
    return float(np.abs(predicted - observed).sum() / len(labels))


def auc(scores: np.ndarray, labels: np.ndarray) -> float:
    """Area under the ROC curve, ties counted half; NaN where only one label occurs (Mann and Whitney, 1947)."""
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    mean_rank = np.cumsum(counts) - (counts - 1) / 2  # Ranks from 1, shared by ties.
    positives = int(labels.sum())
    pairs = positives * (len(labels) - positives)
    if pairs == 0:
        return float("nan")
    return float((mean_rank[inverse][labels == 1].sum() - positives * (positives + 1) / 2) / pairs)
