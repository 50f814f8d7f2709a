"""`assets.extra/feature_defaults.json`: what stands for a missing value of each input, beside every model."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

PATH = os.path.join("assets.extra", "feature_defaults.json")


def write(model_dir: str, described: Mapping[str, Mapping[str, Any]]) -> None:
    """Writes the description of each input; see `signatures.feature_defaults`."""
    path = os.path.join(model_dir, PATH)
    tf.io.gfile.makedirs(os.path.dirname(path))
    with tf.io.gfile.GFile(path, "w") as file:
        file.write(json.dumps(described, indent=2, sort_keys=True) + "\n")


def inputs_with_defaults(model_dir: str) -> frozenset[str]:
    """The inputs that a row may leave out; none for a model that says nothing."""
    path = os.path.join(model_dir, PATH)
    if not tf.io.gfile.exists(path):
        return frozenset()
    with tf.io.gfile.GFile(path) as file:
        return frozenset(json.loads(file.read()))
