"""Streams Avro files. Avro is stored by row, so this is the slow format."""

import struct
from collections.abc import Iterator
from itertools import islice
from typing import Any

import fastavro
import pyarrow as pa

from columnar.tfrecords import open_binary
from pipeline.ingest.columns import Columns, check_columns, check_labels, conform
from pipeline.ingest.errors import ColumnsError, UnreadableError

# What fastavro raises on a damaged file, according to where the damage is.
_DAMAGE = (ValueError, EOFError, IndexError, KeyError, struct.error, OSError)
_TYPES = {
    "boolean": pa.bool_(),
    "int": pa.int64(),
    "long": pa.int64(),
    "float": pa.float64(),
    "double": pa.float64(),
    "string": pa.large_string(),
    "enum": pa.large_string(),
    "bytes": pa.large_binary(),
    "null": pa.null(),
}


def read_header(path: str) -> pa.Schema:
    """Returns the file's columns and types.

    Raises:
      UnreadableError: not an Avro file.
      ColumnsError: a field that is no plain number or text, such as a record, an array or a date.
    """
    with open_binary(path) as file:
        try:
            schema = fastavro.reader(file).writer_schema
        except _DAMAGE as error:
            raise UnreadableError(f"not a whole Avro file: {error}.", path=path) from error
    if not isinstance(schema, dict) or schema.get("type") != "record":
        raise UnreadableError("expected Avro records with one field per column.", path=path)
    return pa.schema([pa.field(field["name"], _arrow_type(field, path)) for field in schema["fields"]])


def read_avro(path: str, columns: Columns, batch_size: int) -> Iterator[pa.RecordBatch]:
    """Yields the file's rows as flat batches. Null is a missing value; NaN and the empty string are values.

    Raises:
      IngestError: the first fault, with its record and column.
    """
    header = read_header(path)
    labelled = check_columns(header.names, columns, path)
    for first_record, batch in _conformed(path, header, columns, batch_size):
        if labelled:
            check_labels(batch, columns, path, first_record)
        yield batch


def _conformed(path: str, header: pa.Schema, columns: Columns, batch_size: int) -> Iterator[tuple[int, pa.RecordBatch]]:
    first_record = 1
    known = pa.schema([field for field in header if field.name in columns.flat.names])
    with open_binary(path) as file:
        try:
            records = fastavro.reader(file)
            while rows := list(islice(records, batch_size)):
                arrays = [pa.array([row[field.name] for row in rows], field.type) for field in known]
                batch = pa.RecordBatch.from_arrays(arrays, schema=known)
                yield first_record, conform(batch, columns, path, first_record)
                first_record += len(rows)
        except _DAMAGE as error:
            what = f"damaged after record {first_record - 1}: {error}. Write the file again."
            raise UnreadableError(what, path=path) from error


def _arrow_type(field: dict[str, Any], path: str) -> pa.DataType:  # Any: parsed JSON.
    avro_type = field["type"]
    members = avro_type if isinstance(avro_type, list) else [avro_type]
    values = [member for member in members if member != "null"]
    value = values[0] if len(values) == 1 else values or "null"
    if isinstance(value, dict) and "logicalType" not in value:
        value = value["type"]
    if not isinstance(value, str) or value not in _TYPES:
        raise ColumnsError(
            f"expected a plain number or text, or a union of one with null. Received: {avro_type}.",
            path=path,
            column=field["name"],
        )
    return _TYPES[value]
