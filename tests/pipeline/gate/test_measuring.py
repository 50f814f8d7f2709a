import numpy as np
import pyarrow as pa
import pytest

from models.features import FeatureSpec
from pipeline.gate import drift
from pipeline.gate.baseline import BaselineError
from pipeline.gate.measuring import build_baseline
from pipeline.gate.policy import GatePolicy
from tests.helpers.windows import FEATURES, SCHEMA, rows, window

POLICY = GatePolicy(exclude=("month",))


def build(tables=None, *, features=FEATURES):
    return build_baseline(tables or window(), SCHEMA, features, POLICY, evaluation=None, statistics=None)


def test_it_holds_what_later_spans_are_compared_with():
    baseline = build()

    assert baseline.window == (1, 2, 3, 4)
    assert [feature.name for feature in baseline.bins] == [
        "area",
        "fare",
        "fare (missing)",
        "miles",
        "miles (missing)",
        "payment",
        "tips > 0.2 * fare",
    ]
    assert baseline.rows == 3200
    assert baseline.known["payment"] == ("Card", "Cash")
    assert [rows for _, rows in baseline.label_spans] == [800, 800, 800, 800]


def test_too_few_rows_are_refused():
    with pytest.raises(BaselineError, match=r"at least 25 training rows. Received 20 in spans \[1\]"):
        build({1: rows(20, 1)})


def test_no_rows_are_refused():
    with pytest.raises(BaselineError, match=r"Received 0 in spans \[1, 2\]"):
        build({1: rows(0, 1), 2: rows(0, 2)})


def test_a_window_of_one_span_has_no_variation():
    assert np.isnan(build({1: rows(800, 1)}).variation).all()


def test_variation_is_what_the_windows_spans_do_among_each_other():
    moving = build({span: rows(3000, span, card=share) for span, share in enumerate((0.2, 0.3, 0.4, 0.5), start=1)})
    payment = [feature.name for feature in moving.bins].index("payment")

    # The first span has 20 % cards, the others together 40 %: a distance of 0.2.
    assert np.sqrt(moving.variation[payment]) == pytest.approx(0.2, abs=0.02)
    assert np.sqrt(build().variation[payment]) < 0.03


def test_a_feature_that_the_rows_lack_is_said():
    features = FeatureSpec(label="tips > 0.2 * fare", numeric=("fare", "altitude"))

    (gap,) = build(features=features).not_compared

    assert (gap.feature, gap.text) == ("altitude", "`altitude` is not compared: not in the schema")


def test_a_feature_without_a_value_is_said_and_its_missing_share_compared():
    tables = {span: table.set_column(1, "miles", pa.nulls(800, pa.float64())) for span, table in window().items()}

    made = build(tables)

    assert [gap.feature for gap in made.not_compared] == ["miles"]
    found = drift.compare(rows(1000, 9), made, FEATURES, POLICY)
    assert {item.feature for item in found.drift.moved} == {"miles", "miles (missing)"}


def test_rows_without_labels_are_said():
    tables = {span: table.drop_columns(["tips"]) for span, table in window().items()}

    (gap,) = build(tables).not_compared

    assert (gap.subject, gap.text) == ("label", "the label is not compared: the training rows have none")
