"""Copies are found on real taxi rows, judged without, and never taken for drift."""

import dataclasses

import numpy as np
import pyarrow as pa
import pytest

from pipeline.config.schema import read_schema
from pipeline.gate import assess, repeats
from pipeline.gate.baseline import Baseline
from pipeline.gate.decision import Row, Verdict, describe
from pipeline.gate.policy import GatePolicy
from pipeline.gate.settings import Settings
from tests.helpers.quarters import TAXI, baseline_of

SCHEMA = read_schema(TAXI.schema_path)
DAY = 86_400


@pytest.fixture(scope="module")
def live(quarters, tmp_path_factory):
    """A live model whose files are not there: what is decided here, the rows decide."""
    window = {number: quarters[number] for number in (5, 6, 7, 8)}
    folder = tmp_path_factory.mktemp("none")
    return assess.Live(version=str(100 * DAY), model_dir=folder, baseline=baseline_of(window, TAXI.gate))


@pytest.fixture(scope="module")
def rest(quarters):
    """Rows of the distribution of the window, and not of it: every other row of all spans around it."""
    return pa.concat_tables([quarters[number] for number in (4, 5, 6, 7, 8, 9)])


def decide(live, table, *, number=9, policy=TAXI.gate):
    settings = Settings(features=TAXI.features, policy=policy)
    span = assess.Span(number=number, version=0, table=table, schema=SCHEMA)
    return assess.assess(span, live, (), settings, evaluated_at=101 * DAY, forced=False).decision


def kinds(decision):
    return {finding.kind for finding in decision.evidence.findings}


def test_a_clean_quarter_repeats_nothing(live, quarters):
    decision = decide(live, quarters[9])

    assert kinds(decision) & {"repeated_rows", "known_rows"} == set()
    assert decision.evidence.left_out == 0


def test_rows_that_come_twice_are_judged_once(live, quarters):
    doubled = pa.concat_tables([quarters[9], quarters[9].slice(0, 300)])

    once, twice = decide(live, quarters[9]), decide(live, doubled)

    assert twice.evidence.left_out == 300
    assert twice.evidence.drift.rows == quarters[9].num_rows
    assert [item.distance for item in twice.evidence.drift.features] == [
        item.distance for item in once.evidence.drift.features
    ]
    assert f"warning: 300 of {doubled.num_rows:,} rows (20.5%) are copies of other rows of the span" in describe(twice)
    assert ", 300 of them copies)" in describe(twice).splitlines()[0]


def test_a_span_that_was_delivered_twice_is_blocked_and_causes_no_rerun(live, quarters):
    # 500 rows twice were called drift in 59 of 60 draws.
    doubled = pa.concat_tables([quarters[9].slice(0, 500)] * 2)

    decision = decide(live, doubled)
    allowed = decide(live, doubled, policy=dataclasses.replace(TAXI.gate, repeated_tolerance=0.6))
    alone = decide(live, quarters[9].slice(0, 500))

    assert (decision.verdict, decision.row) == (Verdict.BLOCK, Row.UNUSABLE_DATA)
    assert "500 of 1,000 rows (50.0%) are copies" in decision.reasons[0].text
    assert "repeated_tolerance 0.2" in decision.reasons[0].text
    assert (allowed.verdict, allowed.evidence.drift.moved) == (alone.verdict, alone.evidence.drift.moved)


def test_a_span_that_is_half_a_copy_of_a_training_span_is_seen(live, quarters):
    few = pa.concat_tables([quarters[9], quarters[7].slice(0, 120)])
    half = pa.concat_tables([quarters[9].slice(0, 600), quarters[7].slice(0, 600)])

    warned, blocked = decide(live, few), decide(live, half)

    assert warned.evidence.left_out == 120
    assert "120 of 1,284 rows (9.3%) are rows of the training window, most of span 7" in describe(warned)
    assert blocked.row is Row.UNUSABLE_DATA
    assert "600 of 1,200 rows (50.0%) are rows of the training window" in blocked.reasons[0].text


