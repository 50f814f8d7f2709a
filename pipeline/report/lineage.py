"""From the span's files to the version: each artifact on the way, and the execution that made it.

The way is walked by name. TFX's conditions add the gate's decision as an input of everything behind them, so walking
the events upward from a model would find the whole run.
"""

from __future__ import annotations

import json
import os

from pipeline.report.data import LineageStep
from pipeline.runs.metadata import NodeRecord, RunRecord

_STEPS = (
    ("ExampleGen", "examples", "the span's examples"),
    ("SchemaImporter", "schema", "the curated schema"),
    ("StatisticsGen", "statistics", "the span's statistics"),
    ("ExampleValidator", "anomalies", "TFDV's anomalies"),
    ("LiveModel", "model", "the live model"),
    ("RerunGate", "decision", "the decision"),
    ("TrainingWindow", "examples", "the training window's examples"),
    ("WindowStatistics", "statistics", "the training window's statistics"),
    ("Transform", "transform_graph", "the transform graph"),
    ("Trainer", "model", "the candidate"),
    ("Evaluator", "evaluation", "its evaluation"),
    ("BaselineGen", "baseline", "the baseline for later spans"),
    ("InfraValidator", "blessing", "the model server's blessing"),
    ("Pusher", "pushed_model", "the pushed version"),
)


def trace(run: RunRecord) -> tuple[LineageStep, ...]:
    """Returns the artifacts of a run in data-flow order, the span's files first, the served folder last."""
    steps = []
    examples = run.node("ExampleGen")
    if examples is not None:
        steps.append(LineageStep(what=f"span {run.span}", source="", kind="", path=_files(examples, run.span)))
    for name, key, what in _STEPS:
        node = run.node(name)
        artifact = run.output(name, key)
        if node is None or artifact is None or (name == "LiveModel" and artifact.properties.get("present") != 1):
            continue
        if name == "LiveModel":
            what = f"the live model, version {artifact.properties.get('version', 'unknown')}"
        if name == "TrainingWindow":
            what = f"{what}: spans {', '.join(map(str, json.loads(str(artifact.properties.get('window', '[]')))))}"
        cached = ", from the cache" if node.status == "cached" else ""
        steps.append(
            LineageStep(
                what=what,
                source=f"{name}, execution {node.execution_id}{cached}",
                kind=f"{artifact.type} {artifact.id}",
                path=str(artifact.path),
            )
        )
    pushed = run.output("Pusher", "pushed_model")
    if pushed is not None and pushed.properties.get("pushed") == 1:
        destination = str(pushed.properties["pushed_destination"])
        steps.append(
            LineageStep(what=f"version {pushed.properties['pushed_version']}", source="", kind="", path=destination)
        )
    return tuple(steps)


def _files(node: NodeRecord, span: int | None) -> str:
    """Returns where the span's files are; the driver has put the span's number into the pattern."""
    base = str(node.properties.get("input_base", ""))
    try:
        splits = json.loads(str(node.properties.get("input_config", "{}"))).get("splits", [])
        patterns = [str(split["pattern"]) for split in splits]
    except (ValueError, KeyError, AttributeError):
        patterns = []
    return ", ".join(os.path.join(base, pattern.replace("{SPAN}", str(span))) for pattern in patterns) or base
