import numpy as np
import pyarrow as pa
import pytest

from models.features import FeatureSpec
from pipeline.gate import bins, directions, labels
from pipeline.gate.measuring import build_baseline
from pipeline.gate.policy import GatePolicy
from tests.helpers.windows import SCHEMA

FEATURES = FeatureSpec(label="tips > 0.2 * fare", numeric=("fare", "miles"), categorical=("payment",))
ROWS = 1000


def table(*, fare, miles, payment, tipped):
    fares = np.asarray(fare, np.float64)
    return pa.table(
        {
            "fare": fares,
            "miles": pa.array(miles, pa.float64()),
            "payment": payment,
            "tips": np.where(np.arange(ROWS) < tipped, 2 * fares + 1, 0.0),
        }
    )


BEFORE = {
    "fare": np.linspace(10, 20, ROWS),
    "miles": [0.0] * 400 + list(np.linspace(1, 5, ROWS - 400)),
    "payment": ["Card"] * 310 + ["Cash"] * 690,
    "tipped": 200,
}


@pytest.fixture(scope="module")
def baseline():
    return build_baseline({1: table(**BEFORE)}, SCHEMA, FEATURES, GatePolicy(), evaluation=None, statistics=None)


def said(baseline, feature, **changes):
    span = labels.with_label(table(**{**BEFORE, **changes}), baseline.label)
    index = [item.name for item in baseline.bins].index(feature)
    return directions.describe(span, baseline, index, bins.count(bins.encode(span, baseline.bins), baseline.bins))


@pytest.mark.parametrize(
    ("feature", "changes", "words"),
    [
        ("payment", {"payment": ["Card"] * 520 + ["Cash"] * 480}, "`payment`: share of `Card` 0.31 → 0.52"),
        ("payment", {"payment": ["Card"] * 300 + ["Coin"] * 700}, "`payment`: share of other values 0.00 → 0.70"),
        (
            "payment",
            {"payment": [None] * 400 + ["Card"] * 310 + ["Cash"] * 290},
            "`payment`: share of missing 0.00 → 0.40",
        ),
        ("fare", {"fare": np.linspace(11, 22, ROWS)}, "`fare`: median 15 → 16.5"),
        ("miles", {"miles": [0.0] * 200 + list(np.linspace(1, 5, 800))}, "`miles`: share of `0` 0.40 → 0.20"),
        ("miles", {"miles": [None] * 300 + BEFORE["miles"][300:]}, "`miles`: share of missing 0.00 → 0.30"),
        ("miles (missing)", {"miles": [None] * 300 + BEFORE["miles"][300:]}, "`miles`: share of missing 0.00 → 0.30"),
        ("tips > 0.2 * fare", {"tipped": 350}, "`tips > 0.2 * fare`: share of positive labels 0.20 → 0.35"),
    ],
)
def test_what_moved_is_said(baseline, feature, changes, words):
    assert said(baseline, feature, **changes) == words


def test_small_changes_are_said_with_the_digits_that_differ(baseline):
    payment = ["Card"] * 311 + ["Cash"] * 689

    assert said(baseline, "payment", payment=payment) == "`payment`: share of `Card` 0.3100 → 0.3110"


def test_a_feature_that_stayed_is_said_too(baseline):
    assert said(baseline, "fare").startswith("`fare`: share of ")
