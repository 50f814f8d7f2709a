"""Streams CSV files through pyarrow; only a file with a fault is read a second time, slowly, to find the place."""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from pipeline.ingest import csv_fault, csv_integers
from pipeline.ingest.columns import Columns, check_columns, first_wrong_label
from pipeline.ingest.csv_fault import not_in_encoding
from pipeline.ingest.csv_format import PLAIN, CsvFormat, open_utf8, other_separator, separator_words
from pipeline.ingest.errors import ColumnsError, IngestError, UnreadableError

# Large enough for any sane record, small enough that a few blocks in flight do not matter.
_BLOCK_BYTES = 16 << 20


def read_header(path: str, given: CsvFormat = PLAIN) -> list[str]:
    """Returns the column names: the file's first record, without a byte order mark.

    Raises:
      UnreadableError: the file is empty, or its first line is not of its encoding.
    """
    # Decoding runs ahead of the header: whatever comes after it must not fail here.
    with (
        open_utf8(path, given) as file,
        io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="") as text,
    ):
        try:
            header = next(csv.reader(text, delimiter=given.delimiter), [])
        except csv.Error as error:
            raise UnreadableError(f"not a CSV header: {error}.", path=path, line=1) from error
    if any(csv_fault.is_undecoded(name) or "\0" in name for name in header):
        raise UnreadableError(not_in_encoding(given), path=path, line=1)
    if not header:
        raise UnreadableError("the file is empty. Expected a header with the schema's columns.", path=path, line=1)
    return header


def check_header(header: list[str], columns: Columns, path: str, given: CsvFormat) -> bool:
    """Returns whether the file is labelled.

    Raises:
      ColumnsError: the fields are separated otherwise, or the columns are not those of the schema.
    """
    if (separator := other_separator(header, columns.flat.names, given)) is not None:
        raise ColumnsError(separator_words(separator, given), path=path, line=1)
    return check_columns(header, columns, path, line=1)


def read_csv(path: str, columns: Columns, given: CsvFormat = PLAIN) -> Iterator[pa.RecordBatch]:
    """Yields the file's rows as flat batches. An empty field is a missing value, quoted or not.

    Args:
      given: how the file is written.

    Raises:
      IngestError: the first fault in the file, with its line and column.
    """
    header = read_header(path, given)
    file = _File(path, header, columns, check_header(header, columns, path, given), given)
    for batch in _typed(file):
        if file.labelled and first_wrong_label(batch, columns) is not None:
            raise file.fault()
        if batch.num_rows:
            yield _complete(batch, columns)


@dataclass(frozen=True)
class _File:
    """A file whose header has been read and checked.

    Attributes:
      given: how it is written.
    """

    path: str
    header: list[str]
    columns: Columns
    labelled: bool
    given: CsvFormat

    def fault(self, hint: str = "") -> IngestError:
        """Returns the first fault of the file, found by reading it slowly."""
        return csv_fault.find(self.path, self.header, self.columns, self.labelled, self.given, hint)

    @property
    def integers(self) -> list[str]:
        """The columns of whole numbers that it has."""
        return [one.name for one in self.columns.flat if pa.types.is_integer(one.type) and one.name in self.header]

    @property
    def own(self) -> list[str]:
        """The columns whose values are written in the file's own way."""
        return [one.name for one in self.columns.flat if one.name in self.header and self._is_own(one)]

    def _is_own(self, one: pa.Field) -> bool:
        return self.given.is_own(one.name, one.type)


def _typed(file: _File) -> Iterator[pa.RecordBatch]:
    """Yields the file's rows. Where a whole number is written as `8.0` or `True`, a second, slower way goes on."""
    rows_before = 0
    problem: pa.ArrowInvalid
    try:
        for batch in _scan(file, file.own):
            yield _converted(batch, file, file.own)
            rows_before += batch.num_rows
        return
    except pa.ArrowInvalid as error:
        problem = error
    texts = list(dict.fromkeys([*file.integers, *file.own]))
    if not file.integers or texts == file.own:
        raise file.fault(str(problem)) from problem
    try:
        for batch in _scan(file, texts):
            known = min(rows_before, batch.num_rows)
            rows_before -= known
            yield _converted(batch.slice(known), file, texts)
    except pa.ArrowInvalid as error:
        raise file.fault(str(problem)) from error


def _converted(batch: pa.RecordBatch, file: _File, texts: Sequence[str]) -> pa.RecordBatch:
    """Returns the batch with the columns `texts`, which were read as text, as their types.

    Raises:
      pa.ArrowInvalid: a value is not written as the file's format says.
    """
    if not texts:
        return batch
    fields = [file.columns.flat.field(name) for name in batch.schema.names]
    arrays = [
        _from_text(column, target, file.given) if target.name in texts else column
        for target, column in zip(fields, batch.columns, strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields))


def _from_text(cells: pa.Array, target: pa.Field, given: CsvFormat) -> pa.Array:
    plain = given.plain(cells, target.name, target.type) if given.is_own(target.name, target.type) else cells
    if pa.types.is_integer(target.type):
        return csv_integers.from_text(plain)
    return pc.utf8_trim(plain, csv_integers.BLANKS).cast(target.type) if pa.types.is_floating(target.type) else plain


def _scan(file: _File, texts: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Yields what pyarrow reads, the columns `texts` as text, and raises what it overlooks.

    Raises:
      pa.ArrowInvalid: pyarrow cannot read on.
    """
    with open_utf8(file.path, file.given) as opened:
        watched = _Watched(opened)
        for batch in _open(watched, file, texts):
            # A byte that no text holds: a damaged file, or one in UTF-16. pyarrow takes it for a letter.
            if watched.has_nul:
                raise file.fault()
            yield batch
        # An odd number of quotes is how an unclosed one looks; pyarrow reads on to the end and says nothing.
        if watched.quotes % 2:
            fault = csv_fault.unclosed_quote(file.path, file.given)
            if fault is not None:
                raise fault
        # pyarrow reads 0x10 as 16; nobody who writes a table of whole numbers means that.
        if watched.has_hexadecimal and _holds_hexadecimal(file):
            raise file.fault()


def _holds_hexadecimal(file: _File) -> bool:
    numbers = [name for name in file.integers if name not in file.own]
    only = replace(file, columns=Columns(pa.schema([(name, pa.large_string()) for name in numbers]), frozenset()))
    with open_utf8(file.path, file.given) as opened:
        return bool(numbers) and any(
            pc.any(pc.match_substring_regex(batch.column(name), "^[ \t]*[+-]?0[xX]")).as_py()
            for batch in _open(_Watched(opened), only, numbers)
            for name in numbers
        )


def _open(opened: "_Watched", file: _File, texts: Sequence[str]) -> Iterator[pa.RecordBatch]:
    types = {
        one.name: pa.large_string() if one.name in texts else one.type
        for one in file.columns.flat
        if one.name in file.header
    }
    reader = pa_csv.open_csv(
        pa.PythonFile(opened, mode="r"),
        read_options=pa_csv.ReadOptions(block_size=_BLOCK_BYTES),
        parse_options=pa_csv.ParseOptions(delimiter=file.given.delimiter, newlines_in_values=True),
        convert_options=pa_csv.ConvertOptions(
            column_types=types,
            include_columns=list(types),
            null_values=list(file.given.missing),
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
