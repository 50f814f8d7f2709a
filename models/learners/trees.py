"""Gradient boosted trees: LightGBM grows them, and TensorFlow's own operations answer as they do (models/forest.py).

How many trees there are is chosen by the rows of all folds, each of which judges the members not trained on it. Numbers
enter as they are, with missing ones native to the trees; ids that have an order as numbers; other ids as categories, of
which a split takes any set.

Source: Ke et al., "LightGBM: a highly efficient gradient boosting decision tree", 2017.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any, ClassVar

import numpy as np

from models.calibration import Calibration
from models.errors import TrainingError
from models.forest import Columns, Forest, OnPackedForest
from models.learners.protocol import Job, OnStacked, Trained, Vocabularies
from models.model_spec import LearnerName, ModelSpec
from models.packed import Layout
from models.stacked_features import Names
from models.target import Target
from models.tasks import Regression, Task
from models.training_spec import TrainingSpec
from models.value_names import ValueNames

logger = logging.getLogger(__name__)

_PATIENCE = 30
"""Rounds without a better loss on the held-out folds before the members stop growing."""
_DEPTH = 10
"""Levels of a tree at most: one row passes through as many steps of the exported graph."""
_VALUE_OBJECTIVES = {"squared": {"objective": "regression"}, "absolute": {"objective": "regression_l1"}}
_HUBER = {"objective": "huber", "alpha": 1.0}
_DIRECTIONS = {"up": 1, "down": -1}

Booster = Any  # lightgbm.Booster: the library is optional and has no types.


class TreesMembers:
    """The boosters of every member, in the order of outputs: one for all classes, or one for each number."""

    def __init__(self, columns: Columns, folds: np.ndarray, boosters: Sequence[Sequence[Booster]]) -> None:
        self.layout, self.folds = columns.layout, folds
        self._columns, self._boosters = columns, boosters

    def predict(self, floats: np.ndarray, ids: np.ndarray) -> np.ndarray:
        values = self._columns.values(floats, ids)
        found: dict[int, np.ndarray] = {}  # Members of one fold are the same.
        for member, fold in enumerate(self.folds.tolist()):
            if fold not in found:
                parts = [each.predict(values, raw_score=True) for each in self._boosters[member]]
                found[fold] = np.concatenate([part.reshape(len(values), -1) for part in parts], axis=1)
        return np.stack([found[fold] for fold in self.folds.tolist()], axis=1).astype(np.float32)

    def on_packed(self) -> OnPackedForest:
        return OnPackedForest(Forest.of(self._dumps(), self._columns))

    def on_stacked(self, names: Names) -> OnStacked | None:
        del names  # There is nothing to fold.
        return None

    def keep(self, model_dir: str, vocabularies: Vocabularies, target: Target) -> None:
        """Keeps nothing: trees are grown anew."""

    def explain(self, names: ValueNames, outputs: Sequence[str], calibration: Calibration) -> dict[str, Any]:
        """How much of the fall in loss each column brought, and how many trees there are."""
        del names, outputs, calibration
        gains = np.zeros(len(self._columns.names))
        for booster in (each for of_member in self._boosters for each in of_member):
            gain = booster.feature_importance("gain")
            gains += gain / max(gain.sum(), 1e-12)
        order = np.argsort(-gains, kind="stable")
        shares = gains / max(gains.sum(), 1e-12)
        return {
            "kind": "importance",
            "columns": [{"column": self._columns.names[i], "share": float(shares[i])} for i in order.tolist()],
            "trees": [sum(each.num_trees() for each in of_member) for of_member in self._boosters],
        }

    def _dumps(self) -> list[list[Mapping[str, Any]]]:
        """Every member's boosters as JSON, each fold's once."""
        by_fold = {fold: self._boosters[member] for member, fold in enumerate(self.folds.tolist())}
        counts = {fold: int(np.count_nonzero(self.folds == fold)) for fold in by_fold}
        if len(set(counts.values())) == 1:
            return [[each.dump_model() for each in of_member] for of_member in by_fold.values()]
        return [[each.dump_model() for each in of_member] for of_member in self._boosters]


class TreesLearner:
    """Grows every member's trees until the held-out folds are predicted no better."""

    name: ClassVar[LearnerName] = "trees"

    def start_from(
        self, base_model: str | None, layout: Layout, spec: TrainingSpec, vocabularies: Vocabularies, target: Target
    ) -> tuple[None, str]:
        del base_model, layout, spec, vocabularies, target
        return None, "trees are always grown anew"

    def train(self, job: Job) -> Trained:
        lightgbm = _lightgbm()
        columns = Columns.of(job.layout)
        values = columns.values(job.rows.floats, job.rows.ids)
        encoded = job.task.encode(job.rows.labels)
        folds = sorted(set(job.folds.of_members.tolist()))
        weights = [float(job.rows.shares[job.folds.of_rows == fold].sum()) for fold in folds]
        by_objective = []
        with ExitStack() as stack:
            threads = [stack.enter_context(ThreadPoolExecutor(1)) for _ in folds]
            for objective in _objectives(job.task, job.spec):
                started = [
                    thread.submit(_start, lightgbm, job, columns, values, encoded, fold, objective)
                    for thread, fold in zip(threads, folds, strict=True)
                ]
                boosters = [each.result() for each in started]
                rounds = _grow(boosters, weights, job.spec.trees, threads)
                logger.info("%s: %d rounds", objective["objective"], rounds)
                # Written and read: the trees after the best round are gone, and so are the rows.
                texts = [each.model_to_string(num_iteration=rounds) for each in boosters]
                by_objective.append([lightgbm.Booster(model_str=text) for text in texts])
        of_fold = dict(zip(folds, zip(*by_objective, strict=True), strict=True))
        of_members = [of_fold[fold] for fold in job.folds.of_members.tolist()]
        return Trained(members=TreesMembers(columns, job.folds.of_members, of_members))


