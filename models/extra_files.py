"""JSON files beside a SavedModel, in `assets.extra`: what a version says of itself beyond its graph."""

from __future__ import annotations

import json
import os
from typing import Any

FOLDER = "assets.extra"


def write_json(model_dir: str, path: str, value: object) -> None:
    """Writes a file at its path below a SavedModel's folder, local or in a bucket."""
    import tensorflow as tf  # Who reads local versions needs no TensorFlow.

    where = os.path.join(model_dir, path)
    tf.io.gfile.makedirs(os.path.dirname(where))
    with tf.io.gfile.GFile(where, "w") as file:
        file.write(json.dumps(value, indent=2, sort_keys=True) + "\n")


def read_json(model_dir: str, path: str) -> Any:  # Any: JSON.
    """Returns what a file at its path below a SavedModel's folder holds; None where it is not there."""
    where = os.path.join(model_dir, path)
    if "://" in model_dir:
        import tensorflow as tf

        if not tf.io.gfile.exists(where):
            return None
        with tf.io.gfile.GFile(where) as file:
            return json.loads(file.read())
    try:
        with open(where, encoding="utf-8") as file:
            return json.load(file)
    except FileNotFoundError:
        return None
