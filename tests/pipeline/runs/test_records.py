"""Decisions and runs in a root's journals: one rule for every reader."""

import json

import pytest

import local_runner
from pipeline.gate.decision import decide
from pipeline.gate.policy import GatePolicy
from pipeline.runs import records
from pipeline.state.rollback import roll_back
from pipeline.state.root import Root
from tests.helpers.evidence_of import evidence
from tests.helpers.versions import add


@pytest.fixture
def root(tmp_path):
    return Root(tmp_path)


@pytest.fixture
def decision():
    return decide(evidence(span=6), GatePolicy())


def test_a_decision_is_read_as_it_was_made(root, decision):
    records.append_decision(root, decision, log="/logs/run.log")

    (record,) = records.read_decisions(root)
    assert record == records.DecisionRecord(decision=decision, log="/logs/run.log")


def test_a_run_is_read_as_it_ended(root):
    run = records.EndedRun(span=6, started_at=100, ended_at=160, result="skipped", seconds={"RerunGate": 1.5})
    records.append_run(root, run)

    assert records.read_runs(root) == [run]


def test_a_run_recorded_before_versions_were_is_read(root):
    root.runs.write_text('{"ended_at": 2, "result": "pushed", "seconds": {"Trainer": 1}, "span": 6, "started_at": 1}\n')

    (run,) = records.read_runs(root)
    assert (run.span, run.result, run.seconds, run.version) == (6, "pushed", {"Trainer": 1.0}, None)


@pytest.mark.parametrize(
    "foreign", ['{"layout": 1, "verd', '{"layout": 99}', '{"verdict": "skip", "evidence": {"span": 9}}', "{}"]
)
def test_status_shows_the_whole_decisions_of_a_damaged_journal(root, decision, foreign, capsys):
    root.decisions.write_text(foreign + "\n")
    records.append_decision(root, decision, log="")
    with root.decisions.open("a") as file:
        file.write('{"torn')

    status = local_runner.main(["status", "--root", str(root.path), "--json"])

    assert status == 0
    shown = json.loads(capsys.readouterr().out)["decisions"]
    assert [item["evidence"]["span"] for item in shown] == [6]
    assert local_runner.main(["status", "--root", str(root.path)]) == 0


@pytest.mark.parametrize(
    ("visible", "result", "version"), [([10], "killed", None), ([10, 20], "pushed", 20), ([], "killed", None)]
)
def test_a_killed_run_is_recorded_by_the_next(root, visible, result, version):
    if visible:
        add(root.serving("taxi"), 10)
    records.begin_run(root, 6, root.serving("taxi"), now=100)
    for number in visible[1:]:
        add(root.serving("taxi"), number)

    records.end_killed_run(root, root.serving("taxi"), now=500)
    records.end_killed_run(root, root.serving("taxi"), now=600)

    (run,) = records.read_runs(root)
    assert (run.span, run.started_at, run.ended_at, run.result, run.version) == (6, 100, 500, result, version)


def test_a_rollback_is_not_the_killed_runs_push(root):
    add(root.serving("taxi"), 10)
    add(root.serving("taxi"), 20)
    records.begin_run(root, 6, root.serving("taxi"), now=100)
    roll_back(root.serving("taxi"), now=200)

    records.end_killed_run(root, root.serving("taxi"), now=500)

    assert [run.result for run in records.read_runs(root)] == ["killed"]
