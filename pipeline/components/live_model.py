"""Finds the model in production and what it was trained on, without any resolver.

Both lie under the served base path, which is a plain parameter, so this works the same on every orchestrator.
See docs/decisions/0002-live-model-without-resolver.md. (No `from __future__ import annotations` here: TFX reads
the annotations as objects.)
"""

import os

from tfx.dsl.component.experimental.annotations import OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.dsl.io import fileio
from tfx.types.standard_artifacts import Model
from tfx.utils import path_utils

from pipeline import files
from pipeline.artifacts import Baseline
from pipeline.state.version_folder import BASELINE_FOLDER


def find_version(serving_dir: str) -> str:
    """Returns the highest numbered folder's name, which is what TensorFlow Serving serves; "" where there is none."""
    if not fileio.isdir(serving_dir):
        return ""
    names = [name.rstrip("/") for name in fileio.listdir(serving_dir)]
    versions = [
        name for name in names if name.isdecimal() and fileio.exists(os.path.join(serving_dir, name, "saved_model.pb"))
    ]
    return max(versions, key=int, default="")


@component
def LiveModel(
    model: OutputArtifact[Model],
    baseline: OutputArtifact[Baseline],
    serving_dir: Parameter[str],
    version: Parameter[str] = "",
) -> None:
    """Publishes the live version as an artifact, and its baseline; `present` is 0 on both where no model is live.

    Args:
      serving_dir: the model server's base path.
      version: the version to take; empty for the highest. A caller that can see the folder passes it, and so makes
        it part of the cache key.
    """
    found = version or find_version(serving_dir)
    for artifact in (model, baseline):
        artifact.set_int_custom_property("present", int(bool(found)))
        artifact.set_string_custom_property("version", found)
    if not found:
        return
    source = os.path.join(serving_dir, found)
    files.link_tree(source, path_utils.serving_model_dir(model.uri))
    measured = os.path.join(source, BASELINE_FOLDER)
    if fileio.exists(measured):
        files.link_tree(measured, baseline.uri)
    else:
        # A version that someone else pushed: it can be served and compared with, but drift from it cannot be told.
        baseline.set_int_custom_property("present", 0)
