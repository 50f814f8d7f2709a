"""The dataset's own configuration as a contender: the same transform, training and calibration as a run's."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from models.target import Target
from models.training_spec import TrainingSpec
from pipeline.selection.fold_rows import FoldRows
from pipeline.selection.scoring import Contender, Trained

if TYPE_CHECKING:
    from models.fitting import Fitted
    from models.packed import Layout, Rows


def contender(spec: TrainingSpec) -> Contender:
    """Returns what trains the dataset's learner with these hyperparameters."""

    def train(rows: FoldRows) -> Trained:
        started = time.perf_counter()
        packed = rows.packed
        predictions = predicted(packed.train, packed.test, packed.layout, spec, rows.features.target)
        return Trained(predictions=predictions, fit_seconds=time.perf_counter() - started)

    return train


def predicted(train: Rows, test: Rows, layout: Layout, spec: TrainingSpec, target: Target) -> np.ndarray:
    """Returns what a model that is trained on some rows says of others, as `Task.predictions` gives it."""
    from models.fitting import fit

    return predict(fit(train, layout, spec, target=target), test)


def predict(fitted: Fitted, rows: Rows) -> np.ndarray:
    """Returns what a trained model says of rows."""
    outputs = fitted.members.predict(rows.floats, rows.ids).mean(axis=1)
    return fitted.task.predictions(fitted.calibration.apply(outputs))
