"""Decisions and runs in a root's journals: one rule for every reader."""

import json

import pytest

import local_runner
from pipeline.gate.decision import decide
from pipeline.gate.policy import GatePolicy
from pipeline.runs import records
from pipeline.runs.outcome import Result
from pipeline.state.rollback import roll_back
from pipeline.state.root import Root
from tests.helpers.evidence_of import evidence
from tests.helpers.versions import add


@pytest.fixture
def root(tmp_path):
    return Root(tmp_path)


def begun(*, newest=0):
    return records.BegunRun(
        span=6, started_at=100, newest=newest, run_id="2026-01-01T00:00:00.000001", log="/logs/run.log"
    )


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
    records.begin_run(root, begun(newest=10 if visible else 0))
    for number in visible[1:]:
        add(root.serving("taxi"), number)

    records.end_killed_run(root, root.serving("taxi"), now=500)
    records.end_killed_run(root, root.serving("taxi"), now=600)

    (run,) = records.read_runs(root)
    assert (run.span, run.started_at, run.ended_at, run.result, run.version) == (6, 100, 500, result, version)
    assert (run.run_id, run.log) == ("2026-01-01T00:00:00.000001", "/logs/run.log")


def test_a_killed_run_of_an_older_release_is_recorded_too(root):
    (root.path / records.BEGUN).write_text('{"span": 6, "started_at": 100, "newest": 0}')

    records.end_killed_run(root, root.serving("taxi"), now=500)

    assert [(run.result, run.run_id) for run in records.read_runs(root)] == [("killed", "")]


@pytest.mark.parametrize("torn", ["", '{"span": 6', "[]", '{"span": "x", "started_at": 1, "newest": 0}'])
def test_a_torn_note_of_a_begun_run_is_forgotten(root, torn):
    (root.path / records.BEGUN).write_text(torn)

    records.end_killed_run(root, root.serving("taxi"), now=500)

    assert records.read_runs(root) == []
    assert not (root.path / records.BEGUN).exists()


@pytest.mark.parametrize("word", ["failed", "interrupted", "killed", "schema_inferred", "not_pushed", "decided"])
def test_every_word_that_was_ever_written_is_read(root, word):
    line = {"ended_at": 2, "result": word, "seconds": {}, "span": 6, "started_at": 1}
    root.runs.write_text(json.dumps(line) + "\n" + json.dumps({**line, "result": "of a later release"}) + "\n")

    assert [run.result for run in records.read_runs(root)] == [word]


def test_what_ended_by_itself_is_told_from_what_did_not():
    assert {result for result in Result if not result.finished} == {"failed", "interrupted", "killed"}


def test_the_exit_statuses_are_the_documented_ones():
    statuses = {result.value: int(result.exit_status) for result in Result if result.exit_status}
    assert statuses == {"refused": 3, "not_blessed": 4, "failed": 1, "interrupted": 130, "killed": 1}


def test_a_rollback_is_not_the_killed_runs_push(root):
    add(root.serving("taxi"), 10)
    add(root.serving("taxi"), 20)
    records.begin_run(root, begun(newest=20))
    roll_back(root.serving("taxi"), now=200)

    records.end_killed_run(root, root.serving("taxi"), now=500)

    assert [run.result for run in records.read_runs(root)] == ["killed"]
