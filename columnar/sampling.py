"""Some rows of a stream, drawn at random while it passes by."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pyarrow as pa


class Sampler:
    """Keeps at most so many rows, each set of that many as likely as any other; all where there are fewer.

    Every row draws a number, and those with the smallest numbers stay. At most half as many again are held at a time.

    Source: Vitter, "Random sampling with a reservoir", ACM Transactions on Mathematical Software 11, 1985.
    """

    def __init__(self, most: int, *, seed: int = 0) -> None:
        self.rows = 0
        self._most, self._rng, self._limit = most, np.random.default_rng(seed), 1.0
        self._batches: list[pa.RecordBatch] = []
        self._numbers: list[npt.NDArray[np.float64]] = []
        self._positions: list[npt.NDArray[np.int64]] = []

    def add(self, batch: pa.RecordBatch) -> None:
        """Takes the next rows of the stream."""
        numbers = self._rng.random(batch.num_rows)
        stays = numbers < self._limit
        self._batches.append(batch if stays.all() else batch.filter(pa.array(stays)))
        self._numbers.append(numbers[stays])
        self._positions.append(self.rows + np.flatnonzero(stays))
        self.rows += batch.num_rows
        if sum(map(len, self._numbers)) > 1.5 * self._most:
            self._prune()

    def drawn(self) -> tuple[list[pa.RecordBatch], npt.NDArray[np.int64]]:
        """Returns the kept rows in their order, and their positions in the stream, int64 (rows,)."""
        self._prune()
        return self._batches, np.concatenate([np.zeros(0, np.int64), *self._positions])

    def _prune(self) -> None:
        numbers = np.concatenate([np.zeros(0), *self._numbers])
        if len(numbers) <= self._most:
            return
        self._limit = float(np.partition(numbers, self._most)[self._most])
        stays = [part < self._limit for part in self._numbers]
        self._batches = [batch.filter(pa.array(mask)) for batch, mask in zip(self._batches, stays, strict=True)]
        self._numbers = [part[mask] for part, mask in zip(self._numbers, stays, strict=True)]
        self._positions = [part[mask] for part, mask in zip(self._positions, stays, strict=True)]


def sample(batches: Iterable[pa.RecordBatch], schema: pa.Schema, most: int, *, seed: int = 0) -> pa.Table:
    """Returns at most so many rows of a stream, in order, drawn as `Sampler` draws them."""
    sampler = Sampler(most, seed=seed)
    for batch in batches:
        sampler.add(batch)
    return pa.Table.from_batches(sampler.drawn()[0], schema)
