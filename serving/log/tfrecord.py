"""TFRecord framing, without TensorFlow.

Source of the format: TensorFlow, "TFRecord and tf.train.Example". A record is its length (uint64, little-endian), the
masked CRC-32C of the length, the data, the masked CRC-32C of the data.
"""

import struct
from collections.abc import Iterator
from typing import BinaryIO

import google_crc32c

_LENGTH = struct.Struct("<Q")
_CRC = struct.Struct("<I")
_HEADER_BYTES = _LENGTH.size + _CRC.size


def frame(data: bytes) -> bytes:
    """Returns one record as it stands in a file."""
    length = _LENGTH.pack(len(data))
    return b"".join((length, _masked_crc32c(length), data, _masked_crc32c(data)))


def whole_records(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Yields each record's data and the offset at which it ends; stops before the first that is cut short or damaged.

    A caller that must know of such a rest compares the last offset with the file's size.
    """
    end = file.tell()
    while True:
        header = file.read(_HEADER_BYTES)
        length = header[: _LENGTH.size]
        if len(header) < _HEADER_BYTES or header[_LENGTH.size :] != _masked_crc32c(length):
            return
        (size,) = _LENGTH.unpack(length)
        body = file.read(size + _CRC.size)
        data = body[:size]
        if len(body) < size + _CRC.size or body[size:] != _masked_crc32c(data):
            return
        end += _HEADER_BYTES + len(body)
        yield data, end


def _masked_crc32c(data: bytes) -> bytes:
    """TFRecord's checksum: CRC-32C, rotated and shifted so that a CRC of CRCs stays meaningful."""
    crc = int(google_crc32c.value(data))
    return _CRC.pack(((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)
