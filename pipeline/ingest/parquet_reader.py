"""Streams Parquet files by row group."""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from columnar.examples import BATCH_SIZE
from columnar.tfrecords import open_binary
from pipeline.ingest.columns import Columns, check_columns, check_labels, conform
from pipeline.ingest.errors import UnreadableError


def read_header(path: str) -> pa.Schema:
    """Returns the file's columns and types.

    Raises:
      UnreadableError: not a whole Parquet file.
    """
    with open_binary(path) as file:
        try:
            return pq.read_schema(file)
        except pa.ArrowInvalid as error:
            raise UnreadableError(f"not a whole Parquet file: {error}.", path=path) from error


def num_row_groups(path: str) -> int:
    """Returns how many pieces the file can be read in. Raises as read_header."""
    with open_binary(path) as file:
        try:
            return int(pq.read_metadata(file).num_row_groups)
        except pa.ArrowInvalid as error:
            raise UnreadableError(f"not a whole Parquet file: {error}.", path=path) from error


def read_parquet(path: str, columns: Columns, batch_size: int) -> Iterator[pa.RecordBatch]:
    """Yields the file's rows as flat batches. Null is a missing value; NaN and the empty string are values.

    Raises:
      IngestError: the first fault, with its record and column.
    """
    first_record = 1
    for group in range(num_row_groups(path)):
        for batch in read_row_group(path, columns, group, batch_size, first_record):
            first_record += batch.num_rows
            yield batch


def read_row_group(
    path: str, columns: Columns, group: int, batch_size: int = BATCH_SIZE, first_record: int | None = None
) -> Iterator[pa.RecordBatch]:
    """Yields the rows of one row group as read_parquet does.

    Args:
      first_record: number of the group's first record in the file; None means: find out.
    """
    labelled = check_columns(read_header(path).names, columns, path)
    with open_binary(path) as file:
        try:
            parquet = pq.ParquetFile(file)
            if first_record is None:
                first_record = 1 + sum(parquet.metadata.row_group(index).num_rows for index in range(group))
            known = [name for name in parquet.schema_arrow.names if name in columns.flat.names]
            for batch in parquet.iter_batches(batch_size, row_groups=[group], columns=known):
                flat = conform(batch, columns, path, first_record)
                if labelled:
                    check_labels(flat, columns, path, first_record)
                yield flat
                first_record += batch.num_rows
        except (pa.ArrowInvalid, OSError) as error:
            raise UnreadableError(f"not a whole Parquet file: {error}.", path=path) from error
