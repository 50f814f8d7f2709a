"""A thread that reads while the caller writes.

Signals reach the caller's thread at once, whatever C code the reading one is in. A driver that is asked for rows in the
main thread would catch Ctrl-C itself and call it an error of the database.
"""

import contextlib
import queue
import threading
from collections.abc import Callable, Generator, Iterator
from typing import TypeVar

T = TypeVar("T")

_AHEAD = 2
_LOOK_S = 0.1


class _End:
    """Comes after the last item. `error` is what ended it."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


def in_background(produce: Callable[[], Iterator[T]], cancel: Callable[[], None]) -> Generator[T, None, None]:
    """Yields what `produce` yields, two items ahead.

    Args:
      cancel: makes the reading stop where it is; called from this thread where the caller wants no more. It may fail.
    """
    items: queue.Queue[T | _End] = queue.Queue(_AHEAD)
    unwanted = threading.Event()

    def work() -> None:
        error: BaseException | None = None
        try:
            for item in produce():
                items.put(item)
                if unwanted.is_set():
                    break
        except BaseException as raised:  # noqa: BLE001 - raised again, in the caller's thread.
            error = raised
        items.put(_End(error))

    thread = threading.Thread(target=work, name="source", daemon=True)
    thread.start()
    try:
        while not isinstance(item := items.get(), _End):
            yield item
        if item.error is not None:
            raise item.error
    finally:
        unwanted.set()
        while thread.is_alive():
            with contextlib.suppress(Exception):
                cancel()
            with contextlib.suppress(queue.Empty):
                items.get(timeout=_LOOK_S)
            thread.join(_LOOK_S)
