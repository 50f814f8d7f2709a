"""Sends what TensorFlow, Beam and TFX print to a log file, so that the terminal shows only what we say."""

import contextlib
import io
import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from pipeline.errors import ConfigError

logger = logging.getLogger(__name__)


def new_log(folder: Path, command: str) -> Path:
    """Makes an empty log of its own for one call of a command; by name, logs sort by time, in UTC."""
    folder.mkdir(parents=True, exist_ok=True)
    while True:
        path = folder / f"{command}-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}.log"
        with contextlib.suppress(FileExistsError):
            path.touch(exist_ok=False)
            return path


def readers_log(folder: Path, command: str) -> Path | None:
    """Makes a log as `new_log` does, for a command that only reads: None where nothing may be written there."""
    try:
        return new_log(folder, command)
    except OSError:
        return None


@contextlib.contextmanager
def captured(log: Path | None = None) -> Iterator[tuple[TextIO, TextIO]]:
    """Points file descriptors 1 and 2 at `log` and yields the real (standard output, standard error).

    Descriptors, not `sys.stdout`: the noise comes from C++ and from child processes too. Both are put back at the
    end, also after an error. An error that is not the user's is written to the log, and carries a note that names it.

    Args:
      log: None for a temporary file, which stays where an error came.
    """
    if log is None:
        log = new_log(Path(tempfile.gettempdir()), "driftgate")
        with captured(log) as streams:
            yield streams
        log.unlink()
        return
    sys.stdout.flush()
    sys.stderr.flush()
    saved = os.dup(1), os.dup(2)
    log.parent.mkdir(parents=True, exist_ok=True)
    target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.dup2(target, 1)
        os.dup2(target, 2)
        with _logging_to(sys.stderr), _Stream(saved[0]) as out, _Stream(saved[1]) as err:
            try:
                yield out, err
            except ConfigError:
                raise
            except (Exception, KeyboardInterrupt) as error:
                logger.exception("The command ended with an error.")
                error.add_note(f"The log: {log}")
                raise
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for descriptor, original in zip((1, 2), saved, strict=True):
            os.dup2(original, descriptor)
            os.close(original)
        os.close(target)


@contextlib.contextmanager
def _logging_to(stream: TextIO) -> Iterator[None]:
    """Has the process log to a stream, in one format with times, whatever TensorFlow and absl install of their own.

    What was there before is put back: a handler that outlives its stream complains at each line.
    """
    root = logging.getLogger()
    before = root.handlers[:], root.level
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    try:
        yield
    finally:
        root.handlers[:] = before[0]
        root.setLevel(before[1])


class _Stream(io.TextIOWrapper):
    """Writes lines to a descriptor. Once nobody reads them any more they go nowhere: the work must not end with it."""

    def __init__(self, descriptor: int) -> None:
        raw = io.BufferedWriter(io.FileIO(descriptor, "w", closefd=False))
        super().__init__(raw, encoding="utf-8", line_buffering=True)

    def write(self, text: str) -> int:
        with self._unread():
            super().write(text)
        return len(text)

    def flush(self) -> None:
        with self._unread():
            super().flush()

    @contextlib.contextmanager
    def _unread(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
