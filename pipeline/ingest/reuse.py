"""What this process has already made from the same files, so that a run does no work twice.

Files are the same where their identity is (device, inode, size, time of change), whatever their names: the shards of
a training window are hard links to those of the span that the run has just read.
"""

import os
from collections.abc import Sequence
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")


class Identity(NamedTuple):
    """What tells a file and its content from all others on this machine, as `os.stat` has it."""

    device: int
    inode: int
    size: int
    modified_ns: int


def identities(paths: Sequence[str]) -> tuple[Identity, ...] | None:
    """Returns the files' identities; None where one is remote or gone, so that nothing can be known of it."""
    found = []
    for path in paths:
        try:
            status = os.stat(path)
        except OSError:
            return None
        found.append(Identity(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns))
    return tuple(found)


class Reusable(Generic[T]):
    """The last results, by the files that they were made from and by how."""

    def __init__(self, most: int) -> None:
        """Keeps `most` results, the newest."""
        self._most = most
        self._results: dict[tuple[object, ...], T] = {}

    def get(self, paths: Sequence[str], how: object) -> T | None:
        """Returns what was made from the files as they are now, by the same `how`; None where nothing was."""
        return self._results.get((identities(paths), how))

    def put(self, paths: Sequence[str], how: object, result: T) -> None:
        """Remembers a result; `how` is hashable."""
        found = identities(paths)
        if found is not None:
            self._results[found, how] = result
            while len(self._results) > self._most:
                del self._results[next(iter(self._results))]
