"""How one run ended: the vocabulary of outcomes, and how an outcome is read from what a run left."""

from __future__ import annotations

import enum
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.components import nodes
from pipeline.errors import DataError, ExitStatus, PipelineError
from pipeline.gate.decision import DECISION_FILE, Decision
from pipeline.state.version_folder import SAMPLE_REQUEST_FILE

if TYPE_CHECKING:
    from tfx.types import Artifact

    from pipeline.config.pipeline_config import PipelineConfig
    from pipeline.evaluation.judge import Judgement
    from pipeline.runs.node_runner import NodeResult, Status


class Result(enum.StrEnum):
    """How a run ended, in a word. Commands, `runs.jsonl`, reports, rehearsals and metrics all use these.

    Attributes:
      exit_status: of the command that ran it. An error that has a status of its own, such as a busy root, goes before.
      text: for a person, after "Span 7: ".
    """

    exit_status: ExitStatus
    text: str

    def __new__(cls, word: str, exit_status: ExitStatus = ExitStatus.DONE, text: str = "") -> Result:
        """Makes a member; the defaults are for a look-up by the word alone."""
        member = str.__new__(cls, word)
        member._value_ = word
        member.exit_status = exit_status
        member.text = text
        return member

    PUSHED = "pushed", ExitStatus.DONE, "rerun and pushed"
    SKIPPED = "skipped", ExitStatus.DONE, "skipped"
    EXPLAINED = "explained", ExitStatus.DONE, "explained"
    DECIDED = "decided", ExitStatus.DONE, "a rerun is due"
    NOT_PUSHED = "not_pushed", ExitStatus.DONE, "rerun, blessed and not pushed, as asked"
    SCHEMA_INFERRED = "schema_inferred", ExitStatus.DONE, "a schema was inferred"
    # A backend says no more of a run that went well: what the gate decided is in the run's artifacts.
    DONE = "done", ExitStatus.DONE, "done"
    REFUSED = "refused", ExitStatus.REFUSED, "refused"
    NOT_BLESSED = "not_blessed", ExitStatus.NOT_BLESSED, "rerun, not blessed"
    FAILED = "failed", ExitStatus.FAILED, "failed"
    # By Ctrl-C or SIGTERM, which the run itself recorded.
    INTERRUPTED = "interrupted", ExitStatus.INTERRUPTED, "interrupted"
    # From outside, before it could record anything: by SIGKILL, a lost machine, a cancelled job.
    KILLED = "killed", ExitStatus.FAILED, "killed"

    @property
    def finished(self) -> bool:
        """Whether the run came to its own end, whatever it decided there."""
        return self not in (Result.FAILED, Result.INTERRUPTED, Result.KILLED)


def result_of_error(error: BaseException) -> Result:
    """Returns how a run ended that an error broke off."""
    if isinstance(error, DataError):
        return Result.REFUSED
    return Result.INTERRUPTED if isinstance(error, KeyboardInterrupt) else Result.FAILED


Properties = Mapping[str, Any]  # Any: an artifact's property is a text or a number.


def result_of(left: Callable[[str, str], Properties | None]) -> Result:
    """Returns how a run ended that no error broke off: one rule for a run, its report and a rehearsal.

    Args:
      left: takes a node's id and an output's name; returns the artifact's properties, or None where there is none.
    """
    if left(nodes.SCHEMA_GEN, "schema") is not None:
        return Result.SCHEMA_INFERRED
    decision = left(nodes.RERUN_GATE, "decision")
    if decision is None:
        return Result.FAILED
    if decision["block"]:
        return Result.REFUSED
    if not decision["rerun"]:
        return Result.SKIPPED
    if left(nodes.TRAINER, "model") is None:
        return Result.DECIDED
    # A PushedModel exists after a refused push too.
    if (left(nodes.PUSHER, "pushed_model") or {}).get("pushed") == 1:
        return Result.PUSHED
    blessings = [left(node, "blessing") or {} for node in (nodes.EVALUATOR, nodes.INFRA_VALIDATOR)]
    return Result.NOT_PUSHED if all(given.get("blessed") == 1 for given in blessings) else Result.NOT_BLESSED


