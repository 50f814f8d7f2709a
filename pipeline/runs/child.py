"""Runs a function in a process of its own, which gives back all memory and every descriptor when it ends.

TensorFlow keeps the graphs of what was once trained or loaded, and the C library keeps much of what was freed, so a
process that trains again and again grows. See docs/decisions/0520-a-process-for-each-span.md.
"""

import contextlib
import logging
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable
from multiprocessing import connection
from typing import TypeVar

from pipeline.errors import PipelineError
from pipeline.parent import die_with

logger = logging.getLogger(__name__)

T = TypeVar("T")

_STOP_POLL_S = 0.2


def in_child(function: Callable[[], T], stop: threading.Event | None = None) -> T:
    """Returns what `function` returns in a fork of this process.

    What this process has imported, the child has too. Nothing may have made TensorFlow start its threads here before: a
    fork has none but its own. The child dies with this process, whatever ends it.

    Args:
      stop: once it is set, the child is sent SIGTERM; what then becomes of the function is the child's business.

    Raises:
      PipelineError: the child ended without a result, such as by the kernel for want of memory.
      Exception: what the function raised.
    """
    if sys.platform == "darwin":  # Its system libraries do not survive a fork.
        return function()
    sys.stdout.flush()
    sys.stderr.flush()
    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=_work, args=(function, sender, os.getpid()))
    with warnings.catch_warnings():
        # Python warns of a fork beside threads. These are OpenBLAS's and jemalloc's, which are made for it.
        warnings.filterwarnings("ignore", category=DeprecationWarning, message=".*fork")
        process.start()
    sender.close()
    told = False
    with receiver:
        while not connection.wait([receiver, process.sentinel], timeout=_STOP_POLL_S):
            if stop is not None and stop.is_set() and not told:
                process.terminate()
                told = True
        value: object = None
        succeeded: bool | None = None
        with contextlib.suppress(EOFError):
            if receiver.poll():
                succeeded, value = receiver.recv()
    process.join()
    if succeeded is None:
        code = process.exitcode or 0
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"
        raise PipelineError(f"The run's process {how} and left no result. The log says more.")
    if isinstance(value, BaseException) and not succeeded:
        raise value
    return value  # type: ignore[return-value]  # What `function` returned, pickled and read again.


def _work(function: Callable[[], T], sender: connection.Connection, parent: int) -> None:
    """Does the child's work, and sends whether it succeeded and what came of it."""
    die_with(parent)
    try:
        message = pickle.dumps((True, function()))
    except BaseException as error:  # noqa: BLE001 - whatever it is, the parent is to hear of it.
        logger.error("The run's process failed.\n%s", traceback.format_exc())
        message = pickle.dumps((False, _sendable(error)))
    sender.send_bytes(message)
    sender.close()


def _sendable(error: BaseException) -> BaseException:
    """Returns the error, or its name and text where it cannot be pickled and read again, as TensorFlow's cannot."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # noqa: BLE001 - any class may fail in its own way.
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
