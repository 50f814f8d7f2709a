"""Finds the exact place of a fault in a CSV file: slowly, cell by cell, and only once a fault is known."""

import csv
import io
import re
from collections.abc import Iterator, Mapping

import pyarrow as pa

from pipeline.ingest import csv_integers
from pipeline.ingest.columns import KIND_NAMES, Columns, is_wrong_label, label_fault
from pipeline.ingest.csv_format import CsvFormat, open_utf8
from pipeline.ingest.errors import IngestError, UnreadableError, ValueTypeError

# Blanks and tabs as pyarrow trims them; not a no-break space, which `\s` would take.
_NUMBER = re.compile(r"[ \t]*[+-]?(([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?|nan|inf|infinity)[ \t]*", re.IGNORECASE)
_LONGEST_FIELD = 1 << 30


def not_in_encoding(given: CsvFormat) -> str:
    """Returns what is said of bytes that are not of the file's encoding."""
    if given.is_utf8:
        return "expected UTF-8. Save the file as UTF-8, or name its encoding in dataset.toml: [spans.csv] encoding."
    return f"expected {given.encoding}, as [spans.csv] says. Save the file so, or correct the encoding."


def find(
    path: str, header: list[str], columns: Columns, labelled: bool, given: CsvFormat, hint: str = ""
) -> IngestError:
    """Returns the first fault of a file: a ragged row, a wrong type, a wrong label, an unclosed quote, another
    encoding, a NUL byte.

    Args:
      given: how the file is written.
      hint: what the fast reader said; used where this slower one finds nothing.
    """
    try:
        for line, record in _records(path, given):
            fault = _fault_of(path, line, record, header, columns, labelled, given)
            if fault is not None:
                return fault
    except UnreadableError as error:
        return error
    return UnreadableError(f"cannot be read: {hint}", path=path)


def unclosed_quote(path: str, given: CsvFormat) -> IngestError | None:
    """Returns the error for a quote that is opened and never closed; None where all are closed after all."""
    try:
        for _ in _records(path, given):
            pass
    except UnreadableError as error:
        return error
    return None


def _records(path: str, given: CsvFormat) -> Iterator[tuple[int, list[str]]]:
    """Yields each record, the header excepted, with the line that it starts on."""
    limit = csv.field_size_limit(_LONGEST_FIELD)
    try:
        with (
            open_utf8(path, given) as file,
            io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="") as text,
        ):
            reader = csv.reader(text, delimiter=given.delimiter, strict=True)
            line = 1
            try:
                for number, record in enumerate(reader):
                    if number and record:
                        yield line, record
                    line = reader.line_num + 1
            except csv.Error as error:
                what = "a quote is opened here and never closed" if "end of data" in str(error) else str(error)
                raise UnreadableError(f"{what}. Correct the quotes of this record.", path=path, line=line) from error
    finally:
        csv.field_size_limit(limit)


def _fault_of(
    path: str,
    line: int,
    record: list[str],
    header: list[str],
    columns: Columns,
    labelled: bool,
    given: CsvFormat,
) -> IngestError | None:
    if len(record) != len(header):
        column = header[len(record)] if len(record) < len(header) else None
        what = f"expected {len(header)} fields, as in the header. Received: {len(record)}. "
        return UnreadableError(f"{what}Correct the row.", path=path, line=line, column=column)
    for column, cell in zip(header, record, strict=True):
        if cell in given.missing or column not in columns.flat.names:
            continue
        target = columns.flat.field(column).type
        if is_undecoded(cell):
            return UnreadableError(not_in_encoding(given), path=path, line=line, column=column)
        if "\0" in cell:
            what = "the value holds a NUL byte, which no text does. Write the file again, as UTF-8."
            return UnreadableError(what, path=path, line=line, column=column)
        if (wrong := _wrong_value(cell, column, target, given)) is not None:
            return ValueTypeError(wrong, path=path, line=line, column=column)
    return _label_fault(path, line, dict(zip(header, record, strict=True)), columns, given) if labelled else None


def _wrong_value(cell: str, column: str, target: pa.DataType, given: CsvFormat) -> str | None:
    """Returns why a cell is no value of its column, and where a setting would make it one; None where it is one."""
    try:
        if _fits(given.plain_cell(cell, column, target), target):
            return None
    except pa.ArrowInvalid:
        return f"expected a date written as {given.dates[column]}. Received: {cell!r}."
    what = f"expected {KIND_NAMES[str(target)]}. Received: {cell!r}."
    if given.decimal == "." and "," in cell and "." not in cell and _fits(cell.replace(",", "."), target):
        return f'{what} If that is a decimal comma, say so in dataset.toml: [spans.csv] decimal = ",".'
    return what


def _label_fault(
    path: str, line: int, cells: Mapping[str, str], columns: Columns, given: CsvFormat
) -> IngestError | None:
    values: dict[str, float | str | None] = {
        name: None if cells[name] in given.missing else _value(cells[name], columns.flat.field(name), given)
        for name in sorted(columns.label)
    }
    return label_fault(values, columns, path, line) if is_wrong_label(values, columns) else None


def _value(cell: str, target: pa.Field, given: CsvFormat) -> float | str | None:
    plain = given.plain_cell(cell, target.name, target.type)
    if pa.types.is_integer(target.type):
        return csv_integers.parse(plain)
    return float(plain) if pa.types.is_floating(target.type) else plain


def is_undecoded(text: str) -> bool:
    """Returns whether decoding with `surrogateescape` met bytes that are not UTF-8."""
    return any("\ud800" <= char <= "\udfff" for char in text)


def _fits(cell: str, target: pa.DataType) -> bool:
    if pa.types.is_integer(target):
        return csv_integers.parse(cell) is not None
    return not pa.types.is_floating(target) or bool(_NUMBER.fullmatch(cell))
