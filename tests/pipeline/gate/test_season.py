"""Days of real taxi rows: each is compared with its own day of the week."""

import dataclasses

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from pipeline.gate import drift, season
from pipeline.gate.baseline import Baseline
from pipeline.gate.policy import GatePolicy
from tests.helpers.quarters import TAXI, baseline_of

# A trip's own day and month would give a day away.
EXCLUDE = ("trip_start_month", "trip_start_day")
WEEKLY = GatePolicy(season="week", exclude=EXCLUDE)


@pytest.fixture(scope="module")
def days(quarters):
    """Three weeks, of the trips of 2013 to 2016 by the day of the week: spans 1 to 21; 1, 8 and 15 are Sundays."""
    trips = pa.concat_tables(list(quarters.values()))
    found = {}
    for day in range(1, 8):
        rows = trips.filter(pc.equal(trips["trip_start_day"], day))
        order = np.random.default_rng(day).permutation(rows.num_rows)
        for week, part in enumerate(np.array_split(order, 3)):
            found[7 * week + day] = rows.take(pa.array(part))
    return found


@pytest.fixture(scope="module")
def baseline(days):
    return baseline_of({number: days[number] for number in range(1, 15)}, WEEKLY)


def moved(baseline, table, span, policy=WEEKLY):
    reference, gaps = season.baseline_of(baseline, span, policy)
    return {item.feature for item in drift.compare(table, reference, TAXI.features, policy).drift.moved}, gaps


def test_a_sunday_on_a_wednesday_is_seen_by_season_alone(baseline, days):
    # Wednesdays are 4, 11 and 18. Sundays are an ordinary part of the two weeks before.
    sunday = days[15]

    by_season, _ = moved(baseline, sunday, 18)
    as_a_whole, _ = moved(baseline, sunday, 18, dataclasses.replace(WEEKLY, season=None))

    assert "trip_start_hour" in by_season
    assert "trip_start_hour" not in as_a_whole


def test_days_like_their_own_are_seldom_called_moved(baseline, days):
    alarms = [bool(moved(baseline, days[number], number)[0]) for number in range(15, 22)]

    assert sum(alarms) <= 1  # 2.5 % of the spans


def test_a_season_without_a_comparable_span_is_said(baseline, days):
    short = baseline_of({number: days[number] for number in (1, 2, 3)}, WEEKLY)

    reference, gaps = season.baseline_of(short, 18, WEEKLY)

    assert reference is short
    assert gaps[0].text == (
        "span 18 was compared with the whole training window and not by season: no span of that window is comparable"
    )


def test_a_baseline_that_was_made_without_a_season_is_said(baseline):
    old = dataclasses.replace(baseline, by_span=None)

    assert "was pushed before its spans were kept one by one" in season.baseline_of(old, 18, WEEKLY)[1][0].text


def test_the_spans_travel_with_the_baseline(baseline, tmp_path):
    baseline.save(str(tmp_path))

    assert (Baseline.load(str(tmp_path)).by_span == baseline.by_span).all()


@pytest.mark.parametrize(
    ("one", "other", "length", "comparable"),
    [
        (19_000, 19_007, "week", True),
        (19_000, 19_006, "week", False),
        (3, 15, 12, True),
        (3, 14, 12, False),
        (19_000, 19_000 + 365, "year", True),
        (19_000, 19_000 + 380, "year", True),  # 14.8 days off
        (19_000, 19_000 + 400, "year", False),
        (19_000, 19_000 - 3653 + 10, "year", True),
    ],
)
def test_what_is_comparable(one, other, length, comparable):
    assert season.are_comparable(one, other, length) is comparable
