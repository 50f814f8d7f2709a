"""What the gate takes from the dataset file."""

import json
from dataclasses import dataclass

from models.features import FeatureSpec
from pipeline.evaluation.spec import EvaluationSpec
from pipeline.gate.policy import GatePolicy


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the gate takes from the dataset file."""

    features: FeatureSpec
    policy: GatePolicy
    evaluation: EvaluationSpec

    @classmethod
    def from_json(cls, text: str) -> "Settings":
        """Reads what PipelineConfig.gate_settings wrote."""
        value = json.loads(text)
        return cls(
            features=FeatureSpec.from_json(json.dumps(value["features"])),
            policy=GatePolicy.from_dict(value["policy"]),
            evaluation=EvaluationSpec.from_json(json.dumps(value["evaluation"])),
        )
