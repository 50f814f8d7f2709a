"""TFRecord framing against TensorFlow's own reader and writer."""

import io

import tensorflow as tf

from serving.log.tfrecord import frame, whole_records

RECORDS = [b"", b"a", b"\x00" * 9, bytes(range(256)) * 40]


def test_tensorflow_reads_what_is_framed_here(tmp_path):
    path = tmp_path / "some.tfrecord"
    path.write_bytes(b"".join(map(frame, RECORDS)))

    assert list(tf.data.TFRecordDataset(str(path)).as_numpy_iterator()) == RECORDS


def test_reads_what_tensorflow_writes(tmp_path):
    path = tmp_path / "some.tfrecord"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in RECORDS:
            writer.write(record)

    with path.open("rb") as file:
        found = list(whole_records(file))

    assert [data for data, _ in found] == RECORDS
    assert found[-1][1] == path.stat().st_size


def test_stops_before_a_record_that_is_cut_short_wherever_the_cut_is():
    whole = frame(b"first")
    for cut in range(len(frame(b"second"))):
        found = list(whole_records(io.BytesIO(whole + frame(b"second")[:cut])))

        assert found == [(b"first", len(whole))]


def test_stops_before_a_damaged_record():
    second = bytearray(frame(b"second"))
    second[14] ^= 1

    assert list(whole_records(io.BytesIO(frame(b"first") + second))) == [(b"first", len(frame(b"first")))]
    # A power cut can leave zeros; zero is not the checksum of a length of zero.
    assert list(whole_records(io.BytesIO(bytes(64)))) == []
