"""A change inside the training window does not hide the next one: sequences of real taxi quarters."""

import dataclasses

import numpy as np
import pyarrow as pa
import pytest

from pipeline.gate import drift
from pipeline.gate.baseline import Baseline
from pipeline.gate.measuring import build_baseline
from pipeline.gate.policy import GatePolicy
from pipeline.gate.words import describe_drift
from tests.helpers.quarters import TAXI, baseline_of
from tests.helpers.windows import FEATURES, SCHEMA, rows

POLICY = GatePolicy(exclude=("trip_start_month",))


def fares(table, factor):
    column = table.column_names.index("fare")
    return table.set_column(column, "fare", pa.array(table["fare"].to_numpy() * factor))


def fare(table, baseline):
    compared = drift.compare(table, baseline, TAXI.features, POLICY).drift
    return next(item for item in compared.features if item.feature == "fare")


@pytest.fixture(scope="module")
def clean(quarters):
    return baseline_of({span: quarters[span] for span in (4, 5, 6, 7)}, POLICY)


@pytest.fixture(scope="module", params=[(4,), (6,), (7,), (6, 7)], ids=str)
def stepped(request, quarters):
    return baseline_of(
        {span: fares(quarters[span], 2.0 if span in request.param else 1.0) for span in (4, 5, 6, 7)}, POLICY
    )


def test_a_doubled_span_in_the_window_does_not_raise_the_threshold(quarters, clean, stepped):
    # It rose from 0.014 to 0.318, which no later change of the fares exceeded.
    before, after = fare(quarters[8], clean), fare(quarters[8], stepped)

    assert after.threshold < 3 * before.threshold
    assert not before.moved


@pytest.mark.parametrize("factor", [1.0, 1.5, 2.0])
def test_later_changes_are_seen_after_a_step(quarters, stepped, factor):
    # Half or more of the window has other fares, whichever of the two these are.
    assert fare(fares(quarters[8], factor), stepped).moved


def test_three_spans_are_enough_to_tell_the_odd_one(quarters):
    window = {5: quarters[5], 6: quarters[6], 7: fares(quarters[7], 2.0)}

    assert fare(fares(quarters[8], 1.5), baseline_of(window, POLICY)).moved


def test_of_two_spans_none_is_the_odd_one_and_the_words_say_whose_the_threshold_is(quarters):
    window = {6: quarters[6], 7: fares(quarters[7], 2.0)}

    item = fare(fares(quarters[8], 2.5), baseline_of(window, POLICY))

    assert (item.limit, item.raised_by) == ("variation", 6)
    assert "set by span 6 against the others of the training window" in describe_drift(item)


def test_a_trend_and_a_season_stay_ordinary():
    tables = {span: rows(3000, span, card=share) for span, share in enumerate((0.2, 0.3, 0.4, 0.5), start=1)}

    baseline = build_baseline(tables, SCHEMA, FEATURES, POLICY, evaluation=None, statistics=None)

    payment = [feature.name for feature in baseline.bins].index("payment")
    # The first span has 20 % cards, the others together 40 %; no division in two makes that out of proportion.
    assert np.sqrt(baseline.variation[payment]) == pytest.approx(0.2, abs=0.02)


def test_a_baseline_without_the_span_that_raised_it_is_read(clean, tmp_path, monkeypatch):
    # As releases before this one wrote it.
    save = np.savez_compressed
    monkeypatch.setattr(np, "savez_compressed", lambda file, raised_by, **arrays: save(file, **arrays))
    clean.save(str(tmp_path))

    loaded = Baseline.load(str(tmp_path))

    assert np.array_equal(loaded.variation, clean.variation, equal_nan=True)
    assert set(loaded.raised_by.tolist()) == {-1}
    assert dataclasses.replace(loaded, raised_by=clean.raised_by).rows == clean.rows


def test_a_value_that_a_fifth_of_the_rows_froze_at_is_named(quarters, clean):
    # It read "95 % quantile".
    frozen = quarters[8]["fare"].to_numpy().copy()
    frozen[::5] = 7.77
    column = quarters[8].column_names.index("fare")

    item = fare(quarters[8].set_column(column, "fare", pa.array(frozen)), clean)

    assert item.moved
    assert item.direction.startswith("`fare`: share of the one value `7.77` at most 0.0")
    assert item.direction.endswith("→ 0.20")
