"""Finds spans on disk by TFX's pattern rules: `{SPAN}`, `{VERSION}` and `{YYYY}` `{MM}` `{DD}`.

Source of the rules: TFX ExampleGen, "Span, version and split". A number may be zero-padded; `{SPAN:3}` wants
exactly three digits; a date stands for the days since 1970-01-01; of a span's versions the highest counts.

Where a dataset names a marker, such as `_SUCCESS`, files whose marker is not there are not there either: every listing
leaves them out, and `incomplete` alone tells of them.
"""

import contextlib
import datetime
import glob
import hashlib
import json
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from columnar import object_stores
from pipeline.errors import ConfigError, DataError, PipelineError, SpanNotFoundError
from pipeline.ingest import span_names

_PLACEHOLDER = re.compile(r"\{(SPAN|VERSION)(?::(\d+))?\}|\{(YYYY|MM|DD)\}")
_DATE_PARTS = ("YYYY", "MM", "DD")
_PARTS = {"MM": "month", "DD": "day"}


@dataclass(frozen=True, kw_only=True, order=True)
class SpanFile:
    """One version of one span.

    Attributes:
      path: its file; of several that a pattern with wildcards has, one.
      pattern: the pattern with the numbers in it as the folders have them, zeros in front included.
      marker: the file that says that the version is complete; "" where the dataset asks for none.
    """

    span: int
    version: int
    path: str
    pattern: str
    marker: str = ""


def check_pattern(pattern: str) -> None:
    """Raises ConfigError unless TFX could resolve `pattern`: one span or one whole date, and at most one version."""
    names = [match.group(1) or match.group(3) for match in _PLACEHOLDER.finditer(pattern)]
    dates = [name for name in names if name in _DATE_PARTS]
    if sorted(dates) not in ([], sorted(_DATE_PARTS)) or (names.count("SPAN") != 1) == (not dates):
        raise ConfigError(
            "A span pattern needs {SPAN} once, or {YYYY}, {MM} and {DD} once each. "
            f"Received: {pattern!r}. Example: 'span-{{SPAN}}/data.csv'."
        )
    if names.count("VERSION") > 1:
        raise ConfigError(f"A span pattern may hold {{VERSION}} once. Received: {pattern!r}.")
    rest = _PLACEHOLDER.sub("", pattern)
    if "{" in rest or "}" in rest:
        raise ConfigError(
            f"A span pattern holds {{SPAN}}, {{VERSION}}, {{YYYY}}, {{MM}} and {{DD}} only. Received: {pattern!r}."
        )
    if pattern.startswith("/") or "://" in pattern or ".." in pattern.split("/"):
        raise ConfigError(f"A span pattern is a path below the data root. Received: {pattern!r}.")


def check_marker(pattern: str, marker: str) -> None:
    """Raises ConfigError unless each span and version has a marker of its own, which is none of its data files."""
    if not marker:
        return
    place = marker_pattern(pattern, marker)
    wanted, named = ({match[1] or match[3] for match in _PLACEHOLDER.finditer(text)} for text in (pattern, place))
    if wanted != named:
        missing = " and ".join(f"{{{name}}}" for name in sorted(wanted ^ named))
        raise ConfigError(
            f"Each span and version needs a marker of its own. {missing} must be in pattern and marker alike: "
            f"{pattern!r} has its markers at {place!r}."
        )
    example = _PLACEHOLDER.sub(lambda match: "1" * int(match[2] or {"YYYY": 4}.get(match[3], 2)), place)
    if _as_regex(pattern).fullmatch(example.replace("*", "x").replace("?", "x")):
        raise ConfigError(f"The marker would be read as data: {pattern!r} matches it too. Received: {marker!r}.")


def marker_pattern(pattern: str, marker: str) -> str:
    """Returns where markers are: beside the file if its name has a number, else in the lowest folder that has one."""
    folder, _, name = pattern.rpartition("/")
    while folder and not _PLACEHOLDER.search(name) and not _PLACEHOLDER.search(folder.rpartition("/")[2]):
        folder = folder.rpartition("/")[0]
    return f"{folder}/{marker}" if folder else marker


