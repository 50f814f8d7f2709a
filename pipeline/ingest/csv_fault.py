"""Finds the exact place of a fault in a CSV file: slowly, cell by cell, and only once a fault is known."""

import csv
import io
import re
from collections.abc import Iterator, Mapping

import pyarrow as pa

from columnar.tfrecords import open_binary
from pipeline.ingest import csv_integers
from pipeline.ingest.columns import KIND_NAMES, Columns, is_wrong_label, label_fault
from pipeline.ingest.errors import IngestError, UnreadableError, ValueTypeError

# Blanks and tabs as pyarrow trims them; not a no-break space, which `\s` would take.
_NUMBER = re.compile(r"[ \t]*[+-]?(([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?|nan|inf|infinity)[ \t]*", re.IGNORECASE)
_LONGEST_FIELD = 1 << 30


def find(path: str, header: list[str], columns: Columns, labelled: bool, hint: str = "") -> IngestError:
    """Returns the first fault of a file: a ragged row, a wrong type, a wrong label, an unclosed quote, no UTF-8,
    a NUL byte.

    Args:
      hint: what the fast reader said; used where this slower one finds nothing.
    """
    try:
        for line, record in _records(path):
            fault = _fault_of(path, line, record, header, columns, labelled)
            if fault is not None:
                return fault
    except UnreadableError as error:
        return error
    return UnreadableError(f"cannot be read: {hint}", path=path)


def unclosed_quote(path: str) -> IngestError | None:
    """Returns the error for a quote that is opened and never closed; None where all are closed after all."""
    try:
        for _ in _records(path):
            pass
    except UnreadableError as error:
        return error
    return None


def _records(path: str) -> Iterator[tuple[int, list[str]]]:
    """Yields each record, the header excepted, with the line that it starts on."""
    limit = csv.field_size_limit(_LONGEST_FIELD)
    try:
        with (
            open_binary(path) as file,
            io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="") as text,
        ):
            reader = csv.reader(text, strict=True)
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
    path: str, line: int, record: list[str], header: list[str], columns: Columns, labelled: bool
) -> IngestError | None:
    if len(record) != len(header):
        column = header[len(record)] if len(record) < len(header) else None
        what = f"expected {len(header)} fields, as in the header. Received: {len(record)}. "
        return UnreadableError(f"{what}Correct the row.", path=path, line=line, column=column)
    for column, cell in zip(header, record, strict=True):
        target = columns.flat.field(column).type
        if not cell:
            continue
        if is_undecoded(cell):
            return UnreadableError("expected UTF-8. Save the file as UTF-8.", path=path, line=line, column=column)
        if "\0" in cell:
            what = "the value holds a NUL byte, which no text does. Write the file again, as UTF-8."
            return UnreadableError(what, path=path, line=line, column=column)
        if not _fits(cell, target):
            expected = KIND_NAMES[str(target)]
            return ValueTypeError(f"expected {expected}. Received: {cell!r}.", path=path, line=line, column=column)
    return _label_fault(path, line, dict(zip(header, record, strict=True)), columns) if labelled else None


def _label_fault(path: str, line: int, cells: Mapping[str, str], columns: Columns) -> IngestError | None:
    values: dict[str, float | str | None] = {
        name: _value(cells[name], columns.flat.field(name).type) if cells[name] else None
        for name in sorted(columns.label)
    }
    return label_fault(values, columns, path, line) if is_wrong_label(values, columns) else None


def _value(cell: str, target: pa.DataType) -> float | str | None:
    if pa.types.is_integer(target):
        return csv_integers.parse(cell)
    return float(cell) if pa.types.is_floating(target) else cell


def is_undecoded(text: str) -> bool:
    """Returns whether decoding with `surrogateescape` met bytes that are not UTF-8."""
    return any("\ud800" <= char <= "\udfff" for char in text)


def _fits(cell: str, target: pa.DataType) -> bool:
    if pa.types.is_integer(target):
        return csv_integers.parse(cell) is not None
    return not pa.types.is_floating(target) or bool(_NUMBER.fullmatch(cell))
