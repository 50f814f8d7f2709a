"""Turns the raw files of a span into the splits of an Examples artifact, in one streaming pass."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from columnar import split_files
from columnar.example_encoder import encode
from columnar.example_writer import DEFAULT_PREFIX, SplitWriter, each_bytes
from columnar.examples import split_paths
from columnar.threads import map_ahead
from pipeline.ingest.columns import Columns
from pipeline.ingest.reader import Format, open_span
from pipeline.ingest.reuse import Identity, Reusable, identities

# Name and number of hash buckets; TFX's default output configuration.
DEFAULT_SPLITS = {"train": 2, "eval": 1}
_DIGEST_WORDS = 8  # Of 32 bits, in a SHA-256.


@dataclass(frozen=True)
class Conversion:
    """What was written.

    Attributes:
      labelled: whether the span has labels.
      num_examples: examples by split.
      output_uri: the artifact.
      unexpected: columns of the files that the schema does not have.
    """

    labelled: bool
    num_examples: Mapping[str, int]
    output_uri: str
    unexpected: tuple[str, ...] = ()


class _Made(NamedTuple):
    """A conversion, and what its shards were when it was done."""

    conversion: Conversion
    shards: tuple[str, ...]
    identities: tuple[Identity, ...] | None


_conversions: Reusable[_Made] = Reusable(most=16)  # Windows of more spans are rare.


def write_examples(
    paths: Sequence[str],
    file_format: Format,
    columns: Columns,
    output_uri: str,
    splits: Mapping[str, int] = DEFAULT_SPLITS,
    only: Sequence[str] | None = None,
    prefix: str = DEFAULT_PREFIX,
) -> Conversion:
    """Writes the rows of `paths` as gzipped TFRecords of tf.Examples to `<output_uri>/Split-<name>/`.

    Memory does not grow with the files. An example's split depends on its content alone.

    Args:
      splits: number of hash buckets by split.
      only: the splits to write; None means all.
      prefix: how the shards' names begin.

    Raises:
      IngestError: the first fault in the files; nothing is left of what was written.
    """
    span = open_span(paths, file_format, columns)
    with ExitStack() as stack:
        writers = {
            name: stack.enter_context(SplitWriter(split_files.folder(output_uri, name), prefix))
            for name in (splits if only is None else only)
        }
        append_examples(span.batches, writers, splits)
    counts = {name: writer.num_examples for name, writer in writers.items()}
    conversion = Conversion(span.labelled, counts, output_uri, span.unexpected)
    if only is None and "://" not in output_uri:
        shards = tuple(path for name in splits for path in split_paths(output_uri, name))
        made = _Made(conversion, shards, identities(shards))
        _conversions.put(paths, (file_format, columns, tuple(splits.items())), made)
    return conversion


def converted(
    paths: Sequence[str], file_format: Format, columns: Columns, splits: Mapping[str, int] = DEFAULT_SPLITS
) -> Conversion | None:
    """Returns the conversion that this process has made of the same files, if its shards are still as it left them."""
    made = _conversions.get(paths, (file_format, columns, tuple(splits.items())))
    return made.conversion if made is not None and identities(made.shards) == made.identities else None


def append_examples(
    batches: Iterator[pa.RecordBatch], writers: Mapping[str, SplitWriter], splits: Mapping[str, int]
) -> None:
    """Encodes flat batches and appends each example to its split's writer; a split without a writer is dropped."""
    indices = {name: index for index, name in enumerate(splits)}
    hash_buckets = list(splits.values())

    def encode_and_assign(batch: pa.RecordBatch) -> tuple[pa.LargeBinaryArray, npt.NDArray[np.int64]]:
        encoded = encode(batch)
        return encoded.records, assign_splits(encoded.keys, hash_buckets)

    for records, assigned in map_ahead(encode_and_assign, batches):
        for name, writer in writers.items():
            writer.write(records.filter(pa.array(assigned == indices[name])))


def assign_splits(keys: pa.LargeBinaryArray, hash_buckets: Sequence[int]) -> npt.NDArray[np.int64]:
    """Returns each example's split as an index into `hash_buckets`.

    Source: TFX, `_PartitionFn`: SHA-256 of the serialized example, modulo the sum of the buckets.
    """
    bounds = list(accumulate(hash_buckets))
    digests = b"".join([hashlib.sha256(key).digest() for key in each_bytes(keys)])
    # A digest is one big-endian number; its remainder comes word by word, for all rows at once.
    remainder = np.zeros(len(keys), np.uint64)
    for word in np.frombuffer(digests, ">u4").reshape(-1, _DIGEST_WORDS).T:
        remainder = ((remainder << np.uint64(32)) | word.astype(np.uint64)) % np.uint64(bounds[-1])
    return np.searchsorted(bounds, remainder.astype(np.int64), side="right")
