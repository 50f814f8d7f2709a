"""The files of a table as a person has them, and their rows as batches of text or of Parquet's own types."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import itertools
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from pipeline.errors import ConfigError, DataError
from pipeline.onboarding import json_objects

Format = Literal["csv", "json", "parquet"]

_SAMPLE_BYTES = 1 << 18
_SAMPLE_ROWS = 2_000
_DEEPEST_HEADER = 20
"""Lines above the header at most: titles, comments, Excel's `sep=;`."""
_BLOCK_BYTES = 4 << 20
_BATCH_ROWS = 50_000
_SEPARATORS = (",", ";", "\t", "|")
_SEPARATOR_NAMES = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a bar"}
_SUFFIXES = (".csv", ".tsv", ".txt", ".data", ".parquet", ".pq", ".jsonl", ".ndjson", ".json")
_INDEX_NAME = "Unnamed: 0"
"""How pandas names the index that it wrote into a file."""


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """How a text file is written.

    Attributes:
      skipped: lines above the header.
      unnamed_first: the rows have one field more than the header, as R writes row names.
    """

    encoding: str = "utf-8"
    separator: str = ","
    skipped: int = 0
    unnamed_first: bool = False


@dataclass(frozen=True, kw_only=True)
class Source:
    """One table: its files in order, and its columns as their headers name them.

    Attributes:
      columns: without those that have neither a name nor a meaning (an index, a trailing separator).
      left_out: by the position or name of a column that is not read, why.
      dialects: of each CSV file.
    """

    files: tuple[Path, ...]
    format: Format
    columns: tuple[str, ...]
    left_out: dict[str, str]
    dialects: dict[Path, Dialect]

    @property
    def description(self) -> str:
        """Says in words how the files are written."""
        if self.format != "csv":
            return {"json": "JSON", "parquet": "Parquet"}[self.format]
        dialect = self.dialects[self.files[0]]
        skipped = f", {dialect.skipped} lines above the header" if dialect.skipped else ""
        return f"CSV, separated by {_SEPARATOR_NAMES[dialect.separator]}, {dialect.encoding}{skipped}"

    @property
    def decimal_comma_likely(self) -> bool:
        """Whether `1,234` more likely means 1.234: where commas are not what separates."""
        return any(dialect.separator == ";" for dialect in self.dialects.values())

    def batches(self) -> Iterator[tuple[int, pa.RecordBatch]]:
        """Yields the rows with the number of their file, in order; text columns are strings, absent values null.

        Raises:
          DataError: a file is damaged; names it and, where known, the row.
        """
        for number, file in enumerate(self.files):
            if self.format == "csv":
                batches = _csv_batches(file, self.dialects[file])
            elif self.format == "json":
                batches = _json_batches(file, self.columns)
            else:
                batches = _parquet_batches(file)
            for batch in batches:
                if batch.num_rows:
                    yield number, batch.select(list(self.columns))


def open_source(path: Path) -> Source:
    """Finds out how a file, or every file of a folder, is written.

    Raises:
      ConfigError: there is nothing to read, or it is no table: no header, files of several kinds, an Excel workbook.
      DataError: a file is damaged.
    """
    files = _files(path)
    formats = {file: _format(file) for file in files}
    if len(set(formats.values())) > 1:
        kinds = ", ".join(f"{file.name} ({kind})" for file, kind in formats.items())
        raise ConfigError(f"{path}: expected files of one kind. Received: {kinds}. Move the others away.")
    kind = formats[files[0]]
    dialects: dict[Path, Dialect] = {}
    left_out: dict[str, str] = {}
    columns: list[str] = []
    for file in files:
        if kind == "csv":
            dialects[file] = sniff(file)
            names = _csv_names(file, dialects[file])
        else:
            names = _json_names(file) if kind == "json" else list(pq.read_schema(file).names)
        named, left_out = _named(names, file, kind)
        if columns and sorted(named) != sorted(columns):
            odd = sorted(set(named) ^ set(columns))[0]
            raise ConfigError(
                f"{file}: its columns differ from those of {files[0]}: {odd!r} is only in one. "
                "Give files of the same columns."
            )
        columns = columns or named
    if len(columns) < 2:
        raise ConfigError(f"{path}: expected at least two columns, a label and a feature. Received: {columns}.")
    return Source(files=tuple(files), format=kind, columns=tuple(columns), left_out=left_out, dialects=dialects)


