"""Which files a request log has, and the records of them that were not read yet.

Any TFRecord file below the folder counts, gzipped or not, whoever wrote it; hidden files are still being written. A
file may grow: the progress holds the offset behind the last whole record that was read.
"""

from __future__ import annotations

import gzip
import hashlib
import logging
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from serving.log.tfrecord import whole_records

logger = logging.getLogger(__name__)

_PATTERNS = ("*.tfrecord", "*.tfrecord.gz")
_SETTLED_SECONDS = 3600
"""A file that ends inside a record is waited for this long; then the rest of it is given up."""


@dataclass(frozen=True, kw_only=True)
class FileProgress:
    """How far a file was read.

    Attributes:
      first: hash of the first record: a file that was replaced by another of the same name is another.
      offset: behind the last record that was read, in uncompressed bytes.
      size, modified: of the file when it was read; where both are the same there is nothing new.
      rest: something follows that is no whole record.
      damaged: the rest was given up.
    """

    first: str = ""
    offset: int = 0
    size: int = 0
    modified: int = 0
    rest: bool = False
    damaged: bool = False


def find(folder: Path) -> list[Path]:
    """Returns the log's files, oldest first; none where the folder does not exist."""
    paths = [path for pattern in _PATTERNS for path in folder.rglob(pattern)]
    visible = [path for path in paths if not any(part.startswith(".") for part in path.relative_to(folder).parts)]
    dated = []
    for path in visible:
        try:
            dated.append((path.stat().st_mtime_ns, str(path), path))
        except FileNotFoundError:  # Removed since it was listed.
            continue
    return [path for _, _, path in sorted(dated)]


def name_of(path: Path, folder: Path) -> str:
    """Returns how a file is remembered; compressing it later does not make it another."""
    return path.relative_to(folder).as_posix().removesuffix(".gz")


class NewRecords:
    """The records of one file that were not read yet. Iterate to the end; `progress` then says how far that is."""

    def __init__(self, path: Path, before: FileProgress | None, now: float) -> None:
        """Looks at the file.

        Raises:
          OSError: it cannot be read, for example because it is gone.
        """
        stat = path.stat()
        self._path = path
        self._before = before or FileProgress()
        self._settled = now - stat.st_mtime > _SETTLED_SECONDS
        self._size, self._modified = stat.st_size, stat.st_mtime_ns
        self.written_at = stat.st_mtime
        unchanged = (self._before.size, self._before.modified) == (self._size, self._modified)
        overdue = self._before.rest and self._settled and not self._before.damaged
        self.nothing_new = before is not None and unchanged and not overdue
        self.progress = self._before

    def __iter__(self) -> Iterator[bytes]:
        first, offset, rest = "", 0, False
        try:
            with _open(self._path) as file:
                for data, _ in whole_records(file):
                    first = hashlib.sha256(data).hexdigest()[:16]
                    break
                offset = self._before.offset if first == self._before.first else 0
                file.seek(offset)
                for data, end in whole_records(file):
                    offset = end
                    yield data
                file.seek(offset)
                rest = bool(file.read(1))
        except (EOFError, zlib.error, gzip.BadGzipFile):
            rest = True
        if rest and self._settled:
            logger.warning("%s is damaged after %d bytes; what follows was not read.", self._path, offset)
        self.progress = FileProgress(
            first=first,
            offset=offset,
            size=self._size,
            modified=self._modified,
            rest=rest,
            damaged=rest and self._settled,
        )


def _open(path: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path, "rb")) if path.name.endswith(".gz") else path.open("rb")
