"""Encodes flat Arrow batches as serialized tf.Examples, column by column, to deterministic bytes.

`tfx_bsl`'s RecordBatchToExamples walks a hash map, so the order of features differs from row to row and from process
to process, and a split by the hash of its bytes would not be stable. Here features are sorted by name, as protobuf's
`SerializeToString(deterministic=True)` sorts them.

Source of the format: Protocol Buffers, "Encoding"; tensorflow/core/example/example.proto.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

# Tag bytes: field number and wire type 2 (length-delimited).
_FIELD_1, _FIELD_2, _FIELD_3 = b"\x0a", b"\x12", b"\x1a"
_KIND_TAG = {"large_string": _FIELD_1, "double": _FIELD_2, "int64": _FIELD_3}
_MAX_VARINT_BYTES = 10
# Below this many rows per distinct value, encoding a column as arrays is faster than value by value.
_WORTHWHILE_REPEATS = 8


class EncodedExamples(NamedTuple):
    """One batch, encoded.

    Attributes:
      records: the tf.Examples to write. A missing value is a feature of no kind, which TFDV counts as missing.
      keys: what a row's split is derived from. It differs from the record only in that a missing value is an empty
        list, as TFX's CsvExampleGen writes it (TFDV counts that as present): so both assign the same splits.
    """

    records: pa.LargeBinaryArray
    keys: pa.LargeBinaryArray


def encode(batch: pa.RecordBatch) -> EncodedExamples:
    """Encodes each row of a flat batch (int64, double, large_string; null is missing) as a tf.Example."""
    # protobuf's Python runtime puts a name after the longer ones that begin with it; no UTF-8 byte is 0xFF.
    names = sorted(batch.schema.names, key=lambda name: name.encode() + b"\xff")
    pieces = [_encode_column(name, batch.column(name)) for name in names]
    records = _message(_FIELD_1, [piece for column in pieces for piece in column.record], batch.num_rows)
    if all(column.key is column.record for column in pieces):
        return EncodedExamples(records, records)
    keys = _message(_FIELD_1, [piece for column in pieces for piece in column.key], batch.num_rows)
    return EncodedExamples(records, keys)


def varint(value: int) -> bytes:
    """Returns a non-negative integer as a base-128 varint."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def by_length(lengths: npt.NDArray[np.int64], make: Callable[[int], bytes]) -> pa.LargeBinaryArray:
    """Returns `make(length)` per row, calling it once per distinct length."""
    distinct, index = np.unique(lengths, return_inverse=True)
    return pa.array([make(int(length)) for length in distinct], pa.large_binary()).take(pa.array(index))


def join(pieces: Sequence[pa.Array]) -> pa.LargeBinaryArray:
    """Concatenates binary columns row by row."""
    return pc.binary_join_element_wise(*pieces, pa.scalar(b"", pa.large_binary()))


class _Pieces(NamedTuple):
    """The binary columns that make up a feature's map entry; `key is record` where no value is missing."""

    record: Sequence[pa.Array]
    key: Sequence[pa.Array]


def _message(tag: bytes, pieces: Sequence[pa.Array], rows: int) -> pa.LargeBinaryArray:
    if not pieces:
        return pa.array([tag + b"\0"] * rows, pa.large_binary())
    lengths = np.zeros(rows, np.int64)
    for piece in pieces:
        lengths += pc.binary_length(piece).to_numpy()
    return join([by_length(lengths, lambda length: tag + varint(length)), *pieces])


def _encode_column(name: str, column: pa.Array) -> _Pieces:
    tag = _KIND_TAG[str(column.type)]
    if column.type == pa.float64():
        pieces = _encode_floats(name, tag, column)
    elif (repeated := _encode_repeated(name, tag, column)) is not None:
        pieces = repeated
    elif column.type == pa.int64():
        pieces = _encode_integers(name, tag, column)
    else:
        pieces = _encode_strings(name, tag, column)
    if not column.null_count:
        return _Pieces(pieces, pieces)
    missing = column.is_null()
    rest = [pc.if_else(missing, _scalar(b""), piece) for piece in pieces[1:]]
    no_kind = _scalar(_entry_prefix(name, 0))
    empty_list = _scalar(_entry_prefix(name, 2) + tag + b"\0")
    return _Pieces(
        [pc.if_else(missing, no_kind, pieces[0]), *rest],
        [pc.if_else(missing, empty_list, pieces[0]), *rest],
    )


