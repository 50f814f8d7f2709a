"""What the live model's own answers promise of its performance on a span that has no labels yet.

Where an input moved to where the model is less sure, its probabilities say by how much it is expected to answer worse:
a harm that the distance of the input does not tell. They are held against what such answers said of the spans of the
training window, by networks that were not trained on them, so that a promise that is too good is so on both sides.

It is blind to a change of the concept: a model is as sure of itself after who tips has turned round. So it is said, and
decides nothing, least of all to skip.

A number has no probability of its label. Its interval tells something weaker: where the errors of rows differ in their
scale alone, and not in the form of their distribution, the mean absolute error grows as the intervals' width does.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipeline.evaluation.intervals import Estimate
from pipeline.gate import between_spans, labels, scoring, task_measures
from pipeline.gate.evidence import Promise, PromisedMetric
from pipeline.gate.settings import Settings
from pipeline.gate.yardstick import Yardstick

_RATE = 0.05


def ask(model_dir: Path | str, table: pa.Table, settings: Settings) -> dict[PromisedMetric, Estimate]:
    """Returns what a SavedModel's answers on these rows promise.

    Raises:
      ModelError: it is none, or of another task.
    """
    predictor, target = scoring.predictor_for(model_dir, settings), settings.features.target
    weights = labels.weights(table, target)
    if weights is not None:  # A row that counts nothing is as one without a label.
        table, weights = table.filter(pa.array(weights > 0)), weights[weights > 0]
    if table.num_rows == 0:
        return {}
    return task_measures.promise(np.asarray(predictor.predict(table), np.float64), weights, target.task)


def compare(now: Mapping[PromisedMetric, Estimate], yardstick: Yardstick | None) -> tuple[Promise, ...]:
    """Holds what answers promise against what they promised of the spans of the training window."""
    return tuple(_compare(metric, current, _before(metric, yardstick)) for metric, current in now.items())


def _before(metric: PromisedMetric, yardstick: Yardstick | None) -> list[Estimate]:
    if yardstick is None:
        return []
    of_spans = [span.promised[metric] for span in yardstick.spans if not span.slice and metric in span.promised]
    if of_spans or yardstick.origin.version:  # Another model's answers promise nothing of this one's.
        return of_spans
    overall = yardstick.evaluation.overall.promised
    return [overall[metric]] if metric in overall else []


def _compare(metric: PromisedMetric, current: Estimate, spans: list[Estimate]) -> Promise:
    if not spans:
        return Promise(metric=metric, current=current)
    before, ordinary = between_spans.together(spans)
    low, high = between_spans.difference(before, current, ordinary, _RATE, spans_before=len(spans))
    return Promise(metric=metric, current=current, before=before, low=low, high=high)
