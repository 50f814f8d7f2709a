import numpy as np
import pyarrow as pa
import pytest

from models.features import FeatureSpec
from pipeline.evaluation.metrics import Metric
from pipeline.evaluation.spec import EvaluationSpec
from pipeline.selection import must_beat

NUMBER = FeatureSpec(label="y", task="regression", numeric=("x",))
CLASSES = FeatureSpec(label="kind", task="multiclass", classes=("common", "rare"), numeric=("x",))


def straight(rows, seed, noise=1.0):
    random = np.random.default_rng(seed)
    x = random.normal(size=rows)
    return pa.table({"x": x, "y": 2 * x + noise * random.normal(size=rows)})


def measured(features, predict, train, rows, must="majority", metric="mean_absolute_error"):
    return must_beat.measure(
        features,
        EvaluationSpec(must_beat=must),
        {metric: Metric(value=1.0, deviation=0.1)},
        lambda: rows,
        predict,
        lambda columns: train.select(sorted(columns)),
    )


def line(slope):
    def predict(table):
        value = slope * table["x"].to_numpy()
        return np.stack([value, value - 1, value + 1], axis=1)

    return predict


def test_a_number_must_beat_the_mean_of_the_train_rows():
    train = pa.table({"x": [0.0, 0.0], "y": [1.0, 3.0]})
    rows = pa.table({"x": [1.0, 2.0, 3.0], "y": [2.0, 4.0, None]})

    bar = measured(NUMBER, line(2.0), train, rows)

    # The mean is 2: off by 0 and by 2. The line is right on both labelled rows.
    assert (bar.baseline, bar.value, bar.candidate) == ("majority", pytest.approx(1.0), pytest.approx(0.0))
    assert bar.ahead == pytest.approx(1.0)


def test_a_candidate_that_a_line_beats_is_refused_and_one_as_good_as_the_truth_is_not_where_the_line_is_wrong():
    train, rows = straight(2_000, seed=1), straight(1_000, seed=2)
    assert not measured(NUMBER, line(1.0), train, rows, "linear").cleared
    bent = rows.set_column(1, "y", pa.array(np.abs(rows["x"].to_numpy())))
    truth = lambda table: np.stack([np.abs(table["x"].to_numpy())] * 3, axis=1)  # noqa: E731
    assert measured(NUMBER, truth, train, bent, "linear").cleared


def test_one_class_for_every_row_is_no_reason_where_the_probabilities_tell_more():
    random = np.random.default_rng(0)
    x = random.uniform(size=4_000)
    rare = random.uniform(size=4_000) < 0.2 * x
    table = pa.table({"x": x, "kind": pa.array(np.where(rare, "rare", "common").tolist(), pa.large_string())})

    def right(rows):
        probability = 0.2 * rows["x"].to_numpy()
        return np.stack([1 - probability, probability], axis=1)

    def blind(rows):
        return np.repeat([[0.89, 0.11]], rows.num_rows, axis=0)

    metric = "sparse_categorical_crossentropy"
    assert (right(table).argmax(axis=1) == 0).all()
    assert measured(CLASSES, right, table, table, metric=metric).cleared
    assert not measured(CLASSES, blind, table, table, metric=metric).cleared


def test_no_model_of_yes_and_no_needs_no_row():
    features = FeatureSpec(label="y", numeric=("x",))
    overall = {"auc": Metric(value=0.51, deviation=0.01)}

    bar = must_beat.measure(features, EvaluationSpec(), overall, pytest.fail, pytest.fail, pytest.fail)

    assert (bar.value, bar.error, bar.cleared) == (0.5, 0.01, False)


def test_useless_models_are_blessed_once_in_twenty_times_and_weak_ones_on_few_rows_mostly():
    """By simulation: a useless model on 1,000 rows, and one of AUC 0.64 (normal scores 0.5 apart) on 120."""
    random = np.random.default_rng(7)

    def cleared(rows, apart):
        from pipeline.evaluation import metrics
        from pipeline.evaluation.metrics import Sample

        labels = (np.arange(rows) % 2).astype(np.float64)
        score = 1 / (1 + np.exp(-(random.normal(size=rows) + apart * labels)))
        sample = Sample(labels=labels, predictions={"": score}, weights=np.ones(rows))
        features = FeatureSpec(label="y", numeric=("x",))
        overall = metrics.measure(sample, features.target, 20, 1)[""]
        return must_beat.measure(features, EvaluationSpec(), overall, None, None, None).cleared

    # Binomial: of 25 draws at 5 %, 6 or more come once in 1,000 times; of 25 at 95 %, fewer than 20 as rarely.
    assert sum(cleared(1_000, 0.0) for _ in range(25)) < 6
    assert sum(cleared(120, 0.5) for _ in range(25)) >= 20
