"""Arrow types of sources as a span's Parquet file holds them: plain numbers, moments, texts and lists of them."""

import json
import uuid
from collections.abc import Mapping
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.errors import ConfigError

SchemaType = Literal["INT", "FLOAT", "BYTES"]
_OF_SCHEMA = {"INT": pa.int64(), "FLOAT": pa.float64(), "BYTES": pa.string()}


def file_schema(first: pa.RecordBatch, wanted: Mapping[str, SchemaType], where: str) -> pa.Schema:
    """Returns the columns and types of a span's file.

    Args:
      first: the source's first rows. A column that has no value in them has the type that the dataset's schema wants:
        some sources, SQLite for one, guess a type and know nothing of it.
      wanted: types of the dataset's schema by column; empty where there is none yet.

    Raises:
      ConfigError: two columns have one name.
    """
    names = first.schema.names
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ConfigError(f"{where}: the column {twice!r} is there {names.count(twice)} times. Give each its own name.")
    fields = []
    for name, array in zip(names, first.columns, strict=True):
        empty = array.null_count == len(array) and name in wanted
        fields.append(pa.field(name, _OF_SCHEMA[wanted[name]] if empty else plain_type(array.type)))
    return pa.schema(fields)


def plain_type(kind: pa.DataType) -> pa.DataType:
    """Returns the type in which a span's file holds values of `kind`.

    Exact decimals (NUMERIC) become float64, as everything in a tf.Example does in the end. Moments are microseconds,
    those with a zone in UTC. What is neither number, moment, text nor a list of them becomes text.
    """
    if pa.types.is_dictionary(kind):
        return plain_type(kind.value_type)
    if pa.types.is_decimal(kind) or _is_numeric(kind) or pa.types.is_float16(kind):
        return pa.float64()
    if pa.types.is_date(kind):
        return pa.date32()
    if pa.types.is_timestamp(kind):
        return pa.timestamp("us", None if kind.tz is None else "UTC")
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return pa.string() if pa.types.is_nested(kind.value_type) else pa.list_(plain_type(kind.value_type))
    kept = (
        pa.types.is_null, pa.types.is_boolean, pa.types.is_integer, pa.types.is_floating,
        pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary,
    )  # fmt: skip
    return kind if any(is_kind(kind) for is_kind in kept) else pa.string()


def plain(batch: pa.RecordBatch, schema: pa.Schema, where: str) -> pa.RecordBatch:
    """Returns the batch as `schema` of `file_schema` has it.

    Raises:
      ConfigError: later rows have another type than the first had.
    """
    arrays = []
    for field, array in zip(schema, batch.columns, strict=True):
        values = _converted(array)
        try:
            arrays.append(values if values.type == field.type else values.cast(field.type))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise ConfigError(
                f"{where}: the column {field.name!r} is {values.type} here, and {field.type} in the rows before or in "
                "the schema. Give it one type, in a query by CAST(... AS ...)."
            ) from error
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def comparable(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Returns a plain batch in types that `columnar.fingerprint` hashes: moments as integers, lists as text."""
    arrays = []
    for array in batch.columns:
        kind = array.type
        if pa.types.is_date32(kind):
            array = array.cast(pa.int32())
        elif pa.types.is_timestamp(kind):
            array = array.cast(pa.int64())
        elif pa.types.is_nested(kind):
            array = _as_text(array)
        arrays.append(array)
    return pa.RecordBatch.from_arrays(arrays, names=batch.schema.names)


def _converted(array: pa.Array) -> pa.Array:
    kind, target = array.type, plain_type(array.type)
    if kind == target:
        return array
    if pa.types.is_dictionary(kind):
        return _converted(array.dictionary_decode())
    if _is_numeric(kind):
        return pc.cast(array.storage, pa.float64())
    if isinstance(kind, pa.BaseExtensionType):
        if kind.extension_name == "arrow.uuid":
            given = array.storage.to_pylist()
            return pa.array([None if value is None else str(uuid.UUID(bytes=value)) for value in given], pa.string())
        return _converted(array.storage)
    if pa.types.is_fixed_size_binary(kind) or pa.types.is_nested(kind) or pa.types.is_interval(kind):
        return array.cast(target) if pa.types.is_list(target) else _as_text(array)
    return array.cast(target, safe=not pa.types.is_timestamp(kind))


def _is_numeric(kind: pa.DataType) -> bool:
    """Returns whether this is PostgreSQL's NUMERIC, which ADBC hands over as text of a type of its own."""
    return isinstance(kind, pa.OpaqueType) and kind.type_name == "numeric"


def _as_text(array: pa.Array) -> pa.Array:
    return pa.array([None if value is None else _text(value) for value in array.to_pylist()], pa.string())


def _text(value: Any) -> str:  # Any: Python's counterpart of any Arrow type.
    if isinstance(value, bytes):
        return value.hex()
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
