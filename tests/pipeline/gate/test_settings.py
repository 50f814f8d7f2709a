"""What is written into a component's parameters is what it reads, and equal settings are the same text."""

import math

from models.features import FeatureSpec
from pipeline.evaluation.spec import EvaluationSpec
from pipeline.gate.policy import GatePolicy
from pipeline.gate.settings import EvaluatorSettings, Settings

FEATURES = FeatureSpec(label="tips > 0.2 * fare", numeric=("fare",), hashed={"area": 50}, cyclical={"hour": 24})


def test_the_gates_settings_come_back_whole():
    settings = Settings(
        features=FEATURES,
        policy=GatePolicy(
            max_model_age_days=math.inf,
            exclude=("month", "day"),
            severity={"fare": {"out_of_range": "warn"}},
            tolerance={"fare": {"out_of_range": 0.02}},
        ),
        slices=(("hour",), ("area", "hour")),
    )

    assert Settings.from_json(settings.to_json()) == settings


def test_the_evaluators_settings_come_back_whole():
    settings = EvaluatorSettings(
        features=FEATURES, evaluation=EvaluationSpec(slices=(("hour",),), min_auc=0.85, max_auc_drop=0, bootstraps=0)
    )

    assert EvaluatorSettings.from_json(settings.to_json()) == settings


def test_the_order_of_a_table_does_not_count():
    one, other = (
        Settings(features=FeatureSpec(label="y", hashed=sizes), policy=GatePolicy())
        for sizes in ({"a": 2, "b": 3}, {"b": 3, "a": 2})
    )

    assert one.to_json() == other.to_json()
