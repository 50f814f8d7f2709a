"""The metrics of several classes and of numbers: by hand, and against scikit-learn."""

import functools
import math

import numpy as np
import pytest
from sklearn import metrics as sk

from models.target import Target
from pipeline.evaluation import binary_metrics, class_metrics, metrics, number_metrics, registry
from pipeline.evaluation.metrics import Sample

CLASSES = Target(label="y", task="multiclass", classes=("a", "b", "c", "d"))
NUMBER = Target(label="y", task="regression", interval=0.8)


@pytest.fixture(scope="module")
def classified():
    random = np.random.default_rng(0)
    truth = random.choice(4, 3_000, p=[0.5, 0.3, 0.15, 0.05])
    logits = random.normal(size=(3_000, 4)) + 1.5 * (np.arange(4) == truth[:, None])
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return truth, probabilities, random.integers(1, 4, 3_000).astype(float)


def test_classes_equal_scikit_learns_weights_included(classified):
    truth, probabilities, weights = classified
    answered = probabilities.argmax(axis=1)

    values = class_metrics.weighted(truth.astype(float), probabilities, weights)

    given = {"sample_weight": weights}
    one_hot = np.eye(4)[truth]
    expected = {
        "example_count": weights.sum(),
        "sparse_categorical_accuracy": sk.accuracy_score(truth, answered, **given),
        "precision_macro": sk.precision_score(truth, answered, average="macro", **given),
        "precision_weighted": sk.precision_score(truth, answered, average="weighted", **given),
        "recall_macro": sk.recall_score(truth, answered, average="macro", **given),
        "recall_weighted": sk.recall_score(truth, answered, average="weighted", **given),
        "f1_macro": sk.f1_score(truth, answered, average="macro", **given),
        "f1_weighted": sk.f1_score(truth, answered, average="weighted", **given),
        "matthews_correlation_coefficient": sk.matthews_corrcoef(truth, answered, **given),
        "sparse_categorical_crossentropy": sk.log_loss(truth, probabilities, **given),
        "top_3_accuracy": sk.top_k_accuracy_score(truth, probabilities, k=3, **given),
        "brier_score": np.average(((probabilities - one_hot) ** 2).sum(axis=1), weights=weights),
        "expected_calibration_error": calibration_error(answered == truth, probabilities.max(axis=1), weights),
    }
    assert {name: values[name] for name in expected} == pytest.approx(expected, abs=1e-9)
    area = np.mean([sk.roc_auc_score(truth == c, probabilities[:, c], **given) for c in range(4)])
    assert values["auc_macro"] == pytest.approx(area, abs=1e-3)  # Read off 10,000 buckets.
    shares = np.bincount(truth, weights) / weights.sum()
    entropy = -(shares * np.log(shares)).sum()
    assert values["mcfadden_r_squared"] == pytest.approx(1 - expected["sparse_categorical_crossentropy"] / entropy)
    assert {*expected, "auc_macro", "mcfadden_r_squared"} == names_of("multiclass")


def test_yes_or_no_equals_scikit_learns_weights_included(classified):
    truth, probabilities, weights = classified
    y, p = (truth > 1).astype(float), probabilities[:, 2:].sum(axis=1)
    answered = p >= 0.5

    values = binary_metrics.weighted(y, p, weights)

    given = {"sample_weight": weights}
    precision, recall, _ = sk.precision_recall_curve(y, p, **given)
    mean_label, mean_prediction = (np.average(one, weights=weights) for one in (y, p))
    expected = {
        "example_count": weights.sum(),
        "binary_accuracy": sk.accuracy_score(y, answered, **given),
        "precision": sk.precision_score(y, answered, **given),
        "recall": sk.recall_score(y, answered, **given),
        "f1_score": sk.f1_score(y, answered, **given),
        "matthews_correlation_coefficient": sk.matthews_corrcoef(y, answered, **given),
        "binary_crossentropy": sk.log_loss(y, p, **given),
        "brier_score": sk.brier_score_loss(y, p, **given),
        "calibration": mean_prediction / mean_label,
        "mean_label": mean_label,
        "mean_prediction": mean_prediction,
        "expected_calibration_error": calibration_error(y, p, weights),
    }
    assert {name: values[name] for name in expected} == pytest.approx(expected, abs=1e-9)
    of_curves = {  # Read off 10,000 buckets; the area as Davis and Goadrich interpolate, scikit-learn in steps.
        "auc": sk.roc_auc_score(y, p, **given),
        "auc_precision_recall": sk.average_precision_score(y, p, **given),
        "recall_at_precision": recall[precision >= registry.PRECISION].max(),
    }
    assert {name: values[name] for name in of_curves} == pytest.approx(of_curves, abs=2e-3)
    assert {*expected, *of_curves} == names_of("binary")


def calibration_error(right, confidence, weights):
    """Over ten equal bins, by hand."""
    bins = np.minimum((confidence * 10).astype(int), 9)
    gaps = [((right - confidence) * weights)[bins == index].sum() for index in range(10)]
    return np.abs(gaps).sum() / weights.sum()


