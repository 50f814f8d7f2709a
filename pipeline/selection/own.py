"""The dataset's own configuration as a contender: the same transform, training and calibration as a run's."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from models.model_spec import ModelSpec
from models.own.source import BUILD_MODEL, RUN, OwnCode
from models.target import Target
from models.training_spec import TrainingSpec
from pipeline.errors import ConfigError
from pipeline.selection.fold_rows import FoldRows
from pipeline.selection.scoring import Contender, Trained

if TYPE_CHECKING:
    from models.fitting import Fitted
    from models.packed import Layout, Rows

_SAMPLE_ROWS = 1_000


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """What a dataset says of its model: hyperparameters, learner, and own code where there is some."""

    training: TrainingSpec
    model: ModelSpec
    own: OwnCode | None = None

    def __post_init__(self) -> None:
        if self.own is not None and RUN in self.own.functions:
            raise ConfigError(
                f"{self.own.entry}: a run_fn of your own reads files and writes a model by itself, so it cannot be "
                "trained on folds in memory. Score what it pushes with `replay`."
            )

    def on(self, rows: int) -> Configuration:
        """Returns it with the name of the learner that trains on so many rows, unless own code builds the model."""
        from models.learners.registry import settled

        if self.own is not None and BUILD_MODEL in self.own.functions:
            return self
        return dataclasses.replace(self, model=settled(self.model, rows))


def contender(configuration: Configuration, deployed_on: int | None = None) -> Contender:
    """Returns what trains a configuration.

    Args:
      deployed_on: the span of the fold whose model is written as it would be pushed, to be measured; an export takes
        seconds, and one tells as much as many.
    """

    def train(rows: FoldRows) -> Trained:
        started = time.perf_counter()
        packed = rows.packed
        fitted = fit(packed.train, packed.layout, configuration, rows.features.target)
        seconds = time.perf_counter() - started
        if rows.fold.span == deployed_on:
            return _deployed(fitted, rows, seconds)
        return Trained(predictions=predict(fitted, packed.test), fit_seconds=seconds)

    return train


def fit(train: Rows, layout: Layout, configuration: Configuration, target: Target) -> Fitted:
    """Trains a learner as a run does, from random weights."""
    from models import fitting
    from models.learners.registry import of_model
    from models.own.learner import learner_of

    learner = learner_of(configuration.own) or of_model(configuration.model, len(train))
    return fitting.fit(train, layout, configuration.training, None, target, configuration.model, learner)


def predict(fitted: Fitted, rows: Rows) -> np.ndarray:
    """Returns what a trained model says of rows, as `Task.predictions` gives it."""
    outputs = fitted.members.predict(rows.floats, rows.ids).mean(axis=1)
    return fitted.task.predictions(fitted.calibration.apply(outputs))


def _deployed(fitted: Fitted, rows: FoldRows, fit_seconds: float) -> Trained:
    """Writes the model as a run does, has it predict the raw rows, and measures both."""
    from models import signatures
    from models.predictor import Predictor

    folder = Path(rows.folder) / "model"
    signatures.export(
        fitted.members,
        fitted.task,
        fitted.calibration,
        rows.packed.graph,
        rows.features,
        str(folder),
        rows.train[-1][1].slice(0, _SAMPLE_ROWS),
    )
    predictor = Predictor(str(folder))
    predictor.predict(rows.test.slice(0, 1))  # A server has answered once before it is asked.
    started = time.perf_counter()
    predictions = predictor.predict(rows.test)
    return Trained(
        predictions=predictions,
        fit_seconds=fit_seconds,
        predict_seconds=time.perf_counter() - started,
        size_bytes=sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()),
    )
