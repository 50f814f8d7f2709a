"""Some rows of a stream, drawn at random while it passes by."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa


def sample(batches: Iterable[pa.RecordBatch], schema: pa.Schema, most: int, *, seed: int = 0) -> pa.Table:
    """Returns at most so many rows, in order, each set of that many as likely as any other; all where there are fewer.

    Every row draws a number, and those with the smallest numbers stay. At most twice as many are held at a time.

    Source: Vitter, "Random sampling with a reservoir", ACM Transactions on Mathematical Software 11, 1985.
    """
    rng = np.random.default_rng(seed)
    kept, drawn, limit = [pa.Table.from_batches([], schema)], [np.empty(0)], 1.0
    for batch in batches:
        numbers = rng.random(batch.num_rows)
        stays = numbers < limit
        kept.append(pa.Table.from_batches([batch], schema).filter(pa.array(stays)))
        drawn.append(numbers[stays])
        if sum(len(part) for part in drawn) > 2 * most:
            kept, drawn, limit = _smallest(kept, drawn, most)
    return _smallest(kept, drawn, most)[0][0]


def _smallest(
    kept: list[pa.Table], drawn: list[np.ndarray], most: int
) -> tuple[list[pa.Table], list[np.ndarray], float]:
    table, numbers = pa.concat_tables(kept).combine_chunks(), np.concatenate(drawn)
    if len(numbers) <= most:
        return [table], [numbers], 1.0
    limit = float(np.partition(numbers, most)[most])
    stays = numbers < limit
    return [table.filter(pa.array(stays))], [numbers[stays]], limit
