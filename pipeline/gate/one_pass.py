"""One pass over a span's rows: what is counted of all of them, and a sample for what is compared.

However large a span is, no column of it is held as a whole: quality, labels, the fingerprint and the rows' hashes are
counted batch by batch, and distributions, relations and the model's performance are compared on at most 150,000 rows,
drawn at random. There, chance is far below every limit of what matters.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from tensorflow_metadata.proto.v0 import schema_pb2

from columnar.fingerprint import Fingerprint, Hashes
from columnar.sampling import Sampler
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
    passing = _Passing(settings.features.target)
    for number in sorted(waiting):
        for batch in waiting[number].to_batches():
            passing.add(batch, repeats.hashes_of([batch], settings.features.columns))
    counted = quality.Counting(schema, settings.features, settings.policy, known)
    content = Fingerprint()
    for batch in counted.through(rows.to_batches()):
        passing.add(batch, content.add(batch, settings.features.columns))
    kept, positions = passing.sampler.drawn()
    return SpanRows(
        rows=passing.sampler.rows,
        labelled=passing.labelled,
        fingerprint=content.digest,
        quality=counted.result,
        hashes=np.concatenate([np.zeros(0, np.uint64), *passing.hashes]),
        sample=pa.Table.from_batches(kept) if kept else pa.table({}),
        positions=positions,
    )


class _Passing:
    """Keeps the hashes of batches that pass, and a sample of their rows."""

    def __init__(self, target: Target) -> None:
        self.labelled = 0
        self.hashes: list[Hashes] = []
        self.sampler = Sampler(MOST_COMPARED, seed=_SEED)
        self._target = target

    def add(self, batch: pa.RecordBatch, hashes: Hashes) -> None:
        self.labelled += int(is_known(labels.evaluate(pa.Table.from_batches([batch]), self._target)).sum())
        self.hashes.append(hashes)
        self.sampler.add(batch)
