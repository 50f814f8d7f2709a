"""Models of several classes and of numbers go the whole way: trained, judged, served, asked, and held to new spans."""

import json

import pyarrow.parquet as pq
import pytest

from models.predictor import Predictor
from tests.e2e.conftest import run
from tests.helpers import task_datasets

pytestmark = pytest.mark.e2e

ANSWER = {
    "regression": ("value", "lower", "upper"),
    "multiclass": ("probabilities", "classes", "class"),
}
MAIN = {"regression": "mean_absolute_error", "multiclass": "sparse_categorical_accuracy"}
WORSE = {"regression": "the live model's mean absolute error", "multiclass": "the live model's log loss"}


@pytest.mark.parametrize("task", task_datasets.TASKS)
def test_a_model_is_pushed_asked_and_held_to_its_task(task, tmp_path):
    folder, root = task_datasets.write(tmp_path / task, task, spans=2), tmp_path / "root"
    task_datasets.write_span(folder, 3, later=4, rows=2_000)
    task_datasets.write_span(folder, 4, turned=True)
    where = ("--dataset", folder, "--root", root)

    first = run("run", *where, "--span", 1, "--json")
    assert first.status == 0, first.err
    (overall, *slices) = first.json["evaluation"]["slices"]
    assert (first.json["evaluation"]["task"], overall["metric"]) == (task, MAIN[task])
    assert {item["slice"] for item in slices} == {"line=red", "line=blue", "line=green"}

    version = root / "serving" / task / str(first.json["pushed_version"])
    assert Predictor(str(version)).task == task
    # The run itself has asked the server for rows, and compared its answers with these.
    (tmp_path / "row.csv").write_text("distance,line,riders\n30.0,red,1\n")
    asked = run("predict", *where, "--batch", tmp_path / "row.csv", "--output", tmp_path / "row.parquet")
    assert asked.status == 0, asked.err
    (answer,) = pq.read_table(tmp_path / "row.parquet").to_pylist()
    assert set(answer) >= set(ANSWER[task])
    if task == "regression":
        # 30 - 12 + 6 = 24 minutes late, and 3 of noise: 80 % lie within 3.8 on either side.
        assert answer["lower"] < answer["value"] < answer["upper"]
        assert answer["value"] == pytest.approx(24, abs=5)
    else:
        assert answer["class"] == "not at all"
        assert sum(answer["probabilities"]) == pytest.approx(1, abs=1e-4)

    same = run("run", *where, "--span", 2, "--json")
    assert same.json["decision"]["verdict"] == "skip", same.json["decision"]

    # All rides are later by four minutes: an offset repairs that, and no training is needed for it.
    shifted = run("run", *where, "--span", 3, "--json")
    assert shifted.json["decision"]["verdict"] == "recalibrate", shifted.json["decision"]
    assert shifted.json["pushed_version"], shifted.err
    again = run("predict", *where, "--batch", tmp_path / "row.csv", "--output", tmp_path / "row.parquet")
    assert again.status == 0, again.err
    (repaired,) = pq.read_table(tmp_path / "row.parquet").to_pylist()
    if task == "regression":
        assert repaired["value"] - answer["value"] == pytest.approx(4, abs=1)
    else:
        assert repaired["probabilities"][0] < answer["probabilities"][0]

    turned = run("run", *where, "--span", 4, "--explain", "--json")
    assert turned.json["decision"]["verdict"] == "rerun"
    assert WORSE[task] in json.dumps(turned.json, ensure_ascii=False)
