"""Puts a model version where a model server looks, whole or not at all."""

import shutil
from collections.abc import Callable
from pathlib import Path

from pipeline import files
from pipeline.state.version_folder import pushed_versions

_UNFINISHED = ".pushing-"


def push(model_dir: Path, serving_dir: Path, now: int) -> Path:
    """Links a SavedModel beside the served versions and makes it one of them by a single rename.

    Args:
      now: seconds since 1970; the version's number, or one above the newest where that is not lower.

    Returns:
      The new version's folder.

    Raises:
      OSError: the disk is full or the folder cannot be written; no version has become visible.
    """
    return publish(serving_dir, now, lambda folder: files.link_tree(str(model_dir), str(folder)))


def publish(serving_dir: Path, now: int, fill: Callable[[Path], None]) -> Path:
    """Makes what `fill` puts into a hidden folder the newest version, by a single rename.

    Args:
      now: as for `push`.
      fill: makes the folder that it is given, and everything in it.

    Raises:
      OSError: as for `push`.
    """
    serving_dir.mkdir(parents=True, exist_ok=True)
    for leftover in serving_dir.glob(f"{_UNFINISHED}*"):
        shutil.rmtree(leftover)
    version = max(now, max(pushed_versions(serving_dir), default=0) + 1)
    unfinished = serving_dir / f"{_UNFINISHED}{version}"
    try:
        fill(unfinished)
        for path in (*unfinished.rglob("*"), unfinished):
            files.flush(path)
    except (OSError, shutil.Error):
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    pushed = serving_dir / str(version)
    unfinished.rename(pushed)
    files.flush(serving_dir)
    return pushed
