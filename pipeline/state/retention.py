"""What a root keeps, and removing the rest.

A removal must be survived at any moment. First ML Metadata says, in one transaction, that the artifacts are deleted;
then each folder leaves its place by one rename into the trash, so that nobody meets half of it; then the trash is
emptied, by the next call at the latest. What a killed call has left in its place is found again from the disk alone.
See docs/retention.md and docs/decisions/0521-retention.md.
"""

import contextlib
import logging
import shutil
import sqlite3
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from models import settings
from models.settings import Range
from pipeline.errors import PipelineError
from pipeline.state import span_records, version_folder
from pipeline.state.rollback import versions
from pipeline.state.root import Root

logger = logging.getLogger(__name__)

Kind = Literal["artifacts", "version", "report", "log", "record", "trash"]

_MOST = 1_000_000_000
_METADATA_SCHEMA = 10
"""The layout of ML Metadata's tables that the statements below are written for; ml-metadata 1.15 to 1.17 have it."""
_DELETED = 4
_LIVE = 2
"""Values of `Artifact.State`."""
_ARTIFACTS = "/artifacts/"
_SECONDS_PER_DAY = 86_400


@dataclass(frozen=True, kw_only=True)
class RetentionPolicy:
    """`[retention]`: how many of the newest of each kind a root keeps, and for how long.

    Attributes:
      artifacts: runs whose artifacts are kept. A report can be made again only from these.
      runs: runs that ML Metadata remembers. Each component of a run reads all of them.
      versions: pushed versions; the live one, and those that a rollback may need, are kept besides.
      reports: pages of runs.
      logs: logs of runs, and as many of watchers, of `predict --batch` and of `drift`.
      history: spans whose records are kept, and lines of `decisions.jsonl` and `runs.jsonl`; older spans count as done.
      max_days: artifacts, runs, versions, reports and logs that are older go whatever the numbers say; 0 for no limit.
    """

    artifacts: Annotated[int, Range(1, _MOST)] = 10
    runs: Annotated[int, Range(1, _MOST)] = 100
    versions: Annotated[int, Range(2, _MOST)] = 10
    reports: Annotated[int, Range(1, _MOST)] = 500
    logs: Annotated[int, Range(1, _MOST)] = 500
    history: Annotated[int, Range(10, _MOST)] = 1_000
    max_days: Annotated[float, Range(0, 100_000, "days")] = 0.0

    def __post_init__(self) -> None:
        settings.check(self)
        if self.runs < self.artifacts:
            raise ValueError(
                f"runs must be at least artifacts, since artifacts are found through their runs. "
                f"Received: {self.runs} and {self.artifacts}."
            )


