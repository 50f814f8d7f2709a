"""Infers a schema from files that have none yet, so that a person can curate it: names and types, nothing more."""

from collections.abc import Sequence
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc
from tensorflow_metadata.proto.v0 import schema_pb2

from pipeline.ingest import avro_reader, csv_reader, parquet_reader, tfrecord_reader
from pipeline.ingest.columns import Columns, check_columns, kind_of
from pipeline.ingest.csv_format import CsvFormat, other_separator, separator_words
from pipeline.ingest.errors import ColumnsError
from pipeline.ingest.reader import Format

_TYPES = {"int64": schema_pb2.INT, "double": schema_pb2.FLOAT, "large_string": schema_pb2.BYTES}
# A value may be read as any type to the right of its own, as in TFX's CsvExampleGen.
_WIDENING = ("null", "int64", "double", "large_string")


def infer_schema(paths: Sequence[str], file_format: Format) -> schema_pb2.Schema:
    """Returns columns and types of the files. CSV is read through once; the other formats declare their types.

    Raises:
      IngestError: a file cannot be read, or has a column that is no plain number or text.
    """
    kinds: dict[str, str] = {}
    for path in paths:
        for name, kind in (_kinds_in(path, file_format)).items():
            kinds[name] = max(kinds.get(name, "null"), kind, key=_WIDENING.index)
    # A column without any value has no type; text is what the fewest later values contradict.
    types = {name: _TYPES[kind if kind != "null" else "large_string"] for name, kind in kinds.items()}
    return schema_pb2.Schema(feature=[schema_pb2.Feature(name=name, type=kind) for name, kind in types.items()])


def _kinds_in(path: str, file_format: Format) -> dict[str, str]:
    return _kinds_of_csv(path, file_format) if isinstance(file_format, CsvFormat) else _declared(path, file_format)


def _kinds_of_csv(path: str, given: CsvFormat) -> dict[str, str]:
    header = csv_reader.read_header(path, given)
    if (separator := other_separator(header, (), given)) is not None:
        raise ColumnsError(separator_words(separator, given), path=path, line=1)
    text = Columns(pa.schema([(name, pa.large_string()) for name in dict.fromkeys(header)]), required=frozenset(header))
    check_columns(header, text, path, line=1)
    kinds = dict.fromkeys(header, "null")
    for batch in csv_reader.read_csv(path, text, given):
        for name in header:
            kinds[name] = _kind(_plain(batch.column(name), name, given), kinds[name])
    return kinds


def _kind(values: pa.Array, known: str) -> str:
    """Returns the narrowest kind, not narrower than `known`, that holds every value."""
    if values.null_count == len(values):
        return known
    for kind, arrow_type in (("int64", pa.int64()), ("double", pa.float64())):
        if _WIDENING.index(known) <= _WIDENING.index(kind):
            try:
                values.cast(arrow_type)
            except pa.ArrowInvalid:
                continue
            # 2**63 parses as a float, but is an identifier that a float would blur; stock TFX reads it as text too.
            long_integers = pc.match_substring_regex(values, r"^\s*-?[0-9]{19,}\s*$")
            return "large_string" if kind == "double" and pc.any(long_integers).as_py() else kind
    return "large_string"


def _plain(cells: pa.Array, name: str, given: CsvFormat) -> pa.Array:
    """Returns the texts as a numeric column would be read, where all of them are numbers so; else as they are."""
    return cells if name in given.dates else given.plain(cells, name, pa.int64())


def _declared(path: str, file_format: Literal["parquet", "avro", "tfrecord"]) -> dict[str, str]:
    readers = {
        "parquet": parquet_reader.read_header,
        "avro": avro_reader.read_header,
        "tfrecord": tfrecord_reader.read_header,
    }
    kinds = {}
    for column in readers[file_format](path):
        list_type = pa.types.is_list(column.type) or pa.types.is_large_list(column.type)
        natural = kind_of(column.type.value_type if list_type and file_format == "tfrecord" else column.type)
        if natural is None:
            what = f"expected a plain number or text. Received: {column.type}."
            raise ColumnsError(what, path=path, column=column.name)
        kinds[column.name] = "null" if pa.types.is_null(column.type) else str(natural)
    return kinds
