"""Reads TFRecord files in large pieces, without TensorFlow: a run that trains nothing need not import it.

Source of the format: TensorFlow, "TFRecord and tf.train.Example". A record is its length (uint64, little-endian), the
masked CRC-32C of the length, the data, the masked CRC-32C of the data.
"""

import io
import struct
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

import google_crc32c

from columnar import object_stores
from columnar.errors import ExamplesError

_READ_BYTES = 4 << 20
# A batch ends early at this size, so that wide or long examples do not make memory grow.
_MAX_BATCH_BYTES = 64 << 20
_HEADER = struct.Struct("<QI")
_FOOTER_BYTES = 4
_GZIP_MAGIC = b"\x1f\x8b"
_GZIP_WBITS = 16 + zlib.MAX_WBITS


def masked_crc32c(data: bytes) -> int:
    """Returns TFRecord's checksum of `data`: CRC-32C, rotated and shifted so that a CRC of CRCs stays meaningful."""
    crc = int(google_crc32c.value(data))
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def open_binary(path: str) -> BinaryIO:
    """Opens a local file, one in S3 or Azure, or another remote one (`gs://...`) through TensorFlow's file systems."""
    if "://" not in path:
        return open(path, "rb")
    if object_stores.handles(path):
        return object_stores.open_object(path)
    return io.BufferedReader(_RemoteFile(path), _READ_BYTES)


class _RemoteFile(io.RawIOBase):
    """A remote file as Python's own: TensorFlow's GFile lacks the methods that text and Arrow readers ask for."""

    def __init__(self, path: str) -> None:
        import tensorflow as tf

        super().__init__()
        self._file = tf.io.gfile.GFile(path, "rb")
        self._size = int(self._file.size())  # Also says now, not at the first read, that there is no such file.

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # Any: what io passes, a writable buffer.
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self.tell(), io.SEEK_END: self._size}[whence]
        self._file.seek(start + offset)
        return start + offset

    def tell(self) -> int:
        return int(self._file.tell())

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


def iter_record_batches(path: str, batch_size: int) -> Iterator[list[bytes]]:
    """Yields the records of one file, gzipped or not, in order, in lists of at most `batch_size` or about 64 MB.

    Raises:
      ExamplesError: the file is truncated or damaged; names the file and how many records were readable.
    """
    count = 0
    batch: list[bytes] = []
    batch_bytes = 0
    with open_binary(path) as file:
        compressed = file.read(2) == _GZIP_MAGIC
        file.seek(0)
        rest = b""
        for piece in _decompressed(file, path) if compressed else iter(lambda: file.read(_READ_BYTES), b""):
            buffer = rest + piece if rest else piece
            position, end = 0, len(buffer)
            while end - position >= _HEADER.size:
                length, length_crc = _HEADER.unpack_from(buffer, position)
                if masked_crc32c(buffer[position : position + 8]) != length_crc:
                    raise ExamplesError(_damaged(path, count, "the length of the next one fails its checksum"))
                data = position + _HEADER.size
                if data + length + _FOOTER_BYTES > end:
                    break
                position = data + length + _FOOTER_BYTES
                record = buffer[data : data + length]
                # gzip has a checksum of its own over everything.
                if not compressed and masked_crc32c(record).to_bytes(4, "little") != buffer[data + length : position]:
                    raise ExamplesError(_damaged(path, count, "the next one fails its checksum"))
                batch.append(record)
                batch_bytes += length
                count += 1
                if len(batch) >= batch_size or batch_bytes >= _MAX_BATCH_BYTES:
                    yield batch
                    batch, batch_bytes = [], 0
            rest = buffer[position:]
    if rest:
        raise ExamplesError(_damaged(path, count, "the file ends inside the next one"))
    if batch:
        yield batch


def _decompressed(file: BinaryIO, path: str) -> Iterator[bytes]:
    """Yields the contents of all members of a gzip file, in pieces."""
    inflate = zlib.decompressobj(_GZIP_WBITS)
    compressed = file.read(_READ_BYTES)
    try:
        while compressed:
            # A bound on the output keeps a highly compressible shard from filling the memory.
            yield inflate.decompress(compressed, _READ_BYTES)
            compressed = inflate.unconsumed_tail
            if inflate.eof:
                compressed = inflate.unused_data or file.read(_READ_BYTES)
                if compressed:
                    inflate = zlib.decompressobj(_GZIP_WBITS)
            elif not compressed:
                compressed = file.read(_READ_BYTES)
    except zlib.error as error:
        raise ExamplesError(f"{path}: not a whole gzip file: {error}. Write the artifact again.") from error
    if not inflate.eof:
        raise ExamplesError(f"{path}: the gzip file is truncated. Write the artifact again.")


def _damaged(path: str, count: int, what: str) -> str:
    return f"{path}: damaged TFRecord file: after {count} readable records, {what}. Write the file again."
