"""The models that a candidate is held to: none at all, a linear one, and trees, each of scikit-learn and by its book.

| name     | of classes                     | of a number                                                  |
|----------|--------------------------------|--------------------------------------------------------------|
| majority | the classes' shares            | the mean; the ends of the interval are quantiles             |
| linear   | LogisticRegression             | Ridge; the ends are quantiles of what it misses              |
| trees    | HistGradientBoostingClassifier | HistGradientBoostingRegressor; the ends by its quantile loss |

They read the columns that the dataset's own learners read, derived ones too. Numbers are scaled for the linear one,
with a mark where they are missing; categories are one-hot for it and numbered for the trees, the rarest together; of a
column of several values, and of a text, the most frequent items or words are counted.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from columnar import numbers
from models.expression_values import arrow_column
from models.features import FeatureSpec
from models.target import Target
from pipeline.selection.fold_rows import FoldRows
from pipeline.selection.scoring import Contender, Trained

if TYPE_CHECKING:
    import pandas as pd

Floats = npt.NDArray[np.float64]
BaselineName = Literal["majority", "linear", "trees"]
NAMES: tuple[BaselineName, ...] = ("majority", "linear", "trees")

_MOST_COLUMNS, _MOST_CATEGORIES, _MOST_WORDS = 1_000, 250, 200
_STEPS = 300


class Baseline(Protocol):
    """A model that learns from flat columns."""

    def fit(self, table: pa.Table, labels: Floats, weights: Floats) -> None:
        """Learns from labelled rows."""

    def predict(self, table: pa.Table) -> Floats:
        """Answers as `Task.predictions` does."""


def baseline(name: BaselineName, features: FeatureSpec, seed: int) -> Baseline:
    """Returns a baseline that has learned nothing yet."""
    if name == "majority":
        return _NoModel(features.target)
    if features.task == "regression":
        return _Regression(features, _regressors(name, features, seed))
    return _Classes(features, _classifier(name, features, seed))


class _NoModel:
    """What is known without a look at any column."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._answer: Floats = np.zeros(1)

    def fit(self, table: pa.Table, labels: Floats, weights: Floats) -> None:
        del table
        self._answer = _constant(self._target, labels, weights)

    def predict(self, table: pa.Table) -> Floats:
        return np.repeat(self._answer[None], table.num_rows, axis=0)


class _Classes:
    """A classifier behind its preparation of the columns."""

    def __init__(self, features: FeatureSpec, pipeline: Any) -> None:  # Any: sklearn's own, untyped.
        self._features, self._pipeline = features, pipeline
        self._fallback: Floats | None = None

    def fit(self, table: pa.Table, labels: Floats, weights: Floats) -> None:
        if len(np.unique(labels)) < 2:  # Nothing to tell apart.
            self._fallback = _constant(self._features.target, labels, weights)
            return
        with _one_thread():
            self._pipeline.fit(frame(table, self._features), labels.astype(np.int64), model__sample_weight=weights)

    def predict(self, table: pa.Table) -> Floats:
        if self._fallback is not None:
            return np.repeat(self._fallback[None], table.num_rows, axis=0)
        with _one_thread():
            found = self._pipeline.predict_proba(frame(table, self._features))
        if self._features.task == "binary":
            return np.asarray(found[:, 1])
        answer = np.zeros((table.num_rows, len(self._features.target.classes)))
        answer[:, self._pipeline.classes_] = found
        return answer


class _Regression:
    """A regressor of the value, and where there are some, of both ends."""

    def __init__(self, features: FeatureSpec, pipelines: Mapping[str, Any]) -> None:  # Any: as in _Classes.
        self._features, self._pipelines = features, pipelines
        self._moves: Floats = np.zeros(2)

    def fit(self, table: pa.Table, labels: Floats, weights: Floats) -> None:
        columns, learned = frame(table, self._features), self._transformed(labels)
        for pipeline in self._pipelines.values():
            with _one_thread():
                pipeline.fit(columns, learned, model__sample_weight=weights)
        if len(self._pipelines) == 1:
            missed = learned - self._pipelines["value"].predict(columns)
            self._moves = quantiles(missed, weights, self._features.target)

    def predict(self, table: pa.Table) -> Floats:
        columns = frame(table, self._features)
        with _one_thread():
            found = [np.asarray(pipeline.predict(columns)) for pipeline in self._pipelines.values()]
        if len(found) == 1:
            found += [found[0] + move for move in self._moves]
        value, lower, upper = (np.expm1(one) if self._features.transform == "log1p" else one for one in found)
        return np.stack([value, np.minimum(lower, value), np.maximum(upper, value)], axis=1)

    def _transformed(self, labels: Floats) -> Floats:
        return np.log1p(labels) if self._features.transform == "log1p" else labels


def _one_thread() -> AbstractContextManager[Any]:  # Any: threadpoolctl's own.
    """Keeps scikit-learn's trees to one thread: several wait for each other, and where something else is at work on the
    machine's cores, a fit of a second has taken a minute and a half."""
    from threadpoolctl import threadpool_limits

    limits: AbstractContextManager[Any] = threadpool_limits(1, user_api="openmp")
    return limits


def _constant(target: Target, labels: Floats, weights: Floats) -> Floats:
    """Returns the one answer that suits all rows best: shares of the classes, or the mean and the ends around it."""
    if target.task == "binary":
        return np.asarray(np.average(labels, weights=weights))
    if target.task == "multiclass":
        return np.asarray(np.bincount(labels.astype(np.int64), weights, len(target.classes)) / weights.sum())
    return np.array([np.average(labels, weights=weights), *quantiles(labels, weights, target)])