def _objectives(task: Task, spec: TrainingSpec) -> list[dict[str, Any]]:
    """What each booster of a member learns."""
    if isinstance(task, Regression):
        ends = [{"objective": "quantile", "alpha": level} for level in task.levels]
        return [_VALUE_OBJECTIVES.get(spec.loss, _HUBER), *ends]
    if task.outputs == 1:
        return [{"objective": "binary"}]
    return [{"objective": "multiclass", "num_class": task.outputs}]


def _start(
    lightgbm: Any,  # The module.
    job: Job,
    columns: Columns,
    values: np.ndarray,
    encoded: np.ndarray,
    fold: int,
    objective: Mapping[str, Any],
) -> Booster:
    """A booster without trees, which trains on all rows but the fold's and is judged on these."""
    spec, held_out = job.spec, job.folds.of_rows == fold
    settings = {
        "learning_rate": spec.tree_rate,
        "num_leaves": spec.tree_leaves,
        "min_data_in_leaf": spec.tree_rows,
        "max_depth": _DEPTH,
        "seed": (spec.seed + fold) % 2**31,
        "deterministic": True,
        "num_threads": 1,
        "verbosity": -1,
        **_constraints(columns, job.model, objective),
        **objective,
    }
    data = lightgbm.Dataset(
        values[~held_out],
        encoded[~held_out],
        weight=job.rows.shares[~held_out],
        categorical_feature=list(columns.categories),
        params=settings,
    )
    booster = lightgbm.Booster(settings, data)
    judged = data.create_valid(values[held_out], encoded[held_out], weight=job.rows.shares[held_out], params=settings)
    booster.add_valid(judged, "held out")
    return booster


def _grow(
    boosters: Sequence[Booster], weights: Sequence[float], most: int, threads: Sequence[ThreadPoolExecutor]
) -> int:
    """Adds rounds until the held-out folds together are predicted no better; returns after which round they were best.

    All grow as long: one that stopped by its own fold alone would have learned from it when to stop.

    Args:
      threads: one for each booster, in which it was made: LightGBM keeps its number of threads and what it prints by
        thread. Not several for one booster: those would wait for each other at every split, and on a machine that has
        other work too each wait lasts until all of them have had their turn.
    """
    best, rounds = math.inf, 1
    for number in range(1, most + 1):
        steps = [thread.submit(_add_round, booster) for thread, booster in zip(threads, boosters, strict=True)]
        loss = float(np.average([step.result() for step in steps], weights=weights))
        if loss < best:
            best, rounds = loss, number
        elif number - rounds >= _PATIENCE:
            break
    return rounds


def _add_round(booster: Booster) -> float:
    """Adds a tree for each output; returns the loss on held-out rows."""
    booster.update()
    return float(booster.eval_valid()[0][2])


def _constraints(columns: Columns, model: ModelSpec, objective: Mapping[str, Any]) -> dict[str, Any]:
    """What LightGBM takes no constraints with are the ends of an interval."""
    directions = [_DIRECTIONS.get(model.monotonic.get(name, ""), 0) for name in columns.names]
    if not any(directions) or objective["objective"] == "quantile":
        return {}
    return {"monotone_constraints": directions}


def _lightgbm() -> Any:  # The module.
    try:
        import lightgbm
    except ImportError as error:
        raise TrainingError(
            "[model] learner = \"trees\" needs LightGBM, which is not installed. Run: pip install 'driftgate[trees]'"
        ) from error
    except OSError as error:  # Its wheel holds no OpenMP, which compilers bring and bare images lack.
        raise TrainingError(
            f"LightGBM cannot load a library of the system: {error}. It needs GNU's OpenMP, libgomp1 on Debian."
        ) from error
    return lightgbm
