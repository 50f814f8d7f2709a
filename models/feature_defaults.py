"""`assets.extra/feature_defaults.json`: what stands for a missing value of each input, beside every model."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from models import extra_files

PATH = os.path.join(extra_files.FOLDER, "feature_defaults.json")


def write(model_dir: str, described: Mapping[str, Mapping[str, Any]]) -> None:
    """Writes the description of each input; see `signatures.feature_defaults`."""
    extra_files.write_json(model_dir, PATH, described)


def inputs_with_defaults(model_dir: str) -> frozenset[str]:
    """The inputs that a row may leave out; none for a model that says nothing."""
    return frozenset(extra_files.read_json(model_dir, PATH) or ())