def _as_regex(pattern: str) -> re.Pattern[str]:
    parts: list[str] = []
    end = 0
    for match in _PLACEHOLDER.finditer(pattern):
        parts.append(_glob_as_regex(pattern[end : match.start()]))
        name = match.group(1) or match.group(3)
        width = match.group(2) or {"YYYY": "4", "MM": "2", "DD": "2"}.get(name)
        parts.append(f"(?P<{name}>[0-9]{{{width}}})" if width else f"(?P<{name}>[0-9]+)")
        end = match.end()
    parts.append(_glob_as_regex(pattern[end:]))
    return re.compile("".join(parts))


def _glob_as_regex(text: str) -> str:
    return "".join({"*": "[^/]*", "?": "[^/]"}.get(char, re.escape(char)) for char in text)


def _span_number(match: re.Match[str]) -> int | None:
    groups = match.groupdict()
    if "SPAN" in groups:
        return int(groups["SPAN"])
    try:
        day = datetime.date(int(groups["YYYY"]), int(groups["MM"]), int(groups["DD"]))
    except ValueError:
        return None  # 2024-02-31 is no day; TFX skips such folders too.
    return (day - datetime.date(1970, 1, 1)).days


def _fill(pattern: str, match: re.Match[str]) -> str:
    """Returns the pattern with the numbers of a path that it matches."""
    return _PLACEHOLDER.sub(lambda placeholder: match[placeholder[1] or placeholder[3]], pattern)


def path_of(data_root: str, pattern: str, span: int, version: int) -> str:
    """Returns the path that a new version of a span has; the pattern holds no wildcards."""
    day = datetime.date(1970, 1, 1) + datetime.timedelta(days=span) if "{YYYY}" in pattern else None

    def number(placeholder: re.Match[str]) -> str:
        if placeholder[3]:
            assert day is not None, "check_pattern takes dates whole only"
            return f"{day.year:04}" if placeholder[3] == "YYYY" else f"{getattr(day, _PARTS[placeholder[3]]):02}"
        return f"{span if placeholder[1] == 'SPAN' else version:0{placeholder[2] or 1}}"

    return os.path.join(data_root, _PLACEHOLDER.sub(number, pattern))


def _matches(data_root: str, pattern: str) -> Sequence[str]:
    return files_of(below(data_root, _PLACEHOLDER.sub("*", pattern)))


def files_of(wildcard: str) -> Sequence[str]:
    """Returns the files that a glob matches, local or remote.

    Raises:
      PipelineError: an object store does not answer, or refuses.
    """
    if "://" not in wildcard:
        return glob.glob(wildcard)
    if object_stores.handles(wildcard):
        try:
            return object_stores.find(wildcard)
        except OSError as error:
            raise PipelineError(f"{wildcard}: cannot be listed: {' '.join(str(error).split())}.") from error
    from tfx.dsl.io import fileio  # Other remote file systems are TFX's business; importing it takes seconds.

    return [str(path) for path in fileio.glob(wildcard)]


def fingerprint(name: str, wildcard: str) -> str:
    """Returns sizes and times of the files that a glob matches, as TFX's cache key has them."""
    if object_stores.handles(wildcard):
        states = object_stores.state(wildcard)
        return f"split:{name},objects:{hashlib.sha256(json.dumps(states).encode()).hexdigest()[:32]}"
    from tfx.utils import io_utils

    return str(io_utils.generate_fingerprint(name, wildcard))


def below(data_root: str, pattern: str) -> str:
    """Returns the glob of `pattern` below a folder whose own path is taken as it is, `*`, `?` and `[` in it too."""
    return os.path.join(literal(data_root), pattern)


def literal(path: str) -> str:
    """Returns the glob of one path; in a bucket there is no way to write one."""
    return path if "://" in path else glob.escape(path)


