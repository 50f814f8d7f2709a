"""A model on a span's rows: held to floors, for every task, and with rows that do not count alike."""

import dataclasses

import numpy as np
import pyarrow as pa
import pytest
from sklearn import metrics as sk

from models.features import FeatureSpec
from models.target import Target
from pipeline.evaluation import intervals
from pipeline.gate import discrimination, labels, scoring
from pipeline.gate.policy import GatePolicy
from pipeline.gate.scoring import Answers
from pipeline.gate.settings import Floors, Settings

CLASSES = ("a", "b", "c")
TARGETS = {
    "binary": Target(label="y"),
    "multiclass": Target(label="y", task="multiclass", classes=CLASSES),
    "regression": Target(label="y", task="regression", interval=0.8),
}


def answers(task, rows, *, seed=0, knows=1.0, bias=0.0):
    """A model of the task; `knows` 0 is one that answers at random, `bias` is added to its logits or values."""
    rng = np.random.default_rng(seed)
    signal = rng.normal(size=rows)
    if task == "regression":
        value = signal * 3
        truth = value * knows + rng.normal(size=rows) * 2 - bias
        # 80 % of a normal lie within 1.28 standard deviations.
        return answered(truth, np.stack([value, value - 2.563, value + 2.563], axis=1))
    if task == "binary":
        p = 1 / (1 + np.exp(-2 * signal))
        truth = rng.random(rows) < 1 / (1 + np.exp(-2 * signal * knows + bias))
        return answered(truth.astype(np.int64), p)
    logits = np.stack([2 * signal, -2 * signal, np.zeros(rows)], axis=1)
    actual = knows * logits - bias * np.array([1.0, 0.0, 0.0])
    gumbel = -np.log(-np.log(rng.random((rows, 3))))
    return answered((actual + gumbel).argmax(axis=1), np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True))


def answered(truth, predictions):
    return Answers(table=pa.table({"y": truth}), labels=truth, predictions=predictions)


def features_of(target):
    given = {field.name: getattr(target, field.name) for field in dataclasses.fields(target)}
    return FeatureSpec(**given, numeric=("x",))


def missed(task, given, limits):
    settings = Settings(features=features_of(TARGETS[task]), policy=GatePolicy())
    checks = scoring.hold_to_floors(given, settings, Floors(limits=limits))
    assert [check.metric for check in checks] == [name for name in limits if len(given.labels) >= 25]
    return {check.metric for check in checks if check.missed}


@pytest.mark.parametrize(
    ("task", "limits", "ignorant", "biased"),
    [
        ("binary", {"auc": 0.75, "expected_calibration_error": 0.05, "precision": 0.6}, None, None),
        (
            "multiclass",
            {"mcfadden_r_squared": 0.1, "expected_calibration_error": 0.05, "f1_macro": 0.5},
            {"mcfadden_r_squared", "expected_calibration_error", "f1_macro"},
            {"expected_calibration_error"},
        ),
        (
            "regression",
            {"r_squared": 0.5, "root_mean_squared_error": 2.2, "mean_absolute_error": 1.8},
            {"r_squared", "root_mean_squared_error", "mean_absolute_error"},
            {"root_mean_squared_error", "mean_absolute_error"},
        ),
    ],
)
def test_the_live_model_is_held_to_every_floor_of_its_task(task, limits, ignorant, biased):
    assert missed(task, answers(task, 2_000), limits) == set()
    assert missed(task, answers(task, 2_000, knows=0.0), limits) == (ignorant or set(limits))
    assert missed(task, answers(task, 2_000, bias=1.5), limits) >= (biased or {"expected_calibration_error"})
    # Few rows prove little, a handful nothing.
    assert missed(task, answers(task, 24, knows=0.0), limits) == set()


