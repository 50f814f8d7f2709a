"""The edge of every command: whatever ends it, a person gets one line, and a program the documented exit status."""

from __future__ import annotations

import atexit
import contextlib
import errno
import os
import select
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType
from typing import NoReturn

from columnar.errors import ExamplesError
from models.errors import ModelError
from pipeline.errors import ExitStatus, PipelineError, printable

_LONGEST_TEXT = 500
# What C++ says of a full disk and of a read-only one: TensorFlow's writers, and SQLite below ML Metadata.
_FULL = ("No space left on device", "Disk quota exceeded", "database or disk is full")
_READ_ONLY = ("attempt to write a readonly database", "Read-only file system")


class TerminatedError(KeyboardInterrupt):
    """SIGTERM came; it ends a command as Ctrl-C does."""


@dataclass(frozen=True)
class Failure:
    """How an error is reported: the exit status, and the line for a person; whether the line explains it."""

    status: ExitStatus
    text: str
    explained: bool = True


def run(command: Callable[[], int]) -> int:
    """Runs a command and returns its exit status, whatever it raises.

    A reader that closes the pipe has read what it wanted, so that a command which only prints ends well.
    """
    _occupy_closed_descriptors()
    try:
        with _terminable():
            try:
                return command()
            finally:
                sys.stdout.flush()
    except (KeyboardInterrupt, Exception) as error:  # noqa: BLE001 - the edge.
        if isinstance(error, BrokenPipeError) and _reader_is_gone():
            return ExitStatus.DONE
        failure = describe(error)
        notes = list(getattr(error, "__notes__", []))
        _say(failure, notes if failure.explained or notes else _kept_traceback(error))
        return failure.status


def leave(status: int) -> NoReturn:
    """Ends the process with a status, after all that waits for its end, but without taking the interpreter apart.

    Arrow's threads give a file back to Python a moment after it has been read. One that comes while the interpreter is
    taken apart aborts the process, and its exit status is lost.
    """
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(status)


def describe(error: BaseException) -> Failure:
    """Returns the exit status of an error, and what is said of it."""
    if isinstance(error, PipelineError):
        return Failure(error.exit_status, f"error: {error}")
    if isinstance(error, TerminatedError):
        return Failure(ExitStatus.TERMINATED, "terminated")
    if isinstance(error, KeyboardInterrupt):
        return Failure(ExitStatus.INTERRUPTED, "interrupted")
    if explanation := _explanation(error):
        return Failure(ExitStatus.FAILED, f"error: {explanation}")
    first = f"{type(error).__name__}: {error}".strip().splitlines()[0]
    return Failure(ExitStatus.FAILED, f"error: {first[:_LONGEST_TEXT]}", explained=False)


def _explanation(error: BaseException) -> str | None:
    """Returns what an error means to the person at the command; None where only its traceback can say."""
    for cause in _chain(error):
        name = f"{cause.filename}: " if isinstance(cause, OSError) and cause.filename else ""
        words = str(cause)
        if _number(cause) in (errno.ENOSPC, errno.EDQUOT) or any(said in words for said in _FULL):
            return f"{name}the disk is full. Make room and run the same command again."
        if _number(cause) == errno.EROFS or any(said in words for said in _READ_ONLY):
            return f"{name}the file system or the database is read-only. Make it writable, or name another --root."
    if isinstance(error, ModelError | ExamplesError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}." if error.filename else f"{error.strerror}."
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yields an error and what caused it."""
    cause: BaseException | None = error
    seen: set[int] = set()
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__ or cause.__context__


def _number(error: BaseException) -> int | None:
    return error.errno if isinstance(error, OSError) else None


def _kept_traceback(error: BaseException) -> list[str]:
    """Writes the traceback of an error that no log has to a temporary file; says where."""
    with contextlib.suppress(OSError):
        descriptor, path = tempfile.mkstemp(prefix="driftgate-", suffix=".log")
        with open(descriptor, "w", encoding="utf-8") as file:
            traceback.print_exception(error, file=file)
        return [f"The log: {path}"]
    return []


def _say(failure: Failure, notes: list[str]) -> None:
    with contextlib.suppress(OSError):  # Nobody reads standard error any more.
        print(printable("\n".join([failure.text, *notes])), file=sys.stderr, flush=True)


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """Turns SIGTERM into an exception for as long as the block runs, so that everything is put away on the way out."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def terminate(_number: int, _frame: FrameType | None) -> None:
        raise TerminatedError

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _occupy_closed_descriptors() -> None:
    """Opens what the shell has closed (`>&-`), or the next file that is opened would receive what is printed."""
    for descriptor, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest free number, which is this one: the lower ones are taken.
            os.open(os.devnull, os.O_RDWR)
        if getattr(sys, name) is None:
            setattr(sys, name, open(descriptor, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 - for good.


def _reader_is_gone() -> bool:
    """Returns whether standard output is a pipe that nobody reads; what it still holds then goes nowhere."""
    state = select.poll()
    state.register(sys.stdout.fileno(), 0)
    if not state.poll(0):
        return False
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
    return True
