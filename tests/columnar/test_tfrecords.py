import gzip
import io
import os
from pathlib import Path

import pytest
import tensorflow as tf

from columnar import tfrecords
from columnar.errors import ExamplesError


@pytest.fixture(params=["", "GZIP"], ids=["plain", "gzip"])
def write(tmp_path, request):
    def write(records):
        path = os.fspath(tmp_path / "records")
        with tf.io.TFRecordWriter(path, tf.io.TFRecordOptions(compression_type=request.param)) as writer:
            for record in records:
                writer.write(record)
        return path

    return write


def read(path, batch_size=100):
    return list(tfrecords.iter_record_batches(path, batch_size))


def test_the_checksum_is_tensorflows():
    # CRC-32C of "123456789" is 0xE3069283 (RFC 3720, B.4), masked as in tensorflow/core/lib/hash/crc32c.h.
    assert tfrecords.masked_crc32c(b"123456789") == ((0xE3069283 >> 15 | 0xE3069283 << 17) + 0xA282EAD8) & 0xFFFFFFFF


def test_records_come_back_in_order_and_in_batches(write):
    records = [b"", b"a", b"b" * 1000, b"c\0d", b"e"]

    assert read(write(records), batch_size=2) == [records[:2], records[2:4], records[4:]]


def test_records_longer_than_one_read_are_put_together(write):
    records = [os.urandom(9 << 20), b"x" * (9 << 20), b"end"]

    assert [record for batch in read(write(records)) for record in batch] == records


def test_wide_records_end_a_batch_early(write):
    records = [b"x" * (40 << 20)] * 3

    assert [len(batch) for batch in read(write(records))] == [2, 1]


def test_no_records_are_no_batches(write):
    assert read(write([])) == []


def test_gzip_files_of_several_members_are_read_through(tmp_path):
    paths = []
    for name in ("a", "b"):
        path = os.fspath(tmp_path / name)
        with tf.io.TFRecordWriter(path) as writer:
            writer.write(name.encode())
        paths.append(path)
    joined = tmp_path / "joined.gz"
    joined.write_bytes(b"".join(gzip.compress(Path(path).read_bytes()) for path in paths))

    assert read(os.fspath(joined)) == [[b"a", b"b"]]


@pytest.mark.parametrize("cut", [1, 5, 30])
def test_a_truncated_file_is_an_error_and_never_a_shorter_one(write, cut):
    path = write([os.urandom(100) for _ in range(50)])
    with open(path, "rb+") as file:
        file.truncate(os.path.getsize(path) - cut)

    with pytest.raises(ExamplesError, match=r"records: .*(truncated|ends inside the next one)"):
        read(path)


def test_a_flipped_bit_is_an_error(write):
    path = write([os.urandom(100) for _ in range(50)])
    with open(path, "rb+") as file:
        file.seek(os.path.getsize(path) // 2)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))

    with pytest.raises(ExamplesError, match=path):
        read(path)


def test_a_remote_file_reads_as_a_local_one_does():
    text = "span,ü\n" * 50_000
    path = "ram://test_tfrecords/remote.csv"
    with tf.io.gfile.GFile(path, "wb") as file:
        file.write(text.encode())

    with tfrecords.open_binary(path) as file:
        assert file.read(4) == b"span"
        assert file.seek(-3, os.SEEK_END) == len(text.encode()) - 3
        assert file.read() == "ü\n".encode()
        file.seek(0)
        assert io.TextIOWrapper(file, encoding="utf-8", newline="").read() == text

    with pytest.raises(tf.errors.NotFoundError):
        tfrecords.open_binary("ram://test_tfrecords/none.csv")
