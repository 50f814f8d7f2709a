"""What changed since the live model was trained, field by field."""

import dataclasses
import json
from types import MappingProxyType

import pytest
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from models.features import FeatureSpec
from models.model_spec import ModelSpec
from models.training_spec import TrainingSpec
from pipeline.gate.definition import Definition, changes, define

FEATURES = FeatureSpec(
    label="tips > 0.2 * fare", numeric=("fare", "miles"), hashed={"area": 50}, categorical=("company",)
)
TRAINING = TrainingSpec(epochs=3, hidden_units=(64, 32))
SCHEMA = """
feature { name: "fare" type: FLOAT presence { min_fraction: 1 } }
feature { name: "miles" type: FLOAT }
feature { name: "company" type: BYTES domain: "companies" }
string_domain { name: "companies" value: "A" }
"""


def definition(features=FEATURES, training=TRAINING, code="aa", schema=SCHEMA, own=MappingProxyType({"model.py": "1"})):
    return define(features, training.to_json(), code, text_format.Parse(schema, schema_pb2.Schema()), own=own)


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (definition(), ()),
        (
            definition(features=dataclasses.replace(FEATURES, numeric=("fare", "tips_rate"))),
            ("[features] numeric: + tips_rate, - miles",),
        ),
        (
            definition(features=dataclasses.replace(FEATURES, numeric=("miles", "fare"))),
            ("[features] numeric: another order",),
        ),
        (
            definition(features=dataclasses.replace(FEATURES, hashed={"area": 60, "tract": 9})),
            ("[features] hashed: + tract, area 50 → 60",),
        ),
        (
            definition(features=dataclasses.replace(FEATURES, label="tips > 1", vocabulary_size=7)),
            ("[label] tips > 0.2 * fare → tips > 1", "[features] vocabulary_size 10000 → 7"),
        ),
        (
            definition(training=dataclasses.replace(TRAINING, epochs=5, hidden_units=(8,))),
            ("[training] epochs 3 → 5", "[training] hidden_units [64, 32] → [8]"),
        ),
        (definition(code="bb"), ("code of models/ or columnar/: changed",)),
        (definition(own={"model.py": "2", "net.py": "1"}), ("own code: model.py changed", "own code: net.py added")),
        (
            definition(schema=SCHEMA.replace("min_fraction: 1", "min_fraction: 0.9")),
            ("schema: feature fare changed",),
        ),
        (
            definition(schema=SCHEMA.replace('"miles"', '"x"')),
            ("schema: feature miles removed", "schema: feature x added"),
        ),
        (definition(schema=SCHEMA.replace('"A"', '"B"')), ("schema: changed outside of its features",)),
    ],
)
def test_each_change_is_said(now, said):
    assert changes(definition(), now) == said


def test_comments_and_drift_thresholds_make_no_other_model():
    commented = "# As agreed with finance.\n" + SCHEMA.replace(
        "type: FLOAT }", "type: FLOAT drift_comparator { jensen_shannon_divergence { threshold: 0.1 } } }"
    )

    assert changes(definition(), definition(schema=commented)) == ()


def test_what_is_written_is_read():
    assert Definition.from_json(definition().to_json()) == definition()


def test_a_setting_that_did_not_exist_at_the_push_is_said():
    live = definition()
    before = {name: value for name, value in live.training.items() if name != "calibrate"}

    assert changes(dataclasses.replace(live, training=before), live) == ("[training] calibrate unset → true",)


def test_another_learner_is_said():
    trees = dataclasses.replace(definition(), model=json.loads(ModelSpec(learner="trees").to_json()))

    assert changes(definition(), trees) == ('[model] learner "auto" → "trees"',)
    assert changes(trees, definition()) == ('[model] learner "trees" → "auto"',)


def test_a_version_from_before_there_were_learners_is_the_same_as_now():
    stored = definition().to_json().replace(' "model": {},\n', "")

    assert '"model"' not in stored
    assert changes(Definition.from_json(stored), definition()) == ()


@pytest.mark.parametrize("text", ["[]", "{}", '{"format": 2}', '{"format": 1, "features": {}}', "no json"])
def test_something_else_is_refused(text):
    with pytest.raises(ValueError, match=r"definition|Expecting value"):
        Definition.from_json(text)
