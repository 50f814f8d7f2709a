"""Which columns no longer go together, in words: what trees found, looked up in tables of two columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.gate.bins import FeatureBins
from pipeline.gate.distances import Floats

_CELLS = 12
"""Of a column: the most frequent values and all others, or so many neighbouring bins."""
_IN_ONE_VALUE = 0.6
"""So large a part of a relation's change in the rows of one value is a change of those rows alone."""
_MOST_OF_ALL = 0.5
"""A value that more rows share is no part of them."""
_LOST, _GAINED = 0.6, 1.5
"""A relation that keeps less than the first of its strength is lost; one with more than the second is new."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """How two columns go together otherwise, in words; `in_one_value`: in the rows of one value of the second alone."""

    columns: tuple[str, str]
    text: str
    in_one_value: bool


def describe(
    before: npt.NDArray[np.uint16],
    now: npt.NDArray[np.uint16],
    weights: Floats,
    bins: Sequence[FeatureBins],
) -> Change:
    """Returns the two columns whose relation changed most, and how.

    Args:
      before: bins of the window's rows, (rows, columns); `weights` give every column the distribution that it has now.
      now: the same of the span's rows.
    """
    cells, sizes = _coarsen(before, now, bins)
    starts = np.concatenate([[0], np.cumsum(sizes)])
    then, today = (
        _tables(cells[: len(before)], weights, starts),
        _tables(cells[len(before) :], np.ones(len(now)), starts),
    )
    parts = [slice(starts[index], starts[index + 1]) for index in range(len(bins))]
    changed = np.zeros((len(bins), len(bins)))
    for one in range(len(bins)):
        for other in range(len(bins)):
            if one != other:
                a, b = then[parts[one], parts[other]], today[parts[one], parts[other]]
                # What chance adds to the distance of two tables of shares.
                chance = np.sqrt(2 * (a + b) / 2 / np.pi * (1 / len(before) + 1 / len(now))).sum() / 2
                changed[one, other] = max(np.abs(a - b).sum() / 2 - chance, 0.0)
    first = int(changed.sum(axis=1).argmax())
    second = int(changed[first].argmax())
    of_one_value = _one_value(first, then, today, parts, changed)
    if of_one_value is not None:
        other, cell = of_one_value
        name = _name(bins[other], cell, cells, other, before, now)
        share = float(np.diag(today)[parts[other]][cell])
        words = f"`{bins[first].name}` where `{bins[other].name}` is {name} ({share:.1%} of the rows) is not as it was"
        return Change(columns=(bins[first].name, bins[other].name), text=words, in_one_value=True)
    strength = [_strength(table[parts[first], parts[second]]) for table in (then, today)]
    pair = f"`{bins[first].name}` {{}} `{bins[second].name}`"
    if strength[1] < _LOST * strength[0]:
        words = pair.format("no longer goes with")
    elif strength[1] > _GAINED * strength[0]:
        words = pair.format("goes as never before with")
    else:
        words = pair.format("goes in another way with")
    return Change(columns=(bins[first].name, bins[second].name), text=words, in_one_value=False)


def _one_value(
    first: int, then: Floats, today: Floats, parts: Sequence[slice], changed: Floats
) -> tuple[int, int] | None:
    """Returns another column and the value of it whose rows hold most of the change; None where it is everywhere."""
    best: float = 0.0
    found: tuple[int, int] | None = None
    for other in np.flatnonzero(changed[first] > 0).tolist():
        by_value = np.abs(then[parts[first], parts[other]] - today[parts[first], parts[other]]).sum(axis=0)
        cell = int(by_value.argmax())
        part = float(by_value[cell] / by_value.sum())
        share = float(np.diag(today)[parts[other]][cell])
        if part >= _IN_ONE_VALUE and share <= _MOST_OF_ALL and changed[first, other] > best:
            best, found = float(changed[first, other]), (other, cell)
    return found


def _coarsen(
    before: npt.NDArray[np.uint16], now: npt.NDArray[np.uint16], bins: Sequence[FeatureBins]
) -> tuple[npt.NDArray[np.int64], list[int]]:
    """Returns both samples' cells, (rows, columns), and the number of cells of each column."""
    codes = np.concatenate([before, now]).astype(np.int64)
    sizes = []
    for index, feature in enumerate(bins):
        intervals = feature.kind == "numeric" and feature.size > _CELLS and len(feature.edges) > len(feature.points)
        if intervals:
            codes[:, index] = codes[:, index] * _CELLS // feature.size
        else:
            # The most frequent come first in the bins of a category.
            codes[:, index] = np.minimum(codes[:, index], _CELLS)
        sizes.append(_CELLS + 1)
    return codes, sizes


def _tables(cells: npt.NDArray[np.int64], weights: Floats, starts: npt.NDArray[np.int64]) -> Floats:
    """Returns the shares of rows in every two cells of all columns, (cells, cells)."""
    one_hot = np.zeros((len(cells), int(starts[-1])), np.float32)
    one_hot[np.arange(len(cells))[:, None], cells + starts[:-1]] = 1.0
    return np.asarray((one_hot * (weights / weights.sum())[:, None]).T @ one_hot, np.float64)


def _strength(table: Floats) -> float:
    """Returns how far two columns are from independent: the total variation distance, in [0, 1]."""
    return float(np.abs(table - table.sum(axis=1, keepdims=True) * table.sum(axis=0)).sum() / 2)


def _name(
    feature: FeatureBins,
    cell: int,
    cells: npt.NDArray[np.int64],
    column: int,
    before: npt.NDArray[np.uint16],
    now: npt.NDArray[np.uint16],
) -> str:
    """Returns what a cell is in words: the bin that most of its rows lie in."""
    codes = np.concatenate([before, now])[cells[:, column] == cell, column]
    label = feature.labels()[int(np.bincount(codes).argmax())]
    return f"`{label[2:]}`" if label.startswith("= ") else label
