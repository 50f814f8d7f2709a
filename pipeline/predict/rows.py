"""Rows to be predicted, as a person has them: CSV with a header, JSON lines, a JSON array, a predict request."""

import csv
import io
import itertools
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TextIO

import pyarrow as pa

from pipeline.errors import DataError
from pipeline.ingest.csv_fault import not_in_encoding
from pipeline.ingest.csv_format import PLAIN, CsvFormat, other_separator, separator_words

_LONGEST_FIELD = 1 << 30
Values = Mapping[str, Any]  # Any: JSON, or a CSV field's text.


@dataclass(frozen=True)
class Row:
    """One row of the input.

    Attributes:
      number: 1-based; a CSV header is no row.
      values: by column; a missing value is left out.
      error: why it is no row; `values` is empty then.
      columns: the columns that the row names, those of its missing values too.
      csv: how the values are written, of CSV; None for JSON, whose values have types.
    """

    number: int
    values: Values
    error: str = ""
    columns: Collection[str] = field(default=(), compare=False)
    csv: CsvFormat | None = field(default=None, compare=False)

    def plain(self, inputs: Mapping[str, str]) -> Values:
        """Returns the values in the notation that every reader knows.

        Args:
          inputs: TensorFlow's name of the type of each input, such as `DT_FLOAT`.

        Raises:
          ValueError: a date that is not written in its form.
        """
        if self.csv is None:
            return self.values
        types = {name: _arrow_type(dtype) for name, dtype in inputs.items()}
        return {
            name: self.csv.plain_cell(text, name, types[name]) if name in types else text
            for name, text in self.values.items()
        }


def _arrow_type(dtype: str) -> pa.DataType:
    if "INT" in dtype:
        return pa.int64()
    return pa.large_string() if dtype == "DT_STRING" else pa.float64()


def read_rows(file: TextIO, name: str, given: CsvFormat = PLAIN, known: Collection[str] = ()) -> Iterator[Row]:
    """Yields the rows of a file, whose format is told by its first character: `{` and `[` begin JSON, all else CSV.

    A row that is at fault is yielded with its error, and the others are not lost. CSV and JSON lines are streamed.

    Args:
      name: names the file in errors.
      given: how CSV is written.
      known: columns that CSV may have, as far as somebody knows them.

    Raises:
      DataError: the file as a whole cannot be read: separated otherwise, not of its encoding, empty, no header, an
        array that is no JSON.
    """
    lines = _decoded(file, name, given)
    first = next((line for line in lines if line.strip()), "")
    first = first.removeprefix("\ufeff")
    if not first:
        raise DataError(f"{name}: the input is empty. Expected CSV with a header, JSON lines or a JSON array.")
    together = itertools.chain([first], lines)
    if first.lstrip()[0] == "[":
        return _from_document("".join(together), name)
    if first.lstrip()[0] != "{":
        return _from_csv(together, name, given, known)
    try:
        json.loads(first)
    except ValueError:
        # An object over several lines: a predict request, as in assets.extra/sample_request.json.
        return _from_document("".join(together), name)
    return _from_json_lines(together)


def _decoded(file: TextIO, name: str, given: CsvFormat) -> Iterator[str]:
    try:
        yield from file
    except UnicodeError as error:
        raise DataError(f"{name}: {not_in_encoding(given)} Received: {error}.") from error


def _from_csv(lines: Iterable[str], name: str, given: CsvFormat, known: Collection[str]) -> Iterator[Row]:
    csv.field_size_limit(_LONGEST_FIELD)  # The process's own; Python's default is 131,072 characters.
    reader = csv.reader(lines, delimiter=given.delimiter, strict=True)
    header = next(reader, [])
    if (separator := other_separator(header, known, given)) is not None:
        raise DataError(f"{name}: {separator_words(separator, given)}")
    twice = sorted({column for column in header if header.count(column) > 1})
    if twice:
        raise DataError(f"{name}: the header has column {twice[0]!r} more than once. Keep one.")
    if any("\0" in column for column in header):
        raise DataError(f"{name}: line 1 holds a NUL byte. Expected UTF-8 text. Save the file as UTF-8.")
    if "" in header:
        raise DataError(f"{name}: a column of the header has no name: {header}. The first line must name the columns.")
    number = 0
    while True:
        try:
            fields = next(reader, None)
        except csv.Error as error:
            number += 1
            yield Row(number, {}, f"not CSV: {error}")
            continue
        if fields is None:
            return
        if not fields:
            if len(header) > 1:
                continue
            fields = [""]  # In a table of one column an empty line is a missing value.
        number += 1
        if len(fields) != len(header):
            yield Row(number, {}, f"expected {len(header)} fields, as in the header. Received: {len(fields)}")
            continue
        nul = next((column for column, text in zip(header, fields, strict=True) if "\0" in text), None)
        if nul is not None:
            yield Row(number, {}, f"{nul}: the value holds a NUL byte (line {reader.line_num})")
            continue
        values = {column: text for column, text in zip(header, fields, strict=True) if text not in given.missing}
        yield Row(number, values, columns=header, csv=given)


def _from_json_lines(lines: Iterable[str]) -> Iterator[Row]:
    number = 0
    for line in lines:
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            number += 1
            yield Row(number, {}, f"not JSON: {error}")
            continue
        for one in _instances(value):
            number += 1
            yield _from_json(number, one)


def _from_document(text: str, name: str) -> Iterator[Row]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{name}: not JSON: {error}.") from error
    for number, one in enumerate(value if isinstance(value, list) else _instances(value), start=1):
        yield _from_json(number, one)


def _instances(value: Any) -> list[Any]:
    """Returns the rows of a predict request; anything else is a row itself."""
    if isinstance(value, dict) and isinstance(value.get("instances"), list):
        rows: list[Any] = value["instances"]
        return rows
    return [value]


def _from_json(number: int, value: Any) -> Row:
    if not isinstance(value, dict):
        return Row(number, {}, f"expected an object of columns. Received: {json.dumps(value)[:80]}")
    return Row(number, {column: one for column, one in value.items() if one is not None}, columns=value.keys())


def open_text(path: str, given: CsvFormat = PLAIN) -> TextIO:
    """Opens a file of rows; `-` is standard input. JSON is UTF-8, CSV as it is written.

    Raises:
      DataError: there is no such file.
    """
    import sys

    try:
        file = sys.stdin.buffer if path == "-" else open(path, "rb")  # noqa: SIM115 - the caller closes it.
        is_json = isinstance(file, io.BufferedReader) and file.peek(1).lstrip()[:1] in (b"{", b"[")
        return io.TextIOWrapper(file, encoding="utf-8" if is_json else given.encoding, newline="")
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}. Name a file of rows, or - for standard input.") from error
