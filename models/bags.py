"""Columns with several values in a row: lists, delimited or not, and the words of texts.

A row's values become one vector, with a place for each value that the model knows; a matrix product with a table of
embeddings then is their sum, weighted as the vector says.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

SEPARATOR = "|"
"""Between the items of a list that comes as one, such as that of a Parquet file."""
NGRAMS = (1, 2)
"""Words that are taken together, at least and at most."""
_BETWEEN_WORDS = r"[^\pL\pN]+"  # RE2: what is neither letter nor digit, of any script.


class Values(NamedTuple):
    """All values of a column.

    Attributes:
      counts: values of each row, int64 (rows,).
      values: those of the first row, of the second, ..., none of them empty.
    """

    counts: npt.NDArray[np.int64]
    values: pa.Array


def items(column: pa.Array, separator: str) -> Values:
    """Returns the values of delimited texts, without blanks around them."""
    return _split(pc.fill_null(column.cast(pa.large_string()), ""), separator)


def words(column: pa.Array) -> Values:
    """Returns the words of texts, in lower case."""
    text = pc.utf8_lower(pc.fill_null(column.cast(pa.large_string()), ""))
    return _split(pc.replace_substring_regex(text, _BETWEEN_WORDS, " "), " ")


def _split(text: pa.Array, separator: str) -> Values:
    lists = pc.split_pattern(text, separator)
    values = pc.ascii_trim_whitespace(lists.flatten())
    given = pc.not_equal(values, "")
    counts = np.bincount(pc.list_parent_indices(lists).filter(given).to_numpy(), minlength=len(text))
    return Values(counts.astype(np.int64), values.filter(given))


class Tensors(NamedTuple):
    """All values of a column as tensors; in TensorFlow as `Values` in Arrow.

    Attributes:
      rows: the row of each value, int64 (values,).
      values: (values,).
      count: rows, int64 ().
    """

    rows: Any
    values: Any
    count: Any


def item_tensors(text: Any, separator: str) -> Tensors:
    """Returns the values of delimited texts; `text` is a string tensor, (rows,), "" where missing."""
    import tensorflow as tf

    split = tf.strings.split(text, separator)
    values, rows = tf.strings.strip(split.flat_values), split.value_rowids()
    given = tf.not_equal(values, "")
    count = tf.size(text, out_type=tf.int64)
    return Tensors(tf.boolean_mask(rows, given), tf.boolean_mask(values, given), count)


def ngram_buckets(text: Any, buckets: int) -> Tensors:
    """Returns the hash buckets, int64, of the words of texts and of each two that follow each other."""
    import tensorflow as tf
    import tensorflow_transform as tft

    plain = tf.strings.regex_replace(tf.strings.lower(text, encoding="utf-8"), _BETWEEN_WORDS, " ")
    ngrams = tft.ngrams(tf.strings.split(plain).to_sparse(), NGRAMS, separator=" ")
    hashed = tf.strings.to_hash_bucket_fast(ngrams.values, buckets)
    return Tensors(ngrams.indices[:, 0], hashed, tf.size(text, out_type=tf.int64))


def spread(of: Tensors, places: Any, weights: Any, width: int) -> Any:
    """Returns the weights at their rows and places, added up: float32 (rows, width)."""
    import tensorflow as tf

    indices = tf.stack([of.rows, places], axis=1)
    matrix = tf.scatter_nd(indices, weights, tf.stack([of.count, tf.constant(width, tf.int64)]))
    return tf.ensure_shape(matrix, [None, width])


def document_frequencies(column: pa.Array, buckets: int) -> npt.NDArray[np.int64]:
    """Returns in how many of these texts each bucket of n-grams occurs, int64 (buckets,)."""
    import tensorflow as tf

    texts = pc.fill_null(column.cast(pa.large_binary()), b"").to_numpy(zero_copy_only=False)
    of = ngram_buckets(tf.constant(texts, tf.string), buckets)
    places = np.unique(of.rows.numpy() * buckets + of.values.numpy())
    return np.bincount(places % buckets, minlength=buckets).astype(np.int64)
