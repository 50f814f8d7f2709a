"""Decodes serialized tf.Examples that all have the same features in the same order, column by column with numpy.

ExampleGen of this project writes such examples, and reading them so takes a fraction of what a general decoder takes.
Every byte is accounted for: whatever differs from the one form below (another order, lists of several values, empty
lists, unknown fields) is not decoded, and the caller uses the general decoder.

    Example 0A len { 0A len { 0A len NAME  12 len FEATURE } }  one entry per feature
    FEATURE is empty (missing), or 0A|12|1A len { 0A len VALUE } for one text, float or integer

Source of the format: Protocol Buffers, "Encoding"; tensorflow/core/example/example.proto.
"""

from collections.abc import Collection
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

_BYTES, _FLOATS, _INTEGERS = 0x0A, 0x12, 0x1A
_KEY_TAG, _VALUE_TAG = 0x0A, 0x12
_ONE_FLOAT = b"\x12\x06\x0a\x04"  # What precedes the float of a list of one.
_MAX_VARINT_BYTES = 10
_MAX_LENGTH_BYTES = 5

Positions = npt.NDArray[np.int64]


class _Unlike(Exception):  # noqa: N818 - no error: it never leaves this module.
    """The examples are not of the one form."""


class _Entry(NamedTuple):
    """Where a column's features are: first byte and end, by row."""

    start: Positions
    end: Positions


def decode(records: list[bytes], wanted: Collection[str] | None = None) -> pa.RecordBatch | None:
    """Returns flat columns (int64, float, large_binary; null type where all are missing), or None: use another decoder.

    Args:
      wanted: names of the columns to decode; None means all.
    """
    try:
        return _decode(records, wanted)
    except (_Unlike, IndexError, UnicodeDecodeError):  # A length that leads outside; a name that is no text.
        return None


def _decode(records: list[bytes], wanted: Collection[str] | None) -> pa.RecordBatch:
    lengths = np.fromiter(map(len, records), np.int64, len(records))
    # Zeros behind the last record let every read of eight bytes stay inside.
    data = np.frombuffer(b"".join(records) + bytes(16), np.uint8)
    ends = np.cumsum(lengths)
    _require(lengths >= 2)
    position = ends - lengths
    _require(data[position] == 0x0A)
    body, position = _read_length(data, position + 1)
    _require(position + body == ends)
    names: list[str] = []
    columns: list[pa.Array] = []
    while position[0] < ends[0]:
        name, entry = _read_entry(data, position)
        if wanted is None or name in wanted:
            names.append(name)
            columns.append(_read_column(data, entry))
        position = entry.end
        _require(position <= ends)
    _require(position == ends)
    if len(set(names)) < len(names) or not names:  # Without a column, a batch would have no rows.
        raise _Unlike
    return pa.RecordBatch.from_arrays(columns, names)


def _require(holds: npt.NDArray[np.bool_]) -> None:
    if not holds.all():
        raise _Unlike


def _read_length(data: npt.NDArray[np.uint8], position: Positions) -> tuple[Positions, Positions]:
    """Reads a varint per row; returns the values and the positions behind them."""
    value = data[position].astype(np.int64)
    position = position + 1
    if value.max(initial=0) < 0x80:
        return value, position
    value &= 0x7F
    more = data[position - 1] >= 0x80
    for index in range(1, _MAX_LENGTH_BYTES):
        byte = np.where(more, data[np.minimum(position, len(data) - 1)], 0).astype(np.int64)
        value |= (byte & 0x7F) << 7 * index
        position = position + more
        more = byte >= 0x80
        if not more.any():
            return value, np.minimum(position, len(data) - 16)
    raise _Unlike


