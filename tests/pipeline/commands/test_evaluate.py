import json
import statistics

import pytest

from local_runner import main
from tests.helpers import task_datasets

QUICK = "max_steps = 60\nensemble_size = 2\nlearning_rate = 0.05\n"


def quick(folder):
    """Makes the dataset's trainings short."""
    path = folder / "dataset.toml"
    text = path.read_text().replace("ensemble_size = 2\nepochs = 12\n", "").replace("learning_rate = 0.02\n", QUICK)
    path.write_text(text.replace("window = 1", "window = 2"))
    return folder


def test_spans_are_predicted_from_those_before_them(tmp_path, capfd):
    folder = quick(task_datasets.write(tmp_path / "numbers", "regression"))
    before, page = sorted(tmp_path.rglob("*")), tmp_path / "page.html"

    assert main(["evaluate", "--folds", "--dataset", str(folder), "--json", "--report", str(page)]) == 0

    printed = capfd.readouterr()
    value = json.loads(printed.out)
    (score,) = value["contenders"]
    assert [(fold["span"], fold["trained_on"], fold["rows"]) for fold in score["folds"]] == [
        (2, [1], task_datasets.ROWS),
        (3, [1, 2], task_datasets.ROWS),
    ]
    assert value["metric"] == "mean_absolute_error"
    errors = [fold["metrics"]["mean_absolute_error"]["value"] for fold in score["folds"]]
    overall = score["overall"]["mean_absolute_error"]
    assert overall["value"] == pytest.approx(statistics.mean(errors))
    # Two values: t(1) at 0.975 is tan(0.475 pi) = 12.7062.
    assert overall["high"] - overall["value"] == pytest.approx(12.7062047 * abs(errors[0] - errors[1]) / 2, rel=1e-5)
    # Without a model nothing would be explained; the noise leaves nine tenths to explain.
    assert score["overall"]["r_squared"]["value"] > 0.5
    assert "fold 2 of 2, span 3: mean absolute error" in printed.err
    assert "<svg" in page.read_text()
    assert sorted(tmp_path.rglob("*")) == sorted([*before, page])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--spans", "9"], "--spans: there is no span 9. Found: 1, 2, 3."),
        (["--spans", "two"], "--spans: expected a number such as 5, or several as 5-9. Received: 'two'."),
        (["--spans", "2017-12-01..2017-12-02"], "dataset.toml are numbers: the pattern"),
        (["--spans", "1"], "--spans: span 1 has no span before it to train on. Begin with 2."),
    ],
)
def test_spans_that_cannot_be_predicted_are_refused(words, message, tmp_path, capfd):
    folder = task_datasets.write(tmp_path / "numbers", "regression")
    assert main(["evaluate", "--folds", "--dataset", str(folder), *words]) == 2
    assert message in capfd.readouterr().err
