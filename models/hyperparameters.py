"""Hyperparameters as the artifact between the gate, the Tuner and the Trainer holds them: KerasTuner's own format.

    {"space": [...], "values": {"dropout": 0.1, "hidden_units": "[128, 64]"}, "warm_start": true}

KerasTuner's values are single ones, so a list is written as JSON. What stands beside `values` is the gate's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

Value = int | float | bool | str


def encode(value: object) -> Value:
    """Returns a hyperparameter as KerasTuner takes it."""
    if isinstance(value, tuple | list):
        return json.dumps(list(value))
    assert isinstance(value, int | float | bool | str), "a hyperparameter is one value, or a list of them"
    return value


def decode(values: Mapping[str, Any]) -> dict[str, Any]:  # Any: JSON.
    """Returns hyperparameters as `TrainingSpec.from_json` takes them."""
    return {
        name: json.loads(value) if isinstance(value, str) and value.startswith("[") else value
        for name, value in values.items()
    }


def overrides(config: Mapping[str, Any] | None) -> dict[str, Any]:  # Any: as above.
    """Returns what an artifact says, by name: hyperparameters, and what the gate adds; empty where there is none."""
    given = dict(config or {})
    values = given.pop("values", {})
    given.pop("space", None)
    return decode(values) | given
