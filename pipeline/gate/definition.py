"""What a model is made from, the data aside. It travels with a pushed version: a later run sees what changed."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from models.features import FeatureSpec
from models.model_spec import with_defaults
from pipeline import json_values

FORMAT = 1
_REST = ""
"""Names what a schema says of no single feature."""


@dataclass(frozen=True, kw_only=True)
class Definition:
    """What a model is made from, the data aside.

    Attributes:
      features, training, model: the tables of the dataset file, the label among the features. They stay JSON: a
        version that was pushed before a setting existed is readable all the same. Of [model] only what is not the
        default.
      code: hash of the code that trains.
      schema: each feature's entry as text.
      own: hash of each file of own code, by its path in the dataset's folder.
    """

    features: Mapping[str, Any]
    training: Mapping[str, Any]
    code: str
    schema: Mapping[str, str]
    model: Mapping[str, Any] = field(default_factory=dict)
    own: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> str:
        """Serializes to JSON, the same text for equal definitions."""
        value = {"format": FORMAT, **json_values.to_json_values(dataclasses.asdict(self))}
        if not self.own:
            del value["own"]  # As before there was own code: the same definition is the same text.
        return json.dumps(value, sort_keys=True, indent=1) + "\n"

    @property
    def digest(self) -> str:
        """A hash: equal for equal definitions."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:16]

    @classmethod
    def from_json(cls, text: str) -> Definition:
        """Reads what `to_json` wrote.

        Raises:
          ValueError: not a definition, or one of another format.
        """
        value = json.loads(text)
        if not isinstance(value, dict) or value.pop("format", None) != FORMAT:
            raise ValueError(f"Expected a model's definition of format {FORMAT}. Received: {text[:80]!r}.")
        value.setdefault("model", {})  # Before there was [model].
        value.setdefault("own", {})
        if set(value) != {field.name for field in dataclasses.fields(cls)}:
            raise ValueError(f"A model's definition has other keys: {', '.join(sorted(value))}.")
        return cls(**value)


def define(
    features: FeatureSpec,
    training: str,
    code: str,
    schema: schema_pb2.Schema,
    model: str = "{}",
    own: Mapping[str, str] = MappingProxyType({}),
) -> Definition:
    """Returns the definition that a training would follow now.

    Args:
      training: TrainingSpec.to_json().
      code: PipelineConfig.code_version.
      model: ModelSpec.to_json().
      own: OwnCode.digests.
    """
    return Definition(
        features=json.loads(features.to_json()),
        training=json.loads(training),
        code=code,
        schema=_entries(schema),
        model=json.loads(model),
        own=dict(own),
    )


def _entries(schema: schema_pb2.Schema) -> dict[str, str]:
    """Returns each feature's entry as text; how far it may drift or skew is no matter of the model."""
    entries = {}
    rest = schema_pb2.Schema()
    rest.CopyFrom(schema)
    del rest.feature[:]
    for feature in schema.feature:
        kept = schema_pb2.Feature()
        kept.CopyFrom(feature)
        kept.ClearField("drift_comparator")
        kept.ClearField("skew_comparator")
        entries[feature.name] = text_format.MessageToString(kept)
    return {**entries, _REST: text_format.MessageToString(rest)}


def changes(live: Definition, now: Definition) -> tuple[str, ...]:
    """Returns what differs from the live model's definition, field by field, in words."""
    lines = [
        *_table("features", live.features, now.features),
        *_table("model", with_defaults(live.model), with_defaults(now.model)),
        *_table("training", live.training, now.training),
    ]
    for path in sorted({*live.own, *now.own}):
        if live.own.get(path) != now.own.get(path):
            what = "added" if path not in live.own else "removed" if path not in now.own else "changed"
            lines.append(f"own code: {path} {what}")
    if live.code != now.code:
        lines.append("code of models/ or columnar/: changed")
    for name in sorted({*live.schema, *now.schema}):
        if live.schema.get(name) != now.schema.get(name):
            what = "added" if name not in live.schema else "removed" if name not in now.schema else "changed"
            lines.append(
                "schema: changed outside of its features" if name == _REST else f"schema: feature {name} {what}"
            )
    return tuple(lines)


def _table(name: str, live: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    for key in sorted({*live, *now}):
        before, after = live.get(key), now.get(key)
        if before == after:
            continue
        if key == "label":
            yield f"[label] {before} → {after}"
        elif key == "threshold":
            yield f"[serving] threshold {_written(before)} → {_written(after)}"
        elif isinstance(before, Mapping) and isinstance(after, Mapping):
            yield f"[{name}] {key}: {', '.join(_sizes(before, after))}"
        elif name == "features" and isinstance(before, list) and isinstance(after, list):
            yield f"[{name}] {key}: {', '.join(_members(before, after)) or 'another order'}"
        else:
            yield f"[{name}] {key} {_written(before)} → {_written(after)}"


def _members(before: list[str], after: list[str]) -> list[str]:
    return [f"+ {c}" for c in after if c not in before] + [f"- {c}" for c in before if c not in after]


def _sizes(before: Mapping[str, int], after: Mapping[str, int]) -> list[str]:
    both = [f"{c} {before[c]} → {after[c]}" for c in before if c in after and before[c] != after[c]]
    return [*_members(list(before), list(after)), *both]


def _written(value: object) -> str:
    return "unset" if value is None else json.dumps(value)
