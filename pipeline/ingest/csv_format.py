"""How people write CSV: separator, encoding, decimal sign, words for missing values and booleans, dates."""

import codecs
import csv
import datetime
import io
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, BinaryIO, Literal

import pyarrow as pa
import pyarrow.compute as pc

from columnar.tfrecords import open_binary
from models import settings
from models.settings import Column, Form
from pipeline.ingest.errors import UnreadableError

_Separator = Annotated[str, Form(r'[^\r\n"\\A-Za-z0-9+-]', "one character that separates fields")]
_Word = Annotated[str, Form(r"[^\x00\r\n]+", "a word")]
_DateForm = Annotated[str, Form(r"[^\x00]*%[^\x00]*", "a form of strptime, such as %d.%m.%Y")]
_SEPARATORS = (",", ";", "\t", "|")
_READ_BYTES = 1 << 20
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


@dataclass(frozen=True, kw_only=True)
class CsvFormat:
    """`[spans.csv]`: how CSV files are written, those of the spans and those that `predict` reads.

    Attributes:
      delimiter: what separates the fields of a line; "\\t" for a tab.
      encoding: of the text, as Python names it, such as `cp1252` or `utf-16`.
      decimal: the sign before the digits of a fraction.
      nulls: words that stand for a missing value in any column, besides the empty field.
      true: words that stand for 1 in an INT column, besides `true` in any case.
      false: words that stand for 0 there, besides `false`.
      dates: columns of dates, each with its form in strptime's terms, such as `"%d.%m.%Y"`; an INT column then holds
        seconds since 1970 (UTC), a BYTES column ISO 8601.
    """

    delimiter: _Separator = ","
    encoding: str = "utf-8"
    decimal: Literal[".", ","] = "."
    nulls: tuple[_Word, ...] = ()
    true: tuple[_Word, ...] = ()
    false: tuple[_Word, ...] = ()
    dates: Mapping[Column, _DateForm] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        settings.check(self)
        if self.delimiter == self.decimal:
            raise ValueError(f"delimiter and decimal are both {self.decimal!r}. One of them must be another.")
        if both := sorted(set(self.true) & set(self.false)):
            raise ValueError(f"{both[0]!r} is in true and in false. Remove it from one.")
        try:
            _ = "".encode(self.encoding), b"".decode(self.encoding)
        except LookupError as error:
            raise ValueError(f"encoding: expected one that Python knows. Received: {self.encoding!r}.") from error

    @property
    def is_utf8(self) -> bool:
        """Whether files are UTF-8, with or without a byte order mark."""
        return codecs.lookup(self.encoding).name in ("utf-8", "utf-8-sig", "ascii")

    @property
    def missing(self) -> tuple[str, ...]:
        """What a missing value is written as."""
        return ("", *self.nulls)

    def is_own(self, name: str, target: pa.DataType) -> bool:
        """Returns whether a column's values are written in a way that pyarrow does not read by itself."""
        if name in self.dates:
            return True
        if pa.types.is_integer(target):
            return self.decimal != "." or bool(self.true or self.false)
        return bool(pa.types.is_floating(target)) and self.decimal != "."

    def plain(self, cells: pa.Array, name: str, target: pa.DataType) -> pa.Array:
        """Returns a column's texts as pyarrow and `csv_integers` read them; null stays null.

        Raises:
          pa.ArrowInvalid: a date that is not written in its form.
        """
        if name in self.dates:
            return self._dates(cells, self.dates[name], target)
        if pa.types.is_integer(target):
            bare = pc.utf8_trim(cells, " \t")
            for words, number in ((self.true, "1"), (self.false, "0")):
                cells = pc.if_else(pc.is_in(bare, pa.array(words, cells.type)), pa.scalar(number, cells.type), cells)
        if self.decimal != "." and (pa.types.is_integer(target) or pa.types.is_floating(target)):
            # A decimal point in a file of decimal commas is a thousands mark, or a mistake: no number either way.
            cells = pc.replace_substring(pc.replace_substring(cells, ".", "\0"), self.decimal, ".")
        return cells

    def plain_cell(self, cell: str, name: str, target: pa.DataType) -> str:
        """Returns one text as `plain` does, and raises what it raises."""
        if not self.is_own(name, target):
            return cell
        return str(self.plain(pa.array([cell], pa.large_string()), name, target)[0].as_py())

    def _dates(self, cells: pa.Array, form: str, target: pa.DataType) -> pa.Array:
        encoded = cells.dictionary_encode()
        try:
            moments = [datetime.datetime.strptime(cell.strip(), form) for cell in encoded.dictionary.to_pylist()]
        except ValueError as error:
            raise pa.ArrowInvalid(str(error)) from error
        if pa.types.is_integer(target):
            texts = [str(_seconds(moment)) for moment in moments]
        else:
            has_time = any(mark in form for mark in ("%H", "%I", "%T", "%X", "%c"))
            texts = [_iso(moment) if has_time else f"{moment:%Y-%m-%d}" for moment in moments]
        return pa.array(texts, cells.type).take(encoded.indices)


