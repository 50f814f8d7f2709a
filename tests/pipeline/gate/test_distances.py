import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.spatial import distance

from pipeline.gate import distances
from pipeline.gate.bins import FeatureBins

CATEGORICAL = FeatureBins(name="c", kind="categorical", values=("a", "b"))
NUMERIC = FeatureBins(name="x", kind="numeric", points=(0.0,), edges=(1.0,))


def test_l_infinity_is_the_largest_difference_of_shares():
    # missing 0, a 5 → 9, b 5 → 1, other 0 of ten: max |0.9 - 0.5| = 0.4.
    found = distances.distances(np.array([0, 9, 1, 0]), np.array([0, 5, 5, 0]), [CATEGORICAL])

    assert found == pytest.approx([0.4])


def test_jensen_shannon_of_disjoint_distributions_is_one_bit():
    found = distances.distances(np.array([0, 7, 0, 0]), np.array([0, 0, 9, 0]), [NUMERIC])

    assert found == pytest.approx([1.0])


def test_jensen_shannon_by_hand():
    # p = (1/2, 1/2), q = (1, 0): middle (3/4, 1/4).
    # KL(p|m) = 1/2 log2(2/3) + 1/2 log2(2) = 0.2075; KL(q|m) = log2(4/3) = 0.4150; half the sum is 0.3113.
    found = distances.jensen_shannon(np.array([0.5, 0.5]), np.array([1.0, 0.0]))

    assert found == pytest.approx(0.3113, abs=1e-4)


SHARES = hnp.arrays(np.float64, 6, elements=st.integers(0, 50).map(float)).filter(lambda counts: counts.sum() > 0)


@given(SHARES, SHARES)
def test_jensen_shannon_equals_scipy(left, right):
    found = distances.jensen_shannon(distances.shares(left), distances.shares(right))

    # scipy returns the square root of the divergence; near 0 it loses digits.
    assert found == pytest.approx(np.nan_to_num(distance.jensenshannon(left, right, base=2)) ** 2, abs=1e-9)


@given(SHARES, SHARES)
def test_distances_are_symmetric_and_bounded(left, right):
    p, q = distances.shares(left), distances.shares(right)

    for measure in (distances.jensen_shannon, distances.l_infinity):
        assert measure(p, q) == pytest.approx(measure(q, p))
        assert 0 <= measure(p, q) <= 1
        assert measure(p, p) == pytest.approx(0, abs=1e-12)


def test_replicates_are_measured_at_once():
    spans = np.array([[0, 9, 1, 0], [0, 5, 5, 0]])

    assert distances.distances(spans, np.array([0, 5, 5, 0]), [CATEGORICAL]) == pytest.approx(np.array([[0.4], [0.0]]))


def test_squaring_is_undone():
    bins = [CATEGORICAL, NUMERIC]

    squared = distances.squared(np.array([0.4, 0.2]), bins)

    assert squared == pytest.approx([0.16, 0.2])
    assert distances.unsquared(squared, bins) == pytest.approx([0.4, 0.2])
