"""What became of each span: one small JSON file per span and version, under a location that is a plain parameter.

The gate reads it to recognise repeated, late and waiting spans, and the training window reads it to leave out what
was blocked. Files, not ML Metadata, because Vertex and Kubeflow give a component no store to query.
"""

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from typing import Literal

from pipeline.errors import PipelineError


@dataclass(frozen=True, kw_only=True)
class SpanRecord:
    """What the gate left of one version of a span.

    Attributes:
      fingerprint: hash of the content, whatever the order of the rows.
      verdict: the gate's.
      accepted: the data was sound, whatever was decided then.
      waiting: too few rows to judge; they count together with the next span.
      examples_uri: the span's Examples artifact, for a waiting span.
      decided_at: seconds since 1970.
    """

    span: int
    version: int
    fingerprint: str
    rows: int
    verdict: Literal["block", "skip", "rerun"]
    accepted: bool
    waiting: bool
    examples_uri: str
    decided_at: int

    @property
    def file_name(self) -> str:
        return f"span-{self.span}-version-{self.version}.json"


def write_record(state_dir: str, record: SpanRecord) -> None:
    """Writes the record whole or not at all, over an earlier one of the same version."""
    path = os.path.join(state_dir, record.file_name)
    text = json.dumps(asdict(record), indent=2, sort_keys=True) + "\n"
    if "://" in state_dir:
        from tfx.dsl.io import fileio

        fileio.makedirs(state_dir)
        with fileio.open(path, "w") as file:
            file.write(text)
        return
    os.makedirs(state_dir, exist_ok=True)
    unfinished = f"{path}.{os.getpid()}.tmp"
    with open(unfinished, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(unfinished, path)


def read_records(state_dir: str) -> list[SpanRecord]:
    """Returns every record, by span and version, ascending.

    Raises:
      PipelineError: a file is not a record; names it.
    """
    records = []
    for path in _record_files(state_dir):
        try:
            values = json.loads(_read_text(path))
            records.append(SpanRecord(**{field.name: values[field.name] for field in fields(SpanRecord)}))
        except (ValueError, KeyError, TypeError) as error:
            raise PipelineError(
                f"{path} is not a span's record ({error!r}). Restore it, or remove it and process the span again."
            ) from error
    return sorted(records, key=lambda record: (record.span, record.version))


def _record_files(state_dir: str) -> list[str]:
    if "://" in state_dir:
        from tfx.dsl.io import fileio  # Remote file systems are TFX's business; importing it takes seconds.

        names = [str(name) for name in fileio.listdir(state_dir)] if fileio.isdir(state_dir) else []
    else:
        names = os.listdir(state_dir) if os.path.isdir(state_dir) else []
    return [os.path.join(state_dir, name) for name in names if name.startswith("span-") and name.endswith(".json")]


def _read_text(path: str) -> str:
    if "://" in path:
        from tfx.dsl.io import fileio

        with fileio.open(path, "r") as file:
            return str(file.read())
    with open(path, encoding="utf-8") as file:
        return file.read()


def newest_records(records: Iterable[SpanRecord]) -> dict[int, SpanRecord]:
    """Returns each span's record of its highest version, by span, ascending."""
    return {record.span: record for record in sorted(records, key=lambda record: (record.span, record.version))}


def settled(records: Iterable[SpanRecord], live_window: Iterable[int]) -> list[SpanRecord]:
    """Returns the records whose matter is closed.

    A rerun is closed once the live model was trained on its span; until then a run that was killed, or whose candidate
    was refused, may be started again.
    """
    trained = set(live_window)
    return [record for record in records if record.verdict != "rerun" or record.span in trained]


def token(records: Iterable[SpanRecord]) -> str:
    """Returns a hash of the records, for a cache key: the gate decides anew when they change."""
    text = json.dumps([asdict(record) for record in records], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
