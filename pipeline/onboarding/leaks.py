"""Columns that tell the answer: alone they predict the label nearly perfectly, or are filled for one label only."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from models import scores

LEAK_AUC = 0.99
"""A one-column rule above this is no prediction but the answer."""
LEAK_ACCURACY = 0.99
"""The same of several classes, whose mean AUC is above LEAK_AUC too."""
LEAK_R_SQUARED = 0.99
"""The same of a number."""
_LEAST_OF_EACH = 10
"""Rows of each label at least: among fewer, a perfect order comes about by chance."""
_LEAST_NUMBERS = 40
_ONE_LABEL_SHARE = 0.995
_BY_CHANCE = 1e-6
_LEAST_MISSING = 0.05
_BINS = 64

Labels = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]


def leak(values: pa.Array, labels: Labels | Numbers, outcomes: Sequence[str] = ("0", "1")) -> str:
    """Returns in words how a column tells the label, with the figure; empty where it does not.

    Args:
      values: numbers or text, null where missing.
      labels: of the same rows: 0 or 1, the index of a class, or a number.
      outcomes: what the index means; none where labels are numbers.
    """
    filled = values.is_valid().to_numpy(zero_copy_only=False)
    if not outcomes:
        return _tells_the_number(values, filled, labels.astype(np.float64))
    classes = labels.astype(np.int64)
    if np.bincount(classes, minlength=len(outcomes)).min() < _LEAST_OF_EACH:
        return ""
    told = _filled_for_one_label(filled, classes, outcomes)
    return told or (_tells_which_of_two if len(outcomes) == 2 else _tells_the_class)(values, filled, classes)


def _filled_for_one_label(filled: npt.NDArray[np.bool_], labels: Labels, outcomes: Sequence[str]) -> str:
    rows = int(filled.sum())
    if not rows or rows > (1 - _LEAST_MISSING) * len(labels):
        return ""
    for label in reversed(range(len(outcomes))):
        base = float((labels == label).mean())
        same = float((labels[filled] == label).mean())
        if same >= _ONE_LABEL_SHARE and rows * math.log(base) < math.log(_BY_CHANCE):
            said = f"it is filled in {rows:,} rows, {same:.1%} of them with label {outcomes[label]}"
            return f"{said} (of all rows: {base:.1%})"
    return ""


def _tells_which_of_two(values: pa.Array, filled: npt.NDArray[np.bool_], labels: Labels) -> str:
    order = _order(values, filled)
    ordered = [] if order is None else [float(scores.auc(order, labels)), float(scores.auc(-order, labels))]
    rates = means_of_others(_groups(values, filled), labels.astype(np.float64))
    auc = max(*ordered, float(scores.auc(rates, labels)), 0.0)
    return f"alone it predicts the label with an AUC of {auc:.4f}" if auc > LEAK_AUC else ""


def _tells_the_class(values: pa.Array, filled: npt.NDArray[np.bool_], labels: Labels) -> str:
    groups = _groups(values, filled)
    are = [(labels == label).astype(np.float64) for label in range(labels.max() + 1)]
    rates = np.stack([means_of_others(groups, one) for one in are])
    accuracy = float((rates.argmax(axis=0) == labels).mean())
    if accuracy < LEAK_ACCURACY:
        return ""
    # One class in a hundred that nobody tells apart leaves an accuracy of 99 % to a column that says nothing.
    auc = float(np.mean([scores.auc(rate, one.astype(np.int64)) for rate, one in zip(rates, are, strict=True)]))
    return f"alone it tells the class of {accuracy:.1%} of the rows" if auc > LEAK_AUC else ""


def _tells_the_number(values: pa.Array, filled: npt.NDArray[np.bool_], labels: Numbers) -> str:
    variance = float(labels.var())
    if len(labels) < _LEAST_NUMBERS or variance == 0:
        return ""
    is_zero = labels == 0
    if min(is_zero.sum(), (~is_zero).sum()) >= _LEAST_OF_EACH:
        told = _filled_for_one_label(filled, (~is_zero).astype(np.int64), ("0", "other than 0"))
        if told:
            return told
    error = float(np.mean((means_of_others(_groups(values, filled), labels) - labels) ** 2))
    r_squared = 1 - error / variance
    order = _order(values, filled)
    if order is not None and np.ptp(order) > 0:
        # Spearman's: what grows with the label tells it, however it is scaled.
        r_squared = max(r_squared, float(np.corrcoef(_ranks(order), _ranks(labels))[0, 1]) ** 2)
    return f"alone it predicts the label with an R² of {r_squared:.4f}" if r_squared > LEAK_R_SQUARED else ""


def _order(values: pa.Array, filled: npt.NDArray[np.bool_]) -> Numbers | None:
    """Returns the numbers, missing ones below all others; None for text."""
    if not (pa.types.is_floating(values.type) or pa.types.is_integer(values.type)):
        return None
    numbers = _numbers(values)
    return np.where(filled, numbers, numbers.min() - 1)


def _groups(values: pa.Array, filled: npt.NDArray[np.bool_]) -> Labels:
    """Returns which of at most 65 pieces of its range each number is in, and which of the values each text is."""
    if _order(values, filled) is None:
        codes = pc.fill_null(values.dictionary_encode().indices, -1)
        return np.asarray(codes.to_numpy(zero_copy_only=False), np.int64) + 1
    numbers = _numbers(values)
    edges = np.unique(np.quantile(numbers, np.linspace(0, 1, _BINS)))
    return np.where(filled, np.searchsorted(edges, numbers), len(edges) + 1)


def _numbers(values: pa.Array) -> Numbers:
    return np.asarray(pc.fill_null(values.cast(pa.float64(), safe=False), 0.0).to_numpy(zero_copy_only=False))


def means_of_others(groups: Labels, labels: Numbers) -> Numbers:
    """Returns for each row the mean label of its group among the rows of the other half, drawn to the mean of all."""
    half = np.random.default_rng(0).integers(0, 2, len(labels))  # Rows often come in turns: every second is no sample.
    size = int(groups.max()) + 1
    means = np.empty(len(labels))
    for own in (0, 1):
        other = half != own
        rows = np.bincount(groups[other], minlength=size)
        total = np.bincount(groups[other], weights=labels[other], minlength=size)
        means[half == own] = ((total + labels[other].mean()) / (rows + 1))[groups[half == own]]
    return means


def _ranks(values: Numbers) -> Numbers:
    """Returns the rank of each value; equal ones share the mean of theirs."""
    _, index, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[index])
