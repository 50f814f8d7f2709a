"""The artifact types that TFX does not have.

Kubeflow compiles a condition on an artifact only if its type is named `package.Class`, is importable under that
name and has no declared properties; what conditions read is therefore a custom property.
"""

from tfx.types import artifact


class GateDecision(artifact.Artifact):
    """What the gate decided of a span.

    Holds `decision.json`. Custom properties: `rerun` and `block` (0 or 1), `verdict`, `span`, `version`.
    """

    TYPE_NAME = "pipeline.GateDecision"


class Baseline(artifact.Artifact):
    """What later spans are compared with: the live model's training window, measured.

    Custom property: `present` (0 where no model is live yet).
    """

    TYPE_NAME = "pipeline.Baseline"
