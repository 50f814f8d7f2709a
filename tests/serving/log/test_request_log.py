"""The request log from outside: files on disk, counts, faults."""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from serving.log.reader import log_files
from serving.log.request_log import RequestLog
from serving.log.tfrecord import frame

REPOSITORY = Path(__file__).resolve().parents[3]


def record(number, model="taxi"):
    log = prediction_log_pb2.PredictionLog()
    log.log_metadata.model_spec.name = model
    log.log_metadata.model_spec.version.value = 7
    request = predict_pb2.PredictRequest()
    request.inputs["x"].CopyFrom(tf.make_tensor_proto([number], tf.int64))
    log.predict_log.request.CopyFrom(request)
    return log


def read(path):
    """The records as TensorFlow's own reader and protos give them."""
    return [
        prediction_log_pb2.PredictionLog.FromString(data)
        for data in tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    ]


def numbers(folder):
    return [log.predict_log.request.inputs["x"].int64_val[0] for file in log_files(folder) for log in read(file.path)]


def await_that(condition, seconds=20.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "timed out"
        time.sleep(0.005)


def hidden(folder):
    return sorted(folder.glob(".requests-*"))


def test_writes_the_record_with_version_rate_and_time(tmp_path):
    before = int(time.time())
    log = RequestLog(tmp_path, 1.0)
    assert log.sampled()
    log.offer(lambda: record(5))
    log.close()

    (file,) = log_files(tmp_path / "taxi")
    (written,) = read(file.path)
    assert written.log_metadata.model_spec.version.value == 7
    assert written.log_metadata.sampling_config.sampling_rate == 1.0
    assert before <= written.log_metadata.timestamp_secs <= time.time()
    assert before <= file.started_at <= time.time()
    assert written.predict_log.request.inputs["x"].int64_val == [5]
    assert log.counts()["written"] == 1


def test_sample_rate_is_the_share_that_is_sampled(tmp_path):
    log = RequestLog(tmp_path, 0.25)
    never = RequestLog(tmp_path, 0.0)
    share = sum(log.sampled() for _ in range(20_000)) / 20_000
    log.close()
    never.close()

    # Six standard deviations of a binomial share: 6 * sqrt(0.25 * 0.75 / 20000) = 0.018.
    assert abs(share - 0.25) < 0.018
    assert not any(never.sampled() for _ in range(1000))


@pytest.mark.parametrize("rate", [-0.1, 1.1, float("nan")])
def test_refuses_a_rate_that_is_no_share(tmp_path, rate):
    with pytest.raises(ValueError, match=r"sample_rate must be in \[0, 1\]"):
        RequestLog(tmp_path, rate)


def test_refuses_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        RequestLog(tmp_path / "file" / "logs", 1.0)


def test_a_file_is_hidden_until_it_is_closed(tmp_path):
    log = RequestLog(tmp_path, 1.0)
    log.offer(lambda: record(1))
    await_that(lambda: log.counts()["written"] == 1)

    assert log_files(tmp_path / "taxi") == []
    assert len(hidden(tmp_path / "taxi")) == 1
    log.close()
    assert numbers(tmp_path / "taxi") == [1]
    assert hidden(tmp_path / "taxi") == []


def test_rotates_by_size(tmp_path):
    log = RequestLog(tmp_path, 1.0, rotate_bytes=1)
    for number in range(3):
        log.offer(lambda number=number: record(number))
    log.close()

    assert len(log_files(tmp_path / "taxi")) == 3
    assert numbers(tmp_path / "taxi") == [0, 1, 2]


def test_rotates_by_time_where_no_further_request_comes(tmp_path):
    log = RequestLog(tmp_path, 1.0, rotate_seconds=0.05)
    log.offer(lambda: record(1))

    await_that(lambda: numbers(tmp_path / "taxi") == [1])
    log.close()


def test_each_model_has_a_folder_and_no_name_leaves_the_log(tmp_path):
    log = RequestLog(tmp_path / "logs", 1.0)
    for model in ("taxi", "flights", "../../etc", ".."):
        log.offer(lambda model=model: record(1, model))
    log.close()

    assert sorted(path.name for path in (tmp_path / "logs").iterdir()) == [
        "%2E.",
        "%2E.%2F..%2Fetc",
        "flights",
        "taxi",
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["logs"]


def test_never_blocks_drops_and_counts_what_does_not_fit(tmp_path):
    log = RequestLog(tmp_path, 1.0, queue_records=2)
    building, go = threading.Event(), threading.Event()

    def slow():
        building.set()
        go.wait(20)
        return record(0)

    log.offer(slow)
    assert building.wait(20)
    for number in range(1, 6):
        log.offer(lambda number=number: record(number))
    counts = log.counts()
    go.set()
    log.close()

    assert counts["queue_full"] == 3
    assert numbers(tmp_path / "taxi") == [0, 1, 2]


def test_what_waits_is_bounded_in_bytes(tmp_path):
    log = RequestLog(tmp_path, 1.0, queue_bytes=100)
    building, go = threading.Event(), threading.Event()

    def slow():
        building.set()
        go.wait(20)
        return record(0)

    log.offer(slow, size_bytes=60)
    assert building.wait(20)
    log.offer(lambda: record(1), size_bytes=60)
    log.offer(lambda: record(2), size_bytes=40)
    go.set()
    log.close()

    assert log.counts()["queue_full"] == 1
    assert numbers(tmp_path / "taxi") == [0, 2]


def test_a_record_that_cannot_be_built_is_counted_and_the_next_is_written(tmp_path):
    def broken():
        raise RuntimeError("no tensors here")

    log = RequestLog(tmp_path, 1.0)
    log.offer(broken)
    log.offer(lambda: record(1, model=""))
    log.offer(lambda: record(2))
    log.close()
    log.offer(lambda: record(3))

    assert log.counts() | {"written": 0} == {
        "written": 0,
        "queue_full": 0,
        "write_failed": 0,
        "build_failed": 2,
        "closed": 1,
        "salvaged_file": 0,
        "removed_file": 0,
    }
    assert numbers(tmp_path / "taxi") == [2]


def test_a_full_disk_drops_whole_records_and_counts_them(tmp_path, monkeypatch):
    log = RequestLog(tmp_path, 1.0)
    log.offer(lambda: record(1))
    await_that(lambda: log.counts()["written"] == 1)
    write = os.write

    def full(descriptor, data):
        """Takes three bytes, and then there is no room: what a file system does."""
        if len(data) > 3 and full.room:
            full.room = False
            return write(descriptor, data[:3])
        full.room = True
        raise OSError(28, "No space left on device")

    full.room = True
    monkeypatch.setattr("serving.log.request_log.os.write", full)
    log.offer(lambda: record(2))
    await_that(lambda: log.counts()["write_failed"] == 1)
    monkeypatch.undo()
    log.offer(lambda: record(3))
    log.close()

    assert numbers(tmp_path / "taxi") == [1, 3]


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 64 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("a file system can only be mounted by root; test_a_full_disk_drops... shows the same without one")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_is_really_full_stops_the_log_until_there_is_room(small_disk):
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * 40_000)
    log = RequestLog(small_disk, 1.0)
    for number in range(1000):
        log.offer(lambda number=number: record(number))
    await_that(lambda: sum(log.counts().values()) == 1000)
    full = log.counts()
    ballast.unlink()
    log.offer(lambda: record(1000))
    log.close()

    assert full["write_failed"] > 0
    assert full["written"] + full["write_failed"] == 1000
    # Whole records only, and the last one after there was room again.
    assert numbers(small_disk / "taxi") == [*range(full["written"]), 1000]


# The log needs of a record what is here; without TensorFlow's protos the process starts at once.
WRITER = """
import sys, pathlib
from types import SimpleNamespace as Has
from serving.log.request_log import RequestLog

def record(number):
    metadata = Has(model_spec=Has(name="taxi"), sampling_config=Has())
    return Has(log_metadata=metadata, SerializeToString=lambda: b"record %d" % number)

log = RequestLog(pathlib.Path(sys.argv[1]), 1.0)
number = 0
while True:
    number += 1
    log.offer(lambda number=number: record(number))
    while log.counts()["written"] < number:
        pass
    print(number, flush=True)
"""


def test_the_next_start_salvages_what_a_kill_left_up_to_its_last_whole_record(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
    ) as process:
        for line in process.stdout:
            if int(line) >= 20:
                break
        process.send_signal(signal.SIGKILL)
        written = [int(line), *map(int, process.stdout.read().split())][-1]
    (unfinished,) = hidden(tmp_path / "taxi")
    with unfinished.open("ab") as file:
        file.write(frame(b"one more")[:-1])
    log = RequestLog(tmp_path, 1.0)
    log.close()

    assert log.counts()["salvaged_file"] == 1
    assert hidden(tmp_path / "taxi") == []
    (salvaged,) = log_files(tmp_path / "taxi")
    found = list(tf.data.TFRecordDataset(str(salvaged.path)).as_numpy_iterator())
    assert found == [b"record %d" % number for number in range(1, len(found) + 1)]
    # The record under way when the signal came may be whole as well.
    assert len(found) in (written, written + 1)


def test_a_leftover_without_a_whole_record_is_removed(tmp_path):
    leftover = tmp_path / "taxi" / ".requests-20261125T071530.123456Z-4711-1.tfrecord.unfinished"
    leftover.parent.mkdir()
    leftover.write_bytes(frame(b"x" * 50)[:20])
    log = RequestLog(tmp_path, 1.0)
    log.close()

    assert log.counts()["removed_file"] == 1
    assert list((tmp_path / "taxi").iterdir()) == []


def test_leaves_alone_what_a_living_process_writes(tmp_path):
    unfinished = tmp_path / "taxi" / ".requests-20261125T071530.123456Z-4711-1.tfrecord.unfinished"
    unfinished.parent.mkdir()
    with unfinished.open("wb") as file:
        file.write(frame(record(1).SerializeToString()))
        file.flush()
        fcntl.flock(file, fcntl.LOCK_EX)
        log = RequestLog(tmp_path, 1.0)
        log.close()

    assert log.counts()["salvaged_file"] == 0
    assert list((tmp_path / "taxi").iterdir()) == [unfinished]
