"""Which spans are still to be processed, oldest first, and which were set aside because they failed time and again."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline import files
from pipeline.errors import PipelineError
from pipeline.ingest import spans as span_files
from pipeline.state import span_records, version_folder
from pipeline.state.root import Root

QUARANTINE = "quarantine.json"


@dataclass(frozen=True)
class Waiting:
    """A span's newest version that is not done.

    Attributes:
      changed: it was processed, and its files have changed since.
      files: as the data root was listed; empty for what was set aside.
    """

    span: int
    version: int
    changed: bool = field(default=False, compare=False)
    files: tuple[span_files.SpanFile, ...] = field(default=(), compare=False)


def unprocessed(
    root: Root, serving_dir: Path, spans: Mapping[int, Sequence[span_files.SpanFile]], thresholds: str
) -> Iterator[Waiting]:
    """Yields the spans whose newest version is not done and not quarantined, oldest first.

    Args:
      spans: the files of each span's newest version, ascending, as `span_files.newest_versions` lists them.
      thresholds: a hash of what candidates are judged by; a span whose candidate others refused is not done.
    """
    records = span_records.newest_records(span_records.reopened(span_records.read_records(str(root.state)), thresholds))
    live = version_folder.live_training(serving_dir)
    set_aside = read_quarantine(root)
    for span, newest in spans.items():
        version = newest[0].version
        record = records.get(span)
        # A version below a recorded one is an older state of the files, such as a folder that was removed.
        done = record is not None and record.version >= version and span_records.is_done(record, live)
        changed = files_changed(record, newest)
        if (not done or changed) and Waiting(span, version) not in set_aside:
            yield Waiting(span, version, changed, tuple(newest))


def files_changed(record: span_records.SpanRecord | None, newest: Sequence[span_files.SpanFile]) -> bool:
    """Tells whether a span's files are other ones than those that were processed, under the same version number."""
    if record is None or not record.files or record.version != newest[0].version:
        return False
    now = span_files.identity(newest)
    return bool(now) and now != record.files


def read_quarantine(root: Root) -> dict[Waiting, str]:
    """Returns what was set aside, and why. Remove an entry of the file to have the span tried again.

    Raises:
      PipelineError: the file is not what `quarantine` writes.
    """
    path = root.path / QUARANTINE
    if not path.exists():
        return {}
    try:
        entries: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
        waiting = {}
        for name, why in entries.items():
            span, version = map(int, name.split("/"))
            waiting[Waiting(span, version)] = why
        return waiting
    except (ValueError, TypeError, AttributeError) as error:
        raise PipelineError(
            f"{path} is not a quarantine file: {error}. Repair it, or remove it to try its spans again."
        ) from error


def quarantine(root: Root, waiting: Waiting, why: str) -> None:
    """Sets a span's version aside; a corrected version is a new one and is tried."""
    entries = {f"{item.span}/{item.version}": text for item, text in {**read_quarantine(root), waiting: why}.items()}
    files.write(str(root.path), QUARANTINE, (json.dumps(entries, indent=1) + "\n").encode())
