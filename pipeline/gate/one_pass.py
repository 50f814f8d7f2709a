"""One pass over a span's rows: what is counted of all of them, and a sample for what is compared.

However large a span is, no column of it is held as a whole: quality, labels, the fingerprint and the rows' hashes are
counted batch by batch, and distributions, relations and the model's performance are compared on at most 150,000 rows,
drawn at random. There, chance is far below every limit of what matters.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from tensorflow_metadata.proto.v0 import schema_pb2

from columnar.fingerprint import Hashes, fingerprint
from models.target import Target, is_known
from pipeline.gate import labels, quality, repeats
from pipeline.gate.counting import SpanQuality
from pipeline.gate.settings import Settings

MOST_COMPARED = 150_000
_SEED = 20_261_129


class Rows(Protocol):
    """Rows of flat columns that are read batch by batch: a `pa.Table`, or those of an artifact."""

    def to_batches(self) -> Iterable[pa.RecordBatch]:
        """Reads them."""


@dataclass(frozen=True, kw_only=True)
class SpanRows:
    """What one pass found.

    Attributes:
      rows: of the span, with those of waiting spans.
      labelled: how many of them have a label.
      fingerprint: of the span alone.
      quality: of the span alone.
      hashes: of all rows, to tell copies, uint64 (rows,).
      sample: the rows that are compared, in their order.
      positions: of these among all rows, int64 (rows of the sample,).
    """

    rows: int
    labelled: int
    fingerprint: str
    quality: SpanQuality
    hashes: Hashes
    sample: pa.Table
    positions: npt.NDArray[np.int64]


def read(
    rows: Rows,
    waiting: Mapping[int, Rows],
    schema: schema_pb2.Schema,
    settings: Settings,
    known: Mapping[str, Sequence[str]] | None,
) -> SpanRows:
    """Reads a span, and before it the waiting spans whose rows count with it, once.

    Args:
      known: the values of categorical features in the training window, where a model is live.
    """
    passing = _Passing(settings.features.columns, settings.features.target)
    for number in sorted(waiting):
        for _ in passing.through(waiting[number].to_batches()):
            pass
    counted = quality.Counting(schema, settings.features, settings.policy, known)
    content = fingerprint(counted.through(passing.through(rows.to_batches())))
    sample, positions = passing.drawn()
    return SpanRows(
        rows=passing.rows,
        labelled=passing.labelled,
        fingerprint=content,
        quality=counted.result,
        hashes=np.concatenate([np.zeros(0, np.uint64), *passing.hashes]),
        sample=sample,
        positions=positions,
    )


class _Passing:
    """Batches on their way: counts and hashes their rows, and keeps a sample of them."""

    def __init__(self, columns: Sequence[str], target: Target) -> None:
        self.rows = self.labelled = 0
        self.hashes: list[Hashes] = []
        self._columns, self._target = columns, target
        self._rng = np.random.default_rng(_SEED)
        self._kept: list[pa.RecordBatch] = []
        self._keys: list[npt.NDArray[np.float64]] = []
        self._positions: list[npt.NDArray[np.int64]] = []
        self._limit = 1.0

    def through(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yields the batches as they come."""
        for batch in batches:
            self.labelled += int(is_known(labels.evaluate(pa.Table.from_batches([batch]), self._target)).sum())
            self.hashes.append(repeats.hashes_of([batch], self._columns))
            self._draw(batch)
            self.rows += batch.num_rows
            yield batch

    def _draw(self, batch: pa.RecordBatch) -> None:
        """Keeps the rows with the smallest of random numbers: a sample without replacement of however many come."""
        keys = self._rng.random(batch.num_rows)
        positions = self.rows + np.arange(batch.num_rows)
        below = keys < self._limit
        everything = bool(below.all())
        self._kept.append(batch if everything else batch.filter(pa.array(below)))
        self._keys.append(keys[below])
        self._positions.append(positions[below])
        if sum(map(len, self._keys)) > 1.5 * MOST_COMPARED:
            self._prune()

    def _prune(self) -> None:
        keys = np.concatenate(self._keys)
        if len(keys) > MOST_COMPARED:
            self._limit = float(np.partition(keys, MOST_COMPARED)[MOST_COMPARED])
        below = [part < self._limit for part in self._keys]
        self._kept = [batch.filter(pa.array(mask)) for batch, mask in zip(self._kept, below, strict=True)]
        self._positions = [part[mask] for part, mask in zip(self._positions, below, strict=True)]
        self._keys = [part[mask] for part, mask in zip(self._keys, below, strict=True)]

    def drawn(self) -> tuple[pa.Table, npt.NDArray[np.int64]]:
        """Returns the sample and the positions of its rows."""
        if self.rows > MOST_COMPARED:
            self._prune()
        table = pa.Table.from_batches(self._kept) if self._kept else pa.table({})
        return table, np.concatenate([np.zeros(0, np.int64), *self._positions])
