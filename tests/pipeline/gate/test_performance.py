import dataclasses

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from pipeline.evaluation import intervals
from pipeline.gate import discrimination, evidence, performance, yardstick
from pipeline.gate.policy import GatePolicy

POLICY = GatePolicy()


def scored(rows, *, seed=0, separation=1.2, share=0.25, bias=0.0):
    """A calibrated model: log-odds of a normal score with two means, plus a bias."""
    rng = np.random.default_rng(seed)
    labels = (rng.random(rows) < share).astype(int)
    score = rng.normal(size=rows) + separation * labels
    odds = np.log(share / (1 - share)) + separation * score - separation**2 / 2 + bias
    return labels, 1 / (1 + np.exp(-odds))


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 5)), min_size=2, max_size=60))
def test_auc_equals_scikit_learn_with_ties(rows):
    labels = np.array([label for label, _ in rows])
    scores = np.array([score / 5 for _, score in rows])

    found = discrimination.auc(labels, scores)

    if len(set(labels)) == 1:
        assert found is None
    else:
        assert found.value == pytest.approx(metrics.roc_auc_score(labels, scores))


def test_auc_of_groups_equals_scikit_learn_with_ties_between_groups():
    scores = np.array([0.2, 0.7, 0.2, 0.9])
    positives, negatives = np.array([1.0, 2.0, 0.0, 3.0]), np.array([2.0, 1.0, 4.0, 0.0])
    labels = np.repeat([1, 0], [6, 7])
    of_rows = np.concatenate([np.repeat(scores, positives.astype(int)), np.repeat(scores, negatives.astype(int))])
    value = discrimination.auc_of_groups(scores, positives, negatives)
    assert value == pytest.approx(metrics.roc_auc_score(labels, of_rows), abs=1e-12)


def test_delong_variance_by_hand():
    # Positives 0.9, 0.4; negatives 0.5, 0.1. Placements of the positives: 1, 1/2; of the negatives: 1/2, 1.
    # AUC 3/4; variance 0.125 / 2 + 0.125 / 2 = 0.125, standard error 0.3536.
    found = discrimination.auc(np.array([1, 1, 0, 0]), np.array([0.9, 0.4, 0.5, 0.1]))

    assert found.value == pytest.approx(0.75)
    assert found.high - found.low == pytest.approx(2 * 1.96 * np.sqrt(0.125), rel=1e-3)


def test_delong_intervals_cover_the_truth():
    truth = discrimination.auc(*scored(400_000, seed=99)).value
    found = [discrimination.auc(*scored(500, seed=seed)) for seed in range(400)]

    covered = np.mean([estimate.low <= truth <= estimate.high for estimate in found])

    assert 0.92 <= covered <= 0.98


def test_loss_and_calibration_by_hand():
    overall = performance.evaluate(np.array([1, 0]), np.array([0.5, 0.25])).overall

    assert overall.loss.value == pytest.approx(-(np.log(0.5) + np.log(0.75)) / 2)
    assert overall.calibration.value == pytest.approx(0.375 - 0.5)
    assert (overall.label_share.value, overall.mean_prediction.value) == (0.5, 0.375)


def test_expected_calibration_error_by_hand():
    # Ten rows at 0.2 with 5 positives, ten at 0.8 with 8: in bins of two rows each, sorted by prediction.
    labels = np.array([1, 0] * 5 + [1] * 8 + [0] * 2)
    found = performance.evaluate(labels, np.repeat([0.2, 0.8], 10)).overall.ece

    # Lower half: |0.2 - 0.5| in each bin; upper: |0.8 - 1| in four bins, |0.8 - 0| in one.
    assert found.value == pytest.approx((5 * 0.3 + 4 * 0.2 + 0.8) / 10)
    assert found.low <= found.value <= found.high


