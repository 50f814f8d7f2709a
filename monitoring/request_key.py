"""The key that joins a request with the label that comes later: a hash of feature values.

A predict request cannot carry an identifier: TensorFlow Serving answers 400 to an input that the signature does not
have. So the key consists of features, by default of all of them. See docs/decisions/0700-request-key.md.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from columnar.fingerprint import row_hashes
from columnar.numbers import as_float32
from models.features import FeatureSpec


def key_columns(declared: Sequence[str], features: FeatureSpec) -> tuple[str, ...]:
    """Returns the columns that the key is made of: the declared ones, or every feature."""
    return tuple(declared) or features.names


def keys(table: pa.Table, columns: Sequence[str], features: FeatureSpec) -> npt.NDArray[np.int64]:
    """Returns the key of each row, int64 (rows,).

    Values are taken as the model's inputs hold them, so that a request and a row of a span agree: numbers as float32
    (also whole ones), categories and identifiers as they are, missing where a client would send the default.
    """
    numbers = {column.name for column in features.inputs if column.is_number}
    served = {}
    for name in columns:
        column = table.column(name)
        if name not in numbers:
            served[name] = column.combine_chunks()
        else:
            values = as_float32(column)
            served[name] = pa.array(values, mask=np.isnan(values))
    chunks = pa.table(served).combine_chunks().to_batches()
    hashes = [row_hashes(batch, 0) for batch in chunks]
    return np.concatenate([np.zeros(0, np.uint64), *hashes]).view(np.int64)