def test_a_floor_is_missed_only_beyond_the_interval():
    # An R² of 9 / 13 is 0.69: a floor there is within the noise of any span, and one at 0.8 beyond that of 2,000 rows.
    found = [missed("regression", answers("regression", 400, seed=seed), {"r_squared": 9 / 13}) for seed in range(60)]

    assert sum(map(bool, found)) <= 5  # 2.5 % of 60, and three deviations of that.
    assert missed("regression", answers("regression", 2_000), {"r_squared": 0.8})


def test_chance_alone_rarely_misses_the_calibration_limit():
    # Of 300 rows the measured error of a calibrated model is about 0.06.
    limits = {"expected_calibration_error": 0.05}

    assert sum(bool(missed("binary", answers("binary", 300, seed=seed), limits)) for seed in range(20)) <= 2


def test_floors_of_compiled_files_that_knew_one_task_are_read():
    read = Floors.from_json('{"max_calibration_error": 0.05, "min_auc": 0.7}')

    assert read == Floors(limits={"auc": 0.7, "expected_calibration_error": 0.05})
    assert Floors.from_json(read.to_json()) == read


def test_weighted_areas_are_scikit_learns():
    rng = np.random.default_rng(1)
    truth, weights = rng.integers(0, 2, 300), rng.integers(1, 6, 300).astype(float)
    scores = np.round(rng.random(300) + 0.3 * truth, 1)  # With ties.

    assert discrimination.auc(truth, scores, weights).value == pytest.approx(
        sk.roc_auc_score(truth, scores, sample_weight=weights)
    )


def test_intervals_of_weighted_rows_cover_the_truth():
    # Rows of weight 9 say as much as nine and are one: intervals that forget it are far too short.
    found = {"mean": 0, "auc": 0}
    rng = np.random.default_rng(2)
    for _ in range(300):
        weights = rng.choice([1.0, 9.0], 300, p=[0.8, 0.2])
        truth = (rng.random(300) < 0.4).astype(np.float64)
        # Two normals apart by 1 have an AUC of Phi(1 / sqrt 2) = 0.7602.
        area = discrimination.auc(truth, rng.normal(size=300) + truth, weights)
        mean = intervals.mean(truth, weights)
        found["auc"] += area.low <= 0.7602 <= area.high
        found["mean"] += mean.low <= 0.4 <= mean.high

    # 95 % of 300 are 285, with a deviation of 3.8.
    assert all(270 <= covered <= 298 for covered in found.values()), found


def test_a_row_of_weight_two_is_measured_as_two_rows():
    for task, target in TARGETS.items():
        once = answers(task, 400, seed=3)
        weighted = Target(label="y", task=target.task, classes=target.classes, weight="w")
        weights = np.repeat([1.0, 2.0], 200)
        table = once.table.append_column("w", pa.array(weights))
        twice = np.repeat(np.arange(400), weights.astype(int))

        ours = scoring.evaluate(table, once.labels, once.predictions, (), target=weighted).overall
        theirs = scoring.evaluate(
            once.table.take(twice), once.labels[twice], once.predictions[twice], (), target=target
        ).overall

        for name in ("label_share", "mean_prediction", "auc", "calibration", "loss", "accuracy", "coverage"):
            mine, other = getattr(ours, name), getattr(theirs, name)
            assert (mine is None) == (other is None), name
            if mine is not None:
                assert mine.value == pytest.approx(other.value), name
                # The copies are taken for evidence of their own.
                assert mine.high - mine.low > other.high - other.low


def test_the_share_of_positives_is_as_certain_as_kish_says():
    target = Target(label="y", weight="w")
    # Two of three weights are positive: (3 + 1)² / (9 + 1) = 1.6 rows for each pair.
    table = pa.table({"y": [1, 0] * 500, "w": [3.0, 1.0] * 500})

    assert labels.positives(table, target) == (600, 800)
    # A row whose weight is unknown has no label, and one without the column counts as any other.
    assert labels.positives(table.drop_columns(["w"]), Target(label="y")) == (500, 1000)
