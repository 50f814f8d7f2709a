"""Groups rows by the values of columns, all at once: what slices are made from."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Column: TypeAlias = pa.Array | pa.ChunkedArray


def groups(columns: Sequence[Column]) -> Iterator[tuple[tuple[object, ...], npt.NDArray[np.int64]]]:
    """Yields each combination of values that occurs, with its rows, ascending; a row with null or NaN is in none.

    Args:
      columns: one or more, of equal length.
    """
    combined = np.zeros(len(columns[0]), np.int64)
    known = np.ones(len(columns[0]), np.bool_)
    distinct: list[list[object]] = []
    for column in columns:
        flat = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
        encoded = flat.dictionary_encode()
        values = encoded.dictionary.to_pylist()
        nothing = [index for index, value in enumerate(values) if value != value]
        codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
        known &= (codes >= 0) & ~np.isin(codes, nothing)
        combined = combined * max(len(values), 1) + codes
        distinct.append(values)
    rows = np.flatnonzero(known)
    rows = rows[np.argsort(combined[rows], kind="stable")]
    starts = np.flatnonzero(np.diff(combined[rows], prepend=-1))
    for start, end in itertools.pairwise([*starts.tolist(), len(rows)]):
        rest, key = int(combined[rows[start]]), []
        for values in reversed(distinct):
            rest, index = divmod(rest, len(values))
            key.append(values[index])
        yield tuple(reversed(key)), rows[start:end]
