"""Turns the raw files of a span into the splits of an Examples artifact, in one streaming pass."""

import bisect
import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from models.threads import map_ahead
from pipeline.engine.example_encoder import encode
from pipeline.engine.example_writer import DEFAULT_PREFIX, SplitWriter, each_bytes
from pipeline.ingest.columns import Columns
from pipeline.ingest.reader import Format, open_span

# Name and number of hash buckets; TFX's default output configuration.
DEFAULT_SPLITS = {"train": 2, "eval": 1}


@dataclass(frozen=True)
class Conversion:
    """What was written.

    Attributes:
      labelled: whether the span has labels.
      num_examples: examples by split.
    """

    labelled: bool
    num_examples: Mapping[str, int]


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
            name: stack.enter_context(SplitWriter(os.path.join(output_uri, f"Split-{name}"), prefix))
            for name in (splits if only is None else only)
        }
        append_examples(span.batches, writers, splits)
    return Conversion(span.labelled, {name: writer.num_examples for name, writer in writers.items()})


def append_examples(
    batches: Iterator[pa.RecordBatch], writers: Mapping[str, SplitWriter], splits: Mapping[str, int]
) -> None:
    """Encodes flat batches and appends each example to its split's writer; a split without a writer is dropped."""
    indices = {name: index for index, name in enumerate(splits)}
    for encoded in map_ahead(encode, batches):
        assigned = assign_splits(encoded.keys, list(splits.values()))
        for name, writer in writers.items():
            writer.write(encoded.records.filter(pa.array(assigned == indices[name])))


def assign_splits(keys: pa.LargeBinaryArray, hash_buckets: Sequence[int]) -> npt.NDArray[np.int64]:
    """Returns each example's split as an index into `hash_buckets`.

    Source: TFX, `_PartitionFn`: SHA-256 of the serialized example, modulo the sum of the buckets.
    """
    bounds = list(accumulate(hash_buckets))
    split_of_bucket = [bisect.bisect(bounds, bucket) for bucket in range(bounds[-1])]
    total = bounds[-1]
    return np.fromiter(
        (split_of_bucket[int.from_bytes(hashlib.sha256(key).digest(), "big") % total] for key in each_bytes(keys)),
        np.int64,
        len(keys),
    )
