"""The log of sampled requests and their answers: TFRecord files of TensorFlow Serving's `PredictionLog`.

    LOGDIR/MODEL/requests-20261125T071530.123456Z-4711-1.tfrecord    closed, whole, not compressed
    LOGDIR/MODEL/.requests-...-2.tfrecord.unfinished                 being written, or left by a crash

Answers never wait for the log: a request is offered to a bounded queue, and one thread builds, frames and writes. What
doesn't fit into the queue or onto the disk is dropped and counted. A file is closed, and by one rename visible, when it
is old or large enough. Nothing is flushed to the disk by force: a power cut (not a crash) may cut a closed file short.
"""

import contextlib
import datetime
import fcntl
import logging
import os
import queue
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from serving.log.tfrecord import frame, whole_records

if TYPE_CHECKING:
    from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

logger = logging.getLogger(__name__)

SUFFIX = ".tfrecord"
_PREFIX = "requests-"
_UNFINISHED = ".unfinished"
_WARN_AGAIN_S = 60.0
_CLOSE_TIMEOUT_S = 30.0

# Outcomes of a record, and of a file that a crash left: the label values of the metric.
WRITTEN = "written"
QUEUE_FULL = "queue_full"
WRITE_FAILED = "write_failed"
BUILD_FAILED = "build_failed"
CLOSED = "closed"
SALVAGED = "salvaged_file"
REMOVED = "removed_file"


@dataclass(frozen=True)
class _Offer:
    build: "Callable[[], PredictionLog]"
    size_bytes: int
    offered_at: float


class RequestLog:
    """Owns the log's thread and its open files, one for each model."""

    def __init__(
        self,
        folder: Path,
        sample_rate: float,
        *,
        rotate_seconds: float = 60.0,
        rotate_bytes: int = 64 << 20,
        queue_records: int = 1024,
        queue_bytes: int = 64 << 20,
    ) -> None:
        """Starts the log; what a crash left unfinished in `folder` is salvaged by its thread.

        Args:
          sample_rate: share of the requests to log, in [0, 1].
          rotate_seconds: a file is closed this long after its first record, also where no further one comes.
          rotate_bytes: a file is closed once it has this many bytes.
          queue_records, queue_bytes: what may wait to be written; more is dropped.

        Raises:
          ValueError: a number is out of its range.
          OSError: the folder cannot be made or written.
        """
        if not 0 <= sample_rate <= 1:
            raise ValueError(f"sample_rate must be in [0, 1]. Received: {sample_rate}.")
        if rotate_seconds <= 0 or rotate_bytes <= 0:
            raise ValueError(
                f"rotation needs more than 0 seconds and 0 bytes. Received: {rotate_seconds} and {rotate_bytes}."
            )
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(f"{folder} cannot be written by this user.")
        self._folder = folder
        self._sample_rate = sample_rate
        self._rotate_seconds = rotate_seconds
        self._rotate_bytes = rotate_bytes
        self._queue_bytes = queue_bytes
        self._queue: queue.Queue[_Offer | None] = queue.Queue(queue_records)
        self._lock = threading.Lock()
        self._waiting_bytes = 0
        self._closed = False
        self._counts: Counter[str] = Counter()
        self._warned_at: dict[str, float] = {}
        self._files: dict[str, _File] = {}
        self._made_files = 0
        self._thread = threading.Thread(target=self._write_forever, name="request-log", daemon=True)
        self._thread.start()

    def sampled(self) -> bool:
        """Tells whether to log the request at hand."""
        return self._sample_rate > 0 and random.random() < self._sample_rate

    def offer(self, build: "Callable[[], PredictionLog]", size_bytes: int = 0) -> None:
        """Hands a request over; returns at once and never raises.

        Args:
          build: returns the record, with `log_metadata.model_spec` naming the model and the version that answered; it
            runs on the log's thread. The log adds the sampling rate, and the time of this call.
          size_bytes: about what the record holds in memory until it is written.
        """
        with self._lock:
            if self._closed:
                self._counts[CLOSED] += 1
                return
            # A record beyond the limit on its own is let through when nothing else waits.
            if self._waiting_bytes and self._waiting_bytes + size_bytes > self._queue_bytes:
                self._counts[QUEUE_FULL] += 1
                return
            try:
                self._queue.put_nowait(_Offer(build, size_bytes, time.time()))
            except queue.Full:
                self._counts[QUEUE_FULL] += 1
                return
            self._waiting_bytes += size_bytes

    def counts(self) -> Mapping[str, int]:
        """Returns how many records were written or dropped, and how many files salvaged or removed, by outcome."""
        with self._lock:
            return {
                outcome: self._counts[outcome]
                for outcome in (WRITTEN, QUEUE_FULL, WRITE_FAILED, BUILD_FAILED, CLOSED, SALVAGED, REMOVED)
            }

    def close(self) -> None:
        """Writes what waits and makes the last files visible. A second call does nothing."""
        with self._lock:
            already, self._closed = self._closed, True
        if already:
            return
        with contextlib.suppress(queue.Full):
            self._queue.put(None, timeout=_CLOSE_TIMEOUT_S)
        self._thread.join(_CLOSE_TIMEOUT_S)
        if self._thread.is_alive():
            logger.warning("The request log did not end in %.0f s; its last file stays unfinished.", _CLOSE_TIMEOUT_S)

    def _write_forever(self) -> None:
        self._salvage()
        while True:
            try:
                offer = self._queue.get(timeout=self._until_next_rotation())
            except queue.Empty:
                self._rotate()
                continue
            if offer is None:
                break
            self._write(offer)
            with self._lock:
                self._waiting_bytes -= offer.size_bytes
            self._rotate()
        for file in self._files.values():
            self._finish(file)

    def _until_next_rotation(self) -> float | None:
        if not self._files:
            return None
        oldest = min(file.opened_at for file in self._files.values())
        return max(0.0, oldest + self._rotate_seconds - time.monotonic())

    def _write(self, offer: _Offer) -> None:
        try:
            log = offer.build()
            model = log.log_metadata.model_spec.name
            if not model:
                raise ValueError("log_metadata.model_spec.name is empty")
            log.log_metadata.sampling_config.sampling_rate = self._sample_rate
            log.log_metadata.timestamp_secs = int(offer.offered_at)
            record = frame(log.SerializeToString())
        except Exception as error:  # noqa: BLE001 - whatever a record cannot be built from, the server goes on.
            self._count(BUILD_FAILED, error)
            return
        try:
            if model not in self._files:
                self._made_files += 1
                self._files[model] = _File(self._folder / _folder_name(model), offer.offered_at, self._made_files)
            self._files[model].append(record)
        except OSError as error:
            self._count(WRITE_FAILED, error)
            file = self._files.get(model)
            if file is not None and (file.damaged or file.size_bytes == 0):
                del self._files[model]
                file.abandon()
            return
        self._count(WRITTEN)

    def _rotate(self) -> None:
        now = time.monotonic()
        for model, file in list(self._files.items()):
            if now - file.opened_at >= self._rotate_seconds or file.size_bytes >= self._rotate_bytes:
                del self._files[model]
                self._finish(file)

    def _finish(self, file: "_File") -> None:
        try:
            file.finish()
        except OSError as error:
            logger.warning("%s could not be closed: %s. The next start salvages it.", file.path, error)

    def _salvage(self) -> None:
        """Finishes or removes what processes that are gone left unfinished."""
        for path in sorted(self._folder.glob(f"*/.{_PREFIX}*{SUFFIX}{_UNFINISHED}")):
            try:
                outcome = salvage(path)
            except OSError as error:
                logger.warning("%s could not be salvaged: %s", path, error)
                continue
            if outcome is not None:
                self._count(outcome)
                logger.info("An earlier process left %s: %s", path, outcome.replace("_file", ""))

    def _count(self, outcome: str, error: Exception | None = None) -> None:
        with self._lock:
            self._counts[outcome] += 1
        if error is not None and time.monotonic() - self._warned_at.get(outcome, -_WARN_AGAIN_S) >= _WARN_AGAIN_S:
            self._warned_at[outcome] = time.monotonic()
            logger.warning("A request was not logged (%s; said once a minute): %r", outcome, error)


