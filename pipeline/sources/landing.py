"""One span's rows as a Parquet file that appears whole or not at all, is never changed, and says what was pulled."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from columnar import object_stores
from columnar.fingerprint import fingerprint
from columnar.tfrecords import open_binary
from pipeline import files
from pipeline.errors import PipelineError
from pipeline.sources.plain import SchemaType, comparable, file_schema, plain

STAGING = ".pull"
"""Folder in which files are written before they have their names: below the data root, or the root for a store's."""
_KEY = b"driftgate.pull"
_THERE = "{} is there already, and a version of a span is never written over. Pull again."
_GROUP_ROWS = 50_000
_GROUP_BYTES = 32 << 20


@dataclass(frozen=True, kw_only=True)
class Record:
    """What a span's file says of itself, in Parquet's own key-value metadata.

    Attributes:
      begin, end: the span's time, in ISO 8601 and UTC.
      fingerprint: hash of the rows, whatever their order.
      pulled_at: in ISO 8601 and UTC.
    """

    span: int
    version: int
    begin: str
    end: str
    rows: int
    fingerprint: str
    pulled_at: str


@dataclass
class Written:
    """A file that is whole and has no name yet."""

    path: Path
    rows: int
    fingerprint: str


@contextlib.contextmanager
def written_aside(
    batches: Iterator[pa.RecordBatch],
    folder: Path,
    wanted: Mapping[str, SchemaType],
    where: str,
    progress: Callable[[int], None],
) -> Iterator[tuple[Written, pq.ParquetWriter | None]]:
    """Writes rows to a file in the staging folder, in memory that does not grow with them.

    Yields what was written, and the writer, which takes the record and is then to be closed; None without rows. The
    file is removed at the end unless it has been renamed.
    """
    path = folder / f"{os.getpid()}.parquet"
    written = Written(path, 0, "")
    writer: pq.ParquetWriter | None = None
    try:
        groups = _groups(batches, wanted, where)
        first = next(groups, None)
        if first is not None:
            writer = pq.ParquetWriter(path, first.schema, compression="zstd")
            written.fingerprint = fingerprint(_through(writer, itertools.chain([first], groups), written, progress))
        yield written, writer
    finally:
        if writer is not None:
            writer.close()
        path.unlink(missing_ok=True)


def _through(
    writer: pq.ParquetWriter, groups: Iterable[pa.Table], written: Written, progress: Callable[[int], None]
) -> Iterator[pa.RecordBatch]:
    """Writes each row group and yields its rows for the fingerprint."""
    for group in groups:
        writer.write_table(group, row_group_size=group.num_rows)
        written.rows += group.num_rows
        progress(written.rows)
        yield from map(comparable, group.to_batches())


def _groups(batches: Iterator[pa.RecordBatch], wanted: Mapping[str, SchemaType], where: str) -> Iterator[pa.Table]:
    """Yields tables of 50,000 rows or 32 MiB; a source's own batches may be of any size."""
    schema: pa.Schema | None = None
    held: list[pa.RecordBatch] = []
    for batch in batches:
        if not batch.num_rows:
            continue
        schema = schema or file_schema(batch, wanted, where)
        for start in range(0, batch.num_rows, _GROUP_ROWS):
            held.append(plain(batch.slice(start, _GROUP_ROWS), schema, where))
            rows, size = sum(one.num_rows for one in held), sum(one.nbytes for one in held)
            if rows >= _GROUP_ROWS or size >= _GROUP_BYTES:
                yield pa.Table.from_batches(held)
                held = []
    if held:
        yield pa.Table.from_batches(held)


def land(written: Written, writer: pq.ParquetWriter, record: Record, target: str) -> None:
    """Completes the file with its record, and gives it its name once it is on the disk, or as an object in a store.

    Raises:
      PipelineError: there is a file of that name; a version of a span is never written over.
      OSError: a store does not answer, or refuses.
    """
    writer.add_key_value_metadata({_KEY.decode(): json.dumps(dataclasses.asdict(record))})
    writer.close()
    files.flush(written.path)
    if "://" in target:
        _upload(written.path, target)
        return
    path = Path(target)
    _make_folder(path.parent)
    if path.exists():
        raise PipelineError(_THERE.format(target))
    written.path.rename(path)
    files.flush(path.parent)


def _upload(path: Path, target: str) -> None:
    """Copies a file into a store, where it appears when it is whole."""
    from pyarrow import fs

    system, place = object_stores.filesystem(target)
    if system.get_file_info(place).type != fs.FileType.NotFound:
        raise PipelineError(_THERE.format(target))
    fs.copy_files(str(path), place, source_filesystem=fs.LocalFileSystem(), destination_filesystem=system)


def _make_folder(folder: Path) -> None:
    """Makes a folder and those above it, each of them on the disk."""
    if not folder.exists():
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        files.flush(folder.parent)


def read_record(path: str) -> Record | None:
    """Returns what a span's file says of itself; None where something else wrote it, or it is no whole file."""
    try:
        with open_binary(path) as file:
            metadata = pq.read_metadata(file).metadata or {}
        return Record(**json.loads(metadata[_KEY])) if _KEY in metadata else None
    except (pa.ArrowInvalid, OSError, ValueError, TypeError):
        return None
