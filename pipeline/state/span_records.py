"""What became of each span: one small JSON file per span and version, under a location that is a plain parameter.

The gate reads it to recognise repeated, late and waiting spans, and the training window reads it to leave out what
was blocked. Files, not ML Metadata, because Vertex and Kubeflow give a component no store to query.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, asdict, dataclass, fields, replace
from typing import Any, Literal

from pipeline import files
from pipeline.errors import PipelineError
from pipeline.state.version_folder import LiveTraining


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
      live_version: the version that was live when the gate decided; "" for none, or where an older release decided.
      definition: hash of the definition that a training would have followed; "" where an older release decided.
      outcome: what became of a rerun that came to its end; "" until then, and where an older release ran.
      files: identity of the files that were read, by name, size and modification time; "" where it is not known.
      counted_with: the span with whose rows those of this one, too few alone, have counted; 0 for a span of its own.
      labelled: whether the span had labels.
      thresholds: hash of what the candidate was judged by; "" until then, and where an older release ran.
    """

    span: int
    version: int
    fingerprint: str
    rows: int
    verdict: Literal["block", "skip", "recalibrate", "rerun"]
    accepted: bool
    waiting: bool
    examples_uri: str
    decided_at: int
    live_version: str = ""
    definition: str = ""
    outcome: Literal["", "pushed", "not_blessed"] = ""
    files: str = ""
    thresholds: str = ""
    counted_with: int = 0
    labelled: bool = True

    @property
    def file_name(self) -> str:
        return _file_name(self.span, self.version)


def _file_name(span: int, version: int) -> str:
    return f"span-{span}-version-{version}.json"


def write_record(state_dir: str, record: SpanRecord) -> None:
    """Writes the record whole or not at all, over an earlier one of the same version."""
    text = json.dumps(asdict(record), indent=2, sort_keys=True) + "\n"
    files.write(state_dir, record.file_name, text.encode())


def read_records(state_dir: str) -> list[SpanRecord]:
    """Returns every record, by span and version, ascending.

    Raises:
      PipelineError: a file is not a record; names it.
    """
    records = [_read(state_dir, name) for name in _record_files(state_dir)]
    return sorted(
        (record for record in records if record is not None), key=lambda record: (record.span, record.version)
    )


def _read(state_dir: str, name: str) -> SpanRecord | None:
    """Returns the record in a file; None where there is no such file.

    Raises:
      PipelineError: it is not a record; names it.
    """
    content = files.read(state_dir, name)
    if content is None:
        return None
    try:
        return _from_json(json.loads(content))
    except (ValueError, KeyError, TypeError) as error:
        raise PipelineError(
            f"{os.path.join(state_dir, name)} is not a span's record ({error!r}). "
            "Restore it, or remove it and process the span again."
        ) from error


def _from_json(values: dict[str, Any]) -> SpanRecord:  # Any: JSON.
    """Returns the record; a field that an older release did not write has its default.

    Raises:
      KeyError: a field without a default is missing.
    """
    return SpanRecord(
        **{
            field.name: values[field.name]
            for field in fields(SpanRecord)
            if field.name in values or field.default is MISSING
        }
    )


def _record_files(state_dir: str) -> list[str]:
    if "://" in state_dir:
        from tfx.dsl.io import fileio  # Remote file systems are TFX's business; importing it takes seconds.

        names = [str(name) for name in fileio.listdir(state_dir)] if fileio.isdir(state_dir) else []
    else:
        names = os.listdir(state_dir) if os.path.isdir(state_dir) else []
    return [name for name in names if name.startswith("span-") and name.endswith(".json")]


def newest_records(records: Iterable[SpanRecord]) -> dict[int, SpanRecord]:
    """Returns each span's record of its highest version, by span, ascending."""
    return {record.span: record for record in sorted(records, key=lambda record: (record.span, record.version))}


def groups(spans: Iterable[int], records: Mapping[int, SpanRecord], newest: int) -> dict[int, int]:
    """Returns each span's group, by span: small spans that waited count as one with the span that ended the waiting.

    Args:
      records: of each span, the newest.
      newest: the span at hand, with which those that still wait count.
    """
    found = {}
    for span in spans:
        record = records.get(span)
        ended_by = record.counted_with or (newest if record.waiting else 0) if record is not None else 0
        found[span] = ended_by or span
    return found


