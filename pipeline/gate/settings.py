"""What each judging component takes from the dataset file: a component's cache key holds what it reads, and no more."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from models.features import FeatureSpec
from pipeline import json_values
from pipeline.evaluation.registry import AUC, CALIBRATION_ERROR
from pipeline.evaluation.spec import EvaluationSpec
from pipeline.gate.policy import GatePolicy


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What RerunGate compares, and BaselineGen measures for the comparison.

    Attributes:
      slices: on which the live model is scored; each names the columns that are crossed.
      training: TrainingSpec.to_json().
      model: ModelSpec.to_json().
      own: hash of each file of own code, by its path in the dataset's folder.
      code: hash of the code that trains.
    """

    features: FeatureSpec
    policy: GatePolicy
    slices: tuple[tuple[str, ...], ...] = ()
    training: str = "{}"
    model: str = "{}"
    own: Mapping[str, str] = field(default_factory=dict)
    code: str = ""

    def to_json(self) -> str:
        """Serializes to JSON, the same text for equal settings."""
        return _to_json(self)

    @classmethod
    def from_json(cls, text: str) -> Settings:
        """Reads what `to_json` wrote."""
        return json_values.from_json_values(cls, json.loads(text))


@dataclass(frozen=True, kw_only=True)
class Floors:
    """What RerunGate holds the live model to on each span: the thresholds that a candidate had to reach.

    Attributes:
      limits: metric of pipeline/evaluation/registry.py to its floor, or its limit where lower is better.
    """

    limits: Mapping[str, float]

    def to_json(self) -> str:
        """Serializes to JSON, the same text for equal floors."""
        return _to_json(self)

    @classmethod
    def from_json(cls, text: str) -> Floors:
        """Reads what `to_json` wrote, also into the compiled files of earlier releases, which knew one task."""
        value = json.loads(text)
        if "min_auc" in value:
            return cls(limits={AUC: value["min_auc"], CALIBRATION_ERROR: value["max_calibration_error"]})
        return json_values.from_json_values(cls, value)


@dataclass(frozen=True, kw_only=True)
class EvaluatorSettings:
    """What the Evaluator judges a candidate by."""

    features: FeatureSpec
    evaluation: EvaluationSpec

    def to_json(self) -> str:
        """Serializes to JSON, the same text for equal settings."""
        return _to_json(self)

    @classmethod
    def from_json(cls, text: str) -> EvaluatorSettings:
        """Reads what `to_json` wrote."""
        return json_values.from_json_values(cls, json.loads(text))


def _to_json(settings: Settings | Floors | EvaluatorSettings) -> str:
    return json.dumps(json_values.to_json_values(dataclasses.asdict(settings)), sort_keys=True, allow_nan=False)
