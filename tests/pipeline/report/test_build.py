"""What a run came to, from the records of its components alone."""

import dataclasses
import json

import pytest

from pipeline.errors import ReportError
from pipeline.gate.decision import Reason, Verdict
from pipeline.json_values import to_json_values
from pipeline.report.build import build_report
from pipeline.runs.metadata import ENDED_AS, ArtifactRecord, NodeRecord, RunRecord
from tests.helpers import reports_of

DRIFT = Reason(kind="drift", text="`fare`: median 8 → 13 (Jensen-Shannon 0.040, threshold 0.021)", feature="fare")


def node(name, folder=None, status="ran", error="", ended_as=None, **properties):
    """A component's record; its one output, where it has a folder, bears the name that the pipeline gives it."""
    keys = {"ExampleGen": "examples", "RerunGate": "decision", "Pusher": "pushed_model", "SchemaGen": "schema"}
    keys |= {"Trainer": "model", "Evaluator": "blessing", "InfraValidator": "blessing"}
    key = keys.get(name, "x")
    artifact = ArtifactRecord(id=1, type="T", path=folder, properties=properties) if folder else None
    return NodeRecord(
        node=name,
        execution_id=1,
        status=status,
        started_at=100.0,
        seconds=2.0,
        peak_memory_bytes=None,
        properties={ENDED_AS: ended_as} if ended_as else {},
        inputs={},
        outputs={key: (artifact,)} if artifact else {},
        error=error,
    )


def gate(folder, verdict):
    return node("RerunGate", folder, block=int(verdict is Verdict.BLOCK), rerun=int(verdict.makes_a_version))


def trained(folder, *, blessed, servable=1):
    """What a run leaves that trained a candidate."""
    return (
        node("Trainer", folder),
        node("Evaluator", folder, blessed=blessed),
        node("InfraValidator", folder, blessed=servable, reason="it answers otherwise than offline"),
    )


@pytest.fixture
def made(tmp_path):
    """Makes the report of a run of span 7 with these components behind the gate."""

    def make(*others, verdict=Verdict.RERUN, reasons=(DRIFT,)):
        decision = dataclasses.replace(reports_of.hostile().decision, verdict=verdict, reasons=reasons)
        (tmp_path / "decision.json").write_text(decision.to_json())
        nodes = (node("ExampleGen", tmp_path, span=7), gate(tmp_path, verdict), *others)
        return build_report(RunRecord(pipeline="taxi", run_id="2026-01-01T00:00:00", nodes=nodes))

    return make


def test_a_pushed_version_is_named_with_the_first_reason_without_its_figures(made, tmp_path):
    found = made(
        *trained(tmp_path, blessed=1),
        node("Pusher", tmp_path, pushed=1, pushed_version="12", pushed_destination="/served/12"),
    )

    assert (found.outcome, found.pushed_version) == ("pushed", "12")
    assert found.headline == "Version 12 is live. Trained because `fare`: median 8 → 13."
    assert found.lineage[-1].path == "/served/12"


def test_a_recalibration_is_called_one(made, tmp_path):
    found = made(
        *trained(tmp_path, blessed=1),
        node("Pusher", tmp_path, pushed=1, pushed_version="12", pushed_destination="/served/12"),
        verdict=Verdict.RECALIBRATE,
    )

    assert found.done == "recalibrated and pushed"
    assert found.headline == "Version 12 is live. Recalibrated because `fare`: median 8 → 13."


def test_a_refused_push_is_not_a_push(made, tmp_path):
    found = made(*trained(tmp_path, blessed=1, servable=0), node("Pusher", tmp_path, pushed=0))

    assert (found.outcome, found.pushed_version) == ("not_blessed", None)
    assert found.headline.startswith("The candidate was not pushed: it answers otherwise than offline. Trained because")


def test_a_candidate_that_nobody_wanted_pushed_is_not_a_failure(made, tmp_path):
    found = made(*trained(tmp_path, blessed=1))

    assert found.outcome == "not_pushed"
    assert found.headline.startswith("The candidate was not pushed: as asked (--no-push).")