def is_done(record: SpanRecord, live: LiveTraining) -> bool:
    """Tells whether a span's version needs nothing more. `run`, `watch`, `spans`, Airflow and the gate all ask this.

    A block or a skip is done as soon as it is decided. A recalibration that was refused is followed by a rerun. A rerun
    is done once it came to its end, blessed or not, or a model that went live after the decision was trained on the
    span or on later ones, or was withdrawn by a rollback.
    A run that is killed, terminated or fails after the gate has decided leaves the span to be done.
    """
    if record.verdict == "recalibrate" and record.outcome == "not_blessed":
        return record.span in live.withdrawn
    if record.verdict in ("block", "skip") or record.outcome or record.span in live.withdrawn:
        return True
    decided_before = live.origin > int(record.live_version or 0)
    return decided_before and bool(live.window) and (record.span in live.window or record.span < max(live.window))


def reopened(records: Iterable[SpanRecord], thresholds: str, *, since: int = 0) -> list[SpanRecord]:
    """Returns the records without the refusals by other thresholds: those candidates are to be judged again.

    Args:
      since: the span at hand. What other thresholds refused before it stays closed, as it was when the gate first
        decided on the span: so the decision, and all that follows from it up to the Evaluator, is still in the cache.
    """
    return [
        replace(record, outcome="")
        if record.span >= since and record.outcome == "not_blessed" and record.thresholds not in ("", thresholds)
        else record
        for record in records
    ]


def refused(records: Iterable[SpanRecord]) -> str:
    """Returns the spans and versions whose candidates were refused, as `SPAN/VERSION` with spaces between.

    The gate takes them as a parameter. With the thresholds themselves as one, it would decide anew wherever they
    change, and the same candidate would be trained again.
    """
    return " ".join(f"{record.span}/{record.version}" for record in records if record.outcome == "not_blessed")


def with_refusals(records: Iterable[SpanRecord], refusals: str) -> list[SpanRecord]:
    """Returns the records with no other refusal than these, which `refused` wrote."""
    counting = refusals.split()
    return [
        replace(record, outcome="")
        if record.outcome == "not_blessed" and f"{record.span}/{record.version}" not in counting
        else record
        for record in records
    ]


REMEMBERED_FROM = "remembered-from.json"


def old(records: Iterable[SpanRecord], spans: int, live: LiveTraining) -> tuple[int, list[SpanRecord]]:
    """Returns the lowest of the newest spans whose records are kept, and the records of lower ones that may go.

    Those stay that something still asks for: what is not done, what waits, what was blocked and so must be in no
    training window, and what the live model was trained on. None go before there are a quarter more, since the gate's
    cache key holds the records.
    """
    listed = sorted(records, key=lambda record: record.span)
    numbers = sorted({record.span for record in listed})
    if len(numbers) <= spans + spans // 4:
        return 0, []
    lowest = numbers[-spans]
    kept = {*live.window, *live.withdrawn}
    return lowest, [
        record
        for record in listed
        if record.span < lowest
        and is_done(record, live)
        and record.verdict != "block"
        and not record.waiting
        and record.span not in kept
    ]


def remember_from(state_dir: str, span: int) -> None:
    """Notes that spans below this one are done, unless a record says otherwise; their records are about to go."""
    files.write(state_dir, REMEMBERED_FROM, json.dumps({"span": max(span, remembered_from(state_dir))}).encode())


def remembered_from(state_dir: str) -> int:
    """Returns the span below which a span without a record is done; 0 where all have one.

    Raises:
      PipelineError: the note is damaged.
    """
    content = files.read(state_dir, REMEMBERED_FROM)
    try:
        return 0 if content is None else int(json.loads(content)["span"])
    except (ValueError, KeyError, TypeError) as error:
        raise PipelineError(
            f"{os.path.join(state_dir, REMEMBERED_FROM)} is damaged ({error!r}). Remove it to process old spans again."
        ) from error


def done(records: Iterable[SpanRecord], live: LiveTraining) -> list[SpanRecord]:
    """Returns the records whose spans need nothing more."""
    return [record for record in records if is_done(record, live)]


def complete(state_dir: str, span: int, version: int, **values: str) -> None:
    """Adds to a span's record what the gate does not know: the files' identity, or how a rerun came to its end."""
    record = _read(state_dir, _file_name(span, version))
    if record is not None:
        write_record(state_dir, replace(record, **values))  # type: ignore[arg-type]  # `outcome` is a Literal.


_NO_REASON_TO_DECIDE_ANEW = ("files", "waiting", "examples_uri", "thresholds", "counted_with")


def token(records: Iterable[SpanRecord]) -> str:
    """Returns a hash of the records, for a cache key: the gate decides anew when they change.

    Left out are files that were touched and hold what they held, and what a run adds after its gate has decided, so
    that the next run finds that decision in the cache: rows that waited have counted, a candidate has been judged.
    """
    values = [asdict(record) for record in records]
    for value in values:
        for name in _NO_REASON_TO_DECIDE_ANEW:
            del value[name]
    text = json.dumps(values, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