def sniff(file: Path) -> Dialect:
    """Returns how a CSV file is written: its encoding, its separator and where its header is.

    The header is the first row with as many fields as most rows have. The separator is the one that puts the header
    highest, then the one whose rows agree best, then the one with most fields. See decision 0320.

    Raises:
      ConfigError: no separator makes a table of it, or the first row is no header.
    """
    encoding = _encoding(file)
    text = _sample(file, encoding)
    candidates = [(*scored, separator) for separator in _SEPARATORS if (scored := _score(text, separator))]
    if not candidates:
        raise ConfigError(
            f"{file}: not a table: its rows do not have one number of fields, whether separated by comma, semicolon, "
            f"tab or bar. It begins: {text[:80]!r}."
        )
    *_, skipped, unnamed_first, separator = max(candidates, key=lambda one: one[:3])
    dialect = Dialect(encoding=encoding, separator=separator, skipped=skipped, unnamed_first=unnamed_first)
    _check_header(file, list(_rows(text, separator)), dialect)
    return dialect


def _score(text: str, separator: str) -> tuple[int, float, int, int, bool] | None:
    """Returns (minus the rows above the header, share of rows that fit, fields, lines to skip, first is unnamed)."""
    rows = list(_rows(text, separator))
    counts = Counter(len(row) for _, row in rows[1:] or rows)
    if not counts:
        return None
    fields, fitting = counts.most_common(1)[0]
    if fields < 2:
        return None
    for position, (line, row) in enumerate(rows[:_DEEPEST_HEADER]):
        following = len(rows[position + 1][1]) if position + 1 < len(rows) else 0
        if 2 * sum(bool(cell.strip()) for cell in row) <= fields:  # A title, or a blank line of separators.
            continue
        if len(row) == fields or (len(row) == fields - 1 and following == fields and fields > 2):
            return -position, fitting / len(rows[1:] or rows), fields, line, len(row) < fields
    return None