def all_versions(data_root: str, pattern: str, marker: str) -> list[SpanFile]:
    """Returns every complete span and version under `data_root`, lowest first; a glob's files count as one entry each.

    Args:
      marker: `[spans] marker`; "" where files are complete as soon as they are there.

    Raises: as `_listed`.
    """
    files, missing = _without_marker(data_root, pattern, marker)
    return [file for file in files if (file.span, file.version) not in missing]


def incomplete(data_root: str, pattern: str, marker: str) -> dict[int, SpanFile]:
    """Returns a file without its marker of each span whose highest version is not complete, ascending.

    Raises: as `_listed`.
    """
    files, missing = _without_marker(data_root, pattern, marker) if marker else ([], {})
    highest = {file.span: (file.span, file.version) for file in files}
    return {span: missing[version] for span, version in highest.items() if version in missing}


def _without_marker(
    data_root: str, pattern: str, marker: str
) -> tuple[list[SpanFile], dict[tuple[int, int], SpanFile]]:
    """Returns all files, and by span and version those whose marker is not there: one of each."""
    # The markers first: what stands beside a marker then was whole before it was listed.
    there = frozenset(_matches(data_root, marker_pattern(pattern, marker)) if marker else ())
    files = _listed(data_root, pattern, marker)
    return files, {(file.span, file.version): file for file in files if marker and file.marker not in there}


def _listed(data_root: str, pattern: str, marker: str) -> list[SpanFile]:
    """Returns every file of a span, with the marker that it needs, lowest first.

    Raises:
      ConfigError: `data_root` is in a bucket and holds characters that are wildcards there.
      DataError: two folders are the same span and version, such as `span-2` and `span-02`.
    """
    if "://" in data_root and glob.has_magic(data_root):
        raise ConfigError(
            "The path of a data folder in a bucket may not hold any of * ? [ : they are wildcards there. "
            f"Received: {data_root}. Name another folder."
        )
    written: dict[tuple[int, int], tuple[str, ...]] = {}
    place = marker_pattern(pattern, marker) if marker else ""
    regex = re.compile(re.escape(os.path.join(data_root, "")) + _as_regex(pattern).pattern)
    found: list[SpanFile] = []
    for path in _matches(data_root, pattern):
        match = regex.fullmatch(path)
        number = _span_number(match) if match else None
        if match and number is not None:
            filled = _fill(pattern, match)
            version = int(match.groupdict().get("VERSION") or 0)
            file = SpanFile(
                span=number,
                version=version,
                path=path,
                pattern=filled,
                marker=_marker_of(path, data_root, place, match) if place else "",
            )
            spelling = match.groups()
            if written.setdefault((file.span, file.version), spelling) != spelling:
                other = next(one.path for one in found if (one.span, one.version) == (file.span, file.version))
                raise DataError(
                    f"{other} and {path} are the same span {file.span}, version {file.version}. Remove or rename one: "
                    "zeros in front of a number do not count."
                )
            found.append(file)
    return sorted(found)


def _marker_of(path: str, data_root: str, place: str, match: re.Match[str]) -> str:
    """Returns the marker of a file: in one of the file's own folders, which wildcards may have named."""
    root = os.path.join(data_root, "")
    folders = path.removeprefix(root).split("/")[: place.count("/")]
    return root + "/".join([*folders, _fill(place.rpartition("/")[2], match)])


def newest_versions(data_root: str, pattern: str, marker: str) -> dict[int, list[SpanFile]]:
    """Returns the files of each span's highest complete version, by span number, ascending. See `all_versions`."""
    spans: dict[int, list[SpanFile]] = {}
    for file in all_versions(data_root, pattern, marker):
        known = spans.setdefault(file.span, [])
        if known and known[0].version < file.version:
            known.clear()
        known.append(file)
    return spans


