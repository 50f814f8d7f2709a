"""Small files, whole or not at all, in a local folder or, through TensorFlow's filesystems, in a bucket."""

from __future__ import annotations

import contextlib
import os


def write(folder: str, name: str, content: bytes) -> None:
    """Writes one file of a folder, creating the folder; readers see the old content or the new one."""
    path = f"{folder}/{name}"
    if "://" in folder:
        import tensorflow as tf

        tf.io.gfile.makedirs(folder)
        with tf.io.gfile.GFile(path, "wb") as file:  # A bucket shows an object when it is complete.
            file.write(content)
        return
    os.makedirs(folder, exist_ok=True)
    unfinished = f"{path}.{os.getpid()}.tmp"
    try:
        with open(unfinished, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.remove(unfinished)


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
