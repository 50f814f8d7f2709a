"""How a command that works until it is told to stop hears of it."""

import contextlib
import queue
import signal
import threading
from collections.abc import Iterator
from types import FrameType


@contextlib.contextmanager
def stoppable() -> Iterator[threading.Event]:
    """Turns SIGTERM and SIGINT into an event for as long as the block runs."""
    stop = threading.Event()
    # A handler may interrupt itself: `timeout` sends SIGTERM twice. An Event's lock would then be waited for by its own
    # holder; a SimpleQueue may be put to at any point.
    asked: queue.SimpleQueue[int] = queue.SimpleQueue()

    def request_stop(number: int, _frame: FrameType | None) -> None:
        asked.put(number)

    def pass_on() -> None:
        asked.get()
        stop.set()

    passing_on = threading.Thread(target=pass_on, daemon=True)
    passing_on.start()
    before = {number: signal.signal(number, request_stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        asked.put(0)
        passing_on.join()
