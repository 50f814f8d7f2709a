"""Numbers that are written otherwise, and numbers that lie far out, on real taxi rows."""

import numpy as np
import pyarrow as pa
import pytest

from pipeline.config.schema import read_schema
from pipeline.gate import assess, drift, formats
from pipeline.gate.decision import describe
from pipeline.gate.settings import Settings
from tests.helpers.quarters import TAXI, baseline_of

SCHEMA = read_schema(TAXI.schema_path)
DAY = 86_400


@pytest.fixture(scope="module")
def live(quarters, tmp_path_factory):
    baseline = baseline_of({number: quarters[number] for number in (7, 8, 9, 10)}, TAXI.gate)
    return assess.Live(version=str(100 * DAY), model_dir=tmp_path_factory.mktemp("none"), baseline=baseline)


def decide(live, table):
    span = assess.Span(number=11, version=0, table=table, schema=SCHEMA)
    settings = Settings(features=TAXI.features, policy=TAXI.gate)
    return assess.assess(span, live, (), settings, evaluated_at=101 * DAY, forced=False).decision


def with_fares(table, change):
    fares = pa.array(change(table["fare"].to_numpy()))
    return table.set_column(table.column_names.index("fare"), "fare", fares)


@pytest.mark.parametrize(
    ("change", "how"),
    [
        (np.round, "with 0 decimals"),
        (np.floor, "with 0 decimals"),
        (lambda fares: fares + np.random.default_rng(0).uniform(-1e-5, 1e-5, len(fares)), "with more than 6 decimals"),
    ],
    ids=["rounded", "cut off", "noise"],
)
def test_a_change_of_format_is_named_and_not_trained_on(live, quarters, change, how):
    decision = decide(live, with_fares(quarters[11], change))

    fare = next(item for item in decision.evidence.drift.features if item.feature == "fare")
    # Lower fares make more of the same tips generous: the label may move, the fare does not.
    assert "fare" not in {reason.feature for reason in decision.reasons}
    assert not fare.moved
    assert fare.distance > fare.threshold
    assert (
        f"warning: `fare`: written {how}, in the training window with 2 decimals: a change of format and none of the "
        "distribution, for which no training is needed"
    ) in describe(decision)


def test_a_fare_that_is_raised_and_rounded_has_moved(live, quarters):
    found = drift.compare(
        with_fares(quarters[11], lambda fares: np.round(1.25 * fares)), live.baseline, TAXI.features, TAXI.gate
    )

    assert "fare" in {item.feature for item in found.drift.moved}


@pytest.mark.parametrize(
    ("values", "expected"),
    [([7.0, 9.0], 0), ([7.25, 9.0], 2), ([7.3, 1e7], 1), ([0.1234567], formats.NO_GRID), ([], formats.NO_GRID)],
)
def test_decimals_are_those_of_nearly_all_values_as_float32(values, expected):
    assert formats.decimals(np.array(values, np.float32).astype(np.float64)) == expected


def test_a_few_values_far_out_are_said_where_bins_hardly_see_them(live, quarters):
    # Three of 1,148 trips are told in feet.
    miles = quarters[11]["trip_miles"].to_numpy().copy()
    far = np.flatnonzero(miles > 1)[:3]
    miles[far] *= 5280
    table = quarters[11].set_column(quarters[11].column_names.index("trip_miles"), "trip_miles", pa.array(miles))

    clean, decision = decide(live, quarters[11]), decide(live, table)

    assert "far_values" not in {item.kind for item in clean.evidence.findings}
    (finding,) = (item for item in decision.evidence.findings if item.kind == "far_values")
    assert (finding.severity, finding.feature) == ("warn", "trip_miles")
    assert finding.text.startswith("`trip_miles`: 3 of 1,148 rows lie beyond the training window's range 0 to ")
    assert "trip_miles" not in {item.feature for item in decision.evidence.drift.moved}
