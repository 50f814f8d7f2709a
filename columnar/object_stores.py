"""Objects in S3 and Azure by pyarrow's file systems. TensorFlow's own, which the rest of `://` goes to, knows neither.

Credentials, S3's endpoint and its region come from where those clouds' own tools look for them.
"""

import fnmatch
import io
import os
from collections.abc import Sequence
from typing import Any, BinaryIO

SCHEMES = ("s3", "abfss", "abfs")
_WILDCARDS = frozenset("*?[")
_READ_BYTES = 4 << 20
_ATTEMPTS = 5


def handles(path: str) -> bool:
    """Returns whether a path is one of these stores'."""
    return path.partition("://")[0] in SCHEMES and "://" in path


def filesystem(url: str) -> tuple[Any, str]:
    """Returns the file system of a URL, and the path in it. Any: pyarrow is untyped.

    Raises:
      OSError: S3's region is not set and cannot be asked for.
    """
    from pyarrow import fs

    scheme, _, path = url.partition("://")
    if scheme != "s3" or "?" in path:  # There the URL says it all, as Arrow reads such URLs.
        system, path = fs.FileSystem.from_uri(url)
        return system, path
    # AWS's own names, which its tools read by themselves; pyarrow's release does not.
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if not endpoint and not region:
        region = fs.resolve_s3_region(path.partition("/")[0])
    retries = fs.AwsStandardS3RetryStrategy(max_attempts=_ATTEMPTS)
    return fs.S3FileSystem(endpoint_override=endpoint, region=region, retry_strategy=retries), path


def open_object(url: str) -> BinaryIO:
    """Opens an object for reading, from any place in it.

    Raises:
      FileNotFoundError: there is none.
      OSError: the store does not answer, or refuses.
    """
    system, path = filesystem(url)
    return io.BufferedReader(system.open_input_file(path), _READ_BYTES)


def find(pattern: str) -> list[str]:
    """Returns the URLs of the objects that a pattern matches, sorted; `*` and `?` do not cross a `/`.

    Raises:
      OSError: the store does not answer, or refuses.
    """
    system, path = filesystem(pattern)
    scheme = pattern.partition("://")[0]
    prefix = pattern[: len(pattern) - len(path)] if pattern.endswith(path) else f"{scheme}://"
    return [prefix + info.path for info in _infos(system, path)]


def state(pattern: str) -> list[tuple[str, int, int]]:
    """Returns name, size and time of the last change in nanoseconds since 1970 of each object that matches."""
    system, path = filesystem(pattern)
    return [(info.path, info.size, info.mtime_ns or 0) for info in _infos(system, path)]


def _infos(system: Any, path: str) -> Sequence[Any]:
    from pyarrow import fs

    parts = path.split("/")
    fixed = next((number for number, part in enumerate(parts) if _WILDCARDS & set(part)), None)
    if fixed is None:
        info = system.get_file_info(path)
        return [info] if info.type == fs.FileType.File else []
    selector = fs.FileSelector("/".join(parts[:fixed]), recursive=True, allow_not_found=True)
    found = [info for info in system.get_file_info(selector) if info.type == fs.FileType.File]
    return sorted((info for info in found if _matches(info.path.split("/"), parts)), key=lambda info: str(info.path))


def _matches(found: Sequence[str], wanted: Sequence[str]) -> bool:
    return len(found) == len(wanted) and all(
        fnmatch.fnmatchcase(one, pattern) for one, pattern in zip(found, wanted, strict=True)
    )
