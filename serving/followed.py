"""What files say, and again when they change: certificates and tokens are replaced while the server runs."""

import contextlib
import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from serving.errors import OptionsError

logger = logging.getLogger(__name__)

T = TypeVar("T")


class Followed(Generic[T]):
    """A value that follows its files; where they are broken, it stays as it last was."""

    def __init__(
        self,
        option: str,
        files: Sequence[Path],
        read: Callable[[], T],
        *,
        may_replace: Callable[[T, T], None] = lambda old, new: None,  # noqa: ARG005 - anything may.
    ) -> None:
        """Reads the files.

        Args:
          option: the command line's, for messages.
          read: from the files to the value; raises ValueError or OSError.
          may_replace: asked about the value and the new one; raises ValueError where that asks for a restart.

        Raises:
          OptionsError: a file cannot be read, or is not what it should be.
        """
        self._option = option
        self._files = tuple(files)
        self._read = read
        self._may_replace = may_replace
        self._lock = threading.Lock()
        self._seen = self._stamps()
        try:
            self._value = read()
        except (OSError, ValueError) as error:
            raise OptionsError(f"{option}: {error}.") from error

    def current(self) -> T:
        """Returns the value; looks at the files first."""
        with self._lock:
            stamps = self._stamps()
            if stamps != self._seen:
                self._seen = stamps
                self._take()
            return self._value

    def _take(self) -> None:
        try:
            value = self._read()
            self._may_replace(self._value, value)
        except (OSError, ValueError) as error:
            logger.error("%s: nothing is changed: %s", self._option, error)
            return
        if value != self._value:
            self._value = value
            logger.info("%s: the new content is in use", self._option)

    def _stamps(self) -> list[tuple[int, int, int] | None]:
        return [_stamp(file) for file in self._files]


def _stamp(file: Path) -> tuple[int, int, int] | None:
    """Returns what changes with a file's content; Kubernetes replaces a mounted secret by moving a link."""
    with contextlib.suppress(OSError):
        found = file.stat()
        return found.st_ino, found.st_mtime_ns, found.st_size
    return None
