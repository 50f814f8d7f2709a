"""What a training would bring, measured before it is paid for: fast trees in the place of the network.

The rows of the span, in the order of their files, are cut in half. On the later half are compared

- trees that learned what a training would read, the earlier half of the span included, with trees that learned what the
  live model did: the same learner twice, so that what it lacks against the network falls out of the difference;
- the live model corrected by trees that also see its own logit and learned from the earlier half alone, with the live
  model: what nothing but the span itself can already put right.

So both are out of time: rows of the same days are not on both sides, which would promise two to three times too much on
flights. Where files are not in the order of time it is ordinary cross-validation.

The live model's slope and offset are also fitted anew to parts of the span and tried on the others.

Sources: gradient boosting over histograms as scikit-learn 1.5 has it; DeLong's paired variance (performance.py).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from columnar.numbers import as_float64
from models.calibration import cross_fitted
from models.features import FeatureSpec
from models.scores import logit
from pipeline.evaluation import intervals
from pipeline.gate import discrimination, labels, performance, task_measures
from pipeline.gate.distances import Floats
from pipeline.gate.evidence import Challenge
from pipeline.gate.feature_columns import compared, with_features

MOST_PAST_ROWS = 40_000
"""Of all earlier spans together; more are sampled."""
MOST_SPAN_ROWS = 40_000
"""Of the span itself, half of them learned and half tried."""
FEWEST_TRIED = 100
FEWEST_OF_A_CLASS = 10
_MOST_CATEGORIES = 250
_TREES = 50

Rows = tuple[Floats, npt.NDArray[np.int64]]


def challenge(
    past: Mapping[int, pa.Table],
    span: pa.Table,
    *,
    learned: Collection[int],
    would_learn: Collection[int],
    live: Callable[[pa.Table], npt.NDArray[np.float64]],
    features: FeatureSpec,
    seed: int = 0,
) -> Challenge | str:
    """Measures what a training would bring on rows like the span's later half.

    Args:
      past: earlier spans, flat columns, features and label columns; rows without a label are left out.
      span: the span's rows in the order of time, those of waiting spans first.
      learned: the spans of `past` that the live model was trained on.
      would_learn: those that a training would read, the span aside.
      live: the live model's predictions, (rows,).

    Returns:
      What was measured, or why nothing could be.
    """
    rng = np.random.default_rng(seed)
    newest, truth = _labelled(span, features, MOST_SPAN_ROWS, rng)
    half = len(truth) // 2
    first, later = slice(None, half), slice(half, None)
    tried = truth[later]
    if len(tried) < FEWEST_TRIED or min(_classes(tried)) < FEWEST_OF_A_CLASS or not min(_classes(truth[first])):
        return f"too few labelled rows to tell what a training would bring: {len(truth):,} in the span"
    numbers = sorted({*learned, *would_learn} & past.keys())
    quota = max(MOST_PAST_ROWS // max(len(numbers), 1), 1)
    rows = {number: _labelled(past[number], features, quota, rng) for number in numbers}
    encoded, categorical = encode([newest, *(table for table, _ in rows.values())], features)
    by_span: dict[int, Rows] = {
        number: (matrix, of_span) for (number, (_, of_span)), matrix in zip(rows.items(), encoded[1:], strict=True)
    }
    before = _together([by_span[number] for number in numbers if number in learned])
    after = _together(
        [*(by_span[number] for number in numbers if number in would_learn), (encoded[0][first], truth[first])]
    )
    if before is None or after is None:
        return "what a training would bring cannot be told: the rows that the live model was trained on are not there"
    answers = np.asarray(live(newest), np.float64)
    with_logit = np.column_stack([encoded[0], logit(answers)])
    trained = _learn(after, categorical, seed)(encoded[0][later])
    as_before = _learn(before, categorical, seed)(encoded[0][later])
    corrected = _learn((with_logit[first], truth[first]), categorical, seed)(with_logit[later])
    repaired = cross_fitted(answers, truth)
    overall = performance.evaluate(truth, repaired).overall
    assert overall.ece is not None  # Binary models have one.
    return Challenge(
        rows=len(tried),
        gain=discrimination.auc_difference(tried, as_before, trained),
        correction=discrimination.auc_difference(tried, answers[later], corrected),
        recalibration=intervals.mean(task_measures.losses(truth, answers) - task_measures.losses(truth, repaired)),
        calibration_error=overall.ece,
    )


def _labelled(
    table: pa.Table, features: FeatureSpec, most: int, rng: np.random.Generator
) -> tuple[pa.Table, npt.NDArray[np.int64]]:
    """Returns labelled rows and their labels, in order, at most so many."""
    table, truth = labels.labelled(table, features.target)
    if len(truth) > most:
        chosen = np.sort(rng.choice(len(truth), most, replace=False))
        table, truth = table.take(chosen), truth[chosen]
    return table, truth


def _classes(truth: npt.NDArray[np.int64]) -> tuple[int, int]:
    return int((truth == 0).sum()), int((truth == 1).sum())


def _together(parts: list[Rows]) -> Rows | None:
    """Returns the rows of all parts; None where they hold one class only, from which nothing is learned."""
    if not parts:
        return None
    matrix, truth = (np.concatenate(column) for column in zip(*parts, strict=True))
    return (matrix, truth) if min(_classes(truth)) else None


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


def _learn(rows: Rows, categorical: Sequence[int], seed: int) -> Callable[[Floats], Floats]:
    """Fits the trees; returns what predicts the positive class."""
    # Takes a second, which most decisions do without.
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits

    trees = HistGradientBoostingClassifier(
        max_iter=_TREES, categorical_features=list(categorical), early_stopping=False, random_state=seed
    )
    # OpenMP's threads wait by spinning: where others use the cores too, two are many times slower than one.
    with threadpool_limits(1, user_api="openmp"):
        trees.fit(*rows)

    def predict(matrix: Floats) -> Floats:
        with threadpool_limits(1, user_api="openmp"):
            return np.asarray(trees.predict_proba(matrix)[:, 1], np.float64)

    return predict
