"""Small files, whole or not at all, in a local folder or, through TensorFlow's filesystems, in a bucket; and folders
that are never changed, copied without taking room."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path


def write(folder: str, name: str, content: bytes) -> None:
    """Writes one file of a folder, creating the folder; readers see the old content or the new one."""
    path = f"{folder}/{name}"
    if "://" in folder:
        import tensorflow as tf

        tf.io.gfile.makedirs(folder)
        with tf.io.gfile.GFile(path, "wb") as file:  # A bucket shows an object when it is complete.
            file.write(content)
        return
    with replacing(Path(path)) as unfinished:
        unfinished.write_bytes(content)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a hidden name to write a local file under, which takes the place of `path` once it is on the disk.

    Where the body raises, `path` stays as it was, and nothing remains of the new file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # The process id keeps two runs that start at once from sharing a half-written file.
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield unfinished
        flush(unfinished)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def flush(path: Path) -> None:
    """Makes a file or a folder's entries survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read(folder: str, name: str) -> bytes | None:
    """Returns a file's content, or None where there is no such file."""
    path = f"{folder}/{name}"
    if "://" in folder:
        import tensorflow as tf

        if not tf.io.gfile.exists(path):
            return None
        with tf.io.gfile.GFile(path, "rb") as file:
            return bytes(file.read())
    try:
        with open(path, "rb") as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None


def link_tree(source: str, target: str) -> None:
    """Copies a folder by hard links, so that the copy takes no room; by copies where there can be no links.

    A file that is in both is replaced. Neither folder's files may be written to in place from then on: a change would
    show in both. To change one, remove it and write it anew.
    """
    if "://" in source or "://" in target:
        from tfx.utils import io_utils

        io_utils.copy_dir(source, target)
        return
    shutil.copytree(source, target, copy_function=link, dirs_exist_ok=True)


def link(source: str, target: str) -> None:
    """Links a file; copies it where the file system has no links, or where it is another's."""
    with contextlib.suppress(FileNotFoundError):
        os.remove(target)
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
