"""What a training would bring, measured before it is paid for: fast trees in the place of the network.

The rows of the span, in the order of their files, are cut in half. On the later half are compared

- trees that learned what a training would read, the earlier half of the span included, with trees that learned what the
  live model did: the same learner twice, so that what it lacks against the network falls out of the difference;
- the live model corrected by trees that also see its own answer and learned from the earlier half alone, with the live
  model: what nothing but the span itself can already put right.

So both are out of time: rows of the same days are not on both sides, which would promise two to three times too much on
flights. Where files are not in the order of time it is ordinary cross-validation.

The live model's slope and offset are also fitted anew to parts of the span and tried on the others. No slope or offset
changes an AUC, and they do change an accuracy or an error. So what they repair is not a training's merit: where the
live model can be recalibrated, and that helps for certain, it and the trees that learned as it did are compared as the
earlier half repairs them.

Gains are in the task's main metric: AUC, accuracy, or the mean absolute error as a share of the live model's.

Sources: gradient boosting over histograms as scikit-learn 1.5 has it; DeLong's paired variance (discrimination.py).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from columnar.numbers import as_float64
from models.features import FeatureSpec
from models.repair import cross_fitted
from models.target import Target
from models.tasks import Task, task_of
from pipeline.evaluation import intervals, number_metrics
from pipeline.evaluation.intervals import Estimate
from pipeline.gate import discrimination, labels, performance, task_measures
from pipeline.gate.distances import Floats
from pipeline.gate.evidence import MAIN, Challenge
from pipeline.gate.feature_columns import compared, with_features

MOST_PAST_ROWS = 40_000
"""Of all earlier spans together; more are sampled."""
MOST_SPAN_ROWS = 40_000
"""Of the span itself, half of them learned and half tried."""
FEWEST_TRIED = 100
FEWEST_OF_A_CLASS = 10
_MOST_CATEGORIES = 250
_TREES = 50
_MOST_TREES = 100
"""Of all classes together: each has trees of its own."""
_FEWEST_TREES = 15


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Labelled rows.

    Attributes:
      matrix: features, (rows, features), NaN where missing.
      truth: labels, (rows,).
      weights: how much each counts, (rows,).
    """

    matrix: Floats
    truth: npt.NDArray[Any]  # Any: int64, or float64 of numbers.
    weights: Floats

    def part(self, rows: slice) -> Rows:
        """Returns some of the rows."""
        return Rows(matrix=self.matrix[rows], truth=self.truth[rows], weights=self.weights[rows])


