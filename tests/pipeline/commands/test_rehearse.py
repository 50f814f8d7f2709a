"""What a rehearsal came to, read from what its tasks have left."""

import pytest

from pipeline.commands import rehearse
from pipeline.kubeflow.rehearse.dag import Rehearsal, TaskResult
from pipeline.kubeflow.rehearse.task_input import Done


def rehearsal(tmp_path, *results):
    return Rehearsal(name="taxi-1", folder=tmp_path, results=list(results))


def ran(task, output, **metadata):
    artifact = {"name": "n", "uri": "/p", "metadata": metadata}
    return TaskResult(task=task, status="ran", done=Done(artifacts={output: [artifact]}, parameters={}))


RERUN = [ran("RerunGate", "decision", block=0, rerun=1), ran("Trainer", "model")]


@pytest.mark.parametrize(
    ("results", "expected", "status"),
    [
        ([*RERUN, ran("Pusher", "pushed_model", pushed=1, pushed_destination="/serving/taxi/7")], "pushed", 0),
        ([*RERUN, ran("Evaluator", "blessing", blessed=0), ran("Pusher", "pushed_model", pushed=0)], "not_blessed", 4),
        ([ran("RerunGate", "decision", block=0, rerun=0)], "skipped", 0),
        (
            [
                ran("RerunGate", "decision", block=1, rerun=0),
                TaskResult(task="RefuseSpan", status="failed", why="broken"),
            ],
            "refused",
            3,
        ),
        ([TaskResult(task="Trainer", status="failed", why="exit status 1")], "failed", 1),
        (
            [TaskResult(task="RefuseSpan", status="failed"), TaskResult(task="Trainer", status="failed")],
            "failed",
            1,
        ),
        ([ran("SchemaGen", "schema")], "schema_inferred", 0),
    ],
)
def test_the_result_and_its_exit_status(tmp_path, results, expected, status):
    result = rehearse.result_of(rehearsal(tmp_path, *results))

    assert result == expected
    assert result.exit_status == status


def test_the_outcome_is_said_failures_first(tmp_path, capsys):
    run = rehearsal(
        tmp_path,
        TaskResult(task="Trainer", status="failed", why="exit status 1: no rows (log: /l)"),
        TaskResult(task="Pusher", status="skipped"),
        TaskResult(task="BaselineGen", status="skipped"),
    )

    rehearse.show(run, rehearse.result_of(run))

    assert capsys.readouterr().out.splitlines() == [
        "Trainer failed: exit status 1: no rows (log: /l)",
        "Not triggered: BaselineGen, Pusher",
        f"taxi-1: failed; artifacts and logs: {tmp_path}",
    ]
