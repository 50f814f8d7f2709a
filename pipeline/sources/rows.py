"""Rows of an API as typed columns: written down once, their types known when all were seen, then read as batches."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Literal

import pyarrow as pa

from pipeline.errors import DataError, clipped
from pipeline.sources.plain import SchemaType

Row = Mapping[str, Any]
"""A flat row. Any: JSON, without objects."""
Kind = Literal["bool", "int", "float", "text", "list"]

_BATCH_ROWS = 20_000
_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,18})")
_ARROW = {"bool": pa.bool_(), "int": pa.int64(), "float": pa.float64(), "text": pa.string()}
_WANTED: dict[SchemaType, Kind] = {"INT": "int", "FLOAT": "float", "BYTES": "text"}
_INT64 = range(-(2**63), 2**63)


class Rows:
    """Rows on disk, and what kinds of values each column has. A context manager; the file goes with it.

    Args:
      key: columns that name a row; a row whose values of them came before is a repetition and is left out.
      texts: the values are texts that may be numbers, as in CSV; in JSON a text is a text.
    """

    def __init__(self, key: Sequence[str], *, texts: bool) -> None:
        self._file = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 - closed by __exit__.
        self._kinds: dict[str, set[Kind]] = {}
        self._items: dict[str, set[Kind]] = {}
        self._key, self._seen = key, set[bytes]()
        self._texts = texts

    def __enter__(self) -> Rows:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, row: Row) -> None:
        """Takes one row.

        Raises:
          DataError: it has no value for a column of the key.
        """
        if self._key and self._is_repeated(row):
            return
        for name, value in row.items():
            kinds = self._kinds.setdefault(name, set())
            if value is None:
                continue
            kinds.add(self._kind(value))
            if isinstance(value, list):
                self._items.setdefault(name, set()).update(self._kind(item) for item in value if item is not None)
        self._file.write(json.dumps(row) + "\n")

    def batches(self, wanted: Mapping[str, SchemaType]) -> Iterator[pa.RecordBatch]:
        """Yields the rows in order.

        Args:
          wanted: types of the dataset's schema; they decide where the rows alone would be read otherwise, so that a
            code of digits is a text if the schema says so, and "12.50" a number.

        Raises:
          DataError: a value is not of the type that the schema wants; names both.
        """
        kinds = {name: self._column_kind(name, wanted.get(name)) for name in self._kinds}
        self._file.seek(0)
        while block := [json.loads(line) for line in itertools.islice(self._file, _BATCH_ROWS)]:
            arrays = [self._array(name, kind, block) for name, kind in kinds.items()]
            yield pa.RecordBatch.from_arrays(arrays, names=list(kinds))

    def _is_repeated(self, row: Row) -> bool:
        missing = [name for name in self._key if row.get(name) is None]
        if missing:
            raise DataError(f"a row has no {missing[0]!r}, which [source] key names: {clipped(json.dumps(row))}.")
        digest = hashlib.blake2b(json.dumps([row[name] for name in self._key]).encode(), digest_size=16).digest()
        repeated = digest in self._seen
        self._seen.add(digest)
        return repeated

    def _kind(self, value: Any) -> Kind:
        if isinstance(value, bool):
            return "bool"
        if isinstance(value, int):
            return "int" if value in _INT64 else "text"
        if isinstance(value, float):
            return "float"
        if isinstance(value, list):
            return "list"
        if self._texts:
            if _INTEGER.fullmatch(value) and int(value) in _INT64:
                return "int"
            # A code such as 007 is no number.
            return "float" if _is_number(value) and not re.match(r"-?0[0-9]", value) else "text"
        return "text"

    def _column_kind(self, name: str, wanted: SchemaType | None) -> Kind:
        kinds = self._kinds[name]
        if wanted is not None and "list" not in kinds:
            return "bool" if kinds == {"bool"} and wanted == "INT" else _WANTED[wanted]
        return _widest(kinds)

    def _array(self, name: str, kind: Kind, block: Sequence[Row]) -> pa.Array:
        values = [row.get(name) for row in block]
        if kind == "list":
            inner = _widest(self._items.get(name, set()))
            return pa.array([None if one is None else [_as(inner, name, item) for item in one] for one in values],
                            pa.list_(_ARROW[inner]))  # fmt: skip
        return pa.array([_as(kind, name, value) for value in values], _ARROW[kind])


def _widest(kinds: set[Kind]) -> Kind:
    """Returns the kind that holds them all: text holds everything, and is that of a column without a value."""
    if len(kinds) == 1:
        return next(iter(kinds))
    return "float" if kinds == {"int", "float"} else "text"


def _as(kind: Kind, name: str, value: Any) -> Any:  # Any: JSON to Python.
    if value is None:
        return None
    if kind == "text":
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    try:
        if kind == "int":
            whole = value if isinstance(value, int) else int(value) if isinstance(value, str) else int(str(value)[:-2])
            if whole not in _INT64:
                raise ValueError
            return int(whole)
        return float(value) if kind == "float" else bool(value)
    except (ValueError, TypeError) as error:
        expected = {"int": "INT", "float": "FLOAT", "bool": "true or false"}[kind]
        raise DataError(
            f"column {name!r}: expected {expected}, as the schema says. Received: {clipped(json.dumps(value))}."
        ) from error


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text and text.strip() == text


def flattened(value: Mapping[str, Any], above: str = "") -> dict[str, Any]:  # Any: JSON.
    """Returns a JSON object as a flat row: `{"a": {"b": 1}}` has the column `a.b`; a list of objects is text."""
    row: dict[str, Any] = {}
    for name, item in value.items():
        if isinstance(item, Mapping):
            row |= flattened(item, f"{above}{name}.")
        elif isinstance(item, list) and any(isinstance(one, list | dict) for one in item):
            row[above + name] = json.dumps(item, ensure_ascii=False)
        else:
            row[above + name] = item
    return row
