"""Makes an earlier version live again: as a new version, since TensorFlow Serving serves the highest number.

The new version's files are hard links to the earlier one's, and its `assets.extra/rollback.json` says what it is. It
becomes visible by one rename, as every version; nothing that a server may be reading is changed or removed.
See docs/decisions/0511-rollback-is-a-push.md.
"""

from dataclasses import dataclass
from pathlib import Path

from pipeline import files
from pipeline.errors import ConfigError
from pipeline.state.publish import publish
from pipeline.state.version_folder import ROLLBACK_FILE, Rollback, pushed_versions, read_rollback, window_of


@dataclass(frozen=True)
class Version:
    """A pushed version, and the rollback that made it, if one did."""

    number: int
    rollback: Rollback | None

    @property
    def origin(self) -> int:
        """The version whose model this is: itself, unless a rollback made it."""
        return self.rollback.origin if self.rollback else self.number


def versions(serving_dir: Path) -> list[Version]:
    """Returns what has been pushed, ascending; the last one is live."""
    return [Version(number, read_rollback(serving_dir / str(number))) for number in pushed_versions(serving_dir)]


def roll_back(serving_dir: Path, now: int, to: int | None = None) -> Path:
    """Makes an earlier version live.

    Args:
      now: seconds since 1970.
      to: a pushed version; None for the one that was pushed before the one whose model is live.

    Returns:
      The new version's folder.

    Raises:
      ConfigError: there is no such version, or its model is live already.
      OSError: nothing has become visible.
    """
    known = versions(serving_dir)
    if not known:
        raise ConfigError(f"Nothing has been pushed to {serving_dir}, so there is nothing to roll back.")
    live = known[-1]
    listed = ", ".join(str(version.number) for version in known)
    if to is None:
        earlier = [version for version in known if version.rollback is None and version.number < live.origin]
        if not earlier:
            raise ConfigError(
                f"No version was pushed before {live.origin}, which is live. Pushed: {listed}. Name one with --to."
            )
        target = earlier[-1]
    else:
        found = [version for version in known if version.number == to]
        if not found:
            raise ConfigError(f"--to: there is no version {to}. Pushed: {listed}.")
        target = found[0]
    if target.origin == live.origin:
        raise ConfigError(f"--to: the model of version {target.number} is live already, as version {live.number}.")
    newest = max(window_of(serving_dir / str(target.number)), default=0)
    taken_back = {*window_of(serving_dir / str(live.number)), *(live.rollback.withdrawn_spans if live.rollback else ())}
    record = Rollback(
        origin=target.origin,
        instead_of=live.number,
        undoes=None,
        withdrawn_spans=tuple(sorted(span for span in taken_back if span > newest)),
        made_at=now,
    )
    return _publish(serving_dir, target, record)


def undo(serving_dir: Path, now: int) -> Path:
    """Makes live again what was live before the last rollback.

    Raises:
      ConfigError: the live version is no rollback, or what it replaced is gone.
      OSError: nothing has become visible.
    """
    known = versions(serving_dir)
    live = known[-1] if known else None
    if live is None or live.rollback is None or live.rollback.undoes is not None:
        which = f"the live version, {live.number}, was not made by a rollback" if live else "nothing has been pushed"
        raise ConfigError(f"--undo: {which}. To make an earlier version live, name it with --to.")
    before = next((version for version in known if version.number == live.rollback.instead_of), None)
    if before is None:
        raise ConfigError(f"--undo: version {live.rollback.instead_of}, which was live before, is gone.")
    record = Rollback(
        origin=before.origin,
        instead_of=live.number,
        undoes=live.number,
        withdrawn_spans=before.rollback.withdrawn_spans if before.rollback else (),
        made_at=now,
    )
    return _publish(serving_dir, before, record)


def _publish(serving_dir: Path, target: Version, record: Rollback) -> Path:
    def fill(folder: Path) -> None:
        files.link_tree(str(serving_dir / str(target.number)), str(folder))
        note = folder / ROLLBACK_FILE
        note.unlink(missing_ok=True)  # A link to the record of an earlier rollback; that one keeps it.
        note.parent.mkdir(exist_ok=True)
        note.write_text(record.to_json(), encoding="utf-8")

    return publish(serving_dir, record.made_at, fill)