PLAIN = CsvFormat()
"""Commas, UTF-8, decimal points."""


def _seconds(moment: datetime.datetime) -> int:
    aware = moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)
    return (aware - _EPOCH) // datetime.timedelta(seconds=1)


def _iso(moment: datetime.datetime) -> str:
    if moment.tzinfo:
        return f"{moment.astimezone(datetime.UTC):%Y-%m-%dT%H:%M:%S}Z"
    return f"{moment:%Y-%m-%dT%H:%M:%S}"


def other_separator(header: Sequence[str], known: Collection[str], given: CsvFormat) -> str | None:
    """Returns what separates the fields of a header that names no column as it was read; None where nothing does.

    Args:
      known: the columns that are meant; empty where nobody knows them.
    """
    if set(header) & set(known) or (not known and len(header) > 1):
        return None
    text = given.delimiter.join(header)
    for separator in _SEPARATORS:
        names = next(csv.reader([text], delimiter=separator), [])
        if separator != given.delimiter and len(names) > 1 and (not known or set(names) & set(known)):
            return separator
    return None


def separator_words(found: str, given: CsvFormat) -> str:
    """Returns what is said of a file with another separator than expected."""
    written = "\\t" if found == "\t" else found
    return (
        f"the fields are separated by {found!r}, and {given.delimiter!r} was expected. "
        f'Say so in dataset.toml, [spans.csv] delimiter = "{written}", or write the file with {given.delimiter!r}.'
    )


def open_utf8(path: str, given: CsvFormat) -> BinaryIO:
    """Opens a file as UTF-8, whatever it is; bytes that its encoding does not have stay what no UTF-8 is."""
    file = open_binary(path)
    return file if given.is_utf8 else io.BufferedReader(_Recoded(file, given.encoding, path), _READ_BYTES)


class _Recoded(io.RawIOBase):
    """A file of another encoding, read as UTF-8."""

    def __init__(self, file: BinaryIO, encoding: str, path: str) -> None:
        self._file = file
        self._encoding = encoding
        self._path = path
        self._decoder = codecs.getincrementaldecoder(encoding)("surrogateescape")
        self._held = b""
        self._ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # Any writable buffer, as RawIOBase says.
        while not self._held and not self._ended:
            read = self._file.read(_READ_BYTES)
            self._ended = not read
            try:
                self._held = self._decoder.decode(read, final=self._ended).encode("utf-8", "surrogateescape")
            except UnicodeError as error:
                what = f"expected {self._encoding}. Save the file so, or correct [spans.csv] encoding."
                raise UnreadableError(what, path=self._path) from error
        count = min(len(buffer), len(self._held))
        buffer[:count], self._held = self._held[:count], self._held[count:]
        return count

    def close(self) -> None:
        self._file.close()
        super().close()