def _encode_repeated(name: str, tag: bytes, column: pa.Array) -> list[pa.Array] | None:
    """Encodes each distinct value once; None where too few repeat for that to be the faster way."""
    encoded = column.dictionary_encode()
    if len(encoded.dictionary) * _WORTHWHILE_REPEATS > len(column):
        return None
    entries = []
    for value in encoded.dictionary.to_pylist():
        payload = value.encode() if isinstance(value, str) else varint(value % 2**64)
        entries.append(_value_prefix(name, tag, len(payload)) + payload)
    return [pa.array(entries, pa.large_binary()).take(encoded.indices)]


def _scalar(value: bytes) -> pa.LargeBinaryScalar:
    return pa.scalar(value, pa.large_binary())


def _entry_prefix(name: str, feature_bytes: int) -> bytes:
    """Returns what precedes a Feature of `feature_bytes` in the map field: the entry's tag and length, and its key."""
    encoded = name.encode()
    inside = _FIELD_1 + varint(len(encoded)) + encoded + _FIELD_2 + varint(feature_bytes)
    return _FIELD_1 + varint(len(inside) + feature_bytes) + inside


def _value_prefix(name: str, tag: bytes, payload_bytes: int) -> bytes:
    """Returns what precedes the one value of a list: everything up to and including the value's own length."""
    value_list = _FIELD_1 + varint(payload_bytes)
    list_bytes = len(value_list) + payload_bytes
    feature = tag + varint(list_bytes) + value_list
    return _entry_prefix(name, len(feature) + payload_bytes) + feature


def _encode_floats(name: str, tag: bytes, column: pa.Array) -> list[pa.Array]:
    prefix = _value_prefix(name, tag, 4)
    with np.errstate(over="ignore"):  # Beyond float32 is infinity, as protobuf has it.
        values = pc.fill_null(column, 0.0).to_numpy().astype("<f4")
    matrix = np.empty((len(values), len(prefix) + 4), np.uint8)
    matrix[:, : len(prefix)] = np.frombuffer(prefix, np.uint8)
    matrix[:, len(prefix) :] = values.view(np.uint8).reshape(-1, 4)
    return [_binary(matrix.reshape(-1), np.full(len(values), matrix.shape[1], np.int64))]


def _encode_integers(name: str, tag: bytes, column: pa.Array) -> list[pa.Array]:
    values = pc.fill_null(column, 0).to_numpy().view(np.uint64)  # Negative numbers are two's complement, ten bytes.
    lengths = np.ones(len(values), np.int64)
    for size in range(1, _MAX_VARINT_BYTES):
        longer = values >= np.uint64(1 << 7 * size)
        if not longer.any():
            break
        lengths += longer
    width = int(lengths.max(initial=1))
    position = np.arange(width)
    matrix = ((values[:, None] >> (7 * position).astype(np.uint64)) & np.uint64(0x7F)).astype(np.uint8)
    matrix[position < lengths[:, None] - 1] |= 0x80
    varints = _binary(matrix[position < lengths[:, None]], lengths)
    return [by_length(lengths, lambda length: _value_prefix(name, tag, length)), varints]


def _encode_strings(name: str, tag: bytes, column: pa.Array) -> list[pa.Array]:
    values = pc.fill_null(column.cast(pa.large_binary()), b"")
    lengths = pc.binary_length(values).to_numpy()
    return [by_length(lengths, lambda length: _value_prefix(name, tag, length)), values]


def _binary(data: npt.NDArray[np.uint8], lengths: npt.NDArray[np.int64]) -> pa.LargeBinaryArray:
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(data))]
    return pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(lengths), buffers)
