import math

import numpy as np
import pytest

from pipeline.evaluation import intervals
from pipeline.gate import between_spans
from pipeline.gate.between_spans import NOTHING, Between


def test_two_spans_vary_by_half_their_squared_difference_less_sampling():
    # Equal weights: ((0.3 - 0.1)^2 / 2) - 0.01^2.
    found = between_spans.between([0.1, 0.3], [0.01, 0.01])

    assert (found.variance, found.spans) == (pytest.approx(0.0199), 2)


def test_what_sampling_explains_is_no_variation():
    assert between_spans.between([0.19, 0.2, 0.21], [0.02, 0.02, 0.02]).variance == 0.0


def test_dersimonian_and_laird_on_unequal_spans():
    # Weights 100, 25, 25; mean (100 * 1 + 25 * 2 + 25 * 3) / 150 = 1.5; Q = 25 + 6.25 + 56.25 = 87.5;
    # scale 150 - (10,000 + 625 + 625) / 150 = 75; (87.5 - 2) / 75 = 1.14.
    assert between_spans.between([1.0, 2.0, 3.0], [0.1, 0.2, 0.2]).variance == pytest.approx(1.14)


def test_one_span_varies_in_no_known_way():
    assert between_spans.between([0.2], [0.01]) == NOTHING


@pytest.mark.parametrize(
    ("rate", "freedom", "expected"),
    # Tables of Student's t, two-sided.
    [(0.01, 3, 5.841), (0.05, 2, 4.303), (0.05, 10, 2.228), (0.01, 1, 63.66), (0.05, math.inf, 1.960)],
)
def test_students_t(rate, freedom, expected):
    assert between_spans.student_t(rate, freedom) == pytest.approx(expected, rel=1e-3)


def test_the_next_span_of_few_that_vary_is_foreseen_by_students_t():
    # No sampling to speak of: t(3 degrees) * sqrt(0.04^2 * (1 + 1 / 4)) = 5.841 * 0.04472.
    before, now = intervals.around(0.2, 1e-9, 10**9), intervals.around(0.3, 1e-9, 10**9)

    low, high = between_spans.difference(
        before, now, Between(variance=0.0016, sampling=0.0, spans=4), 0.01, spans_before=4
    )

    assert (low, high) == pytest.approx((0.1 - 0.2612, 0.1 + 0.2612), abs=1e-3)


def test_of_a_span_that_is_alone_sampling_is_all_that_is_known():
    before, now = intervals.around(0.2, 0.03, 500), intervals.around(0.3, 0.04, 300)

    # 1.96 * 0.05.
    assert between_spans.difference(before, now, NOTHING, 0.05, spans_before=1) == pytest.approx(
        (0.002, 0.198), abs=1e-4
    )


@pytest.mark.parametrize("varying", [0.0, 0.01, 0.04])
def test_the_interval_keeps_its_rate_whatever_the_spans_do(varying):
    rng = np.random.default_rng(5)
    shares = rng.normal(0.3, varying, (4000, 5))
    errors = math.sqrt(0.21 / 1000)
    measured = rng.normal(shares, errors)
    misses = 0
    for *window, now in measured:
        ordinary = between_spans.between(window, [errors] * 4)
        before = intervals.around(float(np.mean(window)), errors / 2, 4000)
        low, high = between_spans.difference(
            before, intervals.around(now, errors, 1000), ordinary, 0.02, spans_before=4
        )
        misses += not low <= 0 <= high

    # 2 % are due; four spans whose own differences happen to be small are believed a little too soon. With sampling
    # alone, every third is missed at 0.04.
    assert misses / 4000 < 0.045


def test_one_odd_span_or_a_step_is_no_ordinary_variation():
    errors = [0.01] * 5
    # Within the even parts nothing is left beside sampling, of which nine times is allowed.
    for values in ([0.9, 0.9, 0.9, 0.9, 0.2], [0.9, 0.2, 0.9, 0.9, 0.9], [0.9, 0.9, 0.9, 0.2, 0.2]):
        assert between_spans.ordinary(values, errors).variance == pytest.approx(9 * 0.01**2, rel=1e-6)

    # A trend, and spans that go up and down, stay what they are.
    for values in ([0.70, 0.72, 0.74, 0.76, 0.78], [0.70, 0.78, 0.71, 0.77, 0.70]):
        assert between_spans.ordinary(values, errors) == between_spans.between(values, errors)


def test_ten_points_are_seen_in_a_span_like_the_windows_and_in_a_larger_one():
    # A quarter of positives in four spans of 1,000 rows, and ten points more now: standard errors of sqrt(p q / n).
    before, errors = intervals.around(0.25, 0.0068, 4_000), [0.0137] * 4
    ordinary = between_spans.ordinary([0.25, 0.251, 0.249, 0.25], errors)

    lows = [between_spans.difference(before, intervals.around(0.35, error, 1), ordinary, 0.005, spans_before=4)[0]
            for error in (0.0151, 0.0067)]  # fmt: skip

    # With fewer than the three degrees of freedom of four spans, the larger span would hide them: t is 17 there.
    assert min(lows) > 0
