"""File systems by a URL's scheme, all of pyarrow's own; credentials come from where each cloud's tools look."""

from __future__ import annotations

import fnmatch
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import fs

from columnar import object_stores
from pipeline.errors import ConfigError
from pipeline.sources.errors import SourceError

SCHEMES = (*object_stores.SCHEMES, "gs", "file")
_WILDCARDS = frozenset("*?[")


def open_place(url: str, folder: Path) -> tuple[Any, str]:
    """Returns the file system of a URL, and the path in it. Any: pyarrow is untyped.

    Args:
      folder: a path without a scheme is below it.

    Raises:
      ConfigError: the scheme is none of SCHEMES.
      OSError: the store cannot be asked.
    """
    if "://" not in url:
        return fs.LocalFileSystem(), str((folder / url).absolute())
    if url.partition("://")[0] not in SCHEMES:
        raise ConfigError(f"expected a path, or a URL that begins with {', '.join(f'{one}://' for one in SCHEMES)}.")
    return object_stores.filesystem(url)


def find(system: Any, path: str) -> list[str]:
    """Returns the files that a path means, by name: itself, all below it, or those that it matches as a pattern.

    `*` and `?` do not cross a `/`. Files that begin with `_` or `.` are a writer's own.

    Raises:
      SourceError: there is no such bucket.
    """
    parts = path.split("/")
    fixed = next((number for number, part in enumerate(parts) if _WILDCARDS & set(part)), None)
    if fixed is None:
        info = system.get_file_info(path)
        if info.type == fs.FileType.File:
            return [path]
    base = "/".join(parts[:fixed]) if fixed is not None else path
    if not path.startswith("/") and system.get_file_info(parts[0]).type == fs.FileType.NotFound:
        raise SourceError(f"there is no bucket {parts[0]!r}.")
    selector = fs.FileSelector(base, recursive=True, allow_not_found=True)
    found = [info.path for info in system.get_file_info(selector) if info.type == fs.FileType.File]
    below = [one for one in found if not any(part[:1] in ("_", ".") for part in one[len(base) :].split("/"))]
    return sorted(one for one in below if fixed is None or _matches(one.split("/"), parts))


def _matches(found: list[str], wanted: list[str]) -> bool:
    return len(found) == len(wanted) and all(
        fnmatch.fnmatchcase(one, pattern) for one, pattern in zip(found, wanted, strict=True)
    )


def said(error: Exception) -> str:
    """Returns a file system's error on one line."""
    assert isinstance(error, OSError | pa.ArrowException)
    return " ".join(str(error).split()).rstrip(".")
