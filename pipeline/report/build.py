"""From a run's metadata and artifacts to the values of its report."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TypeVar

from models.history import Contender, Epoch
from models.training_spec import HISTORY_FILE
from pipeline.components import nodes
from pipeline.errors import ReportError
from pipeline.evaluation import curves as evaluation_curves
from pipeline.evaluation.judge import JUDGEMENT_FILE, Judgement
from pipeline.gate import distributions as gate_distributions
from pipeline.gate.decision import DECISION_FILE, Decision, Verdict
from pipeline.gate.distributions import Distribution
from pipeline.report.configuration import read_configuration
from pipeline.report.data import Cost, Evaluation, RunReport, Servability, Training
from pipeline.report.explanation import explained
from pipeline.report.lineage import trace
from pipeline.report.statistics import compare_statistics
from pipeline.runs.metadata import ENDED_AS, NodeRecord, RunRecord, Value
from pipeline.runs.outcome import Result, result_of
from pipeline.selection import trials

T = TypeVar("T")


def build_report(run: RunRecord) -> RunReport:
    """Reads everything that a report says.

    Raises:
      ReportError: nothing is known of the run's span, or an artifact is damaged; names it.
    """
    if run.span is None:
        raise ReportError(f"The run of {run.run_id} ended before it knew its span; its log says why.")
    if any(artifact.deleted for node in run.nodes for kind in node.outputs.values() for artifact in kind):
        raise ReportError(
            f"The artifacts of the run of {run.run_id} have been removed, so its page cannot be made: a root keeps "
            "those of the newest runs ([retention] artifacts)."
        )
    decision = _decision(run)
    outcome = _outcome(run)
    training = _training(run)
    evaluation = _evaluation(run)
    servability = _servability(run)
    pushed = run.output(nodes.PUSHER, "pushed_model")
    version = str(pushed.properties["pushed_version"]) if pushed and outcome is Result.PUSHED else None
    broken = _broken(run)
    error = _error(broken) if broken else ""
    moved = [item.feature for item in decision.evidence.drift.features] if decision and decision.evidence.drift else []
    return RunReport(
        dataset=run.pipeline,
        run_id=run.run_id,
        started_at=run.nodes[0].started_at,
        span=run.span,
        version=decision.evidence.version if decision else 0,
        outcome=outcome,
        headline=_headline(outcome, decision, evaluation, servability, version, error),
        pushed_version=version,
        error=error,
        decision=decision,
        distributions=_distributions(run, moved),
        statistics=compare_statistics(run, decision),
        tuning=_read(run, nodes.TUNER, "tuner_results", trials.FILE, trials.Tuning.from_json),
        training=training,
        evaluation=evaluation,
        servability=servability,
        lineage=trace(run),
        costs=_costs(run),
        configuration=read_configuration(run),
    )


def _read(run: RunRecord, node: str, key: str, name: str, parse: Callable[[str], T]) -> T | None:
    """Returns what `parse` makes of an artifact's file; None where the run has no such artifact, or that no such file.

    Raises:
      ReportError: the file is damaged, or of another layout.
    """
    artifact = run.output(node, key)
    path = artifact.path / name if artifact else None
    if path is None or not path.is_file():
        return None
    try:
        return parse(path.read_text(encoding="utf-8"))
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise ReportError(
            f"{path} cannot be read ({error!r}). It is damaged, or another version of this program wrote it. "
            f"Restore it, or run the span again."
        ) from error


def _decision(run: RunRecord) -> Decision | None:
    return _read(run, nodes.RERUN_GATE, "decision", DECISION_FILE, Decision.from_json)


def _outcome(run: RunRecord) -> Result:
    broken = _broken(run)
    if broken is not None:
        # Without the word, an older release ran, or nobody could write it any more.
        otherwise = Result.FAILED if broken.status == "failed" else Result.KILLED
        return Result(str(broken.properties.get(ENDED_AS, otherwise)))

    def left(node: str, key: str) -> Mapping[str, Value] | None:
        artifact = run.output(node, key)
        return artifact.properties if artifact else None

    return result_of(left)


def _broken(run: RunRecord) -> NodeRecord | None:
    """Returns the component at which the run broke off; where the gate refuses a span, the run ends as it should."""
    return next((n for n in run.nodes if n.status in ("failed", "unfinished") and n.node != nodes.REFUSE_SPAN), None)


def _headline(
    outcome: Result,
    decision: Decision | None,
    evaluation: Evaluation | None,
    servability: Servability | None,
    version: str | None,
    error: str,
) -> str:
    """Returns what happened and why, in one sentence that stands alone."""
    if outcome is Result.SCHEMA_INFERRED:
        return "There is no schema yet. One was inferred from this span, for a person to correct."
    if error or decision is None:
        return error or "The run left no decision; its log says more."
    first = _without_figures(decision.reasons[0].text) if decision.reasons else ""
    more = f", and {len(decision.reasons) - 1} more" if len(decision.reasons) > 1 else ""
    made = "Recalibrated" if decision.verdict is Verdict.RECALIBRATE else "Trained"
    if outcome is Result.PUSHED:
        return f"Version {version} is live. {made} because {first}{more}."
    if outcome in (Result.NOT_BLESSED, Result.NOT_PUSHED):
        why = "as asked (--no-push)"
        if servability and not servability.servable:
            why = servability.reason
        if evaluation and not evaluation.judgement.blessed:
            why = "; ".join(evaluation.judgement.reasons)
        return f"The candidate was not pushed: {why}. {made} because {first}{more}."
    if outcome is Result.REFUSED:
        return f"The data was refused, and the live model stays: {first}{more}."
    if outcome is Result.SKIPPED:
        return f"Nothing was trained, and the live model stays: {first}{more}."
    return f"A rerun is due, and nothing was trained in this run: {first}{more}."


def _without_figures(reason: str) -> str:
    """Returns a reason without the distances and intervals that end it in parentheses: they stand with the reasons."""
    return reason[: reason.rindex(" (")] if reason.endswith(")") and " (" in reason else reason


def _error(node: NodeRecord) -> str:
    """Returns the error message of a failed component."""
    if node.status == "unfinished":
        return f"{node.node} did not end: the run was stopped from outside"
    return f"{node.node} failed: {node.error or 'what it said is in the log'}"


def _distributions(run: RunRecord, order: list[str]) -> tuple[Distribution, ...]:
    compared = _read(run, nodes.RERUN_GATE, "comparison", gate_distributions.FILE, gate_distributions.from_json)
    by_name = {item.bins.name: item for item in compared or ()}
    return tuple(by_name[name] for name in dict.fromkeys(order) if name in by_name)


def _training(run: RunRecord) -> Training | None:
    return _read(run, nodes.TRAINER, "model_run", HISTORY_FILE, _training_of)


def _training_of(text: str) -> Training:
    history = json.loads(text)
    start = "from the live model's weights" if history["warm_start"] else "anew"
    return Training(
        rows=history["rows"],
        curve=tuple(Epoch(**epoch) for epoch in history["curve"]),
        best_epoch=history["best_epoch"],
        validation_rows=history["validation"]["rows"],
        validation=tuple(
            (name.replace("_", " "), value) for name, value in history["validation"].items() if name != "rows"
        ),
        loss="loss of value and ends" if history.get("task") == "regression" else "log loss, nats",
        start=f"{start} ({history['warm_start_reason']})",
        seconds=history["seconds"]["train"],
        learner=history.get("learner", "network"),
        learner_reason=history.get("learner_reason", ""),
        contenders=tuple(Contender(**each) for each in history.get("learners", ())),
        explanation=explained(history.get("explanation") or {}),
    )


def _evaluation(run: RunRecord) -> Evaluation | None:
    judgement = _read(run, nodes.EVALUATOR, "evaluation", JUDGEMENT_FILE, Judgement.from_json)
    if judgement is None:
        return None
    curves = evaluation_curves.EvaluationCurves.from_json
    return Evaluation(
        judgement=judgement, curves=_read(run, nodes.EVALUATOR, "evaluation", evaluation_curves.FILE, curves)
    )


def _servability(run: RunRecord) -> Servability | None:
    blessing = run.output(nodes.INFRA_VALIDATOR, "blessing")
    if blessing is None:
        return None
    p99 = blessing.properties.get("p99_ms")
    return Servability(
        servable=blessing.properties.get("blessed") == 1,
        reason=str(blessing.properties.get("reason", "")),
        p99_ms=None if p99 is None else float(p99),
    )


def _costs(run: RunRecord) -> tuple[Cost, ...]:
    first = run.nodes[0].started_at
    return tuple(
        Cost(
            node=node.node,
            status=node.status,
            start=max(node.started_at - first, 0.0),
            seconds=node.seconds,
            peak_memory_bytes=node.peak_memory_bytes,
        )
        for node in run.nodes
    )
