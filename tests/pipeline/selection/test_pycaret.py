"""PyCaret is not in the tests' environment: these hold our side of the bridge to what crosses it."""

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest

from models.features import FeatureSpec
from pipeline.selection import pycaret
from pipeline.selection.fold_rows import Spans
from pipeline.selection.folds import Fold

# What stands for PyCaret's interpreter: it answers with the number that it was given.
ECHO = """\
import json, pathlib, sys
import pandas as pd
folder = pathlib.Path(sys.argv[-1])
job = json.loads((folder / "job.json").read_text())
train, test = pd.read_parquet(folder / "train.parquet"), pd.read_parquet(folder / "test.parquet")
assert sorted(train.columns) == sorted([*job["numeric"], *job["categorical"], job["label"]])
pd.DataFrame({"class 0": 1 - test["x"], "class 1": test["x"]}).to_parquet(folder / "answers.parquet")
answer = {"model": job["sort"], "fit_seconds": 2.0, "predict_seconds": 0.5, "size_bytes": 7}
(folder / "answer.json").write_text(json.dumps(answer))
"""
# What stands for uv: it makes a folder, and installs nothing into it.
MAKES_THE_FOLDER_ONLY = """\
import pathlib, sys
if "venv" not in sys.argv:
    raise SystemExit("no index")
(pathlib.Path(sys.argv[-1]) / "bin").mkdir(parents=True)
"""
FEATURES = FeatureSpec(label="y", numeric=("x",), categorical=("line",))
TABLE = pa.table({"x": [0.25, 0.75], "line": pa.array(["red", None], pa.large_string()), "y": [0, 1]})


def interpreter(folder, program):
    (folder / "program.py").write_text(program)
    path = folder / "python"
    path.write_text(f'#!/bin/sh\nexec {sys.executable} {folder / "program.py"} "$@"\n')
    path.chmod(0o755)
    return path


def fold_rows():
    return Spans(lambda _span: TABLE, FEATURES, pycaret_schema()).rows(Fold(span=2, trained_on=(1,)))


def pycaret_schema():
    from tensorflow_metadata.proto.v0 import schema_pb2

    return schema_pb2.Schema()


def test_rows_go_there_and_probabilities_come_back(tmp_path):
    with fold_rows() as rows:
        trained = pycaret.contender(interpreter(tmp_path, ECHO), seed=1, minutes=0.1)(rows)

    np.testing.assert_allclose(trained.predictions, [0.25, 0.75])
    assert (trained.note, trained.fit_seconds, trained.predict_seconds, trained.size_bytes) == ("AUC", 2.0, 0.5, 7)


def test_what_pycaret_says_when_it_fails_is_passed_on(tmp_path):
    python = interpreter(tmp_path, 'raise SystemExit("no model could be trained")')
    with (
        fold_rows() as rows,
        pytest.raises(pycaret.PycaretError, match=r"span 2: no model could be trained Compare wi"),
    ):
        pycaret.contender(python, seed=1, minutes=0.1)(rows)


def test_an_environment_that_cannot_be_made_is_one_message_and_no_half_of_one(tmp_path, monkeypatch):
    monkeypatch.setattr(pycaret, "_uv", lambda: [str(interpreter(tmp_path, MAKES_THE_FOLDER_ONLY))])

    with pytest.raises(pycaret.PycaretError, match=r"could not be made(.|\n)*no index(.|\n)*leave out --with pycaret"):
        pycaret.environment(tmp_path / "env", lambda _text: None)

    assert not (tmp_path / "env").exists()


def test_an_interrupt_leaves_no_half_of_an_environment(tmp_path, monkeypatch):
    def interrupted(command, **_options):
        if "venv" not in command:
            raise KeyboardInterrupt
        (tmp_path / "env" / "lib").mkdir(parents=True)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(subprocess, "run", interrupted)

    with pytest.raises(KeyboardInterrupt):
        pycaret.environment(tmp_path / "env", lambda _text: None)

    assert not (tmp_path / "env").exists()


def test_a_complete_environment_is_used_as_it_is(tmp_path):
    (tmp_path / "complete").write_text("\n".join(pycaret.REQUIREMENTS))
    assert pycaret.environment(tmp_path, pytest.fail) == tmp_path / "bin" / "python"