@pytest.mark.parametrize(
    ("verdict", "outcome", "headline"),
    [
        (Verdict.SKIP, "skipped", "Nothing was trained, and the live model stays: `fare`: median 8 → 13."),
        (Verdict.BLOCK, "refused", "The data was refused, and the live model stays: `fare`: median 8 → 13."),
        (Verdict.RERUN, "decided", "A rerun is due, and nothing was trained in this run: `fare`: median 8 → 13."),
    ],
)
def test_a_decision_alone(made, verdict, outcome, headline):
    found = made(node("RefuseSpan", status="failed", error="refused"), verdict=verdict)

    assert (found.outcome, found.headline, found.error) == (outcome, headline, "")


def test_a_component_that_failed_says_why(made):
    found = made(node("Trainer", status="failed", error="The train split is empty."))

    assert (found.outcome, found.headline) == ("failed", "Trainer failed: The train split is empty.")


@pytest.mark.parametrize(("ended_as", "outcome"), [(None, "killed"), ("interrupted", "interrupted")])
def test_a_run_that_was_ended_from_outside_did_not_end(made, ended_as, outcome):
    found = made(node("Trainer", status="unfinished", ended_as=ended_as))

    assert (found.outcome, found.headline) == (outcome, "Trainer did not end: the run was stopped from outside")


def test_data_that_a_component_refused_is_refused_as_by_the_gate(made):
    found = made(node("TrainingWindow", status="failed", error="data.csv, line 11", ended_as="refused"))

    assert (found.outcome, found.headline) == ("refused", "TrainingWindow failed: data.csv, line 11")


def test_a_dataset_without_a_schema_gets_one(tmp_path):
    nodes = (node("ExampleGen", tmp_path, span=7), node("SchemaGen", tmp_path))

    found = build_report(RunRecord(pipeline="taxi", run_id="r", nodes=nodes))

    assert (found.outcome, found.decision) == ("schema_inferred", None)


def test_a_decision_of_another_layout_is_refused(made, tmp_path):
    made()
    value = json.loads((tmp_path / "decision.json").read_text())
    (tmp_path / "decision.json").write_text(json.dumps(value | {"layout": 99}))
    nodes = (node("ExampleGen", tmp_path, span=7), gate(tmp_path, Verdict.RERUN))

    with pytest.raises(ReportError, match="Received layout 99"):
        build_report(RunRecord(pipeline="taxi", run_id="r", nodes=nodes))


def test_a_run_without_a_span_has_no_report():
    with pytest.raises(ReportError, match="ended before it knew its span"):
        build_report(RunRecord(pipeline="taxi", run_id="r", nodes=(node("LiveModel"),)))


ARTIFACTS = {
    "decision.json": ("RerunGate", "decision"),
    "distributions.json": ("RerunGate", "comparison"),
    "history.json": ("Trainer", "model_run"),
    "judgement.json": ("Evaluator", "evaluation"),
    "curves.json": ("Evaluator", "evaluation"),
}


@pytest.mark.parametrize("text", ["{}", "[]", "7", '"x"', "{", "\x00", '[{"bins": 1}]'])
@pytest.mark.parametrize("name", ARTIFACTS)
def test_a_damaged_artifact_is_named(tmp_path, name, text):
    run = damaged_run(tmp_path, name, text)

    with pytest.raises(ReportError, match=rf"^{tmp_path}/{name} cannot be read \(.*\)\. It is damaged"):
        build_report(run)


def damaged_run(folder, name, text):
    """Returns a run that has only one artifact of its own, a damaged one, and whole ones that come before."""
    report = reports_of.hostile()
    judgement = dataclasses.asdict(report.evaluation.judgement)
    (folder / "decision.json").write_text(report.decision.to_json())
    (folder / "judgement.json").write_text(json.dumps(to_json_values(judgement)))
    (folder / name).write_text(text)
    outputs = {}
    for file, (component, key) in ARTIFACTS.items():
        if (folder / file).exists():
            artifact = ArtifactRecord(id=1, type="T", path=folder, properties={"block": 0, "rerun": 1})
            outputs.setdefault(component, {})[key] = (artifact,)
    nodes = [node("ExampleGen", folder, span=7)]
    nodes += [dataclasses.replace(node(component), outputs=given) for component, given in outputs.items()]
    return RunRecord(pipeline="taxi", run_id="r", nodes=tuple(nodes))
