"""Which spans are still to be processed, oldest first, and which were set aside because they failed time and again."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
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
    quarantined = set_aside(root, spans)
    remembered_from = span_records.remembered_from(str(root.state))
    for span, newest in spans.items():
        version = newest[0].version
        record = records.get(span)
        # A version below a recorded one is an older state of the files, such as a folder that was removed.
        done = record is not None and record.version >= version and span_records.is_done(record, live)
        if record is None and span < remembered_from:
            continue  # Its record has gone, see `span_records.old`; the gate would call it late.
        changed = files_changed(record, newest)
        if (not done or changed) and span not in quarantined:
            yield Waiting(span, version, changed, tuple(newest))


def files_changed(record: span_records.SpanRecord | None, newest: Sequence[span_files.SpanFile]) -> bool:
    """Tells whether a span's files are other ones than those that were processed, under the same version number."""
    if record is None or not record.files or record.version != newest[0].version:
        return False
    now = span_files.identity(newest)
    return bool(now) and now != record.files


@dataclass(frozen=True)
class SetAside:
    """Why a span's version was set aside, and its files' identity then; "" in a bucket, and by an older release."""

    why: str
    files: str = ""


def set_aside(root: Root, spans: Mapping[int, Sequence[span_files.SpanFile]]) -> dict[int, str]:
    """Returns why spans are set aside, by span; one whose files have changed since is set aside no more.

    Args:
      spans: as of `unprocessed`.

    Raises:
      PipelineError: the file is not what `quarantine` writes.
    """
    quarantined = read_quarantine(root)
    entries = {span: quarantined.get((span, newest[0].version)) for span, newest in spans.items()}
    return {
        span: entry.why
        for span, entry in entries.items()
        if entry is not None and entry.files in ("", span_files.identity(spans[span]))
    }


def read_quarantine(root: Root) -> dict[tuple[int, int], SetAside]:
    """Returns what was set aside, by span and version. Remove an entry of the file to have the span tried again.

    Raises:
      PipelineError: the file is not what `quarantine` writes.
    """
    path = root.path / QUARANTINE
    if not path.exists():
        return {}
    try:
        entries: dict[str, str | dict[str, str]] = json.loads(path.read_text(encoding="utf-8"))
        quarantined = {}
        for name, entry in entries.items():
            span, version = map(int, name.split("/"))
            quarantined[span, version] = SetAside(entry) if isinstance(entry, str) else SetAside(**entry)
        return quarantined
    except (ValueError, TypeError, AttributeError) as error:
        raise PipelineError(
            f"{path} is not a quarantine file: {error}. Repair it, or remove it to try its spans again."
        ) from error


def quarantine(root: Root, waiting: Waiting, entry: SetAside) -> None:
    """Sets a span's version aside; a corrected version is a new one and is tried, as are files that change."""
    _write_quarantine(root, {**read_quarantine(root), (waiting.span, waiting.version): entry})


def release(root: Root, waiting: Waiting) -> bool:
    """Removes the entry of a span that is tried again; tells whether there was one."""
    entries = read_quarantine(root)
    was_there = entries.pop((waiting.span, waiting.version), None) is not None
    if was_there:
        _write_quarantine(root, entries)
    return was_there


def _write_quarantine(root: Root, entries: Mapping[tuple[int, int], SetAside]) -> None:
    values = {f"{span}/{version}": asdict(entry) for (span, version), entry in entries.items()}
    files.write(str(root.path), QUARANTINE, (json.dumps(values, indent=1) + "\n").encode())
