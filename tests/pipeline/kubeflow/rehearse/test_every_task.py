"""A compiled pipeline of every task, rehearsed from its file to the pushed version, and a span that asks for nothing.

Here the containers' commands run in this process, one after the other: what they do with their inputs is the same, and
the imports are paid for once. Processes as bare as containers: tests/e2e/test_rehearsal.py, `make prove-rehearsal`.
"""

import json
import logging
import runpy
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from models.predictor import Predictor
from models.tasks import predictions_of
from pipeline.commands.rehearse import result_of
from pipeline.config.dataset import load_dataset
from pipeline.kubeflow.rehearse import dag
from pipeline.runs.outcome import Result
from tests.helpers import task_datasets
from tests.helpers.bulk_inferrer import infer, predictions
from tests.pipeline.kubeflow import golden

LEARNER = {"regression": "trees", "multiclass": "trees"}
SIGNATURE = {"regression": "serve_examples", "multiclass": "classify"}


class InThisProcess:
    """Stands for `Processes`."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def run(self, command, environment, log):  # As bare as this process is.
        python, option, module, *arguments = command
        assert (python, option) == ("python", "-m")
        before, sys.argv = sys.argv, [module, *arguments]
        try:
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        except SystemExit as end:
            return int(end.code or 0)
        finally:
            sys.argv = before
        return 0


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch):
    """Runs the commands here, and gives back what absl makes of the process's logging."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    monkeypatch.setattr(dag, "Processes", InThisProcess)
    yield
    root.handlers[:] = before[0]
    root.setLevel(before[1])


TUNING = """
[tuning]
each_training = true
trials = 2
folds = 1
[tuning.space]
tree_rate = [0.2]
"""
"""Of a number's trees: a search, which needs a span before the first that is trained on."""


@pytest.mark.parametrize("task", task_datasets.TASKS)
def test_the_first_span_is_pushed_and_one_like_it_skipped(task, tmp_path):
    is_tuned = task == "regression"
    folder = task_datasets.write(tmp_path / task, task, spans=2 + is_tuned, learner=LEARNER[task])
    if is_tuned:
        with (folder / "dataset.toml").open("a", encoding="utf-8") as file:
            file.write(TUNING)
    package = golden.compiled(
        "vertex",
        dataset=load_dataset(str(folder)),
        data_root=str(folder / "spans"),
        pipeline_root=f"file://{tmp_path}/root",
        serving_dir=str(tmp_path / "serving"),
        state_dir=str(tmp_path / "state"),
    )

    first, second = (
        dag.rehearse(
            package,
            {"span": span},
            tmp_path / "out",
            jobs=1,
            on_start=lambda task: None,
            on_end=lambda result: None,
            pause=lambda seconds: None,
        )
        for span in (1 + is_tuned, 2 + is_tuned)
    )

    assert [result.why for result in (*first.results, *second.results) if result.status == "failed"] == []
    assert (result_of(first), result_of(second)) == (Result.PUSHED, Result.SKIPPED)
    if is_tuned:
        (best,) = first.outputs("Tuner", "best_hyperparameters")
        told = Path(best["uri"].removeprefix("file://"), "best_hyperparameters.txt").read_text(encoding="utf-8")
        # One span cannot tell the better rate from luck, so the dataset's own stays: the default, in docs/config.md.
        assert json.loads(told)["values"] == {"tree_rate": 0.1}
        (found,) = first.outputs("Tuner", "tuner_results")
        tuning = Path(found["uri"].removeprefix("file://"), "tuning.json").read_text(encoding="utf-8")
        assert [trial["values"]["tree_rate"] for trial in json.loads(tuning)["trials"]] == [0.1, 0.2]
    (version,) = (tmp_path / "serving").iterdir()
    predictor = Predictor(str(version))
    assert predictor.task == task
    # The stock BulkInferrer takes the examples of the first run, and answers as the version does.
    (examples,) = first.outputs("ExampleGen", "examples")
    inferred = predictions(infer(examples["uri"].removeprefix("file://"), version, tmp_path, SIGNATURE[task]))
    parsed = [tf.train.Example.FromString(example).features.feature for example, _ in inferred]
    rows = pa.table(
        {
            "distance": [one["distance"].float_list.value[0] for one in parsed],
            "line": [one["line"].bytes_list.value[0].decode() for one in parsed],
        }
    )
    answered = {name: np.array([outputs[name][0] for _, outputs in inferred]) for name in inferred[0][1]}
    assert len(inferred) == task_datasets.ROWS
    np.testing.assert_allclose(predictions_of(answered), predictor.predict(rows), rtol=1e-5, atol=1e-5)