@dataclass(frozen=True, kw_only=True)
class NodeOutcome:
    """What one node cost; `seconds` of wall time, `peak_memory_bytes` of the process until the node's end."""

    node: str
    status: Status
    seconds: float
    peak_memory_bytes: int


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a run ended that ended without an unexpected error, and what it left.

    Attributes:
      nodes: in order.
      decision: the gate's; None where the run ended before it.
      judgement: the Evaluator's; None where nothing was trained.
      not_servable: why a model server could not be trusted with the candidate; None where it could.
      statistics_uri: the span's statistics artifact.
      tuner_results: the folder of what a search has found; None where there was none.
      pushed: the new version's folder; None where nothing was pushed.
      sample_request: one row as a predict request, for the `curl` line.
      refusal: why the data was refused, in words.
    """

    result: Result
    span: int
    nodes: tuple[NodeOutcome, ...]
    decision: Decision | None = None
    judgement: Judgement | None = None
    not_servable: str | None = None
    statistics_uri: str | None = None
    tuner_results: Path | None = None
    pushed: Path | None = None
    sample_request: dict[str, Any] | None = None  # Any: JSON.
    inferred_schema: Path | None = None
    refusal: str | None = None


def read(config: PipelineConfig, results: Sequence[NodeResult], refusal: str | None) -> Outcome:
    """Returns the outcome of a run that ended without an unexpected error.

    Args:
      refusal: what a component said when it refused the data; None where none did.

    Raises:
      PipelineError: the gate left no decision.
    """
    assert isinstance(config.span, int), "a local run has chosen its span"
    outputs = {result.node: result.outputs for result in results}
    pushed = _pushed(outputs)
    statistics = _artifact(outputs, nodes.STATISTICS_GEN, "statistics")
    sample = pushed / SAMPLE_REQUEST_FILE if pushed else None
    return Outcome(
        result=_result(outputs, refusal, explain=config.explain),
        span=config.span,
        nodes=tuple(
            NodeOutcome(
                node=result.node,
                status=result.status,
                seconds=round(result.seconds, 3),
                peak_memory_bytes=result.peak_memory_bytes,
            )
            for result in results
        ),
        decision=_decision(outputs),
        judgement=_judgement(outputs),
        not_servable=_not_servable(outputs),
        statistics_uri=statistics.uri if statistics else None,
        tuner_results=Path(tuned.uri) if (tuned := _artifact(outputs, nodes.TUNER, "tuner_results")) else None,
        pushed=pushed,
        sample_request=json.loads(sample.read_text(encoding="utf-8")) if sample and sample.exists() else None,
        inferred_schema=_inferred_schema(config, outputs),
        refusal=refusal,
    )


def decision_of(gate: NodeResult) -> Decision | None:
    """Returns the decision that the gate has published; None where it has not come so far."""
    return _decision({nodes.RERUN_GATE: gate.outputs})


def pushed_by(results: Sequence[NodeResult]) -> Path | None:
    """Returns the folder of the version that a run has pushed so far."""
    return _pushed({result.node: result.outputs for result in results})


Outputs = Mapping[str, Mapping[str, "list[Artifact]"]]


def _result(outputs: Outputs, refusal: str | None, *, explain: bool) -> Result:
    if refusal is not None:
        return Result.REFUSED

    def left(node: str, key: str) -> Properties | None:
        artifact = _artifact(outputs, node, key)
        if artifact is None:
            return None
        message = artifact.mlmd_artifact
        values = {**message.properties, **message.custom_properties}
        return {name: getattr(value, value.WhichOneof("value")) for name, value in values.items()}

    result = result_of(left)
    if result is Result.FAILED:
        raise PipelineError("The gate left no decision, although nothing failed. The log says more.")
    return Result.EXPLAINED if explain and result is not Result.SCHEMA_INFERRED else result


def _artifact(outputs: Outputs, node: str, key: str) -> Artifact | None:
    artifacts = outputs.get(node, {}).get(key, [])
    return artifacts[0] if artifacts else None


def _judgement(outputs: Outputs) -> Judgement | None:
    artifact = _artifact(outputs, nodes.EVALUATOR, "evaluation")
    if artifact is None:
        return None
    from pipeline.evaluation.judge import JUDGEMENT_FILE, Judgement  # Loads NumPy, which `status` needs for nothing.

    return Judgement.from_json((Path(artifact.uri) / JUDGEMENT_FILE).read_text(encoding="utf-8"))


def _decision(outputs: Outputs) -> Decision | None:
    artifact = _artifact(outputs, nodes.RERUN_GATE, "decision")
    if artifact is None:
        return None
    return Decision.from_json((Path(artifact.uri) / DECISION_FILE).read_text(encoding="utf-8"))


def _pushed(outputs: Outputs) -> Path | None:
    artifact = _artifact(outputs, nodes.PUSHER, "pushed_model")
    if artifact is None or artifact.get_int_custom_property("pushed") != 1:
        return None
    return Path(artifact.get_string_custom_property("pushed_destination"))


def _not_servable(outputs: Outputs) -> str | None:
    """Returns why the model server could not be trusted with the candidate; None where it could, or was not asked."""
    artifact = _artifact(outputs, nodes.INFRA_VALIDATOR, "blessing")
    if artifact is None or artifact.get_int_custom_property("blessed") == 1:
        return None
    return str(artifact.get_string_custom_property("reason"))


def _inferred_schema(config: PipelineConfig, outputs: Outputs) -> Path | None:
    """Copies a schema that SchemaGen inferred to where a person finds it."""
    artifact = _artifact(outputs, nodes.SCHEMA_GEN, "schema")
    if artifact is None:
        return None
    target = Path(config.pipeline_root).parent / "inferred_schema.pbtxt"
    shutil.copyfile(Path(artifact.uri) / "schema.pbtxt", target)
    return target