def test_the_same_model_on_the_same_distribution_rarely_counts_as_worse():
    alarms = 0
    for seed in range(200):
        before, now = (
            performance.evaluate(*scored(1500, seed=seed)),
            performance.evaluate(*scored(800, seed=900 + seed)),
        )
        alarms += any(change.matters for change in performance.compare(now, before, POLICY)[0])

    assert alarms <= 6  # 1 % of 200, plus sampling error.


@pytest.mark.parametrize(
    ("changed", "metric"),
    [({"separation": 0.5}, "auc"), ({"bias": 1.5}, "calibration"), ({"bias": 2.5}, "loss")],
)
def test_a_worse_model_counts(changed, metric):
    before = performance.evaluate(*scored(5000, seed=1))
    labels, _ = scored(5000, seed=2)
    _, now_scores = scored(5000, seed=2, **changed)
    if "separation" in changed:
        labels, now_scores = scored(5000, seed=2, **changed)

    changes, _ = performance.compare(performance.evaluate(labels, now_scores), before, POLICY)

    assert metric in {change.metric for change in changes if change.matters}


def test_a_certain_change_within_the_margin_does_not_count():
    before = performance.evaluate(*scored(200_000, seed=1, separation=1.2))
    now = performance.evaluate(*scored(200_000, seed=2, separation=1.16))

    changes, _ = performance.compare(now, before, POLICY)

    (auc,) = [change for change in changes if change.metric == "auc"]
    assert auc.high < 0
    assert not auc.matters


def test_a_better_model_does_not_count():
    before = performance.evaluate(*scored(5000, seed=1, separation=0.8))
    now = performance.evaluate(*scored(5000, seed=2, separation=2.0))

    assert not any(change.matters for change in performance.compare(now, before, POLICY)[0])


def test_lower_loss_does_not_hide_a_lost_auc():
    # As the flights of September: fewer positives lower the log loss, while AUC falls.
    before = performance.evaluate(*scored(20_000, seed=1, share=0.3, separation=1.0))
    labels, _ = scored(20_000, seed=2, share=0.05, separation=0.6)
    now = performance.evaluate(labels, scored(20_000, seed=2, share=0.05, separation=0.6)[1])

    changes = {change.metric: change for change in performance.compare(now, before, POLICY)[0]}

    assert changes["loss"].current.value < changes["loss"].baseline.value
    assert changes["auc"].matters


def test_calibration_counts_in_both_directions():
    before = performance.evaluate(*scored(20_000, seed=1))
    labels, _ = scored(20_000, seed=2)
    low = performance.evaluate(labels, scored(20_000, seed=2, bias=-1.5)[1])

    assert "calibration" in {change.metric for change in performance.compare(low, before, POLICY)[0] if change.matters}


def test_small_slices_are_reported_and_not_judged():
    def with_slices(seed):
        labels, scores = scored(2000, seed=seed)
        rare = np.arange(2000) < 50
        return performance.evaluate(np.where(rare, 1 - labels, labels), scores, {"a=rare": rare, "a=common": ~rare})

    changes, gaps = performance.compare(with_slices(1), with_slices(2), POLICY)

    assert {change.slice: change.judged for change in changes} == {"": True, "a=rare": False, "a=common": True}
    assert [gap.text for gap in gaps] == [
        "1 slice of the performance (a=rare): not judged, with fewer than 200 rows now or at push"
    ]


def test_slices_correct_each_other():
    labels, scores = scored(2000)
    halves = {f"a={i}": np.arange(2000) % 2 == i for i in range(2)}
    alone, _ = performance.compare(performance.evaluate(labels, scores), performance.evaluate(labels, scores), POLICY)
    many, _ = performance.compare(
        performance.evaluate(labels, scores, halves), performance.evaluate(labels, scores, halves), POLICY
    )

    assert many[0].high - many[0].low > alone[0].high - alone[0].low


