"""Served requests, kept as tf.Examples until their labels have come, and how far the request log has been read.

    monitoring/batch-0000007/progress.json                          how far the log had been read, and what was counted
    monitoring/batch-0000007/window-1795564800/version-1795590347/  an Examples artifact with the split `requests`

A batch appears by one rename, rows and progress together, so each record is counted once, even after a crash. The
newest batch's progress is the current one. Older batches only hold rows; the monitor removes them when their windows
are old.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
from tensorflow_metadata.proto.v0 import schema_pb2

from columnar import examples, split_files
from columnar.example_encoder import encode
from columnar.example_writer import SplitWriter
from monitoring.log_files import FileProgress
from monitoring.request_rows import Decoded, Place
from pipeline import files, json_values
from pipeline.errors import PipelineError

SPLIT = "requests"
LAYOUT = 1
_BATCH = re.compile(r"batch-(\d{7,})")


@dataclass(frozen=True, kw_only=True)
class VersionCounts:
    """Of one model version, since the monitor first ran.

    Attributes:
      records: log records; requests: what they stand for where the log is a sample; errors: records without an answer.
      rows: examples in the records.
    """

    records: int = 0
    requests: int = 0
    errors: int = 0
    rows: int = 0


@dataclass(frozen=True)
class Progress:
    """The files that were read, and the counts since the monitor first ran.

    Attributes:
      files: by name below the log's folder; files that are gone are forgotten.
      versions: by version.
      dropped: records without rows, by reason.
      windows: rows by `START/VERSION`, of the windows that are kept.
    """

    files: Mapping[str, FileProgress] = field(default_factory=dict)
    versions: Mapping[int, VersionCounts] = field(default_factory=dict)
    dropped: Mapping[str, int] = field(default_factory=dict)
    windows: Mapping[Place, int] = field(default_factory=dict)

    def with_decoded(self, decoded: Decoded) -> Progress:
        """Returns the progress after a chunk of records."""
        versions = dict(self.versions)
        windows = dict(self.windows)
        rows = dict.fromkeys(decoded.requests, 0)
        for place, table in decoded.tables.items():
            windows[place] = windows.get(place, 0) + table.num_rows
            rows[place[1]] += table.num_rows
        for version, number in decoded.requests.items():
            before = versions.get(version, VersionCounts())
            versions[version] = VersionCounts(
                records=before.records + number,
                requests=before.requests + decoded.represented[version],
                errors=before.errors + decoded.errors[version],
                rows=before.rows + rows[version],
            )
        return dataclasses.replace(
            self, versions=versions, windows=windows, dropped=added(self.dropped, decoded.dropped)
        )

    def to_json(self) -> str:
        """Serializes to JSON."""
        value = {
            "layout": LAYOUT,
            "files": {name: dataclasses.asdict(progress) for name, progress in sorted(self.files.items())},
            "versions": {str(version): dataclasses.asdict(counts) for version, counts in sorted(self.versions.items())},
            "dropped": dict(sorted(self.dropped.items())),
            "windows": {f"{start}/{version}": rows for (start, version), rows in sorted(self.windows.items())},
        }
        return json.dumps(value, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Progress:
        """Reads what `to_json` wrote.

        Raises:
          ValueError: it is something else.
        """
        value = json.loads(text)
        if not isinstance(value, dict) or value.get("layout") != LAYOUT:
            raise ValueError(f"expected layout {LAYOUT}")
        return cls(
            files={n: json_values.from_json_values(FileProgress, item) for n, item in value["files"].items()},
            versions={
                int(v): json_values.from_json_values(VersionCounts, item) for v, item in value["versions"].items()
            },
            dropped={str(reason): int(number) for reason, number in value["dropped"].items()},
            windows={_place(name): int(rows) for name, rows in value["windows"].items()},
        )


def added(counts: Mapping[str, int], more: Mapping[str, int]) -> dict[str, int]:
    """Returns the sums by key."""
    return {key: counts.get(key, 0) + more.get(key, 0) for key in sorted({*counts, *more})}


def _place(text: str) -> Place:
    start, version = text.split("/")
    return int(start), int(version)


def _examples(batch: Path, place: Place) -> str:
    """Returns where the rows of a window and version are."""
    start, version = place
    return str(batch / f"window-{start}" / f"version-{version}")


class Batch:
    """A batch that is being written."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writers: dict[Place, SplitWriter] = {}
        self._stack = contextlib.ExitStack()

    def write(self, tables: Mapping[Place, pa.Table]) -> None:
        """Appends rows to their windows."""
        for (start, version), table in tables.items():
            if (start, version) not in self._writers:
                folder = split_files.folder(_examples(self._folder, (start, version)), SPLIT)
                self._writers[start, version] = self._stack.enter_context(SplitWriter(folder))
            for batch in table.combine_chunks().to_batches():
                self._writers[start, version].write(encode(batch).records)

    def close(self) -> None:
        """Names the shards."""
        self._stack.close()


class Store:
    """The folder of served requests. One process writes at a time; see `monitoring.monitor`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def progress(self) -> Progress:
        """Returns the current progress.

        Raises:
          PipelineError: the newest batch is damaged; names the file.
        """
        batches = self._batches()
        if not batches:
            return Progress()
        path = batches[-1] / "progress.json"
        try:
            return Progress.from_json(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
            raise PipelineError(
                f"{path} is not how far a request log was read ({error!r}). Restore it, or remove {self.folder} to "
                "read the whole log anew."
            ) from error

    @contextlib.contextmanager
    def batch(self) -> Iterator[Batch]:
        """Yields a batch to write into; nothing of it is visible before `commit`, and nothing remains without it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        unfinished = self._unfinished()
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir()
        writing = Batch(unfinished)
        try:
            yield writing
        finally:
            writing.close()

    def commit(self, progress: Progress) -> None:
        """Makes the batch that was written visible, with the progress that belongs to it."""
        unfinished = self._unfinished()
        (unfinished / "progress.json").write_text(progress.to_json(), encoding="utf-8")
        for path in unfinished.rglob("*"):
            files.flush(path)
        batches = self._batches()
        number = 1 + (_number(batches[-1]) if batches else 0)
        unfinished.rename(self.folder / f"batch-{number:07d}")
        files.flush(self.folder)

    def read(self, places: Sequence[Place], schema: schema_pb2.Schema) -> pa.Table:
        """Returns the rows of these windows and versions."""
        uris = [_examples(batch, place) for batch in self._batches() for place in places]
        return examples.read_splits(uris, [SPLIT], schema)

    def remove_before(self, time: float) -> None:
        """Removes batches all of whose windows begin before `time`; never the newest, which holds the progress."""
        for batch in self._batches()[:-1]:
            starts = [int(path.name.removeprefix("window-")) for path in batch.glob("window-*")]
            if all(start < time for start in starts):
                shutil.rmtree(batch)

    def _batches(self) -> list[Path]:
        if not self.folder.is_dir():
            return []
        return sorted((path for path in self.folder.iterdir() if _BATCH.fullmatch(path.name)), key=_number)

    def _unfinished(self) -> Path:
        return self.folder / ".batch-unfinished"


def _number(batch: Path) -> int:
    match = _BATCH.fullmatch(batch.name)
    assert match is not None
    return int(match.group(1))
