"""File systems by a URL's scheme, all of pyarrow's own; credentials come from where each cloud's tools look."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import fs

from pipeline.errors import ConfigError
from pipeline.sources.errors import SourceError

SCHEMES = ("s3", "gs", "abfss", "abfs", "file")
_WILDCARDS = frozenset("*?[")


def open_place(url: str, folder: Path, environment: Mapping[str, str]) -> tuple[Any, str]:
    """Returns the file system of a URL, and the path in it. Any: pyarrow is untyped.

    Args:
      folder: a path without a scheme is below it.
      environment: S3's endpoint and region, by the names that AWS's own tools have for them.

    Raises:
      ConfigError: the scheme is none of SCHEMES.
    """
    scheme, _, path = url.partition("://") if "://" in url else ("file", "", str((folder / url).absolute()))
    if scheme == "s3" and "?" not in path:  # Else the URL says it all, as Arrow reads such URLs.
        endpoint = environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL")
        region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION")
        if not endpoint and not region:
            region = _region(path.partition("/")[0])
        return fs.S3FileSystem(endpoint_override=endpoint, region=region), path
    if scheme == "file":
        return fs.LocalFileSystem(), path
    if scheme not in SCHEMES:
        raise ConfigError(f"expected a path, or a URL that begins with {', '.join(f'{one}://' for one in SCHEMES)}.")
    system, path = fs.FileSystem.from_uri(url)
    return system, path


def _region(bucket: str) -> str:
    try:
        return str(fs.resolve_s3_region(bucket))
    except OSError as error:
        raise SourceError(f"the region of the bucket {bucket!r} is not known: {error}") from error


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
