import numpy as np
import pytest

from pipeline.evaluation import intervals


def test_the_share_of_positives_has_wilsons_interval():
    # R: prop.test(200, 1000, correct = FALSE)$conf.int: 0.1764, 0.2259.
    share = intervals.wilson(200, 1000)

    assert (share.value, share.rows) == (0.2, 1000)
    assert (share.low, share.high) == (pytest.approx(0.1764, abs=1e-4), pytest.approx(0.2259, abs=1e-4))


def test_a_share_of_nothing_and_of_everything_stays_within_zero_and_one():
    # z² / (n + z²) of 10 rows, z = 1.96: 3.8415 / 13.8415.
    none, every = intervals.wilson(0, 10), intervals.wilson(10, 10)

    assert (none.low, none.high) == (pytest.approx(0.0), pytest.approx(0.27754, abs=1e-4))
    assert (every.low, every.high) == (pytest.approx(0.72246, abs=1e-4), pytest.approx(1.0))


def test_a_mean_has_the_interval_of_its_standard_error():
    # Mean 2, standard deviation 1 (n - 1), standard error 1 / sqrt(3), times 1.96: 1.1316.
    measured = intervals.mean(np.array([1.0, 2.0, 3.0]))

    assert (measured.value, measured.rows) == (2.0, 3)
    assert (measured.low, measured.high) == (pytest.approx(0.8684, abs=1e-4), pytest.approx(3.1316, abs=1e-4))
    assert intervals.standard_error(measured) == pytest.approx(3**-0.5)


def test_one_value_alone_is_uncertain():
    assert intervals.mean(np.array([0.7])).high == pytest.approx(0.7 + 1.96 * 0.5, abs=1e-3)


def test_an_error_that_nobody_measured_has_no_width():
    assert intervals.half_width(None) == 0.0
    assert intervals.half_width(0.01) == pytest.approx(0.0196, abs=1e-5)
