"""A hash of a span's content that does not depend on the order of its rows, nor on how it was read."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Hashes = npt.NDArray[np.uint64]

_LANES = (0, 1)
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def fingerprint(batches: Iterable[pa.RecordBatch]) -> str:
    """Returns the digest of a `Fingerprint` of these rows."""
    content = Fingerprint()
    for batch in batches:
        content.add(batch)
    return content.digest


class Fingerprint:
    """A hash of rows that are added batch by batch, equal for equal multisets of rows.

    Two 64-bit hashes per row, over its cells and their columns' names, each summed modulo 2^64 together with its
    square: vectorised, in one pass, and exchanging cells between rows changes the sum. Missing cells count for
    nothing, so a column that is absent and one without a value are the same. Not meant to withstand an attacker.
    """

    def __init__(self) -> None:
        self._rows = 0
        self._sums = np.zeros(2 * len(_LANES), np.uint64)

    def add(self, batch: pa.RecordBatch, columns: Collection[str] = ()) -> Hashes:
        """Adds rows; returns what `row_hashes` gives of these columns of theirs in lane 0, which is then free."""
        of_columns = np.zeros(batch.num_rows, np.uint64)
        self._rows += batch.num_rows
        for lane, hashes in enumerate(_hashes_of_rows(batch, _LANES, columns, of_columns)):
            with np.errstate(over="ignore"):
                self._sums[2 * lane] += hashes.sum(dtype=np.uint64)
                self._sums[2 * lane + 1] += (hashes * hashes).sum(dtype=np.uint64)
        return _mix(of_columns)

    @property
    def digest(self) -> str:
        """32 hexadecimal digits."""
        content = self._rows.to_bytes(8, "little") + self._sums.astype("<u8").tobytes()
        return hashlib.sha256(content).hexdigest()[:32]


def row_hashes(batch: pa.RecordBatch, lane: int) -> Hashes:
    """Returns a 64-bit hash of each row, uint64 (rows,), over its cells and their columns' names.

    Args:
      lane: 0 or 1, for two independent hashes.
    """
    return _hashes_of_rows(batch, (lane,))[0]


def _hashes_of_rows(
    batch: pa.RecordBatch, lanes: Sequence[int], columns: Collection[str] = (), of_columns: Hashes | None = None
) -> list[Hashes]:
    """Returns the hash of each row in each lane; adds up in `of_columns` what these columns have in the first lane."""
    totals = [np.zeros(batch.num_rows, np.uint64) for _ in lanes]
    for name in sorted(batch.schema.names):
        column = batch.column(name)
        if column.null_count == len(column):
            continue
        missing = pc.is_null(column).to_numpy(zero_copy_only=False)
        for lane, total, cells in zip(lanes, totals, _hashes_of_cells(column, lanes), strict=True):
            salt = _hash_bytes([name.encode()], lane)[0] | np.uint64(1)
            with np.errstate(over="ignore"):
                mixed = np.where(missing, np.uint64(0), _mix(cells * salt + salt))
                total += mixed
                if of_columns is not None and lane == lanes[0] and name in columns:
                    of_columns += mixed
    return [_mix(total) for total in totals]


def _hashes_of_cells(column: pa.Array, lanes: Sequence[int]) -> list[Hashes]:
    """Returns the hash of each cell in each lane; those of numbers are the same in every one."""
    if pa.types.is_floating(column.type):
        # As a tf.Example holds it: float32. Adding 0 makes -0.0 into 0.0; all NaNs become one.
        values = pc.fill_null(column.cast(pa.float64()), 0.0).to_numpy(zero_copy_only=False)
        with np.errstate(over="ignore"):
            values = values.astype(np.float32) + np.float32(0)
        values[np.isnan(values)] = np.nan
        return [np.asarray(values.view(np.uint32), np.uint64)] * len(lanes)
    if pa.types.is_integer(column.type) or pa.types.is_boolean(column.type):
        whole = pc.fill_null(column.cast(pa.int64()), 0).to_numpy(zero_copy_only=False)
        return [np.asarray(whole).view(np.uint64)] * len(lanes)
    encoded = column.cast(pa.large_binary()).dictionary_encode()
    distinct = encoded.dictionary.to_pylist()
    indices = pc.fill_null(encoded.indices, 0).to_numpy(zero_copy_only=False)
    return [_hash_bytes(distinct, lane)[indices] for lane in lanes]


def _hash_bytes(values: Sequence[bytes], lane: int) -> Hashes:
    """Returns BLAKE2b's first 64 bits of each value."""
    salt, blake2b = bytes([lane]), hashlib.blake2b
    # The loop is what a column of long texts costs: nothing but the hash is in it.
    digests = b"".join([blake2b(value, digest_size=8, salt=salt).digest() for value in values])
    return np.frombuffer(digests, "<u8").astype(np.uint64)


def _mix(values: Hashes) -> Hashes:
    """SplitMix64's finalizer. Source: Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014."""
    with np.errstate(over="ignore"):
        values = values + _GOLDEN
        values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return values ^ (values >> np.uint64(31))