def names_of(task):
    """What must have a reference here: a metric that the registry gains is missed until it has one."""
    return {item.name for item in registry.of_task(task)}


def test_numbers_equal_scikit_learns_weights_included():
    random = np.random.default_rng(1)
    y, w = random.normal(5, 3, 2_000), random.integers(1, 4, 2_000).astype(float)
    y[0] = 0.0  # Off by no percentage: left out of that mean.
    value = y + random.normal(size=2_000)
    predictions = np.stack([value, value - 1.0, value + 1.5], axis=1)

    values = number_metrics.weighted(y, predictions, w, 0.8)

    given = {"sample_weight": w}
    expected = {
        "mean_absolute_error": sk.mean_absolute_error(y, value, **given),
        "mean_squared_error": sk.mean_squared_error(y, value, **given),
        "root_mean_squared_error": sk.root_mean_squared_error(y, value, **given),
        "mean_absolute_percentage_error": 100
        * sk.mean_absolute_percentage_error(y[1:], value[1:], sample_weight=w[1:]),
        "r_squared": sk.r2_score(y, value, **given),
        "mean_pinball_loss": (
            sk.mean_pinball_loss(y, predictions[:, 1], alpha=0.1, **given)
            + sk.mean_pinball_loss(y, predictions[:, 2], alpha=0.9, **given)
        )
        / 2,
        "interval_coverage": np.average((predictions[:, 1] <= y) & (y <= predictions[:, 2]), weights=w),
        "interval_width": 2.5,
        "example_count": w.sum(),
        "mean_label": np.average(y, weights=w),
        "mean_prediction": np.average(value, weights=w),
    }
    assert values == pytest.approx(expected, rel=1e-9)
    assert set(expected) == names_of("regression")


@pytest.mark.parametrize("target", [Target(label="y"), CLASSES, NUMBER])
def test_every_metric_of_a_task_is_measured_and_no_other(target, classified):
    truth, probabilities, weights = classified
    labels, predictions = {
        "binary": ((truth > 1).astype(float), probabilities[:, 2:].sum(axis=1)),
        "multiclass": (truth.astype(float), probabilities),
        "regression": (truth + 0.5, np.stack([truth, truth - 1, truth + 1], axis=1).astype(float)),
    }[target.task]

    measured = metrics.measure(Sample(labels=labels, predictions={"": predictions}, weights=weights), target, 5, 0)[""]

    assert set(measured) == {item.name for item in registry.of_task(target.task)}
    assert all(math.isfinite(metric.value) for metric in measured.values())


@pytest.mark.parametrize("target", [Target(label="y"), CLASSES, NUMBER])
def test_a_weight_is_that_many_rows_and_none_of_0(target, classified):
    # So are a bootstrap's replicates: the same rows under other weights.
    truth, probabilities, _ = classified
    weights = np.random.default_rng(4).integers(0, 3, len(truth))
    rows = np.repeat(np.arange(len(truth)), weights)
    y, of_rows = {
        "binary": ((truth > 1).astype(float), binary_metrics.weighing),
        "multiclass": (truth.astype(float), class_metrics.weighing),
        "regression": (truth + 0.0, functools.partial(number_metrics.weighing, interval=0.8)),
    }[target.task]
    value = probabilities[:, 2:].sum(axis=1)
    p = {"binary": value, "multiclass": probabilities}.get(target.task, np.stack([value, value - 1, value + 1], axis=1))

    under_weights = of_rows(y, p)(weights.astype(float))
    repeated = of_rows(y[rows], p[rows])(np.ones(len(rows)))

    assert under_weights == pytest.approx(repeated, rel=1e-9)


def test_the_deviation_of_a_difference_leaves_out_what_both_models_have_in_common():
    random = np.random.default_rng(2)
    y = random.normal(size=4_000)
    shared, own = random.normal(size=4_000), random.normal(size=4_000) / 10
    sample = Sample(
        labels=y,
        predictions={name: np.stack([y + e] * 3, axis=1) for name, e in (("now", shared), ("live", shared + own))},
        weights=np.ones(4_000),
    )

    measured = metrics.measure(sample, NUMBER, 100, 0)

    live = measured["live"]["mean_squared_error"]
    # The squared errors differ by 2 * shared * own + own²: of variance 4 * 0.01 + 2 * 0.0001.
    assert live.difference_deviation == pytest.approx(math.sqrt(0.0402 / 4_000), rel=0.2)
    assert live.deviation > 5 * live.difference_deviation


@pytest.mark.parametrize("rows", [200, 423, 5_000])
def test_a_calibrated_model_is_above_what_chance_adds_once_in_forty_times(rows):
    random = np.random.default_rng(3)
    over = 0
    for _ in range(400):
        p = random.beta(2, 5, rows)
        y = (random.random(rows) < p).astype(float)
        sample = Sample(labels=y, predictions={"": p}, weights=np.ones(rows))
        metric = metrics.measure(sample, Target(label="y"), 0, 0)[""]["expected_calibration_error"]
        over += metric.value > metric.chance
    # 2.5 % of 400 are 10; three deviations of that more or less.
    assert 1 <= over <= 20
