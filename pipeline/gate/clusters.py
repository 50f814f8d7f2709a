"""Rows that come in groups, such as the lines of an order: a group is one piece of evidence, not as many as its rows.

Source: Kish, "Survey Sampling", 1965 (the design effect).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Groups = npt.NDArray[np.int64]


def of(table: pa.Table, column: str | None) -> Groups | None:
    """Returns the group of each row, int64 (rows,), from 0; None where no column says it, or the table lacks it.

    Rows without a value are groups of their own.
    """
    if column is None or column not in table.column_names:
        return None
    encoded = table.column(column).combine_chunks().dictionary_encode()
    groups = np.asarray(pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False), np.int64)
    alone = groups < 0
    groups[alone] = len(encoded.dictionary) + np.arange(int(alone.sum()))
    return np.unique(groups, return_inverse=True)[1].astype(np.int64)


def design_effect(values: npt.NDArray[np.float64], groups: Groups) -> float:
    """Returns by how much grouping multiplies the variance of a mean, at least 1."""
    ordinary = float(values.var()) / len(values)
    if ordinary == 0 or len(values) < 2:
        return 1.0
    sums = np.bincount(groups, weights=values - values.mean())
    number = len(np.unique(groups))
    if number < 2:
        return float(len(values))
    return max(1.0, float(np.square(sums).sum()) / len(values) ** 2 * number / (number - 1) / ordinary)
