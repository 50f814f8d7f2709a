"""The TFX pipeline: configuration, components, the rerun gate, the local engine and the report."""

from typing import Any

_ARTIFACTS = ("GateDecision", "Baseline")


def __getattr__(name: str) -> Any:  # Any: what a module's attributes are.
    """Finds the artifact types under the names that compiled pipelines carry, importing TFX only then."""
    if name in _ARTIFACTS:
        from pipeline import artifacts

        return getattr(artifacts, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