def test_new_and_vanished_slices_are_said():
    labels, scores = scored(1000)
    everything = np.ones(1000, np.bool_)

    _, gaps = performance.compare(
        performance.evaluate(labels, scores, {"a=new": everything}),
        performance.evaluate(labels, scores, {"a=gone": everything}),
        POLICY,
    )

    assert [gap.text for gap in gaps] == [
        "1 slice of the performance (a=new): not in the evaluation at push",
        "1 slice of the performance (a=gone): without rows in this span",
    ]


def test_one_class_alone_has_no_auc_and_says_so():
    ones = performance.evaluate(np.ones(500), np.full(500, 0.9))

    changes, gaps = performance.compare(ones, performance.evaluate(*scored(500)), POLICY)

    assert {change.metric for change in changes} == {"calibration", "loss"}
    assert gaps[0].text == "the live model's performance: without an AUC, because all labels are equal"


def spans_with(aucs, *, error=0.005, slice_=""):
    """Results of a window's spans in which only the AUC differs."""
    still = intervals.around(0.0, 0.002, 5000)
    return [
        performance.SpanResult(
            span=span,
            slice=slice_,
            rows=5000,
            auc=intervals.around(auc, error, 5000),
            calibration=still,
            loss=intervals.around(0.3, 0.005, 5000),
        )
        for span, auc in enumerate(aucs, start=1)
    ]


def auc_change(now, aucs, *, pooled=True):
    changes, _ = performance.compare(
        at(now, error=0.005), at(aucs[-1], error=0.005), POLICY, spans=spans_with(aucs), pooled=pooled
    )
    return next(change for change in changes if change.metric == "auc")


def test_a_model_whose_spans_differ_is_not_called_worse_for_one_more_such_span():
    # By sampling alone 0.68 is ten of its errors below 0.75.
    restless, calm = auc_change(0.68, [0.70, 0.76, 0.68, 0.75]), auc_change(0.68, [0.75, 0.755, 0.745, 0.75])

    assert not restless.matters
    assert restless.between_spans == pytest.approx(0.0386 - 0.0003, abs=0.001)  # Standard deviation, sampling off.
    assert calm.matters
    assert calm.between_spans == 0


def test_spans_that_agree_tell_more_together_than_one():
    together, alone = auc_change(0.74, [0.75] * 4), auc_change(0.74, [0.75] * 4, pooled=False)

    # By hand: the baseline's error is 0.005 of one span, and half of it of four.
    assert together.baseline.high - together.baseline.low == pytest.approx(2 * 1.96 * 0.0025, rel=1e-3)
    assert together.high - together.low < alone.high - alone.low


def test_a_collapse_within_the_window_hides_no_other():
    # Left in, the collapse would be a standard deviation of 0.37 between spans.
    assert auc_change(0.6, [0.95, 0.95, 0.95, 0.205], pooled=False).between_spans < 0.03
    assert auc_change(0.6, [0.95, 0.95, 0.21, 0.2], pooled=False).between_spans < 0.03


def rare(rows, positives, *, predicted):
    return performance.evaluate(np.arange(rows) < positives, np.full(rows, predicted))


def test_of_rare_positives_a_part_of_what_was_counts():
    # 0.5 % were positive and 0.5 % are predicted; then 2 % are positive: 1.5 points, below the absolute margin of five.
    changes, _ = performance.compare(rare(20_000, 400, predicted=0.005), rare(20_000, 100, predicted=0.005), POLICY)

    found = {change.metric: change for change in changes}
    assert found["calibration"].margin == pytest.approx(0.0025)
    assert found["calibration"].matters
    assert found["loss"].matters


@pytest.mark.parametrize(
    ("labels", "scores", "message"),
    [
        ([], [], "at least one"),
        ([1], [0.5, 0.5], "as many labels as predictions of a binary model"),
        ([2, 0], [0.5, 0.5], "Expected labels 0 and 1"),
        ([1, 0], [1.5, 0.5], r"Expected probabilities in \[0, 1\]. Received: \[1.5\]"),
        ([1, 0], [np.nan, 0.5], r"Expected probabilities in \[0, 1\]"),
    ],
)
def test_what_cannot_be_scored_is_refused(labels, scores, message):
    with pytest.raises(ValueError, match=message):
        performance.evaluate(np.array(labels), np.array(scores))


