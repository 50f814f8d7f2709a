"""The configuration of a run, as its executions recorded it: the dataset file may have changed since."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from models.own.source import OwnCode
from pipeline.components import nodes
from pipeline.report.data import Settings
from pipeline.runs.metadata import RunRecord

_GROUPS = {"features": "features", "policy": "gate", "evaluation": "evaluation"}


def read_configuration(run: RunRecord) -> tuple[Settings, ...]:
    """Returns the settings by group, named as in dataset.toml; a group that the run did not come to is left out."""
    groups = []
    gate = _parsed(run, nodes.RERUN_GATE, "settings")
    # Earlier versions kept the thresholds of the evaluation among the gate's settings.
    read = {**gate, **_parsed(run, nodes.EVALUATOR, "settings")}
    groups += [_group(_GROUPS[name], read[name]) for name in _GROUPS if isinstance(read.get(name), Mapping)]
    custom = _parsed(run, nodes.TRAINER, "custom_config")
    training = custom.get("training")
    if isinstance(training, str):
        groups.append(_group("training", json.loads(training)))
    serving = run.node(nodes.INFRA_VALIDATOR)
    if serving is not None:
        names = ("model_name", "max_p99_ms")
        groups.append(
            _group("serving", {name: serving.properties[name] for name in names if name in serving.properties})
        )
    groups.append(_group("run", _of_the_run(run, custom)))
    return tuple(group for group in groups if group.values)


def _of_the_run(run: RunRecord, custom: Mapping[str, Any]) -> dict[str, Any]:  # Any: JSON.
    values: dict[str, Any] = {"run": run.run_id}
    gate = run.node(nodes.RERUN_GATE)
    if gate is not None:
        values["forced"] = bool(gate.properties.get("forced"))
    if "code" in custom:
        values["code of models/, hash"] = custom["code"]
    if "own" in custom:
        values["own code, hashes"] = OwnCode.from_json(custom["own"]).digests
    examples = run.output(nodes.EXAMPLE_GEN, "examples")
    if examples is not None:
        for name in ("input_fingerprint", "tfx_version"):
            if name in examples.properties:
                values[name] = examples.properties[name]
    return values


def _parsed(run: RunRecord, node: str, name: str) -> dict[str, Any]:  # Any: JSON.
    record = run.node(node)
    try:
        value = json.loads(str(record.properties.get(name, "{}"))) if record else {}
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _group(name: str, values: Mapping[str, Any]) -> Settings:  # Any: JSON.
    return Settings(
        name=name, values=tuple((key, _written(item)) for key, item in values.items() if item not in ([], {}))
    )


def _written(item: Any) -> str:  # Any: JSON.
    """Returns a JSON value as a person writes it."""
    if isinstance(item, bool):
        return "yes" if item else "no"
    if isinstance(item, list):
        return ", ".join(f"({_written(part)})" if isinstance(part, list) else _written(part) for part in item)
    if isinstance(item, Mapping):
        return ", ".join(f"{key}: {_written(part)}" for key, part in item.items())
    return str(item)
