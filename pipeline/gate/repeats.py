"""Rows that are there twice: copies within a span, and rows that the training window has.

A row that is delivered twice is counted twice and tells nothing new, so chance is underrated: 500 taxi rows that were
doubled looked like drift in 59 of 60 draws. Rows of the training window hide a change instead, and flatter the live
model. Rows are told apart by a hash over the features and the label's columns. How many rows agree by nature, as they
do in a table of a few categories, is measured in the window: within its spans, between them, and, as there are more
equal rows among more, by rarefaction to the size of the span.

Source: Hurlbert, "The nonconcept of species diversity", Ecology 52, 1971 (the expected number of distinct rows in a
sample without replacement).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from columnar.fingerprint import Hashes, row_hashes
from pipeline.evaluation import intervals
from pipeline.gate.evidence import Finding
from pipeline.gate.policy import FindingKind, GatePolicy

MOST_KEPT = 262_144
"""Of a larger window, the hashes that begin with so many zero bits that no more remain are kept: 3 MB at most."""
LEAST_SHARE = 0.005
"""Fewer copies than this, beyond what is usual, are not worth a word."""
_USUAL_LIMIT = 0.05
"""Where more rows than this agree by nature, equal rows are no copies, and none is left out."""


@dataclass(frozen=True, kw_only=True)
class Usual:
    """How many rows of a training window agree.

    Attributes:
      bits: only hashes that begin with so many zero bits are kept; 0 for all.
      repeated: the largest share of a span's rows that repeat another row of it.
      shared: the largest share of a span's rows that another span of the window holds as well.
      multiplicities: how often a row is there, and how many distinct rows are there so often.
    """

    bits: int
    repeated: float
    shared: float
    multiplicities: tuple[tuple[int, int], ...]

    def repeated_among(self, rows: int) -> float:
        """Returns the share of rows that repeat another one among so many rows of the window, at least `repeated`."""
        total = sum(times * distinct for times, distinct in self.multiplicities)
        drawn = min(rows, total)
        if drawn == 0:
            return self.repeated
        expected = sum(distinct * (1 - _none_drawn(total, drawn, times)) for times, distinct in self.multiplicities)
        return max(self.repeated, 1 - expected / drawn)


@dataclass(frozen=True, kw_only=True)
class KnownRows:
    """The rows of a training window.

    Attributes:
      hashes: ascending, uint64 (kept,).
      spans: that each is of, int64 (kept,).
    """

    hashes: Hashes
    spans: npt.NDArray[np.int64]
    usual: Usual

    @property
    def are_delivered_twice(self) -> bool:
        """Whether rows agree within spans and not between them: what agrees by nature does so in both."""
        several = len(np.unique(self.spans)) > 1
        return several and self.usual.repeated > LEAST_SHARE and self.usual.shared <= _USUAL_LIMIT


@dataclass(frozen=True, kw_only=True)
class Copies:
    """What a span repeats.

    Attributes:
      findings: what to say of it.
      left_out: rows to judge without: copies of another row, and rows of the training window, bool (rows,).
    """

    findings: tuple[Finding, ...]
    left_out: npt.NDArray[np.bool_]


def know(tables: Mapping[int, pa.Table], columns: Sequence[str]) -> KnownRows:
    """Remembers the rows of a training window.

    Args:
      tables: span to its rows.
      columns: over which rows are compared; features and label columns.
    """
    by_span = {span: hashes_of(table.to_batches(), columns) for span, table in tables.items()}
    distinct = {span: np.unique(hashes) for span, hashes in by_span.items()}
    repeated = max(
        (1 - len(distinct[span]) / len(hashes) for span, hashes in by_span.items() if len(hashes)), default=0.0
    )
    hashes = np.concatenate([np.zeros(0, np.uint64), *distinct.values()])
    spans = np.concatenate([np.zeros(0, np.int64), *(np.full(len(part), span) for span, part in distinct.items())])
    once, times = np.unique(hashes, return_counts=True)
    in_several = once[times > 1]
    shared = max(
        (float(np.isin(rows, in_several).mean()) for rows in by_span.values() if len(rows)),
        default=0.0,
    )
    _, all_times = np.unique(np.concatenate([np.zeros(0, np.uint64), *by_span.values()]), return_counts=True)
    bits = max(0, math.ceil(math.log2(max(len(hashes), 1) / MOST_KEPT)))
    kept = _kept(hashes, bits)
    order = np.argsort(hashes[kept], kind="stable")
    return KnownRows(
        hashes=hashes[kept][order],
        spans=spans[kept][order],
        usual=Usual(
            bits=bits,
            repeated=repeated,
            shared=shared,
            multiplicities=tuple(
                (int(n), int(rows)) for n, rows in zip(*np.unique(all_times, return_counts=True), strict=True)
            ),
        ),
    )


def find(hashes: Hashes, known: KnownRows | None, spans: Sequence[int], policy: GatePolicy) -> Copies:
    """Finds what a span repeats.

    Args:
      hashes: of its rows, over the columns that `know` had.
      known: the training window's rows; None where no model is live or an older release measured it: nothing tells then
        how many rows agree by nature.
      spans: the numbers that the rows have; rows that the window holds under the same number are no copies: a span may
        come again with more of its labels.
    """
    left_out = np.zeros(len(hashes), np.bool_)
    if known is None or len(hashes) == 0:
        return Copies(findings=(), left_out=left_out)
    findings = []
    order = np.argsort(hashes, kind="stable")
    again = np.zeros(len(hashes), np.bool_)
    again[order[1:]] = hashes[order[1:]] == hashes[order[:-1]]
    usual = known.usual.repeated_among(len(hashes))
    if _is_unusual(int(again.sum()), len(hashes), usual):
        separable = usual <= _USUAL_LIMIT
        what = "copies of other rows of the span"
        findings.append(_finding("repeated_rows", what, again, usual, policy, judged=separable))
        left_out |= again & separable
    others = ~np.isin(known.spans, np.array(list(spans)))
    drawn = _kept(hashes, known.usual.bits)
    there = np.isin(hashes[drawn], known.hashes[others])
    usual = max(known.usual.shared, known.usual.repeated_among(len(hashes)))
    if _is_unusual(int(there.sum()), len(there), usual):
        complete = known.usual.bits == 0 and usual <= _USUAL_LIMIT
        held = known.spans[others][np.isin(known.hashes[others], hashes[drawn][there])]
        most = int(np.bincount(held - held.min()).argmax() + held.min())
        what = f"rows of the training window, most of span {most}"
        findings.append(_finding("known_rows", what, there, usual, policy, judged=complete))
        left_out[drawn] |= there & complete
    return Copies(findings=tuple(findings), left_out=left_out)


def _finding(
    kind: FindingKind, what: str, those: npt.NDArray[np.bool_], usual: float, policy: GatePolicy, *, judged: bool
) -> Finding:
    count, rows = int(those.sum()), len(those)
    tolerance = usual + policy.repeated_tolerance
    blocks = intervals.wilson(count, rows).low > tolerance
    then = "; judged without them" if judged and not blocks else ""
    limit = f" (more than repeated_tolerance {policy.repeated_tolerance:g} allows)" if blocks else ""
    text = f"{count:,} of {rows:,} rows ({count / rows:.1%}) are {what}; {usual:.1%} are usual{limit}{then}"
    return Finding(
        feature=None,
        kind=kind,
        severity="block" if blocks else "warn",
        text=text,
        share=count / rows,
        tolerance=tolerance,
    )


def _is_unusual(count: int, rows: int, usual: float) -> bool:
    return count > 1 and intervals.wilson(count, rows).low > usual + LEAST_SHARE


def hashes_of(batches: Iterable[pa.RecordBatch], columns: Sequence[str]) -> Hashes:
    """Returns the hash of each row over these columns, uint64 (rows,)."""
    parts = [row_hashes(batch.select([name for name in columns if name in batch.schema.names]), 0) for batch in batches]
    return np.concatenate([np.zeros(0, np.uint64), *parts])


def distinct(table: pa.Table, columns: Sequence[str]) -> pa.Table:
    """Returns the first of each row that agrees over these columns, in order."""
    _, first = np.unique(hashes_of(table.to_batches(), columns), return_index=True)
    return table.take(pa.array(np.sort(first)))


def groups(table: pa.Table, columns: Sequence[str]) -> npt.NDArray[np.int64]:
    """Returns which rows agree over these columns, as groups, int64 (rows,), from 0."""
    return np.unique(hashes_of(table.to_batches(), columns), return_inverse=True)[1].astype(np.int64)


def _kept(hashes: Hashes, bits: int) -> npt.NDArray[np.bool_]:
    return hashes < np.uint64(1 << (64 - bits)) if bits else np.ones(len(hashes), np.bool_)


def _none_drawn(total: int, drawn: int, times: int) -> float:
    """Returns the chance that a row that is there so many times is not among those drawn without replacement."""
    if drawn > total - times:
        return 0.0
    rest = total - times
    logs = (
        math.lgamma(rest + 1) - math.lgamma(rest - drawn + 1) - math.lgamma(total + 1) + math.lgamma(total - drawn + 1)
    )
    return math.exp(logs)