def test_a_span_that_holds_none_of_the_large_errors_is_no_alarm():
    # Numbers as money and delays are: 300 rows often miss the tail, and their mean error is then far off, it seems for
    # certain. Judged by their own spread alone, one span in 60 is called worse.
    alarms = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        now, before = (long_tailed(rows, rng) for rows in (300, 6_000))
        alarms += any(change.matters for change in performance.compare(now, before, POLICY)[0])

    # 0.75 % of 200, and three deviations of that.
    assert alarms <= 5
    worse = performance.compare(long_tailed(2_000, rng, 1.6), before, POLICY)[0]
    assert {change.metric for change in worse if change.matters} >= {"bias", "error"}


def long_tailed(rows, rng, times=1.0):
    labels, value = times * np.exp(rng.normal(3, 1.2, rows)), np.full(rows, np.exp(3.72))
    return performance.evaluate(labels, np.stack([value, 0 * value, 4 * value], axis=1), task="regression")


def test_slices_are_named_by_column_and_value():
    masks = performance.slice_masks({"a": pa.array(["x", "x", None]), "b": pa.array([1, 2, 1])}, ["a", "b"])

    assert {name: mask.tolist() for name, mask in masks.items()} == {
        "a=x,b=1": [True, False, False],
        "a=x,b=2": [False, True, False],
    }


def at(auc, *, error=0.01):
    """An evaluation of which only the AUC counts."""
    evaluation = performance.evaluate(*scored(1000))
    overall = dataclasses.replace(evaluation.overall, auc=intervals.around(auc, error, 1000))
    return performance.Evaluation(slices=(overall,))


def origin_of(out_of_time, held_out=None, previous=None, window=(4, 5, 6, 7)):
    """Where the yardstick comes from, and its AUC; `previous` is an AUC and the span it was measured on."""
    live = previous and yardstick.Yardstick(
        evaluation=at(previous[0]), origin=evidence.Origin(source="out_of_time", span=previous[1], version="77")
    )
    found = yardstick.choose_yardstick(
        None if out_of_time is None else at(out_of_time),
        lambda: None if held_out is None else at(held_out),
        live,
        window,
        POLICY,
    )
    return found and (found.origin.source, found.origin.span, found.origin.version, found.evaluation.overall.auc.value)


def test_the_yardstick_is_the_new_model_out_of_time():
    assert origin_of(0.93) == ("out_of_time", 7, "", 0.93)
    assert origin_of(0.93, previous=(0.92, 6)) == ("out_of_time", 7, "", 0.93)
    # A difference within noise or within the margin is no change.
    assert origin_of(0.93, previous=(0.945, 6)) == ("out_of_time", 7, "", 0.93)


def test_a_collapse_is_no_yardstick_while_the_window_holds_earlier_spans():
    assert origin_of(0.205, previous=(0.93, 6)) == ("out_of_time", 6, "77", 0.93)
    assert origin_of(0.70, previous=(0.93, 4)) == ("out_of_time", 4, "77", 0.93)


def test_a_model_of_later_spans_alone_sets_its_own_yardstick():
    assert origin_of(0.80, previous=(0.93, 3)) == ("out_of_time", 7, "", 0.80)


def test_held_out_rows_count_where_out_of_time_less_than_half_is_left():
    assert origin_of(0.205, held_out=0.70) == ("held_out", 7, "", 0.70)
    # They flatter: 0.744 beside 0.643 is what flights show in an ordinary month.
    assert origin_of(0.643, held_out=0.744) == ("out_of_time", 7, "", 0.643)


def test_a_window_of_one_span_is_measured_on_held_out_rows():
    assert origin_of(None, held_out=0.9, window=(7,)) == ("held_out", 7, "", 0.9)
    assert origin_of(None, window=(7,)) is None
