"""Small moves that last: seen over several spans together, and seldom where nothing lasts. Real taxi rows."""

import dataclasses

import numpy as np
import pyarrow as pa
import pytest

from pipeline.gate import bins, drift, labels, lasting
from pipeline.gate.decision import Decision, decide
from pipeline.gate.evidence import Evidence, LiveModel
from pipeline.gate.policy import GatePolicy
from tests.helpers.quarters import TAXI, baseline_of

POLICY = GatePolicy(exclude=("trip_start_month",))
LABEL = TAXI.label.text
SPAN_ROWS = 300


@pytest.fixture(scope="module")
def trips(quarters):
    """All trips, shuffled, so that nothing happens between two spans cut from them; 5,000 are trained on."""
    together = pa.concat_tables(list(quarters.values()), promote_options="permissive")
    return together.take(np.random.default_rng(3).permutation(together.num_rows))


@pytest.fixture(scope="module")
def baseline(trips):
    return baseline_of({span: trips.slice((span - 1) * 1250, 1250) for span in (1, 2, 3, 4)}, POLICY)


@pytest.fixture(scope="module")
def codes(trips, baseline):
    return bins.encode(labels.with_label(trips.slice(5000), LABEL), baseline.bins)


def tipped_more(codes, baseline, points, random):
    """Makes so many points of the rows positive."""
    index = [feature.name for feature in baseline.bins].index(LABEL)
    positive = 1 + baseline.bins[index].values.index("1")
    changed = codes.copy()
    negatives = np.flatnonzero(codes[:, index] != positive)
    changed[random.choice(negatives, round(points * len(codes)), replace=False), index] = positive
    return changed


def play(codes, baseline, sequences, length, change=lambda codes, random: codes):
    """Returns in which span each sequence is first called moved over several spans; None where it never is."""
    first = []
    for seed in range(sequences):
        random = np.random.default_rng([7, seed])
        earlier, alarm = [], None
        for span in range(1, length + 1):
            drawn = change(codes[random.integers(0, len(codes), SPAN_ROWS)], random)
            counts = bins.count(drawn, baseline.bins)
            alone = alone_of(counts, baseline)
            if lasting.compare(earlier, span, counts, baseline, POLICY, alone):
                alarm = span
                break
            earlier.append((span, counts))
        first.append(alarm)
    return first


def alone_of(counts, baseline):
    """A comparison in which nothing moved: what is judged over several spans is all of it."""
    allowed = drift.limits(baseline, SPAN_ROWS, POLICY, 0.03)
    features = tuple(
        drift.feature_drift(baseline, index, 0.0, allowed, direction="") for index in range(len(baseline.bins))
    )
    return drift.Drift(
        features=features, false_alarm_rate=0.03, rows=SPAN_ROWS, reference_rows=baseline.rows, window=baseline.window
    )


def test_five_points_more_tips_for_good_are_seen_within_ten_spans_of_300_rows(codes, baseline):
    # Alone, a span of 300 rows showed them in 14 % of the cases, and a quarter of the sequences never did.
    first = play(codes, baseline, 20, 10, lambda drawn, random: tipped_more(drawn, baseline, 0.05, random))

    assert sum(span is not None for span in first) >= 16


def test_where_nothing_lasts_the_expected_run_between_alarms_is_200_spans(codes, baseline):
    first = play(codes, baseline, 30, 20)

    # At most 3 of 600 spans are due; more than 8 would be one case in 250.
    assert sum(span is not None for span in first) <= 8


def test_what_lasts_is_a_reason_of_its_own_and_says_over_how_many_spans(trips, baseline):
    def span(number):
        rows = trips.slice(5000 + number * SPAN_ROWS, SPAN_ROWS)
        more = np.zeros(SPAN_ROWS, bool)
        more[np.flatnonzero(labels.evaluate(rows, LABEL) == 0)[:24]] = True
        tips = pa.array(np.where(more, 1000.0, rows["tips"].to_numpy()))
        return rows.set_column(rows.column_names.index("tips"), "tips", tips)

    earlier, reasons, decision = [], [], None
    for number in range(1, 11):
        compared = drift.compare(span(number), baseline, TAXI.features, POLICY)
        together = lasting.compare(earlier, number, compared.counts, baseline, POLICY, compared.drift)
        evidence = Evidence(
            span=number,
            version=0,
            rows=SPAN_ROWS,
            fingerprint="",
            live=LiveModel(version="1", window=(1,), age_seconds=0),
            drift=dataclasses.replace(compared.drift, features=()),
            lasting=together,
        )
        decision = decide(evidence, POLICY)
        reasons = decision.reasons
        if together:
            break
        earlier.append((number, compared.counts))

    assert Decision.from_json(decision.to_json()) == decision
    assert [(reason.kind, reason.feature) for reason in reasons] == [("lasting_drift", LABEL)]
    assert (
        f"over the last {len(together[0].spans)} spans together ({300 * len(together[0].spans):,} rows; "
        in reasons[0].text
    )


def test_spans_without_labels_are_no_move_of_the_label(trips, baseline):
    rows = trips.slice(5000, SPAN_ROWS)
    unlabelled = drift.compare(rows.drop_columns(["tips"]), baseline, TAXI.features, POLICY)
    labelled = drift.compare(rows, baseline, TAXI.features, POLICY)

    found = lasting.compare([(1, unlabelled.counts)], 2, labelled.counts, baseline, POLICY, labelled.drift)

    assert LABEL not in {item.drift.feature for item in found}


def test_one_span_has_nothing_to_add_up(trips, baseline):
    compared = drift.compare(trips.slice(5000, SPAN_ROWS), baseline, TAXI.features, POLICY)

    assert lasting.compare([], 1, compared.counts, baseline, POLICY, compared.drift) == ()
