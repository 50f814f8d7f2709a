"""The pipeline up to its Tuner on a small table: it finds the rate that learns, and writes it where it may."""

import json
import tomllib

import pytest

from local_runner import main
from tests.helpers import task_datasets

# Other libraries' own, which in a command's own process nobody sees.
pytestmark = pytest.mark.filterwarnings("default::DeprecationWarning")

TUNING = """
[tuning]
trials = 2
folds = 2

[tuning.space]
learning_rate = [0.05]
"""


@pytest.fixture
def slow(tmp_path):
    """A dataset whose own learning rate learns nothing in so few steps."""
    folder = task_datasets.write(tmp_path / "numbers", "regression")
    file = folder / "dataset.toml"
    text = file.read_text().replace("epochs = 12\n", "max_steps = 80\n").replace("= 0.02", "= 0.000001  # too slow")
    file.write_text(text + TUNING)
    return folder


def test_what_is_better_is_written_by_consent(slow, tmp_path, capfd):
    root, file = tmp_path / "root", slow / "dataset.toml"

    assert main(["tune", "--dataset", str(slow), "--root", str(root), "--write", "--json"]) == 0

    printed = capfd.readouterr()
    found = json.loads(printed.out)
    assert [trial["values"]["learning_rate"] for trial in found["trials"]] == [0.000001, 0.05]
    assert (found["metric"], found["spans"], found["best"]) == ("mean_absolute_error", [2, 3], 1)
    assert found["gain"]["low"] > 0, found["gain"]
    assert (found["chosen"], found["written"]) == ({"learning_rate": 0.05}, True)
    assert "trial 2 of 2: mean absolute error" in printed.err
    assert "learning_rate = 0.05  # too slow" in file.read_text()
    assert tomllib.loads(file.read_text())["training"]["learning_rate"] == 0.05
    assert "<svg" in (root / "reports" / "tuning.html").read_text()
    assert not (root / "state" / "tuning").exists()
    assert not (root / "decisions.jsonl").exists()
    (best,) = (root / "artifacts" / "Tuner" / "best_hyperparameters").rglob("best_hyperparameters.txt")
    assert json.loads(best.read_text())["values"] == {"learning_rate": 0.05}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--trials", "0"], "--trials: expected an integer in [1, 10_000]. Received: 0."),
        (["--minutes", "-1"], "--minutes: expected a number in [0, 100_000]. Received: -1.0."),
    ],
)
def test_a_budget_that_is_none_is_refused(words, message, slow, tmp_path, capfd):
    assert main(["tune", "--dataset", str(slow), "--root", str(tmp_path / "root"), *words]) == 2
    assert message in capfd.readouterr().err


def test_a_space_that_is_none_is_refused_where_the_file_is_read(slow, capfd):
    file = slow / "dataset.toml"
    file.write_text(file.read_text().replace("[0.05]", "[0.05, 11.0]"))
    assert main(["tune", "--dataset", str(slow)]) == 2
    assert "[tuning]: space.learning_rate: expected a number in (0, 10]. Received: 11.0." in capfd.readouterr().err
