"""What killed runs leave is removed by the next, and nothing that a living one uses."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from ml_metadata.proto import metadata_store_pb2 as mlmd

from pipeline.runs import leftovers
from pipeline.state.metadata_store import open_store
from pipeline.state.root import Root

# As a run does: a folder as InfraValidator makes it, and a file as AutoGraph does.
HOLD = """
import sys, tempfile
from pipeline.runs import leftovers
with leftovers.temporary_files() as folder:
    tempfile.mkdtemp(prefix="infra-")
    tempfile.NamedTemporaryFile(prefix="__autograph_generated_file", delete=False)
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path / f"driftgate-{os.getuid()}"


def folders(place: Path) -> list[Path]:
    return sorted(entry for entry in place.iterdir() if entry.is_dir())


def test_temporary_files_of_a_killed_run_go_with_the_next_and_a_living_ones_stay(place):
    with subprocess.Popen(
        [sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as run:
        theirs = Path(run.stdout.readline().strip())
        assert {entry.name.split("_file")[0][:6] for entry in theirs.iterdir()} == {"lock", "infra-", "__auto"}

        with leftovers.temporary_files() as ours:
            assert folders(place) == sorted([ours, theirs])
            assert Path(tempfile.mkdtemp()).parent == ours
            assert os.environ["TMPDIR"] == str(ours)
        assert folders(place) == [theirs]
        assert os.environ["TMPDIR"] == str(place.parent)

        run.kill()
    with leftovers.temporary_files() as ours:
        assert folders(place) == [ours]


@pytest.fixture
def root(tmp_path):
    root = Root(tmp_path / "root")
    root.prepare()
    return root


def test_executions_of_dead_runs_are_ended_and_their_folders_removed(root):
    store = open_store(root.metadata)
    kind = store.put_execution_type(mlmd.ExecutionType(name="Trainer"))
    states = [mlmd.Execution.COMPLETE, mlmd.Execution.RUNNING, mlmd.Execution.RUNNING]
    numbers = store.put_executions([mlmd.Execution(type_id=kind, last_known_state=state) for state in states])
    # Where TFX keeps them.
    system = [root.artifacts / "Trainer" / ".system" / "executor_execution" / str(number) for number in numbers]
    for folder in system:
        (folder / ".temp" / "beam").mkdir(parents=True)

    assert leftovers.end_executions(root) == numbers[1:]

    assert [execution.last_known_state for execution in store.get_executions_by_id(numbers)] == [
        mlmd.Execution.COMPLETE,
        mlmd.Execution.CANCELED,
        mlmd.Execution.CANCELED,
    ]
    assert [(folder / ".temp").exists() for folder in system] == [True, False, False]
    assert leftovers.end_executions(root) == []


def test_a_root_without_metadata_has_none(root):
    assert leftovers.end_executions(root) == []
    root.metadata.touch()
    assert leftovers.end_executions(root) == []