class _File:
    """One unfinished file. Its lock tells other processes that its writer is alive.

    Attributes:
      path: the name that it gets when it is whole.
      damaged: its end is not the end of a record, and could not be cut off.
    """

    def __init__(self, folder: Path, started_at: float, number: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        start = datetime.datetime.fromtimestamp(started_at, datetime.UTC)
        self.path = folder / f"{_PREFIX}{start:%Y%m%dT%H%M%S.%fZ}-{os.getpid()}-{number}{SUFFIX}"
        self._unfinished = _unfinished_name(self.path)
        self._descriptor = os.open(self._unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        # Nobody else holds it, but for a process that starts this very moment and takes the empty file for a leftover.
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        if not _is_at(self._descriptor, self._unfinished):
            os.close(self._descriptor)
            raise FileNotFoundError(f"{self._unfinished} was removed while it was made")
        self.opened_at = time.monotonic()
        self.size_bytes = 0
        self.damaged = False

    def append(self, record: bytes) -> None:
        """Appends one record, or nothing.

        Raises:
          OSError: the disk is full.
        """
        rest = memoryview(record)
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError:
            self.damaged = True
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, self.size_bytes)
                os.lseek(self._descriptor, self.size_bytes, os.SEEK_SET)
                self.damaged = False
            raise
        self.size_bytes += len(record)

    def finish(self) -> None:
        """Makes the file visible."""
        try:
            self._unfinished.rename(self.path)
        finally:
            os.close(self._descriptor)

    def abandon(self) -> None:
        """Removes an empty file; leaves a damaged one to the next start."""
        if self.size_bytes == 0:
            self._unfinished.unlink(missing_ok=True)
        os.close(self._descriptor)


def salvage(path: Path) -> str | None:
    """Cuts an unfinished file after its last whole record and makes it visible, or removes it where there is none.

    Returns:
      `salvaged_file` or `removed_file`; None where its writer is alive or has just finished it.

    Raises:
      OSError: it cannot be read or renamed.
    """
    try:
        file = path.open("r+b")
    except FileNotFoundError:
        return None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return None
        if not _is_at(file.fileno(), path):
            return None
        end = max((end for _, end in whole_records(file)), default=0)
        if end == 0:
            path.unlink()
            return REMOVED
        file.truncate(end)
        path.rename(path.with_name(path.name.removeprefix(".").removesuffix(_UNFINISHED)))
        return SALVAGED


def _is_at(descriptor: int, path: Path) -> bool:
    """Tells whether an open file is still the one that `path` names."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _unfinished_name(path: Path) -> Path:
    return path.with_name(f".{path.name}{_UNFINISHED}")


def _folder_name(model: str) -> str:
    """Returns the folder of a model; a name that could leave the log's folder is percent-encoded."""
    encoded = quote(model, safe="")
    return encoded.replace(".", "%2E", 1) if encoded.startswith(".") else encoded
