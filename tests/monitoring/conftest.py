"""A dataset and a root with one pushed version, without a SavedModel: the monitor reads what lies beside it."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from google.protobuf import text_format

from pipeline.config.dataset import Dataset, load_dataset
from pipeline.gate.measuring import build_baseline
from pipeline.gate.performance import evaluate
from pipeline.gate.policy import GatePolicy
from pipeline.state.root import Root
from tests.helpers import windows

VERSION = 100
DATASET = """
name = "small"
schema = "schema.pbtxt"
[label]
expression = "tips > 0.2 * fare"
[features]
numeric = ["fare", "miles"]
categorical = ["payment", "area"]
[features.cyclical]
month = 12
[evaluation]
min_auc = 0.6
[gate]
exclude = ["month"]
min_rows = 300
[serving]
model_name = "m"
"""


@dataclass(frozen=True)
class Site:
    """A dataset, its root, and an empty request log."""

    dataset: Dataset
    root: Root
    log: Path
    probabilities: np.ndarray

    @property
    def features(self):
        return self.dataset.features


def answers(number: int, seed: int = 0, shift: float = 0.0) -> np.ndarray:
    """Probabilities as the model of these tests answers them, (number,)."""
    return np.clip(np.random.default_rng(seed).beta(2, 6, number) + shift, 0, 1).astype(np.float32)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    (folder / "dataset").mkdir()
    (folder / "dataset" / "dataset.toml").write_text(DATASET)
    (folder / "dataset" / "schema.pbtxt").write_text(text_format.MessageToString(windows.SCHEMA))
    extra = folder / "root" / "serving" / "m" / str(VERSION) / "assets.extra"
    extra.mkdir(parents=True)
    defaults = {"fare": "NaN", "miles": "NaN", "month": "NaN", "payment": "", "area": -1}
    described = {name: {"missing": value, "dtype": "", "description": ""} for name, value in defaults.items()}
    (extra / "feature_defaults.json").write_text(json.dumps(described))
    labels = np.random.default_rng(1).random(3_000) < answers(3_000)
    baseline = build_baseline(
        windows.window(800),
        windows.SCHEMA,
        windows.FEATURES,
        GatePolicy(exclude=("month",)),
        evaluation=evaluate(labels.astype(float), answers(3_000)),
        statistics=None,
    )
    baseline.save(str(extra / "baseline"))
    np.savez(extra / "baseline" / "predictions.npz", probabilities=answers(3_000))
    return folder


@pytest.fixture
def site(template: Path, tmp_path: Path) -> Site:
    shutil.copytree(template, tmp_path / "site")
    root = Root(tmp_path / "site" / "root")
    root.prepare()
    (tmp_path / "log").mkdir()
    dataset = load_dataset(str(tmp_path / "site" / "dataset"))
    return Site(dataset=dataset, root=root, log=tmp_path / "log", probabilities=answers(2_000, 7))
