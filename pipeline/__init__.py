"""The TFX pipeline, and what runs, judges, shows and compiles it. Its floors are in docs/architecture.md."""

from pathlib import Path
from typing import Any, Final

REPOSITORY: Final = Path(__file__).resolve().parent.parent
"""Where the packages, the shipped datasets and setup.py are: a checkout, or the folder they are installed in."""

_ARTIFACTS = ("GateDecision", "Baseline")


def __getattr__(name: str) -> Any:  # Any: what a module's attributes are.
    """Finds the artifact types under the names that compiled pipelines carry, importing TFX only then."""
    if name in _ARTIFACTS:
        from pipeline import artifacts

        return getattr(artifacts, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