def _stats(files: Sequence[SpanFile]) -> list[tuple[str, os.stat_result]]:
    """Returns name and state of each file that is there, sorted; of none in a bucket, where objects appear whole."""
    stats = []
    for path in sorted(file.path for file in files if "://" not in file.path):
        with contextlib.suppress(FileNotFoundError):
            stats.append((os.path.basename(path), os.stat(path)))
    return stats


def identity(files: Sequence[SpanFile]) -> str:
    """Returns a hash of the files' names, sizes and modification times; "" in a bucket."""
    text = json.dumps([(name, stat.st_size, stat.st_mtime_ns) for name, stat in _stats(files)])
    return hashlib.sha256(text.encode()).hexdigest()[:16] if text != "[]" else ""


@dataclass(frozen=True, kw_only=True)
class Unsettled:
    """A file that has changed a moment ago, and for how many seconds more it must stay as it is."""

    file: SpanFile
    seconds: float

    def __str__(self) -> str:
        name = os.path.basename(self.file.path)
        return f"{name} changed a moment ago and may be unfinished; {self.seconds:.1f} s more ([spans] settle_seconds)"


def unsettled(files: Sequence[SpanFile], settle_seconds: float, now: float) -> Unsettled | None:
    """Returns the file that must settle longest; None where all have.

    What counts is the last change of a file or of its inode, which a copy that keeps the modification time, a rename
    and an unpacked archive set too. A time to come, by a clock that runs ahead of ours, counts as now. A file that has
    not changed since its marker was written is settled: the writer says so.

    Args:
      now: seconds since 1970.
    """
    found = [
        Unsettled(file=file, seconds=min(settle_seconds - (now - changed), settle_seconds))
        for file in files
        if (changed := _last_change(file.path)) > _last_change(file.marker)
    ]
    last = max(found, key=lambda item: item.seconds, default=None)
    return last if last is not None and last.seconds > 0 else None


def _last_change(path: str) -> float:
    """Returns when a file or its inode changed, in seconds since 1970; -inf for none, and in a bucket."""
    if not path or "://" in path:
        return float("-inf")
    try:
        stat = os.stat(path)
    except FileNotFoundError:
        return float("-inf")
    return max(stat.st_mtime, stat.st_ctime)


def wait_until_settled(
    find: Callable[[], Sequence[SpanFile]],
    settle_seconds: float,
    *,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
    tell: Callable[[Unsettled], None],
) -> None:
    """Waits until the files have not changed for so long; a file that is still being written is none yet.

    Args:
      tell: told before each wait what is waited for.
    """
    while True:
        files = find()
        waiting = unsettled(files, settle_seconds, clock())
        if waiting is None:
            return
        tell(waiting)
        before = identity(files)
        sleep(waiting.seconds)
        if waiting.seconds == settle_seconds and identity(find()) == before:
            return


def choose_span(data_root: str, pattern: str, marker: str, span: int | None = None) -> list[SpanFile]:
    """Returns the files of the newest version of `span`, or of the newest span where `span` is None; never none.

    Raises:
      SpanNotFoundError: there is no such span, or it is not complete; says what was looked for and what exists.
    """
    spans = newest_versions(data_root, pattern, marker)
    if span is None and spans:
        return spans[max(spans)]
    if span is not None and span in spans:
        return spans[span]
    waiting = incomplete(data_root, pattern, marker)
    if waiting and span in (None, *waiting):
        file = waiting[max(waiting) if span is None else span]
        raise SpanNotFoundError(
            f"Span {span_names.name(file.span, pattern)} is not complete: its marker {file.marker} is not there "
            "([spans] marker). Whoever writes the span writes the marker last; wait for it."
        )
    existing = ", ".join(span_names.name(one, pattern) for one in spans) if spans else "nothing"
    what = "No span" if span is None else f"Span {span_names.name(span, pattern)} does not"
    raise SpanNotFoundError(
        f"{what} match {pattern!r} in {data_root}. "
        f"Found: {existing}. Write the data to {os.path.join(data_root, pattern)}, or name another folder with "
        "--data-root."
    )
