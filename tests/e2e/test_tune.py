"""The command line tunes a small table: the search is killed, goes on, finds the rate that learns, and writes it."""

import os
import signal
import subprocess
import tomllib

import pytest

from tests.e2e.conftest import REPOSITORY, command, run
from tests.helpers import task_datasets

pytestmark = pytest.mark.e2e

TUNING = """
[tuning]
trials = 2
folds = 2

[tuning.space]
learning_rate = [0.05]
"""


def test_a_search_that_was_killed_goes_on_and_is_written_by_consent(tmp_path):
    folder, root = task_datasets.write(tmp_path / "numbers", "regression"), tmp_path / "root"
    file = folder / "dataset.toml"
    text = file.read_text().replace("epochs = 12\n", "max_steps = 40\n").replace("= 0.02", "= 0.0001  # too slow")
    file.write_text(text + TUNING)
    where = ("--dataset", folder, "--root", root)

    with subprocess.Popen(command("tune", *where), stderr=subprocess.PIPE, text=True, cwd=REPOSITORY) as first:
        said = []
        for line in first.stderr:  # The pipe ends with the process.
            said.append(line)
            if "trial 1 of 2" in line:
                os.kill(first.pid, signal.SIGKILL)
    assert "trial 1 of 2" in said[-1], "".join(said)

    done = run("tune", *where, "--write", "--json")

    assert done.status == 0, done.err
    assert "Goes on after 1 trials that an earlier call has finished" in done.err
    assert "trial 1 of 2" not in done.err
    found = done.json
    assert [trial["values"]["learning_rate"] for trial in found["trials"]] == [0.0001, 0.05]
    assert (found["metric"], found["spans"], found["best"]) == ("mean_absolute_error", [2, 3], 1)
    assert found["gain"]["low"] > 0, found["gain"]
    assert (found["chosen"], found["written"]) == ({"learning_rate": 0.05}, True)
    assert "learning_rate = 0.05  # too slow" in file.read_text()
    assert tomllib.loads(file.read_text())["training"]["learning_rate"] == 0.05
    assert "<svg" in (root / "reports" / "tuning.html").read_text()
    assert not (root / "state" / "tuning").exists()
    assert not (root / "decisions.jsonl").exists()
