"""What one run did: the vocabulary of outcomes, and how an outcome is read from the artifacts of a run."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pipeline.errors import PipelineError
from pipeline.gate.decision import Decision, Verdict, describe
from pipeline.state.version_folder import SAMPLE_REQUEST_FILE

if TYPE_CHECKING:
    from tfx.types import Artifact

    from pipeline.config.pipeline_config import PipelineConfig
    from pipeline.runs.node_runner import NodeResult


Result = Literal["pushed", "skipped", "explained", "decided", "refused", "not_blessed", "not_pushed", "schema_inferred"]


EXIT_STATUS: Mapping[Result, int] = {
    "pushed": 0,
    "skipped": 0,
    "explained": 0,
    "decided": 0,
    "not_pushed": 0,
    "schema_inferred": 0,
    "refused": 3,
    "not_blessed": 4,
}


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a run came to.

    Attributes:
      decision: the gate's decision as in decision.json; None where the run ended before it.
      judgement: the Evaluator's, as in judgement.json; None where nothing was trained.
      not_servable: why a model server could not be trusted with the candidate; None where it could.
      nodes: node id, status, wall seconds and peak memory, in order.
      statistics_uri: the span's statistics artifact.
      pushed: the new version's folder; None where nothing was pushed.
      sample_request: one row as a predict request, for the `curl` line.
      refusal: why the data was refused, in words.
      decision_text: the decision as a person reads it.
    """

    result: Result
    span: int
    nodes: list[dict[str, Any]]  # Any: JSON.
    decision: dict[str, Any] | None = None
    judgement: dict[str, Any] | None = None
    not_servable: str | None = None
    statistics_uri: str | None = None
    pushed: Path | None = None
    sample_request: dict[str, Any] | None = None
    inferred_schema: Path | None = None
    refusal: str | None = None
    decision_text: str | None = None


def read(config: PipelineConfig, results: Sequence[NodeResult], refusal: str | None) -> Outcome:
    """Returns the outcome of a run that ended without an unexpected error.

    Args:
      refusal: what a component said when it refused the data; None where none did.
    """
    assert isinstance(config.span, int), "a local run has chosen its span"
    outputs = {result.node: result.outputs for result in results}
    decision = _decision(outputs)
    judgement = _read_json(outputs, "Evaluator", "evaluation", "judgement.json")
    pushed = _pushed(outputs)
    statistics = _artifact(outputs, "StatisticsGen", "statistics")
    sample = pushed / SAMPLE_REQUEST_FILE if pushed else None
    return Outcome(
        result=_result(config, decision, pushed, refusal, outputs),
        span=config.span,
        nodes=[
            {
                "node": result.node,
                "status": result.status,
                "seconds": round(result.seconds, 3),
                "peak_memory_bytes": result.peak_memory_bytes,
            }
            for result in results
        ],
        decision=decision.to_dict() if decision else None,
        decision_text=describe(decision) if decision else None,
        judgement=judgement,
        not_servable=_not_servable(outputs),
        statistics_uri=statistics.uri if statistics else None,
        pushed=pushed,
        sample_request=json.loads(sample.read_text(encoding="utf-8")) if sample and sample.exists() else None,
        inferred_schema=_inferred_schema(config, outputs),
        refusal=refusal,
    )


def decision_of(gate: NodeResult) -> Decision | None:
    """Returns the decision that the gate has published; None where it has not come so far."""
    return _decision({"RerunGate": gate.outputs})


def pushed_by(results: Sequence[NodeResult]) -> Path | None:
    """Returns the folder of the version that a run has pushed so far."""
    return _pushed({result.node: result.outputs for result in results})


Outputs = Mapping[str, Mapping[str, "list[Artifact]"]]


def _result(
    config: PipelineConfig, decision: Decision | None, pushed: Path | None, refusal: str | None, outputs: Outputs
) -> Result:
    if refusal is not None:
        return "refused"
    if config.dataset.schema_path is None:
        return "schema_inferred"
    if config.explain:
        return "explained"
    if pushed is not None:
        return "pushed"
    if decision is None:
        raise PipelineError("The gate left no decision, although nothing failed. The log says more.")
    if config.decide and decision.verdict is Verdict.RERUN:
        return "decided"
    if not outputs.get("Trainer"):
        return "skipped"
    return "not_pushed" if not config.push and _blessed(outputs) else "not_blessed"


def _blessed(outputs: Outputs) -> bool:
    """Whether Evaluator and InfraValidator have blessed the candidate."""
    blessings = [_artifact(outputs, node, "blessing") for node in ("Evaluator", "InfraValidator")]
    return all(blessing is not None and blessing.get_int_custom_property("blessed") == 1 for blessing in blessings)


def _artifact(outputs: Outputs, node: str, key: str) -> Artifact | None:
    artifacts = outputs.get(node, {}).get(key, [])
    return artifacts[0] if artifacts else None


def _read_json(outputs: Outputs, node: str, key: str, name: str) -> dict[str, Any] | None:  # Any: JSON.
    artifact = _artifact(outputs, node, key)
    if artifact is None:
        return None
    value: dict[str, Any] = json.loads((Path(artifact.uri) / name).read_text(encoding="utf-8"))
    return value


def _decision(outputs: Outputs) -> Decision | None:
    artifact = _artifact(outputs, "RerunGate", "decision")
    if artifact is None:
        return None
    return Decision.from_json((Path(artifact.uri) / "decision.json").read_text(encoding="utf-8"))


def _pushed(outputs: Outputs) -> Path | None:
    artifact = _artifact(outputs, "Pusher", "pushed_model")
    # A PushedModel exists after a refused push too.
    if artifact is None or artifact.get_int_custom_property("pushed") != 1:
        return None
    return Path(artifact.get_string_custom_property("pushed_destination"))


def _not_servable(outputs: Outputs) -> str | None:
    """Returns why the model server could not be trusted with the candidate; None where it could, or was not asked."""
    artifact = _artifact(outputs, "InfraValidator", "blessing")
    if artifact is None or artifact.get_int_custom_property("blessed") == 1:
        return None
    return str(artifact.get_string_custom_property("reason"))


def _inferred_schema(config: PipelineConfig, outputs: Outputs) -> Path | None:
    """Copies a schema that SchemaGen inferred to where a person finds it."""
    artifact = _artifact(outputs, "SchemaGen", "schema")
    if artifact is None:
        return None
    target = Path(config.pipeline_root).parent / "inferred_schema.pbtxt"
    shutil.copyfile(Path(artifact.uri) / "schema.pbtxt", target)
    return target
