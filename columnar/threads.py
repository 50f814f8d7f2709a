"""Runs work that leaves the interpreter (Arrow, tfx_bsl, zlib) a little ahead of whoever consumes it, in order."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar, cast

T = TypeVar("T")
R = TypeVar("R")

_THREADS = 2
_END = object()


def map_ahead(function: Callable[[T], R], items: Iterable[T], threads: int = _THREADS) -> Iterator[R]:
    """Yields `function(item)` in the order of `items`, at most `threads` results ahead: memory stays bounded."""
    with ThreadPoolExecutor(max_workers=threads) as pool:
        pending: deque[Future[R]] = deque()
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) > threads:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def read_ahead(items: Iterable[T]) -> Iterator[T]:
    """Yields `items` in order while a thread of its own fetches the next two: for sources that read or decompress."""
    source = iter(items)
    with ThreadPoolExecutor(max_workers=1) as pool:
        pending = deque(pool.submit(next, source, _END) for _ in range(_THREADS))
        while (item := pending.popleft().result()) is not _END:
            pending.append(pool.submit(next, source, _END))
            yield cast(T, item)
