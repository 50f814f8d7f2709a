"""Reads Examples artifacts: the one place where tf.Examples on disk become flat Arrow batches.

A flat batch has one value per row and column: INT int64, FLOAT float64, BYTES large_string; null is a missing value
(an absent feature, a feature of no kind, or an empty list). NaN stays NaN.
"""

import glob
import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx_bsl.coders.example_coder import ExamplesToRecordBatchDecoder

from columnar import split_files, tfrecords, uniform_examples
from columnar.errors import ExamplesError
from columnar.threads import map_ahead, read_ahead

BATCH_SIZE = 16_384

_FLAT_TYPES = {
    schema_pb2.INT: pa.int64(),
    schema_pb2.FLOAT: pa.float64(),
    schema_pb2.BYTES: pa.large_string(),
}


def split_paths(uri: str, split: str) -> list[str]:
    """Returns the shards of one split of an Examples artifact, in order.

    Raises:
      ExamplesError: the artifact has no such split, or it has no shard.
    """
    folder = split_files.folder(uri, split)
    paths = matching(folder, split_files.SHARDS)
    if not paths:
        there = [
            os.path.basename(name).removeprefix(split_files.PREFIX) for name in matching(uri, f"{split_files.PREFIX}*")
        ]
        raise ExamplesError(f"No examples in {folder}. Splits of this artifact: {', '.join(there) or 'none'}.")
    return paths


def flat_schema(schema: schema_pb2.Schema, columns: Sequence[str] | None = None) -> pa.Schema:
    """Returns the Arrow types of flat batches: the schema's features in its order, or `columns` in theirs.

    Raises:
      ExamplesError: a column that the schema does not have, or a type that no flat column can hold.
    """
    features = {feature.name: feature for feature in schema.feature}
    fields = []
    for name in columns if columns is not None else features:
        if name not in features:
            raise ExamplesError(f"The schema has no column {name!r}. It has: {', '.join(features)}.")
        flat_type = _FLAT_TYPES.get(features[name].type)
        if flat_type is None:
            kind = schema_pb2.FeatureType.Name(features[name].type)
            raise ExamplesError(f"Column {name!r} has type {kind}. Expected INT, FLOAT or BYTES; structs are not flat.")
        fields.append(pa.field(name, flat_type))
    return pa.schema(fields)


def iter_batches(
    paths: Sequence[str],
    schema: schema_pb2.Schema,
    *,
    batch_size: int = BATCH_SIZE,
    columns: Sequence[str] | None = None,
) -> Iterator[pa.RecordBatch]:
    """Yields flat batches of the examples in `paths`, in order, at most `batch_size` rows each; never an empty one.

    Args:
      columns: decode only these, in this order; None means the schema's.

    Raises:
      ExamplesError: a shard is damaged, or holds a list, a type or bytes that the schema does not allow.
    """
    target = flat_schema(schema, columns)
    serialized = _subset(schema, target.names).SerializeToString()
    for path, batch in _iter_decoded(paths, serialized, batch_size, target):
        yield flatten(batch, target, path)


def iter_list_batches(paths: Sequence[str], *, batch_size: int = BATCH_SIZE) -> Iterator[pa.RecordBatch]:
    """Yields the examples as TFX's own readers do: lists, with types taken from the data and not from a schema."""
    for _, batch in _iter_decoded(paths, None, batch_size, None):
        yield as_lists(batch)


def read_table(paths: Sequence[str], schema: schema_pb2.Schema, columns: Sequence[str] | None = None) -> pa.Table:
    """Reads all of `paths` into memory. Raises as iter_batches."""
    return pa.Table.from_batches(iter_batches(paths, schema, columns=columns), flat_schema(schema, columns))


def read_splits(uris: Sequence[str], splits: Sequence[str], schema: schema_pb2.Schema) -> pa.Table:
    """Reads these splits of Examples artifacts into memory; a split without rows has no shard and adds none.

    Raises as iter_batches.
    """
    rows = SplitRows(tuple(uris), tuple(splits), schema)
    return pa.Table.from_batches(rows.to_batches(), flat_schema(schema))


@dataclass(frozen=True)
class SplitRows:
    """The rows of these splits of Examples artifacts, read batch by batch when they are asked for."""

    uris: tuple[str, ...]
    splits: tuple[str, ...]
    schema: schema_pb2.Schema

    def to_batches(self) -> Iterator[pa.RecordBatch]:
        """Reads them; a split without rows has no shard and adds none. Raises as iter_batches."""
        folders = [split_files.folder(uri, split) for uri in self.uris for split in self.splits]
        paths = [path for folder in folders for path in matching(folder, split_files.SHARDS)]
        return iter_batches(paths, self.schema)


