"""Streams CSV files through pyarrow; only a file with a fault is read a second time, slowly, to find the place."""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from columnar.tfrecords import open_binary
from pipeline.ingest import csv_fault, csv_integers
from pipeline.ingest.columns import Columns, check_columns, first_wrong_label
from pipeline.ingest.errors import UnreadableError

# Large enough for any sane record, small enough that a few blocks in flight do not matter.
_BLOCK_BYTES = 16 << 20


def read_header(path: str) -> list[str]:
    """Returns the column names: the file's first record, without a byte order mark.

    Raises:
      UnreadableError: the file is empty, or its first line is not UTF-8.
    """
    # Decoding runs ahead of the header: whatever comes after it must not fail here.
    with (
        open_binary(path) as file,
        io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="") as text,
    ):
        try:
            header = next(csv.reader(text), [])
        except csv.Error as error:
            raise UnreadableError(f"not a CSV header: {error}.", path=path, line=1) from error
    if any(csv_fault.is_undecoded(name) or "\0" in name for name in header):
        raise UnreadableError("expected UTF-8. Save the file as UTF-8.", path=path, line=1)
    if not header:
        raise UnreadableError("the file is empty. Expected a header with the schema's columns.", path=path, line=1)
    return header


def read_csv(path: str, columns: Columns) -> Iterator[pa.RecordBatch]:
    """Yields the file's rows as flat batches. An empty field is a missing value, quoted or not.

    Raises:
      IngestError: the first fault in the file, with its line and column.
    """
    header = read_header(path)
    labelled = check_columns(header, columns, path, line=1)
    for batch in _typed(path, header, columns, labelled):
        if labelled and first_wrong_label(batch, columns) is not None:
            raise csv_fault.find(path, header, columns, labelled)
        if batch.num_rows:
            yield _complete(batch, columns)


def _typed(path: str, header: list[str], columns: Columns, labelled: bool) -> Iterator[pa.RecordBatch]:
    """Yields the file's rows. Where a whole number is written as `8.0` or `True`, a second, slower way goes on."""
    rows_before = 0
    integers = _integer_names(header, columns)
    try:
        for batch in _scan(path, header, columns, labelled):
            yield batch
            rows_before += batch.num_rows
        return
    except pa.ArrowInvalid as error:
        problem = error
    if not integers:
        raise csv_fault.find(path, header, columns, labelled, str(problem)) from problem
    as_text = replace(columns, flat=_with_type(columns.flat, integers, pa.large_string()))
    try:
        for batch in _scan(path, header, as_text, labelled):
            known = min(rows_before, batch.num_rows)
            rows_before -= known
            yield _with_integers(batch.slice(known), integers)
    except pa.ArrowInvalid as error:
        raise csv_fault.find(path, header, columns, labelled, str(problem)) from error


def _integer_names(header: list[str], columns: Columns) -> list[str]:
    return [field.name for field in columns.flat if pa.types.is_integer(field.type) and field.name in header]


def _with_type(schema: pa.Schema, names: Sequence[str], kind: pa.DataType) -> pa.Schema:
    return pa.schema([field.with_type(kind) if field.name in names else field for field in schema])


def _with_integers(batch: pa.RecordBatch, names: Sequence[str]) -> pa.RecordBatch:
    arrays = [
        csv_integers.from_text(column) if name in names else column
        for name, column in zip(batch.schema.names, batch.columns, strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=_with_type(batch.schema, names, pa.int64()))


def _scan(path: str, header: list[str], columns: Columns, labelled: bool) -> Iterator[pa.RecordBatch]:
    """Yields what pyarrow reads, and raises what it overlooks.

    Raises:
      pa.ArrowInvalid: pyarrow cannot read on.
    """
    with open_binary(path) as file:
        watched = _Watched(file)
        for batch in _open(watched, header, columns):
            # A byte that no text holds: a damaged file, or one in UTF-16. pyarrow takes it for a letter.
            if watched.has_nul:
                raise csv_fault.find(path, header, columns, labelled)
            yield batch
        # An odd number of quotes is how an unclosed one looks; pyarrow reads on to the end and says nothing.
        if watched.quotes % 2:
            fault = csv_fault.unclosed_quote(path)
            if fault is not None:
                raise fault
        # pyarrow reads 0x10 as 16; nobody who writes a table of whole numbers means that.
        if watched.has_hexadecimal and _holds_hexadecimal(path, header, columns):
            raise csv_fault.find(path, header, columns, labelled)


def _holds_hexadecimal(path: str, header: list[str], columns: Columns) -> bool:
    integers = _integer_names(header, columns)
    text = Columns(pa.schema([(name, pa.large_string()) for name in integers]), required=frozenset())
    with open_binary(path) as file:
        return bool(integers) and any(
            pc.any(pc.match_substring_regex(batch.column(name), "^[ \t]*[+-]?0[xX]")).as_py()
            for batch in _open(_Watched(file), header, text)
            for name in integers
        )


def _open(file: "_Watched", header: list[str], columns: Columns) -> Iterator[pa.RecordBatch]:
    names = [name for name in columns.flat.names if name in header]
    reader = pa_csv.open_csv(
        pa.PythonFile(file, mode="r"),
        read_options=pa_csv.ReadOptions(block_size=_BLOCK_BYTES),
        parse_options=pa_csv.ParseOptions(newlines_in_values=True),
        convert_options=pa_csv.ConvertOptions(
            column_types={name: columns.flat.field(name).type for name in names},
            include_columns=names,
            null_values=[""],
            strings_can_be_null=True,
        ),
    )
    with reader:
        yield from reader


def _complete(batch: pa.RecordBatch, columns: Columns) -> pa.RecordBatch:
    if batch.schema.names == columns.flat.names:
        return batch
    present = set(batch.schema.names)
    arrays = [
        batch.column(field.name) if field.name in present else pa.nulls(batch.num_rows, field.type)
        for field in columns.flat
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=columns.flat)


class _Watched:
    """A readable file that counts the quotes it hands out, and remembers whether `0x` and NUL were among them.

    It never hands out a piece that ends between CR and LF: pyarrow 18 would lose the LF of a value that holds both.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._held = b""
        self.quotes = 0
        self.has_hexadecimal = False
        self.has_nul = False
        self.closed = False

    def read(self, size: int = -1) -> bytes:
        data = self._held + self._file.read(size - len(self._held) if size > 0 else size)
        self._held = b""
        if len(data) > 1 and data.endswith((b"\r", b"0")):
            data, self._held = data[:-1], data[-1:]
        self.quotes += data.count(b'"')
        self.has_hexadecimal = self.has_hexadecimal or b"0x" in data or b"0X" in data
        self.has_nul = self.has_nul or b"\0" in data
        return data

    def close(self) -> None:
        self.closed = True
