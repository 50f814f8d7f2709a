"""Impossible values in small doses, on real taxi rows: counted together, blocked, and never learned."""

import dataclasses

import numpy as np
import pyarrow as pa
import pytest

from columnar.domains import without_impossible
from pipeline.config.schema import read_schema
from pipeline.gate import assess, quality
from pipeline.gate.decision import Row, Verdict, describe
from pipeline.gate.settings import Settings
from tests.helpers.quarters import TAXI, baseline_of

SCHEMA = read_schema(TAXI.schema_path)
DAY = 86_400


def spoiled(table, share, *, columns=("fare", "trip_start_hour", "pickup_latitude")):
    """A share of the rows of each of three columns, other rows of each, holds what cannot be."""
    odd = dict(zip(("fare", "trip_start_hour", "pickup_latitude"), (-99_999.0, 99, 0.0), strict=True))
    each = max(1, round(share * table.num_rows))
    for number, column in enumerate(columns):
        values = np.array(table[column].to_pylist(), dtype=object)
        values[number * each : (number + 1) * each] = odd[column]
        array = pa.array(values.tolist(), table[column].type)
        table = table.set_column(table.column_names.index(column), column, array)
    return table


@pytest.fixture(scope="module")
def live(quarters, tmp_path_factory):
    baseline = baseline_of({number: quarters[number] for number in (7, 8, 9, 10)}, TAXI.gate)
    return assess.Live(version=str(100 * DAY), model_dir=tmp_path_factory.mktemp("none"), baseline=baseline)


def decide(live, table, policy=TAXI.gate):
    span = assess.Span(number=11, version=0, table=table, schema=SCHEMA)
    settings = Settings(features=TAXI.features, policy=policy)
    return assess.assess(span, live, (), settings, evaluated_at=101 * DAY, forced=False).decision


def test_half_a_percent_in_each_of_three_columns_blocks(live, quarters):
    # 6 of 1,148 rows a column warned before, and were trained on at the next rerun.
    decision = decide(live, spoiled(quarters[11], 0.005))

    assert (decision.verdict, decision.row) == (Verdict.BLOCK, Row.UNUSABLE_DATA)
    assert decision.reasons[0].text == (
        "18 of 1,148 rows (1.57%) with a value that the schema rules out, "
        "in `fare`, `pickup_latitude`, `trip_start_hour` together"
    )


def test_fewer_are_said_and_left_out_of_training(live, quarters):
    table = spoiled(quarters[11], 0.001, columns=("fare",))

    decision = decide(live, table)
    (batch,) = table.combine_chunks().to_batches()
    left = without_impossible(batch, SCHEMA, TAXI.features.columns)

    assert decision.verdict is Verdict.SKIP
    assert "warning: `fare`: 1 of 1,148 rows (0.09%) outside 0 to 1000, such as -99999; such rows are left out" in (
        describe(decision)
    )
    assert left.num_rows == table.num_rows - 1
    assert min(left["fare"].to_pylist()) >= 0


def test_a_person_may_tolerate_them(live, quarters):
    lenient = dataclasses.replace(TAXI.gate, impossible_tolerance=0.05, out_of_range_tolerance=0.05)

    assert decide(live, spoiled(quarters[11], 0.005), lenient).row is not Row.UNUSABLE_DATA


def test_clean_spans_of_a_handful_of_rows_are_seldom_blocked(quarters):
    # Of the taxi trips 2 to 6 % have no drop-off place, of which 15 % are allowed: by chance, often more in 5 rows.
    rng = np.random.default_rng(0)
    trips = pa.concat_tables(list(quarters.values()))
    blocked = 0
    for _ in range(100):
        few = trips.take(rng.choice(trips.num_rows, 5, replace=False))
        found = quality.check(few, SCHEMA, TAXI.features, TAXI.gate)
        blocked += any(item.severity == "block" for item in found)

    assert blocked <= 3