def _read_entry(data: npt.NDArray[np.uint8], position: Positions) -> tuple[str, _Entry]:
    """Reads tag, length and name of a map entry, the same name in every row."""
    _require(data[position] == 0x0A)
    entry_bytes, inside = _read_length(data, position + 1)
    first = int(inside[0])
    name_bytes, name_at = _read_length(data, np.array([first + 1]))
    prefix = data[first : int(name_at[0]) + int(name_bytes[0]) + 1]
    if len(prefix) < 3 or prefix[0] != _KEY_TAG or prefix[-1] != _VALUE_TAG:
        raise _Unlike
    end = inside + entry_bytes
    _require(end <= len(data) - 16)
    _require(inside + len(prefix) < end)
    _require_bytes(data, inside, prefix)
    feature_bytes, start = _read_length(data, inside + len(prefix))
    _require(start + feature_bytes == end)
    return bytes(prefix[int(name_at[0]) - first : -1]).decode(), _Entry(start, end)


def _words(data: npt.NDArray[np.uint8], dtype: str) -> npt.NDArray[np.generic]:
    """Returns a view in which item i is the number that begins at byte i."""
    size = np.dtype(dtype).itemsize
    return np.ndarray((len(data) - size + 1,), dtype, data, strides=(1,))


def _require_bytes(data: npt.NDArray[np.uint8], position: Positions, expected: npt.NDArray[np.uint8]) -> None:
    words = _words(data, "<u8")
    for offset in range(0, len(expected), 8):
        part = expected[offset : offset + 8]
        found = words[position + offset]
        if len(part) < 8:
            found = np.bitwise_and(found, np.uint64(256 ** len(part) - 1))
        _require(found == np.uint64(int.from_bytes(part.tobytes(), "little")))


def _read_column(data: npt.NDArray[np.uint8], entry: _Entry) -> pa.Array:
    present = entry.end > entry.start
    rows = len(present)
    if not present.any():
        return pa.nulls(rows)
    start, end = (entry.start, entry.end) if present.all() else (entry.start[present], entry.end[present])
    kind = int(data[start[0]])
    if kind == _FLOATS:
        _require(end - start == len(_ONE_FLOAT) + 4)
        _require(_words(data, "<u4")[start] == int.from_bytes(_ONE_FLOAT, "little"))
        return _spread(pa.array(_words(data, "<f4")[start + len(_ONE_FLOAT)]), present)
    _require(data[start] == kind)
    list_bytes, at = _read_length(data, start + 1)
    _require(at + list_bytes == end)
    _require(list_bytes >= 2)  # An empty list is not the same as a missing value.
    _require(data[at] == 0x0A)
    value_bytes, at = _read_length(data, at + 1)
    _require(at + value_bytes == end)
    if kind == _INTEGERS:
        values = pa.array(_read_integers(data, at, value_bytes))
    elif kind == _BYTES:
        values = _read_texts(data, at, end)
    else:
        raise _Unlike
    return _spread(values, present)


def _spread(values: pa.Array, present: npt.NDArray[np.bool_]) -> pa.Array:
    """Puts values where they are present, and null elsewhere."""
    if len(values) == len(present):
        return values
    return values.take(pa.array(np.cumsum(present) - 1, mask=~present))


def _read_integers(data: npt.NDArray[np.uint8], at: Positions, value_bytes: Positions) -> npt.NDArray[np.int64]:
    """Reads one varint per row that fills its list: an earlier end would be a second value."""
    width = int(value_bytes.max())
    if width > _MAX_VARINT_BYTES or value_bytes.min() < 1:
        raise _Unlike
    value = np.zeros(len(at), np.uint64)
    for index in range(width):
        inside = index < value_bytes
        byte = np.where(inside, data[at + np.minimum(index, value_bytes - 1)], 0)
        value |= (byte & 0x7F).astype(np.uint64) << np.uint64(7 * index)
        _require((byte >= 0x80) == (index < value_bytes - 1))
    return value.view(np.int64)


def _read_texts(data: npt.NDArray[np.uint8], at: Positions, end: Positions) -> pa.LargeBinaryArray:
    """Cuts out the texts: as every other item of an array whose items between them are what lies between texts."""
    offsets = np.empty(2 * len(at), np.int64)
    offsets[0::2], offsets[1::2] = at, end
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(data)]
    cut = pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(offsets) - 1, buffers)
    return cut.take(pa.array(np.arange(0, len(offsets) - 1, 2)))
