"""Rows that come in groups cause no more false alarms than others, once the dataset file says so."""

import numpy as np
import pyarrow as pa
import pytest

from pipeline.evaluation import intervals
from pipeline.gate import clusters, drift, gains, labels, scoring
from pipeline.gate.evidence import Challenge
from pipeline.gate.policy import GatePolicy
from pipeline.gate.settings import Settings
from tests.helpers.quarters import TAXI, baseline_of

GROUP = 8


def test_rows_without_a_group_are_groups_of_their_own():
    table = pa.table({"order": ["a", None, "b", "a", None]})

    groups = clusters.of(table, "order")

    assert groups[0] == groups[3]
    assert len(set(groups.tolist())) == 4


def test_the_design_effect_of_groups_of_equal_rows_is_their_size():
    # Kish: 1 + (size - 1) * correlation within; equal rows have correlation 1.
    values = np.repeat([0.0, 1.0, 1.0, 0.0] * 250, GROUP)
    groups = np.repeat(np.arange(1000), GROUP)

    assert clusters.design_effect(values, groups) == pytest.approx(GROUP, rel=0.01)
    assert clusters.design_effect(values, np.arange(len(values))) == pytest.approx(1.0, rel=0.01)


@pytest.fixture(scope="module")
def orders(quarters):
    """Taxi trips that are each told by eight passengers, who disagree on the minutes."""
    trips = pa.concat_tables(list(quarters.values()))

    def take(number, seed):
        rng = np.random.default_rng(seed)
        rows = np.repeat(rng.choice(trips.num_rows, number // GROUP, replace=False), GROUP)
        table = trips.take(rows)
        seconds = table["trip_seconds"].to_numpy() + rng.integers(0, 1000, len(rows)) / 1000
        table = table.set_column(table.column_names.index("trip_seconds"), "trip_seconds", pa.array(seconds))
        return table.append_column("trip", pa.array(np.repeat(np.arange(len(rows) // GROUP), GROUP)))

    return take


def test_groups_keep_the_budget(orders):
    policies = {column: GatePolicy(exclude=TAXI.gate.exclude, cluster=column) for column in (None, "trip")}
    alarms = {"drift": dict.fromkeys(policies, 0), "label": dict.fromkeys(policies, 0)}
    for column, policy in policies.items():
        baseline = baseline_of({1: orders(8_000, 1)}, policy)
        for seed in range(2, 32):
            span = orders(2_000, seed)
            alarms["drift"][column] += bool(drift.compare(span, baseline, TAXI.features, policy).drift.moved)
            change, _ = labels.compare(span, TAXI.label.text, baseline.label_spans, policy)
            alarms["label"][column] += change.matters

    # 3 % and 0.5 % of 30 spans, and what chance adds to the baseline of 1,000 trips; without the column, nearly all.
    assert alarms["drift"]["trip"] <= 4
    assert alarms["drift"][None] >= 25
    assert alarms["label"]["trip"] <= 2


def test_the_performance_is_as_certain_as_the_groups_make_it():
    # Eight equal rows are one piece of evidence: intervals are wider by the root of eight.
    rng = np.random.default_rng(0)
    probabilities = np.repeat(rng.random(500), GROUP)
    truth = np.repeat((rng.random(500) < probabilities[::GROUP]).astype(np.int64), GROUP)
    table = pa.table({"trip": np.repeat(np.arange(500), GROUP)})

    rows, groups = (
        scoring.evaluate(table, truth, probabilities, (), cluster=column).overall for column in (None, "trip")
    )

    for metric in ("auc", "calibration", "loss"):
        one, other = getattr(rows, metric), getattr(groups, metric)
        assert (other.high - other.low) / (one.high - one.low) == pytest.approx(GROUP**0.5, rel=0.01)


@pytest.mark.parametrize(("cluster", "error"), [(None, 0.01), ("trip", 0.02)])
def test_what_a_training_would_bring_is_as_certain_as_the_groups_make_it(quarters, cluster, error):
    # Every trip is told by four passengers: four equal rows err as one does, which doubles the standard error.
    rows = np.repeat(np.arange(300), 4)
    told = quarters[11].take(pa.array(rows)).append_column("trip", pa.array(rows))
    estimate = intervals.around(0.05, 0.01, 600)
    found = Challenge(rows=600, **dict.fromkeys(("gain", "correction", "recalibration", "calibration_error"), estimate))
    settings = Settings(features=TAXI.features, policy=GatePolicy(cluster=cluster))

    gain = gains.as_certain_as_groups(found, told, lambda table: np.full(table.num_rows, 0.2), settings).gain

    assert (gain.value, intervals.standard_error(gain)) == (0.05, pytest.approx(error, rel=0.01))