def flatten(batch: pa.RecordBatch, target: pa.Schema, where: str) -> pa.RecordBatch:
    """Gives a batch the target's columns: lists become flat; a column that the batch lacks is missing throughout.

    Raises:
      ExamplesError: a row has more than one value, or bytes that are not UTF-8; `where` names the source.
    """
    present = set(batch.schema.names)
    columns = [
        _flat_column(batch.column(field.name), field, where)
        if field.name in present
        else pa.nulls(batch.num_rows, field.type)
        for field in target
    ]
    return pa.RecordBatch.from_arrays(columns, schema=target)


def _flat_column(lists: pa.Array, field: pa.Field, where: str) -> pa.Array:
    if pa.types.is_null(lists.type):
        return pa.nulls(len(lists), field.type)
    if not _is_list(lists.type):
        return _cast(lists, field, where)
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
    if len(lengths) and lengths.max() > 1:
        row = int(np.argmax(lengths > 1))
        raise ExamplesError(
            f"{where}: column {field.name!r} has {lengths[row]} values in one example. Expected at most one: "
            f"{lists[row].as_py()[:5]}. Write one column per value."
        )
    values = lists.flatten()
    if len(values) != len(lists):
        filled = lengths == 1
        values = values.take(pa.array(np.cumsum(filled) - 1, mask=~filled))
    return _cast(values, field, where)


def _cast(values: pa.Array, field: pa.Field, where: str) -> pa.Array:
    try:
        return values.cast(field.type)
    except pa.ArrowInvalid as error:
        raise ExamplesError(f"{where}: column {field.name!r} is not {field.type}: {error}.") from error


def as_lists(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Turns flat columns into lists of one value or, for null, none. Floats become float32, as in a tf.Example."""
    if all(_is_list(column.type) or pa.types.is_null(column.type) for column in batch.schema):
        return batch
    columns = [_as_list(batch.column(index)) for index in range(batch.num_columns)]
    return pa.RecordBatch.from_arrays(columns, batch.schema.names)


def _as_list(column: pa.Array) -> pa.Array:
    if _is_list(column.type):
        return column
    if column.null_count == len(column):
        return pa.nulls(len(column))
    if pa.types.is_floating(column.type):
        column = column.cast(pa.float32(), safe=False)
    elif not pa.types.is_integer(column.type):
        column = column.cast(pa.large_binary())
    missing = column.is_null().to_numpy(zero_copy_only=False)
    offsets = np.zeros(len(column) + 1, np.int64)
    np.cumsum(~missing, out=offsets[1:])
    mask = pa.array(missing) if column.null_count else None
    return pa.LargeListArray.from_arrays(pa.array(offsets), column.drop_null(), mask=mask)


def _is_list(arrow_type: pa.DataType) -> bool:
    return bool(pa.types.is_list(arrow_type) or pa.types.is_large_list(arrow_type))


def _iter_decoded(
    paths: Sequence[str], serialized_schema: bytes | None, batch_size: int, target: pa.Schema | None
) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Yields each batch with its shard: flat columns where all examples have one form, lists otherwise."""
    # A decoder works outside the interpreter's lock but holds state: one per thread.
    local = threading.local()

    def decode(piece: tuple[str, list[bytes]]) -> tuple[str, pa.RecordBatch]:
        path, records = piece
        flat = uniform_examples.decode(records, None if target is None else target.names)
        if flat is not None and (target is None or _is_natural(flat.schema, target)):
            return path, flat
        if not hasattr(local, "decoder"):
            local.decoder = ExamplesToRecordBatchDecoder(serialized_schema)
        try:
            return path, local.decoder.DecodeBatch(records)
        except (RuntimeError, ValueError) as error:  # What tfx_bsl makes of a C++ status.
            raise ExamplesError(f"{path}: not the tf.Examples that the schema describes: {error}.") from error

    pieces = ((path, records) for path in paths for records in tfrecords.iter_record_batches(path, batch_size))
    # Decompression on one thread, decoding on two others: none waits for whoever consumes the batches.
    return map_ahead(decode, read_ahead(pieces))


def _is_natural(found: pa.Schema, target: pa.Schema) -> bool:
    """Returns whether the columns have the schema's types; the general decoder says well what is wrong where not."""
    natural = {pa.int64(): pa.int64(), pa.float32(): pa.float64(), pa.large_binary(): pa.large_string()}
    return all(pa.types.is_null(field.type) or natural[field.type] == target.field(field.name).type for field in found)


def _subset(schema: schema_pb2.Schema, names: Sequence[str]) -> schema_pb2.Schema:
    features = {feature.name: feature for feature in schema.feature}
    return schema_pb2.Schema(feature=[schema_pb2.Feature(name=name, type=features[name].type) for name in names])


def matching(folder: str, name: str) -> list[str]:
    """Returns the paths in a folder whose names match the glob `name`, sorted; the folder's own name is no glob."""
    if "://" not in folder:
        return sorted(glob.glob(os.path.join(glob.escape(folder), name)))
    import tensorflow as tf

    return sorted(tf.io.gfile.glob(os.path.join(folder, name)))