def quantiles(values: Floats, weights: Floats, target: Target) -> Floats:
    """Returns the values between which the target's share of the weight lies, equal parts on either side."""
    order = np.argsort(values)
    reached = np.cumsum(weights[order]) / weights.sum()
    levels = np.array([(1 - target.interval) / 2, (1 + target.interval) / 2])
    return np.asarray(values[order][np.minimum(np.searchsorted(reached, levels), len(values) - 1)], np.float64)


def _classifier(name: BaselineName, features: FeatureSpec, seed: int) -> Any:  # Any: sklearn's own, untyped.
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression

    if name == "linear":
        return _pipeline(_for_linear(features), LogisticRegression(max_iter=_STEPS, random_state=seed))
    return _pipeline(*_for_trees(features, HistGradientBoostingClassifier, random_state=seed))


def _regressors(name: BaselineName, features: FeatureSpec, seed: int) -> dict[str, Any]:  # Any: as above.
    from sklearn.ensemble import HistGradientBoostingRegressor
    from sklearn.linear_model import Ridge

    if name == "linear":
        return {"value": _pipeline(_for_linear(features), Ridge(random_state=seed))}
    ends = (1 - features.interval) / 2, (1 + features.interval) / 2
    losses: dict[str, dict[str, Any]] = {
        "value": {"loss": "squared_error"},
        "lower": {"loss": "quantile", "quantile": ends[0]},
        "upper": {"loss": "quantile", "quantile": ends[1]},
    }
    return {
        part: _pipeline(*_for_trees(features, HistGradientBoostingRegressor, random_state=seed, **loss))
        for part, loss in losses.items()
    }


def _pipeline(preparation: Any, model: Any) -> Any:  # Any: as above.
    from sklearn.pipeline import Pipeline

    return Pipeline([("columns", preparation), ("model", model)])


def _for_linear(features: FeatureSpec) -> Any:  # Any: as above.
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numeric, categories = columns_of(features)
    impute = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
    one_hot = OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=_MOST_COLUMNS)
    return ColumnTransformer(
        [
            ("numbers", make_pipeline(impute, StandardScaler()), numeric),
            ("categories", one_hot, categories),
            *_words(features),
        ]
    )


def _for_trees(features: FeatureSpec, model: Any, **arguments: Any) -> tuple[Any, Any]:  # Any: as above.
    from sklearn.compose import ColumnTransformer
    from sklearn.preprocessing import OrdinalEncoder

    numeric, categories = columns_of(features)
    numbered = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan, max_categories=_MOST_CATEGORIES)
    preparation = ColumnTransformer(
        [("categories", numbered, categories), ("numbers", "passthrough", numeric), *_words(features)],
        sparse_threshold=0,
    )
    return preparation, model(categorical_features=list(range(len(categories))) or None, **arguments)


def _words(features: FeatureSpec) -> list[tuple[str, Any, str]]:  # Any: as above.
    from sklearn.feature_extraction.text import CountVectorizer

    def pattern(separator: str) -> str:
        return f"[^{re.escape(separator)}]+" if separator else r"\S+"

    return [
        (one.name, CountVectorizer(max_features=_MOST_WORDS, token_pattern=pattern(one.separator)), one.name)
        for one in features.encoded
        if one.kind.is_bag
    ]


def columns_of(features: FeatureSpec) -> tuple[list[str], list[str]]:
    """Returns the names of the numbers and of the categories among the features."""
    plain = [one for one in features.encoded if not one.kind.is_bag]
    return (
        [one.name for one in plain if one.kind.is_number],
        [one.name for one in plain if not one.kind.is_number],
    )


def frame(table: pa.Table, features: FeatureSpec) -> pd.DataFrame:
    """Returns the features as scikit-learn takes them: float64 with NaN where missing or infinite, and texts."""
    import pandas as pd

    columns: dict[str, Any] = {}  # Any: an array of numbers or of texts.
    for one in features.encoded:
        column = arrow_column(one.value, table, features.as_stored)
        if one.kind.is_number:
            values = np.array(numbers.as_float64(column))
            values[~np.isfinite(values)] = np.nan
            columns[one.name] = values
        else:
            text = pc.fill_null(pc.cast(column, pa.large_string()), "")
            # Where no row has a word there would be nothing to count, which scikit-learn refuses.
            empty = "nothing" if one.kind.is_bag else ""
            columns[one.name] = pc.if_else(pc.equal(text, ""), empty, text).to_numpy(zero_copy_only=False)
    return pd.DataFrame(columns)


def contender(name: BaselineName, seed: int) -> Contender:
    """Returns what trains a baseline on a fold."""

    def train(rows: FoldRows) -> Trained:
        import joblib

        features = rows.features
        table = rows.train_table
        labels, weights = rows.targets(table)
        started = time.perf_counter()
        model = baseline(name, features, seed)
        model.fit(table, labels, weights)
        fitted = time.perf_counter()
        predictions = model.predict(rows.test)
        predicted = time.perf_counter()
        path = os.path.join(rows.folder, "baseline.joblib")
        joblib.dump(model, path)
        return Trained(
            predictions=predictions,
            fit_seconds=fitted - started,
            predict_seconds=predicted - fitted,
            size_bytes=os.path.getsize(path),
        )

    return train
