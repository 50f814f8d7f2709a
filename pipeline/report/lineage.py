"""From the span's files to the version: each artifact on the way, and the execution that made it.

The way is walked by name. TFX's conditions add the gate's decision as an input of everything behind them, so walking
the events upward from a model would find the whole run.
"""

from __future__ import annotations

import json
import os

from pipeline.components import nodes
from pipeline.report.data import LineageStep
from pipeline.runs.metadata import NodeRecord, RunRecord

_STEPS = (
    (nodes.EXAMPLE_GEN, "examples", "the span's examples"),
    (nodes.SCHEMA_IMPORTER, "schema", "the curated schema"),
    (nodes.STATISTICS_GEN, "statistics", "the span's statistics"),
    (nodes.EXAMPLE_VALIDATOR, "anomalies", "TFDV's anomalies"),
    (nodes.LIVE_MODEL, "model", "the live model"),
    (nodes.RERUN_GATE, "decision", "the decision"),
    (nodes.TRAINING_WINDOW, "examples", "the training window's examples"),
    (nodes.WINDOW_STATISTICS, "statistics", "the training window's statistics"),
    (nodes.TRANSFORM, "transform_graph", "the transform graph"),
    (nodes.TUNER, "best_hyperparameters", "the hyperparameters that were found"),
    (nodes.TRAINER, "model", "the candidate"),
    (nodes.EVALUATOR, "evaluation", "its evaluation"),
    (nodes.BASELINE_GEN, "baseline", "the baseline for later spans"),
    (nodes.INFRA_VALIDATOR, "blessing", "the model server's blessing"),
    (nodes.PUSHER, "pushed_model", "the pushed version"),
)


def trace(run: RunRecord) -> tuple[LineageStep, ...]:
    """Returns the artifacts of a run in data-flow order, the span's files first, the served folder last."""
    steps = []
    examples = run.node(nodes.EXAMPLE_GEN)
    if examples is not None:
        steps.append(LineageStep(what=f"span {run.span}", source="", kind="", path=_files(examples, run.span)))
    for name, key, what in _STEPS:
        node = run.node(name)
        artifact = run.output(name, key)
        if node is None or artifact is None or (name == nodes.LIVE_MODEL and artifact.properties.get("present") != 1):
            continue
        if name == nodes.LIVE_MODEL:
            what = f"the live model, version {artifact.properties.get('version', 'unknown')}"
        if name == nodes.TRAINING_WINDOW:
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
    pushed = run.output(nodes.PUSHER, "pushed_model")
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