@dataclass(frozen=True, kw_only=True)
class Removal:
    """A file or folder that is not kept."""

    kind: Kind
    path: Path


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is to go.

    Attributes:
      deleted: numbers of artifacts that ML Metadata holds to be live, and whose files go or are gone.
      forgotten: numbers of the runs that ML Metadata is to forget.
      remembered_from: the lowest span whose record is kept for itself, where lower ones go; 0 where none do.
    """

    removals: tuple[Removal, ...]
    deleted: tuple[int, ...]
    forgotten: tuple[int, ...]
    remembered_from: int = 0


@dataclass(frozen=True, kw_only=True)
class _Runs:
    """What ML Metadata knows of runs and artifacts.

    Attributes:
      first_kept: number of the oldest execution of the runs whose artifacts are kept; what is newer is kept too.
      kept: names of the runs whose artifacts are kept.
      forgotten: as in `Plan`.
      live: number and place, below the folder of artifacts, of each artifact that is held to be live.
      used: numbers of the artifacts that a kept run read or wrote.
    """

    first_kept: int
    kept: frozenset[str]
    forgotten: tuple[int, ...]
    live: dict[int, str]
    used: frozenset[int]


def plan(root: Root, serving_dir: Path, policy: RetentionPolicy, *, now: float) -> Plan:
    """Returns what is not kept; nothing changes.

    Args:
      now: seconds since 1970.

    Raises:
      PipelineError: a span's record is damaged, so it is not known what waits.
    """
    removals = [Removal(kind="trash", path=path) for path in _children(root.trash)]
    deleted: tuple[int, ...] = ()
    forgotten: tuple[int, ...] = ()
    oldest = now - policy.max_days * _SECONDS_PER_DAY if policy.max_days else 0.0
    records = span_records.read_records(str(root.state))
    runs = _read_runs(root.metadata, policy, oldest)
    if runs is not None:
        waiting = {place for record in records if record.waiting and (place := _place(record.examples_uri))}
        kept = waiting | {place for number, place in runs.live.items() if number in runs.used}
        removals += [Removal(kind="artifacts", path=path) for path in _unused(root.artifacts, runs, kept)]
        deleted = tuple(number for number, place in runs.live.items() if place not in kept)
        forgotten = runs.forgotten
    removals += [Removal(kind="version", path=path) for path in _old_versions(serving_dir, policy.versions, oldest)]
    pages = root.reports.glob("*.html")
    removals += [Removal(kind="report", path=path) for path in _oldest(pages, policy.reports, oldest, now)]
    # Apart: a watcher's log, which it still writes to, is seldom new.
    for pattern in ("run-*.log", "watch-*.log", "predict-*.log", "drift-*.log"):
        logs = root.logs.glob(pattern)
        removals += [Removal(kind="log", path=path) for path in _oldest(logs, policy.logs, oldest, now)]
    remembered_from, gone = span_records.old(records, policy.history, version_folder.live_training(serving_dir))
    removals += [Removal(kind="record", path=root.state / record.file_name) for record in gone]
    return Plan(
        removals=tuple(removals),
        deleted=deleted,
        forgotten=forgotten,
        remembered_from=remembered_from if gone else 0,
    )


def apply(root: Root, what: Plan) -> None:
    """Removes what was planned. The caller holds the root's lock since before it planned.

    Raises:
      OSError: something cannot be removed; what follows it is left for the next call.
      PipelineError: ML Metadata cannot be written.
    """
    if what.remembered_from:
        # Before the records go: without them their spans would come again.
        span_records.remember_from(str(root.state), what.remembered_from)
    # First what ML Metadata knows nothing of: on a full disk it makes the room that a transaction needs.
    _discard(root.trash, [removal.path for removal in what.removals if removal.kind not in ("artifacts", "trash")])
    _forget(root.metadata, what)
    _discard(root.trash, [removal.path for removal in what.removals if removal.kind == "artifacts"])
    counts = Counter(removal.kind for removal in what.removals)
    logger.info("Removed: %s; forgot %d runs.", dict(counts), len(what.forgotten))


def _discard(trash: Path, paths: Iterable[Path]) -> None:
    """Renames each path into the trash, and then empties that of whatever is in it."""
    trash.mkdir(exist_ok=True)
    for index, path in enumerate(paths):
        path.rename(trash / f"{time.time_ns()}-{index}-{path.name}")
    for path in _children(trash):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    trash.rmdir()


def sizes(removals: Iterable[Removal]) -> Iterator[tuple[Removal, int, int]]:
    """Yields each removal with the number of its files and folders, and the bytes that its going sets free.

    A file with links elsewhere sets nothing free; one whose last links go together counts where the last of them is.
    """
    seen: Counter[tuple[int, int]] = Counter()
    for removal in removals:
        entries = 0
        free = 0
        for path in (removal.path, *removal.path.rglob("*")):
            with contextlib.suppress(FileNotFoundError):
                status = path.lstat()
                entries += 1
                seen[status.st_dev, status.st_ino] += 1
                if path.is_dir() or seen[status.st_dev, status.st_ino] == status.st_nlink:
                    free += status.st_blocks * 512
        yield removal, entries, free


def _children(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _place(uri: str) -> str:
    """Returns where an artifact is below the folder of artifacts; the root may have been moved since."""
    return uri.rpartition(_ARTIFACTS)[2] if _ARTIFACTS in uri and "://" not in uri else ""


def _read_runs(metadata: Path, policy: RetentionPolicy, oldest: float) -> _Runs | None:
    """Returns what ML Metadata knows, of runs since `oldest`, or of the last one alone.

    None where it is not there, or of another layout: then no artifact is removed.
    """
    if not metadata.is_file():
        return None
    with contextlib.closing(sqlite3.connect(f"file:{metadata}?mode=ro", uri=True)) as store:
        if not _understood(store):
            return None
        runs: list[tuple[int, str, int]] = store.execute(
            "select c.id, c.name, c.create_time_since_epoch from Context c join Type t on t.id = c.type_id "
            "where t.name = 'pipeline_run' order by c.id desc"
        ).fetchall()
        young = max((place for place, (_, _, made) in enumerate(runs, 1) if made >= 1_000 * oldest), default=1)
        kept = runs[: min(policy.artifacts, young)]
        if not kept:
            return None
        executed = "select execution_id from Association where context_id in ({})".format(
            ",".join(str(run) for run, _, _ in kept)
        )
        (first,) = store.execute(f"select min(execution_id) from ({executed})").fetchone()
        live = store.execute("select id, uri from Artifact where state = ?", (_LIVE,)).fetchall()
        used = store.execute(f"select distinct artifact_id from Event where execution_id in ({executed})").fetchall()
    return _Runs(
        first_kept=first or 0,
        kept=frozenset(name for _, name, _ in kept),
        forgotten=tuple(run for run, _, _ in runs[min(policy.runs, young) :]),
        live={number: place for number, uri in live if (place := _place(uri or ""))},
        used=frozenset(number for (number,) in used),
    )


def _understood(store: sqlite3.Connection) -> bool:
    try:
        (version,) = store.execute("select schema_version from MLMDEnv").fetchone()
    except (sqlite3.DatabaseError, TypeError):
        version = None  # TypeError: there is no row.
    if version != _METADATA_SCHEMA:
        logger.warning("ML Metadata's layout is %s, not %d: no artifact is removed.", version, _METADATA_SCHEMA)
    return bool(version == _METADATA_SCHEMA)


def _unused(artifacts: Path, runs: _Runs, kept: set[str]) -> Iterator[Path]:
    """Yields the folders that executions have made and no kept run uses: TFX's NODE/KEY/EXECUTION."""
    for node in _children(artifacts):
        for key in _children(node):
            if key.name != ".system":
                for path in _children(key):
                    if _is_old(path, runs) and path.relative_to(artifacts).as_posix() not in kept:
                        yield path
        for key in _children(node / ".system"):
            for path in _children(key):
                run_folder = key.name == "stateful_working_dir" and path.name not in runs.kept
                if run_folder or _is_old(path, runs):
                    yield path


