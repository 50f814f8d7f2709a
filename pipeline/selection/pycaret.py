"""PyCaret as a contender. It lowers numpy and scikit-learn, so it lives in an environment of its own, made by uv.

Rows go there as Parquet, predictions and costs come back as Parquet and JSON; nothing of it is ever imported here.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.errors import ConfigError, PipelineError
from pipeline.selection import baselines
from pipeline.selection.fold_rows import FoldRows
from pipeline.selection.scoring import Contender, Trained

PYTHON = "3.11"
"""The newest Python that PyCaret 3.3 takes."""
REQUIREMENTS = ("pycaret==3.3.2", "six>=1.16", "setuptools<81", "pyarrow>=15,<20")
"""The two in the middle are what it needs and does not declare; later pyarrow needs numpy 2, which it excludes."""
_WORKER = Path(__file__).with_name("pycaret_worker.py")
_COMPLETE = "complete"
_LABEL = "what is predicted"
_FOLDS, _MOST_ONE_HOT = 3, 25
_SORT = {"binary": "AUC", "multiclass": "Accuracy", "regression": "MAE"}


class PycaretError(PipelineError):
    """PyCaret's environment could not be made, or PyCaret itself failed."""


def environment(folder: Path, say: Callable[[str], None]) -> Path:
    """Returns the interpreter of PyCaret's environment in `folder`; makes it where it is not complete.

    Raises:
      ConfigError: there is no uv.
      PycaretError: uv could not make it; carries what it said.
    """
    python = folder / "bin" / "python"
    if (folder / _COMPLETE).is_file() and (folder / _COMPLETE).read_text(encoding="utf-8") == "\n".join(REQUIREMENTS):
        return python
    uv = _uv()
    say(f"Installing PyCaret into an environment of its own, {folder} (once; about 1 GB)")
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        _run([*uv, "venv", "--quiet", "--python", PYTHON, str(folder)])
        _run([*uv, "pip", "install", "--quiet", "--python", str(python), *REQUIREMENTS])
    except BaseException:  # Ctrl-C among them: what is there of about 1 GB is of no use.
        shutil.rmtree(folder, ignore_errors=True)
        raise
    # Last: a folder without it was not finished, as after a kill, and is made again.
    (folder / _COMPLETE).write_text("\n".join(REQUIREMENTS), encoding="utf-8")
    return python


def _uv() -> list[str]:
    if importlib.util.find_spec("uv") is not None:
        return [sys.executable, "-m", "uv"]
    found = shutil.which("uv")
    if found is None:
        raise ConfigError("--with pycaret: uv makes PyCaret's environment, and there is none. Run: pip install uv")
    return [found]


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = "\n  ".join(done.stderr.strip().splitlines()[-8:])
        raise PycaretError(
            f"PyCaret's environment could not be made; `{' '.join(command[-6:])}` ended with status "
            f"{done.returncode}:\n  {said}\nCompare without it: leave out --with pycaret."
        )


def contender(python: Path, seed: int, minutes: float) -> Contender:
    """Returns what has PyCaret choose among its models on the train rows, and the best one predict.

    It does not take weights, and gives numbers without intervals: theirs are quantiles of the train labels around it.

    Args:
      minutes: for PyCaret's choice on one fold.
    """

    def train(rows: FoldRows) -> Trained:
        folder = Path(rows.folder) / "pycaret"
        folder.mkdir()
        features = rows.features
        numeric, categories = baselines.columns_of(features)
        bags = [one.name for one in features.encoded if one.kind.is_bag]
        labels, weights = rows.targets(rows.train_table)
        frame = baselines.frame(rows.train_table, features)
        frame[_LABEL] = labels if features.task == "regression" else labels.astype(np.int64)
        frame.to_parquet(folder / "train.parquet")
        baselines.frame(rows.test, features).to_parquet(folder / "test.parquet")
        job = {
            "task": features.task,
            "label": _LABEL,
            "seed": seed,
            "numeric": numeric,
            "categorical": [*categories, *bags],
            "most_one_hot": _MOST_ONE_HOT,
            "folds": _FOLDS,
            "jobs": os.cpu_count(),
            "sort": _SORT[features.task],
            "minutes": minutes,
        }
        (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
        _work(python, folder, rows.fold.span)
        answer = json.loads((folder / "answer.json").read_text(encoding="utf-8"))
        answers = pd.read_parquet(folder / "answers.parquet")
        return Trained(
            predictions=_predictions(answers, rows, labels, weights),
            fit_seconds=answer["fit_seconds"],
            predict_seconds=answer["predict_seconds"],
            size_bytes=answer["size_bytes"],
            note=answer["model"],
        )

    return train


def _work(python: Path, folder: Path, span: int) -> None:
    """Runs the worker in the same process group, so that Ctrl-C ends it too."""
    # Isolated: neither our folders nor what PYTHONPATH names may be imported there.
    command = [str(python), "-I", str(_WORKER), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line for line in done.stderr.strip().splitlines() if line.strip()]
        raise PycaretError(
            f"PyCaret failed on span {span}: {lines[-1] if lines else f'status {done.returncode}'} "
            "Compare without it: leave out --with pycaret."
        )


def _predictions(answers: pd.DataFrame, rows: FoldRows, labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    target = rows.features.target
    if target.task == "regression":
        value = answers["value"].to_numpy(np.float64)
        centre = float(np.average(labels, weights=weights))
        lower, upper = baselines.quantiles(labels - centre, weights, target)
        return np.stack([value, value + min(lower, 0.0), value + max(upper, 0.0)], axis=1)
    count = 2 if target.task == "binary" else len(target.classes)
    found = np.zeros((len(answers), count))
    for column in answers:
        found[:, int(str(column).removeprefix("class "))] = answers[column]
    return found[:, 1] if target.task == "binary" else found
