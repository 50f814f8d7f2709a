"""Finds out whether an optional part of the environment is there, before anything needs it."""

import importlib.util

from pipeline import program
from pipeline.errors import ConfigError

# What each extra of setup.py is asked for here.
MODULES = {
    "kubeflow": ("kfp", "celpy"),
    "vertex": ("kfp", "celpy", "google.cloud.aiplatform"),
}


def require(extra: str) -> None:
    """Raises ConfigError where the extra is not installed; names it and the module that is missing."""
    for module in MODULES[extra]:
        if not _exists(module):
            raise ConfigError(
                f"This needs the extra [{extra}]; the module {module!r} is not installed. "
                f"Install it: {program.install(extra)}"
            )


def _exists(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ModuleNotFoundError, ValueError):  # A parent is missing; or None stands in its place.
        return False
