"""What trials of hyperparameters are trained and judged on: the rows of a window, and folds over its spans."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from columnar import examples
from models import training
from models.errors import ModelError, TrainingError
from models.features import FeatureSpec
from models.learners.spaces import Choices
from models.packed import Layout, Rows
from models.training_spec import TrainingSpec
from models.transform_graph import TransformGraph
from pipeline.errors import DataError
from pipeline.evaluation import metrics, registry
from pipeline.evaluation.metrics import Sample
from pipeline.ingest.training_window import by_span
from pipeline.selection import must_beat, own, scores
from pipeline.selection.folds import Fold
from pipeline.selection.own import Configuration
from pipeline.selection.tuning_spec import TuningSpec

_REPLICATES = 20


def read(patterns: Sequence[str], graph: TransformGraph, layout: Layout) -> Rows:
    """Returns the rows of a window with labels, oldest first, with the spans' own numbers.

    Raises:
      DataError: fewer than two spans have labels.
    """
    found = sorted(path for pattern in patterns for path in examples.matching(*os.path.split(pattern)))
    parts = []
    for span, paths in by_span(found).items():
        with contextlib.suppress(TrainingError):  # None of its rows has a label.
            part = training.read_rows(paths, graph, layout)
            parts.append(dataclasses.replace(part, spans=np.full(len(part), span)))
    if len(parts) < 2:
        there = ", ".join(str(part.spans[0]) for part in parts) or "none"
        raise DataError(
            f"Tuning needs at least two spans with labels: one to train on, and a later one to predict. Found: {there}."
        )
    weights = [part.weights for part in parts if part.weights is not None]
    return Rows(
        floats=np.concatenate([part.floats for part in parts]),
        ids=np.concatenate([part.ids for part in parts]),
        labels=np.concatenate([part.labels for part in parts]),
        spans=np.concatenate([part.spans for part in parts]),
        weights=np.concatenate(weights) if weights else None,
    )


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A model on a fold.

    Attributes:
      value: of the metric.
      ahead: by how much it is better than the other model; 0 where there is none.
      error: standard error of `ahead`; infinite where the rows are too few to tell.
    """

    value: float
    ahead: float = 0.0
    error: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Search:
    """What trials are trained and judged on.

    Attributes:
      rows: of all spans, whose numbers are the spans' own.
      left_out: which spans cannot be judged, and why; empty where all can.
    """

    configuration: Configuration
    features: FeatureSpec
    rows: Rows
    layout: Layout
    folds: tuple[Fold, ...]
    left_out: str = ""

    @property
    def metric(self) -> str:
        """By which trials are compared; see must_beat."""
        return must_beat.METRICS[self.features.task]

    def predict(self, fold: Fold, training_: TrainingSpec) -> np.ndarray:
        """Returns what a model that was trained on a fold's earlier spans says of its span.

        Raises:
          TrainingError: it cannot be trained, or what it says is no number.
        """
        train = self.rows.part(np.isin(self.rows.spans, fold.trained_on))
        configuration = dataclasses.replace(self.configuration, training=training_)
        try:
            fitted = own.fit(train, self.layout, configuration, self.features.target)
        except ModelError as error:
            raise TrainingError(
                f"span {fold.span}, trained on {', '.join(map(str, fold.trained_on))}: {error}"
            ) from error
        predictions = own.predict(fitted, self.rows.part(self.rows.spans == fold.span))
        if not np.isfinite(predictions).all():
            raise TrainingError(f"span {fold.span}: what it predicts is no number. Lower learning_rate.")
        return predictions

    def measure(self, fold: Fold, first: np.ndarray, other: np.ndarray | None = None) -> Measured:
        """Returns the metric of `first`, and by how much it is better than `other`."""
        part = self.rows.part(self.rows.spans == fold.span)
        models = {"first": first} if other is None else {"first": first, "other": other}
        sample = Sample(
            labels=part.labels.astype(np.float64),
            predictions={name: np.asarray(one, np.float64) for name, one in models.items()},
            weights=part.shares,
        )
        found = metrics.measure(sample, self.features.target, _REPLICATES if other is not None else 0, seed=1)
        value = found["first"][self.metric].value
        if other is None:
            return Measured(value=value)
        second = found["other"][self.metric]
        error = second.difference_deviation
        return Measured(
            value=value,
            ahead=registry.METRICS[self.metric].sign * (value - second.value),
            error=math.inf if error is None else error,
        )

    def judged(self) -> Search:
        """Returns the search over those folds on which the metric is defined.

        Raises:
          DataError: it is defined on none.
        """
        folds = tuple(fold for fold in self.folds if self._is_judged(fold))
        out = [fold.span for fold in self.folds if fold not in folds]
        if not out:
            return self
        why = scores.undefined_on(self.metric, out)
        if not folds:
            raise DataError(f"{why}. No span is left to judge trials by: name more with [tuning] folds.")
        return dataclasses.replace(self, folds=folds, left_out=f"{why}; trials are not judged there.")

    def _is_judged(self, fold: Fold) -> bool:
        """Whether the labels let the metric be: of yes and no, AUC needs both."""
        labels = self.rows.labels[self.rows.spans == fold.span]
        return self.metric != registry.AUC or len(np.unique(labels)) > 1

    def key(self, spec: TuningSpec, code: str) -> str:
        """Returns what tells this search from others: the rows, the configuration and the code; not how long it is."""
        digest = hashlib.sha256()
        for array in (self.rows.floats, self.rows.ids, self.rows.labels, self.rows.spans):
            digest.update(np.ascontiguousarray(array).tobytes())
        config = self.configuration
        texts = (config.training.to_json(), config.model.to_json(), code, config.own.digest if config.own else "")
        space = json.dumps([spec.folds, spec.seed, {name: list(one) for name, one in self.choices(spec).items()}])
        digest.update("\n".join((*texts, space)).encode())
        return digest.hexdigest()[:16]

    def choices(self, spec: TuningSpec) -> dict[str, Choices]:
        """Returns the values that are tried, the configuration's own first."""
        return spec.choices(self.configuration.training, self.configuration.model)
