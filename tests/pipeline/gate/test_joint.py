"""Columns that no longer go together, on real taxi rows: none of them moves, and the gate sees it all the same."""

import dataclasses

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from pipeline.config.schema import read_schema
from pipeline.gate import assess, joint
from pipeline.gate.baseline import Baseline
from pipeline.gate.decision import Row, Verdict, describe
from pipeline.gate.settings import Settings
from tests.helpers.quarters import TAXI, baseline_of

SCHEMA = read_schema(TAXI.schema_path)
DAY = 86_400


@pytest.fixture(scope="module")
def live(quarters, tmp_path_factory):
    """A live model whose files are not there: what is decided here, the rows decide."""
    window = {number: quarters[number] for number in (7, 8, 9, 10)}
    folder = tmp_path_factory.mktemp("none")
    return assess.Live(version=str(100 * DAY), model_dir=folder, baseline=baseline_of(window, TAXI.gate))


def decide(live, table, number=11):
    span = assess.Span(number=number, version=0, table=table, schema=SCHEMA)
    settings = Settings(features=TAXI.features, policy=TAXI.gate)
    return assess.assess(span, live, (), settings, evaluated_at=101 * DAY, forced=False).decision


def replaced(table, column, values):
    return table.set_column(table.column_names.index(column), column, values)


def joined_wrongly(table, column, seed=0):
    """The column of other rows: a broken join."""
    return replaced(table, column, table[column].take(np.random.default_rng(seed).permutation(table.num_rows)))


def test_columns_of_a_clean_quarter_go_together_as_ever(live, quarters):
    decision = decide(live, quarters[11])

    assert decision.verdict is Verdict.SKIP
    assert not decision.evidence.joint.moved
    assert decision.evidence.joint.rows == quarters[11].num_rows


@pytest.mark.parametrize(("column", "partners"), [("fare", {"trip_miles", "trip_seconds"}), ("trip_seconds", {"fare"})])
def test_a_column_of_other_rows_is_a_reason_although_no_column_moved(live, quarters, column, partners):
    decision = decide(live, joined_wrongly(quarters[11], column))

    assert (decision.verdict, decision.row) == (Verdict.RERUN, Row.DRIFT)
    assert not decision.evidence.drift.moved
    (reason,) = decision.reasons
    assert (reason.kind, decision.warm_start) == ("joint_drift", False)
    assert decision.evidence.joint.columns[0] == column
    assert decision.evidence.joint.columns[1] in partners | {"pickup_community_area", "dropoff_community_area"}
    assert reason.text.startswith(f"`{column}` no longer goes with `")
    assert "% of the rows are unlike the training window's" in reason.text


def test_a_sub_population_is_named(live, quarters):
    # One company starts to send minutes. Its share of all rows is a fifth.
    company = pc.fill_null(pc.equal(quarters[11]["company"], "Taxi Affiliation Services"), False)
    seconds = quarters[11]["trip_seconds"]
    minutes = pc.cast(pc.divide(seconds, 60), seconds.type)
    table = replaced(quarters[11], "trip_seconds", pc.if_else(company, minutes, seconds))

    decision = decide(live, table)

    found = decision.evidence.joint
    assert found.moved
    assert "trip_seconds" in {item.feature for item in decision.evidence.drift.moved}
    assert found.direction.startswith("`trip_seconds` where `company` is `Taxi Affiliation Services` (")


def test_a_column_that_moves_by_itself_breaks_no_relation(live, quarters):
    table = replaced(quarters[11], "fare", pc.multiply(quarters[11]["fare"], 1.25))

    decision = decide(live, table)

    assert "fare" in {item.feature for item in decision.evidence.drift.moved}
    assert not decision.evidence.joint.moved


def test_like_rows_are_called_apart_as_seldom_as_was_asked(quarters):
    trips = pa.concat_tables(list(quarters.values()))
    moved = 0
    for seed in range(4):
        order = np.random.default_rng(seed).permutation(trips.num_rows)
        baseline = baseline_of({1: trips.take(order[:2000])}, TAXI.gate)
        span = trips.take(order[2000:3000])
        moved += joint.compare(span, baseline.sample, baseline.bins, baseline.label, TAXI.gate).moved

    assert moved == 0  # 0.5 % of the spans; the benchmark draws 200.


def test_a_live_model_of_an_older_release_says_that_it_was_not_compared(live, quarters):
    old = dataclasses.replace(live, baseline=dataclasses.replace(live.baseline, sample=None))

    assert "not compared: how columns go together was not compared" in describe(decide(old, quarters[11]))


def test_an_odd_span_of_the_window_does_not_hide_the_next(quarters):
    window = {number: quarters[number] for number in (7, 8, 9, 10)}
    window[9] = joined_wrongly(window[9], "fare")
    baseline = baseline_of(window, TAXI.gate)

    again = joined_wrongly(quarters[11], "trip_seconds")

    assert joint.compare(again, baseline.sample, baseline.bins, baseline.label, TAXI.gate).moved


def test_the_sample_travels_with_the_baseline(live, tmp_path):
    live.baseline.save(str(tmp_path))

    again = Baseline.load(str(tmp_path))

    assert (again.sample.codes == live.baseline.sample.codes).all()
    assert again.sample.variation == live.baseline.sample.variation
    assert np.array_equal(again.strengths, live.baseline.strengths, equal_nan=True)


def test_a_column_that_suddenly_tells_the_label_blocks(live, quarters):
    tipped = pc.greater(quarters[11]["tips"], pc.multiply(quarters[11]["fare"], 0.2))
    leaked = replaced(quarters[11], "trip_seconds", pc.cast(pc.if_else(tipped, 1800, 60), pa.int64()))

    decision = decide(live, leaked)

    assert (decision.verdict, decision.row) == (Verdict.BLOCK, Row.UNUSABLE_DATA)
    assert decision.reasons[0].text.startswith(
        "`trip_seconds` tells the label as it did not before: alone, its AUC is 0.98"
    )


def test_who_tips_may_change_and_no_column_leaks(live, quarters):
    fare = quarters[11]["fare"]
    turned = pc.if_else(pc.greater(quarters[11]["tips"], pc.multiply(fare, 0.2)), 0.0, fare)

    decision = decide(live, replaced(quarters[11], "tips", turned))

    assert [finding for finding in decision.evidence.findings if finding.kind == "label_leak"] == []


def test_what_a_column_told_before_a_gradual_change_is_no_leak_after_it(live, quarters):
    # Who tips was turned round in half of the rows of the newest window: payment_type tells less there than before it,
    # or when the change is complete.
    def turned(table, share):
        fare, rows = table["fare"], pa.array(np.arange(table.num_rows) % 100 < 100 * share)
        other = pc.if_else(pc.greater(table["tips"], pc.multiply(fare, 0.2)), 0.0, fare)
        return replaced(table, "tips", pc.if_else(rows, other, table["tips"]))

    mixed = {number: turned(quarters[number], 0.5) for number in (9, 10)}
    forgetful, mindful = (baseline_of(mixed, TAXI.gate, live=before) for before in (None, live.baseline))
    after = turned(quarters[11], 1.0)
    blocked, judged = (decide(dataclasses.replace(live, baseline=one), after) for one in (forgetful, mindful))

    assert (blocked.verdict, blocked.reasons[0].feature) == (Verdict.BLOCK, "payment_type")
    assert judged.verdict is Verdict.RERUN
