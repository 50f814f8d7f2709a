import numpy as np
import pyarrow as pa
import pytest

from pipeline.gate import labels
from pipeline.gate.policy import GatePolicy
from pipeline.gate.words import describe_label
from tests.helpers.windows import rows

LABEL = "tips > 0.2 * fare"
POLICY = GatePolicy()


def test_the_share_of_positives_has_its_wilson_interval():
    # 200 of 1,000: centre (0.2 + 1.92/1000) / (1 + 3.84/1000) = 0.2011, half width 0.0248.
    change, _ = labels.compare(rows(1000, 1), LABEL, [(200, 1000)], POLICY)

    assert (change.baseline.low, change.baseline.high) == (
        pytest.approx(0.1764, abs=1e-3),
        pytest.approx(0.2259, abs=1e-3),
    )


def test_a_label_that_moved_counts_although_no_input_did():
    change, gaps = labels.compare(rows(1000, 2, tipped=0.3), LABEL, [(640, 3200)], POLICY)

    assert (change.matters, gaps) == (True, [])
    assert change.low > 0


def test_a_change_within_the_margin_does_not_count():
    change, _ = labels.compare(rows(100_000, 3, tipped=0.22), LABEL, [(20_000, 100_000)], POLICY)

    assert change.low > 0
    assert not change.matters


def test_an_uncertain_change_does_not_count():
    change, _ = labels.compare(rows(60, 4, tipped=0.28), LABEL, [(640, 3200)], POLICY)

    assert not change.matters


def test_a_label_that_stays_where_it_is_counts_seldom():
    alarms = sum(labels.compare(rows(500, seed), LABEL, [(640, 3200)], POLICY)[0].matters for seed in range(300))

    assert alarms <= 8  # 1 % of 300, plus sampling error.


@pytest.mark.parametrize(
    ("span", "before", "text"),
    [
        (rows(1000, 5).drop_columns(["tips"]), (1, 2), "the label was not compared: the span has no labels"),
        (rows(1000, 5), (0, 0), "the label was not compared: the baseline has no labels"),
    ],
)
def test_what_cannot_be_compared_is_said(span, before, text):
    change, gaps = labels.compare(span, LABEL, [before], POLICY)

    assert change is None
    assert [gap.text for gap in gaps] == [text]


def test_whole_numbers_in_a_label_are_not_rounded_although_some_are_missing():
    # float32 cannot tell 16,777,216 and 16,777,217 apart, and a tf.Example stores whole numbers as they are.
    table = pa.table({"n": pa.array([16_777_216, 16_777_217, None, 2**53 + 3], pa.int64())})

    assert labels.evaluate(table, "n > 16777216").tolist() == [0, 1, -1, 1]


def test_days_that_vary_are_no_alarm_and_a_label_that_leaves_them_is():
    # Days with 12 % to 28 % positives: at 2,000 rows sampling explains 1 point of that, and every second day was one.
    shares = np.clip(np.random.default_rng(8).normal(0.2, 0.04, 60), 0.05, 0.4)
    days = [labels.positives(rows(2000, seed, tipped=share), LABEL) for seed, share in enumerate(shares)]

    def alarm(day, window):
        return labels.compare(rows(2000, day, tipped=shares[day]), LABEL, window, POLICY)[0].matters

    assert sum(alarm(day, [(sum(p for p, _ in days[day - 7 : day]), 14_000)]) for day in range(7, 60)) >= 10
    assert sum(alarm(day, days[day - 7 : day]) for day in range(7, 60)) <= 1
    assert labels.compare(rows(2000, 99, tipped=0.5), LABEL, days[:7], POLICY)[0].matters


def test_the_change_says_by_how_much_the_windows_spans_vary():
    change, _ = labels.compare(rows(2000, 7, tipped=0.5), LABEL, [(200, 2000), (400, 2000), (600, 2000)], POLICY)

    # Shares of 0.1, 0.2 and 0.3: a variance of 0.01, less 0.16 / 2,000.
    assert change.between_spans == pytest.approx(0.0996, abs=1e-4)
    assert "the window's spans vary by 0.100" in describe_label(change)


def feed(number, positives):
    """Rows of which the first are positive."""
    fares = np.ones(number)
    return pa.table({"fare": fares, "tips": np.where(np.arange(number) < positives, 1.0, 0.0)})


@pytest.mark.parametrize(
    ("number", "positives", "moved"),
    [
        (5000, 25, False),  # 0.5 %, as ever.
        (5000, 2, True),  # The feed died: 0.04 %, a tenth.
        (5000, 60, True),  # 1.2 %.
        (1000, 0, False),  # Of 0.5 % one span of 1,000 in 150 has none.
        (5000, 15, False),  # 0.3 %: less than half of it is gone.
    ],
)
def test_a_rare_label_moves_by_a_part_of_itself(number, positives, moved):
    change, _ = labels.compare(feed(number, positives), LABEL, [(25, 5000)] * 4, POLICY)

    assert change.margin == pytest.approx(0.0025)
    assert change.matters == moved


def test_a_rare_label_that_stays_counts_seldom():
    rng = np.random.default_rng(3)
    drawn = rng.binomial(5000, 0.005, (400, 5)).tolist()
    alarms = sum(
        labels.compare(feed(5000, now), LABEL, [(each, 5000) for each in window], POLICY)[0].matters
        for now, *window in drawn
    )

    assert alarms <= 5  # 0.5 % of 400, plus sampling error.