def test_a_span_of_the_window_that_comes_again_is_no_copy_of_itself(live, quarters):
    # Its labels come in parts: rows that had one already are as they were.
    assert "known_rows" not in kinds(decide(live, quarters[8], number=8))


def test_too_few_distinct_rows_wait(live, quarters):
    doubled = pa.concat_tables([quarters[9].slice(0, 200)] * 2)

    decision = decide(live, doubled, policy=dataclasses.replace(TAXI.gate, repeated_tolerance=0.6))

    assert decision.row is Row.NOT_ENOUGH_ROWS


def test_rows_that_agree_by_nature_are_no_copies():
    # Ten kinds of rows: every row of every span is there many times.
    rng = np.random.default_rng(0)
    tables = {span: pa.table({"kind": rng.integers(0, 10, 500)}) for span in (1, 2, 3)}
    known = repeats.know(tables, ["kind"])

    hashes = repeats.hashes_of(pa.table({"kind": rng.integers(0, 10, 400)}).to_batches(), ["kind"])
    copies = repeats.find(hashes, known, [4], GatePolicy())

    assert (copies.findings, copies.left_out.any()) == ((), False)


def test_equal_rows_become_more_among_more_rows():
    # Two of four rows agree. Of two rows drawn without replacement both are those in 1 of 6 draws: 1/6 of a row of 2.
    usual = repeats.Usual(bits=0, repeated=0.0, shared=0.0, multiplicities=((1, 2), (2, 1)))

    assert usual.repeated_among(2) == pytest.approx(1 / 12)
    assert usual.repeated_among(4) == usual.repeated_among(400) == pytest.approx(1 / 4)


def test_of_a_large_window_a_sample_of_the_hashes_tells_the_share(monkeypatch):
    monkeypatch.setattr(repeats, "MOST_KEPT", 1000)
    known = repeats.know({1: pa.table({"id": np.arange(10_000)})}, ["id"])
    span = pa.table({"id": np.arange(9_000, 11_000)})

    copies = repeats.find(repeats.hashes_of(span.to_batches(), ["id"]), known, [2], GatePolicy())

    assert known.usual.bits == 4
    assert len(known.hashes) < 1000
    assert copies.findings[0].share == pytest.approx(0.5, abs=0.15)
    assert not copies.left_out.any()  # Only a sixteenth of the copies are known.


def test_what_the_window_held_travels_with_the_baseline(live, tmp_path):
    live.baseline.save(str(tmp_path))

    again = Baseline.load(str(tmp_path)).known_rows

    assert (again.hashes == live.baseline.known_rows.hashes).all()
    assert again.usual == live.baseline.known_rows.usual


def test_distinct_rows_are_the_first_of_those_that_agree():
    table = pa.table({"fare": [5.0, 7.0, 5.0, 5.0], "miles": [1.0, 1.0, 1.0, 2.0], "driver": [1, 2, 3, 4]})

    assert repeats.distinct(table, ("fare", "miles"))["driver"].to_pylist() == [1, 2, 4]


def test_a_feed_that_delivers_twice_is_told_from_rows_that_agree_by_nature(quarters):
    few = [{"size": pa.array(np.random.default_rng(seed).integers(0, 40, 500))} for seed in (1, 2)]
    doubled = [pa.concat_tables([quarters[number], quarters[number].slice(0, 200)]) for number in (5, 6)]

    def twice(tables, columns):
        return repeats.know(dict(enumerate(tables)), columns).are_delivered_twice

    assert not twice([pa.table(columns) for columns in few], ["size"])
    assert not twice([quarters[5], quarters[6]], TAXI.features.columns)
    assert twice(doubled, TAXI.features.columns)
    # A window of one span does not tell.
    assert not twice(doubled[:1], TAXI.features.columns)