def challenge(
    past: Mapping[int, pa.Table],
    span: pa.Table,
    *,
    learned: Collection[int],
    would_learn: Collection[int],
    live: Callable[[pa.Table], npt.NDArray[Any]],  # Any: float32 or float64.
    features: FeatureSpec,
    loss: str = "squared",
    repairable: bool = True,
    seed: int = 0,
) -> Challenge | str:
    """Measures what a training would bring on rows like the span's later half.

    Args:
      past: earlier spans, flat columns, features and label columns; rows without a label are left out.
      span: the span's rows in the order of time, those of waiting spans first.
      learned: the spans of `past` that the live model was trained on.
      would_learn: those that a training would read, the span aside.
      live: the live model's predictions, as `Predictor.predict` answers them.
      loss: of a regression's value, by which the live model was trained.
      repairable: whether the live model can be recalibrated.

    Returns:
      What was measured, or why nothing could be.
    """
    rng, target = np.random.default_rng(seed), features.target
    newest, truth = _labelled(span, features, MOST_SPAN_ROWS, rng)
    half = len(truth) // 2
    first, later = slice(None, half), slice(half, None)
    if len(truth) - half < FEWEST_TRIED or not (_varies(truth[later], target, FEWEST_OF_A_CLASS)
                                                and _varies(truth[first], target, 1)):  # fmt: skip
        return f"too few labelled rows to tell what a training would bring: {len(truth):,} in the span"
    numbers = sorted({*learned, *would_learn} & past.keys())
    quota = max(MOST_PAST_ROWS // max(len(numbers), 1), 1)
    parts = [(newest, truth), *(_labelled(past[number], features, quota, rng) for number in numbers)]
    encoded, categorical = encode([table for table, _ in parts], features)
    own, *earlier = (
        Rows(matrix=matrix, truth=truth, weights=_weights(table, target))
        for matrix, (table, truth) in zip(encoded, parts, strict=True)
    )
    by_span = dict(zip(numbers, earlier, strict=True))
    before = _together([by_span[number] for number in numbers if number in learned], target)
    after = _together([*(by_span[number] for number in numbers if number in would_learn), own.part(first)], target)
    if before is None or after is None:
        return "what a training would bring cannot be told: the rows that the live model was trained on are not there"

    task = task_of(target, loss, own.truth, own.weights)
    answers = np.asarray(live(newest), np.float64)
    with_answer = dataclasses.replace(own, matrix=np.column_stack([own.matrix, task.outputs_of(answers)]))
    learn = Trees(target=target, categorical=tuple(categorical), loss=loss, seed=seed).learn
    as_before, as_is = learn(before)(own.matrix), answers
    fall, left = _recalibration(own, answers, cross_fitted(task, answers, own.truth, own.weights), target)
    # One that is not certain would make them worse by its own noise, which would be a training's merit in turn.
    if repairable and target.task != "binary" and fall.low > 0:
        as_before, as_is = (_repaired(task, predictions, own, first) for predictions in (as_before, answers))
    tried = own.part(later)
    trained, corrected = learn(after)(tried.matrix), learn(with_answer.part(first))(with_answer.matrix[later])
    return Challenge(
        rows=len(tried.truth),
        metric=MAIN[target.task],
        gain=_gain(tried, as_before[later], trained, answers[later], target),
        correction=_gain(tried, as_is[later], corrected, answers[later], target),
        recalibration=fall,
        calibration_error=left,
    )


def _labelled(
    table: pa.Table, features: FeatureSpec, most: int, rng: np.random.Generator
) -> tuple[pa.Table, npt.NDArray[Any]]:
    """Returns labelled rows and their labels, in order, at most so many."""
    table, truth = labels.labelled(table, features.target)
    if len(truth) > most:
        chosen = np.sort(rng.choice(len(truth), most, replace=False))
        table, truth = table.take(chosen), truth[chosen]
    return table, truth


def _weights(table: pa.Table, target: Target) -> Floats:
    weights = labels.weights(table, target)
    return np.ones(table.num_rows) if weights is None else weights


def _varies(truth: npt.NDArray[Any], target: Target, fewest: int) -> bool:
    """Whether there is something to learn: two classes with enough rows, or two numbers."""
    if target.task == "regression":
        return bool(len(truth) and truth.min() < truth.max())
    return int((np.bincount(truth, minlength=2) >= fewest).sum()) > 1


def _together(parts: list[Rows], target: Target) -> Rows | None:
    """Returns the rows of all parts; None where nothing is learned from them."""
    if not parts:
        return None
    fields = {field.name: np.concatenate([getattr(part, field.name) for part in parts])
              for field in dataclasses.fields(Rows)}  # fmt: skip
    rows = Rows(**fields)
    return rows if _varies(rows.truth, target, 1) else None


def _repaired(task: Task, predictions: Floats, own: Rows, first: slice) -> Floats:
    """Returns predictions as a slope and an offset repair them that the first rows tell."""
    outputs = task.outputs_of(predictions)
    change = task.repair(outputs[first], own.truth[first], own.weights[first])
    return np.asarray(task.predictions(change.apply(outputs)), np.float64)


def _gain(tried: Rows, one: Floats, other: Floats, live: Floats, target: Target) -> Estimate:
    """Returns by how much `other` is better than `one` on the same rows, in the main metric."""
    weights = tried.weights if target.weight else None
    if target.task == "binary":
        return discrimination.auc_difference(tried.truth, one, other, weights)
    if target.task == "multiclass":
        right, right_before = (task_measures.is_right(tried.truth, each) for each in (other, one))
        return intervals.mean(right - right_before, weights)
    error, error_before, of_live = (np.abs(tried.truth - each[:, 0]) for each in (other, one, live))
    return intervals.mean((error_before - error) / _scale(of_live, tried.weights), weights)


def _recalibration(own: Rows, answers: Floats, repaired: Floats, target: Target) -> tuple[Estimate, Estimate]:
    """Returns what a new slope and offset bring, and the error of calibration that is left with them."""
    weights = own.weights if target.weight else None
    overall = performance.evaluate(own.truth, repaired, task=target.task, weights=weights).overall
    before, after = (_losses(own.truth, each, target) for each in (answers, repaired))
    if target.task != "regression":
        assert overall.ece is not None  # Classifiers have one.
        return intervals.mean(before - after, weights), overall.ece
    scale = _scale(np.abs(own.truth - answers[:, 0]), own.weights)
    bias, error = overall.calibration, intervals.standard_error(overall.calibration) / scale
    left = intervals.around(abs(bias.value) / scale, error, overall.rows)
    return intervals.mean((before - after) / scale, weights), left


def _losses(truth: npt.NDArray[Any], predictions: Floats, target: Target) -> Floats:
    """Returns each row's log loss; of numbers the absolute error, and the quantile losses of the ends."""
    if target.task == "binary":
        return task_measures.losses(truth, predictions)
    if target.task == "multiclass":
        return task_measures.class_losses(truth, predictions)
    value, lower, upper = predictions.T
    ends = number_metrics.pinball(truth - lower, (1 - target.interval) / 2)
    ends += number_metrics.pinball(truth - upper, (1 + target.interval) / 2)
    return np.asarray(np.abs(truth - value) + ends)


def _scale(errors: Floats, weights: Floats) -> float:
    """Returns the mean absolute error, or 1 where there is none."""
    return float(np.average(errors, weights=weights)) or 1.0


def encode(tables: Sequence[pa.Table], features: FeatureSpec) -> tuple[list[Floats], list[int]]:
    """Returns the features of each table as numbers, (rows, features), NaN where missing, and which are categories.

    The columns are those that the gate compares. A category is its place by frequency; the seldom ones share the last.
    """
    made = compared(features)
    with_all = [with_features(table, features) for table in tables]
    names = [one.name for one in made if all(one.name in table.column_names for table in with_all)]
    together = pa.concat_tables([table.select(names) for table in with_all])
    columns: list[Floats] = []
    categorical = []
    for one in made:
        if one.name not in names:
            continue
        column = together.column(one.name)
        if one.distance == "categorical" or pa.types.is_large_string(column.type):
            categorical.append(len(columns))
            columns.append(_by_frequency(column))
        else:
            columns.append(as_float64(column))
    matrix = np.column_stack(columns)
    return np.split(matrix, np.cumsum([table.num_rows for table in tables])[:-1]), categorical


def _by_frequency(column: pa.ChunkedArray) -> Floats:
    codes = column.combine_chunks().dictionary_encode().indices
    missing = pc.is_null(codes).to_numpy(zero_copy_only=False)
    index = pc.fill_null(codes, 0).to_numpy().astype(np.int64)
    rows = np.bincount(index[~missing])
    place = np.empty(len(rows))
    place[np.argsort(-rows, kind="stable")] = np.minimum(np.arange(len(rows)), _MOST_CATEGORIES)
    return np.where(missing, np.nan, place[index] if len(rows) else 0.0)


@dataclass(frozen=True, kw_only=True)
class Trees:
    """The learner of a target.

    Attributes:
      categorical: the features that are categories.
      loss: of a regression's value.
    """

    target: Target
    categorical: tuple[int, ...]
    loss: str
    seed: int

    def learn(self, rows: Rows) -> Callable[[Floats], Floats]:
        """Fits the trees; returns what predicts as `Predictor.predict` does, of numbers the value for the ends too."""
        # Takes a second, which most decisions do without.
        from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
        from threadpoolctl import threadpool_limits

        given: dict[str, Any] = {"categorical_features": list(self.categorical), "early_stopping": False}
        is_log, truth, classes = self.target.transform == "log1p", rows.truth, len(self.target.classes)
        if self.target.task == "regression":
            loss = "absolute_error" if self.loss == "absolute" else "squared_error"
            trees = HistGradientBoostingRegressor(max_iter=_TREES, loss=loss, random_state=self.seed, **given)
            truth = np.log1p(truth) if is_log else truth
        else:
            most = min(_TREES, max(_MOST_TREES // max(classes, 1), _FEWEST_TREES))
            trees = HistGradientBoostingClassifier(max_iter=most, random_state=self.seed, **given)
        # OpenMP's threads wait by spinning: where others use the cores too, two are many times slower than one.
        with threadpool_limits(1, user_api="openmp"):
            trees.fit(rows.matrix, truth, rows.weights)

        def predict(matrix: Floats) -> Floats:
            with threadpool_limits(1, user_api="openmp"):
                if self.target.task == "regression":
                    value = trees.predict(matrix)
                    return np.repeat((np.expm1(value) if is_log else value)[:, None], 3, axis=1)
                found = np.asarray(trees.predict_proba(matrix), np.float64)
            if self.target.task == "binary":
                return found[:, 1]
            probabilities = np.zeros((len(matrix), classes))
            probabilities[:, trees.classes_] = found
            return probabilities

        return predict