def _is_old(path: Path, runs: _Runs) -> bool:
    return path.name.isdecimal() and int(path.name) < runs.first_kept


def _old_versions(serving_dir: Path, count: int, oldest: float) -> Iterator[Path]:
    """Yields all versions but the newest, those that these replaced or are again, and the one to roll back to."""
    pushed = versions(serving_dir)
    if not pushed:
        return
    newest = [*(version for version in pushed[-count:-1] if version.number >= oldest), pushed[-1]]
    before = [version for version in pushed if version.rollback is None and version.number < pushed[-1].origin][-1:]
    replaced = {version.rollback.instead_of for version in newest if version.rollback is not None}
    kept = {version.number for version in (*newest, *before)} | replaced
    kept |= {version.origin for version in pushed if version.number in kept}
    yield from (serving_dir / str(version.number) for version in pushed if version.number not in kept)


def _oldest(paths: Iterable[Path], count: int, oldest: float, now: float) -> list[Path]:
    """Returns all but the newest, and of these what is from before `oldest`, but for the very newest.

    A time that is yet to come is a wandering clock's: such a file is not the newest.
    """
    times = {path: path.stat().st_mtime for path in paths}
    newest_first = sorted(times, key=lambda path: (times[path] <= now, times[path], path.name), reverse=True)
    return [path for place, path in enumerate(newest_first) if place >= max(count if times[path] >= oldest else 1, 1)]


def _forget(metadata: Path, what: Plan) -> None:
    """Marks artifacts as deleted, and removes runs with what only they hold, in one transaction.

    ML Metadata has no call that removes anything. Its numbers are never used again (AUTOINCREMENT), so the folders of
    later executions cannot meet earlier ones.
    """
    if not what.deleted and not what.forgotten:
        return
    now = time.time_ns() // 1_000_000
    try:
        with contextlib.closing(sqlite3.connect(metadata)) as store, store:
            store.executemany(
                "update Artifact set state = ?, last_update_time_since_epoch = ? where id = ?",
                [(_DELETED, now, number) for number in what.deleted],
            )
            if what.forgotten:
                _forget_runs(store, what.forgotten)
    except sqlite3.Error as error:
        raise PipelineError(f"{metadata} cannot be written: {error}.") from error


def _forget_runs(store: sqlite3.Connection, runs: Iterable[int]) -> None:
    store.execute("create temp table run (id integer primary key)")
    store.executemany("insert into run values (?)", [(run,) for run in runs])
    store.execute(
        "create temp table execution as "
        "select distinct execution_id as id from Association where context_id in (select id from run)"
    )
    store.execute(
        "create temp table artifact as "
        "select distinct artifact_id as id from main.Event where execution_id in (select id from temp.execution)"
    )
    events = "select id from main.Event where execution_id in (select id from temp.execution)"
    for statement in (
        f"delete from EventPath where event_id in ({events})",
        "delete from main.Event where execution_id in (select id from temp.execution)",
        "delete from ExecutionProperty where execution_id in (select id from temp.execution)",
        "delete from Association where execution_id in (select id from temp.execution)",
        "delete from main.Execution where id in (select id from temp.execution)",
        # An artifact that another run or a rollback uses stays.
        "delete from temp.artifact where id in (select artifact_id from main.Event)",
        "delete from ArtifactProperty where artifact_id in (select id from temp.artifact)",
        "delete from Attribution where artifact_id in (select id from temp.artifact)",
        "delete from main.Artifact where id in (select id from temp.artifact)",
        # Keys of TFX's cache that lead nowhere any more go with the runs.
        "insert or ignore into run select c.id from Context c join Type t on t.id = c.type_id "
        "where t.name = 'execution_cache' and c.id not in (select context_id from Association)",
        "delete from Attribution where context_id in (select id from run)",
        "delete from ContextProperty where context_id in (select id from run)",
        "delete from ParentContext where context_id in (select id from run)",
        "delete from Context where id in (select id from run)",
    ):
        store.execute(statement)
