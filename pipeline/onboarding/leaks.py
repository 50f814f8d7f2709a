"""Columns that tell the answer: alone they predict the label nearly perfectly, or are filled for one label only."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from models import scores

LEAK_AUC = 0.99
"""A one-column rule above this is no prediction but the answer."""
_LEAST_OF_EACH = 10
"""Rows of each label at least: among fewer, a perfect order comes about by chance."""
_ONE_LABEL_SHARE = 0.995
_BY_CHANCE = 1e-6
_LEAST_MISSING = 0.05
_BINS = 64


def leak(values: pa.Array, labels: npt.NDArray[np.int64]) -> str:
    """Returns in words how a column tells the label, with the figure; empty where it does not.

    Args:
      values: numbers or text, null where missing.
      labels: 0 or 1 of the same rows.
    """
    if min(labels.sum(), len(labels) - labels.sum()) < _LEAST_OF_EACH:
        return ""
    filled = values.is_valid().to_numpy(zero_copy_only=False)
    return _filled_for_one_label(filled, labels) or _predicts(values, filled, labels)


def _filled_for_one_label(filled: npt.NDArray[np.bool_], labels: npt.NDArray[np.int64]) -> str:
    rows = int(filled.sum())
    if not rows or rows > (1 - _LEAST_MISSING) * len(labels):
        return ""
    for label in (1, 0):
        base = float((labels == label).mean())
        same = float((labels[filled] == label).mean())
        if same >= _ONE_LABEL_SHARE and rows * math.log(base) < math.log(_BY_CHANCE):
            return f"it is filled in {rows:,} rows, {same:.1%} of them with label {label} (of all rows: {base:.1%})"
    return ""


def _predicts(values: pa.Array, filled: npt.NDArray[np.bool_], labels: npt.NDArray[np.int64]) -> str:
    if pa.types.is_floating(values.type) or pa.types.is_integer(values.type):
        numbers = pc.fill_null(values.cast(pa.float64(), safe=False), 0.0).to_numpy(zero_copy_only=False)
        order = np.where(filled, numbers, numbers.min() - 1)
        edges = np.unique(np.quantile(numbers, np.linspace(0, 1, _BINS)))
        groups = np.where(filled, np.searchsorted(edges, numbers), len(edges) + 1)
        ordered = [float(scores.auc(order, labels)), float(scores.auc(-order, labels))]
    else:
        groups = pc.fill_null(values.dictionary_encode().indices, -1).to_numpy(zero_copy_only=False) + 1
        ordered = []
    auc = max(*ordered, float(scores.auc(_rates(groups, labels), labels)), 0.0)
    return f"alone it predicts the label with an AUC of {auc:.4f}" if auc > LEAK_AUC else ""


def _rates(groups: npt.NDArray[np.int64], labels: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Returns for each row the share of positive labels of its group among the rows of the other half."""
    half = np.arange(len(labels)) % 2
    size = int(groups.max()) + 1
    rates = np.empty(len(labels))
    for own in (0, 1):
        other = half != own
        rows = np.bincount(groups[other], minlength=size)
        positive = np.bincount(groups[other], weights=labels[other], minlength=size)
        prior = labels[other].mean()
        rates[half == own] = ((positive + prior) / (rows + 1))[groups[half == own]]
    return rates
