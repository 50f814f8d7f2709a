import numpy as np
import pyarrow as pa
import pytest
from sklearn.linear_model import LogisticRegression

from models.features import FeatureSpec
from pipeline.selection import baselines

EACH_KIND = FeatureSpec(
    label="late",
    numeric=("distance",),
    categorical=("line",),
    hashed={"number": 100},
    multivalued={"stops": "|"},
    text={"remark": 64},
)


def rows(count, seed=0):
    random = np.random.default_rng(seed)
    line = random.choice(["red", "blue"], count)
    return pa.table(
        {
            "distance": pa.array([None if i % 7 == 0 else float(i % 13) for i in range(count)], pa.float64()),
            "line": pa.array(line.tolist(), pa.large_string()),
            "number": pa.array([None if i % 5 == 0 else i % 40 for i in range(count)], pa.int64()),
            "stops": pa.array([["a b|c", None, "c|d"][i % 3] for i in range(count)], pa.large_string()),
            "remark": pa.array([["Was late", ""][i % 2] for i in range(count)], pa.large_string()),
        }
    ), (line == "red").astype(np.float64)


@pytest.mark.parametrize("name", ["linear", "trees"])
def test_every_kind_of_column_is_learned_from(name):
    table, labels = rows(200)
    model = baselines.baseline(name, EACH_KIND, seed=1)

    model.fit(table, labels, np.ones(200))

    unseen, expected = rows(50, seed=1)
    assert ((model.predict(unseen) > 0.5) == expected).all()


def test_values_never_seen_and_columns_of_nothing_are_no_error():
    table, labels = rows(60)
    nothing = table.set_column(4, "remark", pa.nulls(60, pa.large_string()))
    strange = nothing.set_column(1, "line", pa.array(["green"] * 60, pa.large_string()))
    for name in ("linear", "trees"):
        model = baselines.baseline(name, EACH_KIND, seed=1)
        model.fit(nothing, labels, np.ones(60))
        assert np.isfinite(model.predict(strange)).all()


def test_no_model_knows_the_weighted_shares():
    features = FeatureSpec(label="kind", task="multiclass", classes=("a", "b", "c"), numeric=("x",))
    table = pa.table({"x": [1.0, 2.0, 3.0]})
    model = baselines.baseline("majority", features, seed=1)

    model.fit(table, np.array([0.0, 1.0, 1.0]), np.array([2.0, 1.0, 1.0]))

    np.testing.assert_allclose(model.predict(table), [[0.5, 0.5, 0.0]] * 3)


def test_no_model_of_a_number_is_the_mean_between_quantiles():
    features = FeatureSpec(label="y", task="regression", interval=0.8, numeric=("x",))
    labels = np.arange(10.0)
    table = pa.table({"x": labels})
    model = baselines.baseline("majority", features, seed=1)

    model.fit(table, labels, np.ones(10))

    # One row in ten lies at or below 0, and one above 8.
    np.testing.assert_allclose(model.predict(table)[0], [4.5, 0.0, 8.0])


def test_linear_is_scikit_learns_logistic_regression_on_scaled_numbers():
    features = FeatureSpec(label="y", numeric=("x",))
    x = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 9.0])
    labels, weights = np.array([0.0, 1.0, 0.0, 1.0, 1.0, 1.0]), np.array([1.0, 1.0, 2.0, 1.0, 1.0, 3.0])
    model = baselines.baseline("linear", features, seed=1)

    model.fit(pa.table({"x": x}), labels, weights)

    scaled = ((x - x.mean()) / x.std())[:, None]
    reference = LogisticRegression().fit(scaled, labels, weights).predict_proba(scaled)[:, 1]
    np.testing.assert_allclose(model.predict(pa.table({"x": x})), reference, rtol=1e-4)


def test_a_class_that_was_never_seen_has_no_probability():
    features = FeatureSpec(label="kind", task="multiclass", classes=("a", "b", "c"), numeric=("x",))
    table = pa.table({"x": [0.0, 1.0] * 10})
    model = baselines.baseline("linear", features, seed=1)

    model.fit(table, np.array([0.0, 2.0] * 10), np.ones(20))

    answer = model.predict(table)
    assert (answer[:, 1] == 0).all()
    assert (answer.argmax(axis=1) == [0, 2] * 10).all()


@pytest.mark.parametrize("name", ["linear", "trees"])
def test_a_number_comes_with_an_interval_that_covers_its_share(name):
    features = FeatureSpec(label="y", task="regression", interval=0.8, numeric=("x",), transform="log1p")
    random = np.random.default_rng(3)
    x = random.uniform(0, 3, 1_000)
    labels = np.exp(x + random.normal(scale=0.3, size=1_000))
    table = pa.table({"x": x})
    model = baselines.baseline(name, features, seed=1)

    model.fit(table, labels, np.ones(1_000))

    value, lower, upper = model.predict(table).T
    assert ((lower <= value) & (value <= upper)).all()
    assert ((lower <= labels) & (labels <= upper)).mean() == pytest.approx(0.8, abs=0.06)
