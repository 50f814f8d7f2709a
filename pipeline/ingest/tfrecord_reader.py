"""Streams TFRecord files of tf.Examples, gzipped or not."""

from collections.abc import Iterator

import pyarrow as pa
from tfx_bsl.coders.example_coder import ExamplesToRecordBatchDecoder

from columnar import examples
from columnar.errors import ExamplesError
from columnar.tfrecords import iter_record_batches
from pipeline.ingest.columns import Columns, check_columns, check_labels, conform
from pipeline.ingest.errors import UnreadableError


def read_header(path: str) -> pa.Schema:
    """Returns the columns and types of the file's first examples: the format has no header.

    Raises:
      UnreadableError: not a whole TFRecord file, not of tf.Examples, or empty.
    """
    try:
        first = next(iter_record_batches(path, examples.BATCH_SIZE), [])
    except ExamplesError as error:
        raise UnreadableError(f"not a whole TFRecord file: {error}", path=path) from error
    return _decode(first, path).schema if first else pa.schema([])


def read_tfrecord(path: str, columns: Columns, batch_size: int) -> Iterator[pa.RecordBatch]:
    """Yields the file's examples as flat batches. An absent feature or an empty list is a missing value.

    Raises:
      IngestError: the first fault, with its record and column where known.
    """
    header = read_header(path)
    if not header.names:
        return
    labelled = check_columns(header.names, columns, path)
    for first_record, batch in _conformed(path, columns, batch_size):
        if labelled:
            check_labels(batch, columns, path, first_record)
        yield batch


def _conformed(path: str, columns: Columns, batch_size: int) -> Iterator[tuple[int, pa.RecordBatch]]:
    first_record = 1
    try:
        for records in iter_record_batches(path, batch_size):
            lists = _decode(records, path)
            lists = lists.select([name for name in lists.schema.names if name in columns.flat.names])
            flat = examples.flatten(lists, _natural(lists.schema), path)
            yield first_record, conform(flat, columns, path, first_record)
            first_record += len(records)
    except ExamplesError as error:
        raise UnreadableError(str(error), path=path) from error


def _decode(records: list[bytes], path: str) -> pa.RecordBatch:
    try:
        return ExamplesToRecordBatchDecoder().DecodeBatch(records)
    except (RuntimeError, ValueError) as error:  # What tfx_bsl makes of a C++ status.
        raise UnreadableError(f"not a file of tf.Examples: {error}.", path=path) from error


def _natural(lists: pa.Schema) -> pa.Schema:
    flat = {"int64": pa.int64(), "float": pa.float64(), "large_binary": pa.large_string(), "null": pa.null()}
    fields = []
    for column in lists:
        value = "null" if pa.types.is_null(column.type) else str(column.type.value_type)
        fields.append(pa.field(column.name, flat[value]))
    return pa.schema(fields)