def _rows(text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Yields the rows of the sample that are not blank, each with the number of lines above it."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    above = 0
    try:
        for row in itertools.islice(reader, _SAMPLE_ROWS):
            if row:
                yield above, row
            above = reader.line_num
    except csv.Error:  # A NUL, or a field beyond every limit: the rows so far have to do.
        return


def _check_header(file: Path, rows: list[tuple[int, list[str]]], dialect: Dialect) -> None:
    """Refuses a first row that is data: it holds numbers where the column does, or words that the column repeats."""
    position = next(index for index, (line, _) in enumerate(rows) if line == dialect.skipped)
    header, body = rows[position][1], [row for _, row in rows[position + 1 :]]
    if dialect.unnamed_first:
        header = ["", *header]
    body = [row for row in body if len(row) == len(header)]
    if not body:
        raise ConfigError(f"{file}: expected a header and rows below it. Received: only {len(rows)} lines.")
    alike = counted = 0
    for column, name in enumerate(header):
        values = [row[column].strip() for row in body if row[column].strip()]
        if not name.strip() or not values:
            continue
        counted += 1
        numbers = sum(map(_is_number, values)) > len(values) / 2
        repeated = name.strip() in values and not numbers
        alike += (_is_number(name.strip()) and numbers) or repeated
    if counted and alike > counted / 2:
        raise ConfigError(
            f"{file}: it has no header: its first row, {','.join(header)[:80]!r}, holds values like the rows below. "
            "Write a first line with the names of the columns."
        )


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", "."))
    except ValueError:
        return False
    return text.casefold() not in ("nan", "inf", "infinity")


def _files(path: Path) -> list[Path]:
    if not path.exists():
        raise ConfigError(f"{path}: there is no such file or folder.")
    if path.is_file():
        return [path]
    files = sorted(
        file
        for file in path.rglob("*")
        if file.is_file()
        and not any(part.startswith((".", "_")) for part in file.relative_to(path).parts)
        and file.name.removesuffix(".gz").lower().endswith(_SUFFIXES)
    )
    if not files:
        raise ConfigError(f"{path}: the folder holds no table. Expected files such as {', '.join(_SUFFIXES)}.")
    return files


def _format(file: Path) -> Format:
    with file.open("rb") as raw:
        head = raw.read(8)
    if not head:
        raise ConfigError(f"{file}: the file is empty.")
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith(b"PK\x03\x04"):
        raise ConfigError(
            f"{file}: expected CSV, Parquet or JSON. Received: an Excel workbook or a zip archive. "
            "Save the sheet as CSV, or unpack the archive."
        )
    with _binary(file) as raw:
        start = _read(raw, file, 4096).lstrip(b"\xef\xbb\xbf \t\r\n")
    return "json" if start.startswith((b"{", b"[")) else "csv"


def _binary(file: Path) -> IO[bytes]:
    with file.open("rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
    return gzip.open(file, "rb") if packed else file.open("rb")  # type: ignore[return-value]  # GzipFile reads bytes.


def _read(raw: IO[bytes], file: Path, size: int) -> bytes:
    try:
        return raw.read(size)
    except (OSError, EOFError) as error:  # gzip's own errors, and a file that ends too early.
        raise DataError(f"{file}: cannot be unpacked: {error}.") from error


def _encoding(file: Path) -> str:
    """Returns the encoding of the whole file: UTF-8 if every byte fits, UTF-16 by its mark or zeros, else Windows'."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    with _binary(file) as raw:
        head = block = _read(raw, file, _BLOCK_BYTES)
        if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return "utf-16"
        if head.startswith(codecs.BOM_UTF8):
            return "utf-8"
        if len(head) > 3 and head[: 1 << 12].count(0) > len(head[: 1 << 12]) // 4:
            return "utf-16-le" if head[1] == 0 else "utf-16-be"
        try:
            while block:
                decoder.decode(block)
                block = _read(raw, file, _BLOCK_BYTES)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            # Latin-1 as Windows extends it; the five bytes that it leaves undefined are Latin-1's.
            undefined = any(byte in head for byte in (0x81, 0x8D, 0x8F, 0x90, 0x9D))
            return "latin-1" if undefined else "cp1252"
    return "utf-8"


def _sample(file: Path, encoding: str) -> str:
    with _binary(file) as raw:
        head = _read(raw, file, _SAMPLE_BYTES)
    text = codecs.getincrementaldecoder(encoding)("replace").decode(head).removeprefix("\ufeff")
    if len(head) < _SAMPLE_BYTES or "\n" not in text:
        return text
    return text[: text.rindex("\n") + 1]


def _csv_names(file: Path, dialect: Dialect) -> list[str]:
    rows = _rows(_sample(file, dialect.encoding), dialect.separator)
    header = next(row for line, row in rows if line == dialect.skipped)
    return (["", *header] if dialect.unnamed_first else header) if header else []


def _json_names(file: Path) -> list[str]:
    """Returns every name that an object of the file has: later objects may have more than the first."""
    names: dict[str, None] = {}
    for value in _json_objects(file):
        names.update(dict.fromkeys(value))
    return list(names)


def _named(names: Sequence[str], file: Path, kind: Format) -> tuple[list[str], dict[str, str]]:
    """Returns the columns to read, and why the others are left out."""
    stripped = [name.strip() for name in names] if kind == "csv" else list(names)
    twice = [name for name, count in Counter(stripped).items() if count > 1 and name]
    if twice:
        raise ConfigError(
            f"{file}: the column {twice[0]!r} is there {stripped.count(twice[0])} times. Rename or keep one."
        )
    left_out = {}
    columns = []
    for position, name in enumerate(stripped, 1):
        if not name or name == "__index_level_0__":
            left_out[f"column {position}"] = "it has no name: a row number, or a trailing separator"
        elif name == _INDEX_NAME:
            left_out[name] = "pandas' index: the number of the row"
        else:
            columns.append(name)
    return columns, left_out


def _csv_batches(file: Path, dialect: Dialect) -> Iterator[pa.RecordBatch]:
    names = [name.strip() or f"\0{position}" for position, name in enumerate(_csv_names(file, dialect))]
    with _binary(file) as raw:
        try:
            reader = pyarrow.csv.open_csv(
                pa.PythonFile(raw, "r"),
                read_options=pyarrow.csv.ReadOptions(
                    column_names=names,
                    skip_rows=dialect.skipped + 1,
                    encoding=dialect.encoding,
                    block_size=_BLOCK_BYTES,
                ),
                parse_options=pyarrow.csv.ParseOptions(delimiter=dialect.separator, newlines_in_values=True),
                convert_options=pyarrow.csv.ConvertOptions(
                    column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
                ),
            )
            yield from reader
        except (pa.ArrowInvalid, UnicodeDecodeError, EOFError) as error:
            raise DataError(f"{file}: not a whole CSV file: {' '.join(str(error).split())[:300]}.") from error


def _json_objects(file: Path) -> Iterator[json_objects.JsonObject]:
    with _binary(file) as raw, io.TextIOWrapper(raw, "utf-8-sig") as text:
        try:
            yield from json_objects.read(text)
        except (ValueError, EOFError) as error:  # JSON's and UTF-8's own errors are ValueErrors.
            raise DataError(f"{file}: not JSON: {error}.") from error


def _json_batches(file: Path, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    rows = _json_objects(file)
    while block := list(itertools.islice(rows, _BATCH_ROWS)):
        arrays = [pa.array([_json_text(row.get(name)) for row in block], pa.string()) for name in columns]
        yield pa.RecordBatch.from_arrays(arrays, names=list(columns))


def _json_text(value: Any) -> str | None:  # Any: JSON.
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, list) and not any(isinstance(item, list | dict) for item in value):
        return "|".join(_json_text(item) or "" for item in value)
    return json.dumps(value, ensure_ascii=False)


def _parquet_batches(file: Path) -> Iterator[pa.RecordBatch]:
    try:
        yield from pq.ParquetFile(file).iter_batches(_BATCH_ROWS)
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"{file}: not a whole Parquet file: {error}.") from error
