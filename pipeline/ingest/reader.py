"""Opens a span: one place for every format, with streaming flat batches behind it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from columnar.examples import BATCH_SIZE
from pipeline.ingest import avro_reader, csv_reader, parquet_reader, tfrecord_reader
from pipeline.ingest.columns import Columns, check_columns, unexpected
from pipeline.ingest.csv_format import CsvFormat
from pipeline.ingest.errors import ColumnsError, UnreadableError

Format = CsvFormat | Literal["parquet", "avro", "tfrecord"]
"""How files are written: CSV in one of its ways, or a format that says everything itself."""


@dataclass(frozen=True)
class IngestResult:
    """An opened span.

    Attributes:
      unexpected: columns of the files that the schema does not have; they are read over.
      labelled: False where the columns that only the label needs are absent; such a span is judged on inputs alone.
      schema: the Arrow schema of every batch.
      batches: rows in file order, read as they are asked for, at most 16,384 at a time; read once.
    """

    labelled: bool
    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]
    unexpected: tuple[str, ...] = ()


def read_names(path: str, file_format: Format) -> list[str]:
    """Returns a file's column names. Raises IngestError where they cannot be read."""
    if isinstance(file_format, CsvFormat):
        return csv_reader.read_header(path, file_format)
    if file_format == "parquet":
        return list(parquet_reader.read_header(path).names)
    if file_format == "avro":
        return list(avro_reader.read_header(path).names)
    return list(tfrecord_reader.read_header(path).names)


def open_span(paths: Sequence[str], file_format: Format, columns: Columns) -> IngestResult:
    """Opens the files of one span, checks their columns and returns their rows as a stream.

    Raises:
      IngestError: there is no file, a file's columns are wrong, or some files have the label and some do not.
        Faults in rows are raised when they are reached.
    """
    if not paths:
        raise UnreadableError("no files. Expected at least one.", path="the span")
    found = {path: read_names(path, file_format) for path in paths}
    # A TFRecord file without records has no columns either; Beam writes such shards.
    labelled = {path: _check(names, columns, path, file_format) for path, names in found.items() if names}
    if not labelled:
        raise UnreadableError("no rows. A span needs at least one.", path=paths[0])
    if len(set(labelled.values())) > 1:
        bare = next(path for path in labelled if not labelled[path])
        what = "other files of this span have the label. Add it to all or to none."
        raise ColumnsError(what, path=bare, column=min(columns.label_only))
    batches = _batches(paths, file_format, columns)
    extra = dict.fromkeys(name for names in found.values() for name in unexpected(names, columns))
    return IngestResult(labelled=all(labelled.values()), schema=columns.flat, batches=batches, unexpected=tuple(extra))


def _check(names: list[str], columns: Columns, path: str, file_format: Format) -> bool:
    if isinstance(file_format, CsvFormat):
        return csv_reader.check_header(names, columns, path, file_format)
    return check_columns(names, columns, path)


def read_file(path: str, file_format: Format, columns: Columns) -> Iterator[pa.RecordBatch]:
    """Yields one file's rows, at most 16,384 at a time. Raises IngestError at the first fault."""
    for batch in _read(path, file_format, columns):
        for start in range(0, batch.num_rows, BATCH_SIZE):
            yield batch.slice(start, BATCH_SIZE)


def _read(path: str, file_format: Format, columns: Columns) -> Iterator[pa.RecordBatch]:
    if isinstance(file_format, CsvFormat):
        return csv_reader.read_csv(path, columns, file_format)
    if file_format == "parquet":
        return parquet_reader.read_parquet(path, columns, BATCH_SIZE)
    if file_format == "avro":
        return avro_reader.read_avro(path, columns, BATCH_SIZE)
    return tfrecord_reader.read_tfrecord(path, columns, BATCH_SIZE)


def _batches(paths: Sequence[str], file_format: Format, columns: Columns) -> Iterator[pa.RecordBatch]:
    empty = True
    for path in paths:
        for batch in read_file(path, file_format, columns):
            empty = False
            yield batch
    if empty:
        raise UnreadableError("no rows. A span needs at least one.", path=paths[0])
