import numpy as np
import pyarrow as pa
import pytest

from pipeline.gate import bins, chance, distances


def reference(rows, seed=0):
    rng = np.random.default_rng(seed)
    numeric = rng.normal(size=rows)
    return pa.table(
        {
            "x": numeric,
            "twin": numeric * 2 + 1,  # Moves with x: the joint threshold must not count it twice.
            "coin": pa.array(rng.choice(["heads", "tails"], rows)),
            "dice": pa.array(rng.integers(1, 7, rows).astype(str)),
            "always": pa.array(["same"] * rows),
            "rarely": pa.array(np.where(rng.random(rows) < 0.0005, np.nan, rng.normal(size=rows))),
        }
    )


KINDS = {
    "x": "numeric",
    "twin": "numeric",
    "rarely": "numeric",
    "coin": "categorical",
    "dice": "categorical",
    "always": "categorical",
}


def calibrated(table, **given):
    frozen = bins.freeze(table, KINDS)
    codes = bins.encode(table, frozen)
    return frozen, codes, chance.calibrate(codes, frozen, **given)


@pytest.mark.parametrize(("reference_rows", "rows"), [(1000, 700), (400, 2000)])
def test_the_joint_false_alarm_rate_is_what_was_asked_for(reference_rows, rows):
    # References and spans of the same distribution, also where the span is larger than the reference, and at sizes
    # between those of the grid. Each pair is new: spans with a common reference would not be independent.
    alarms = []
    for seed in range(80):
        frozen, codes, null = calibrated(reference(reference_rows, seed), replicates=200, seed=seed)
        span = bins.encode(reference(rows, 1000 + seed), frozen)
        found = distances.distances(bins.count(span, frozen), bins.count(codes, frozen), frozen)
        alarms.append((found > chance.noise(null, rows, 0.05, frozen)).any())

    assert 0.01 <= np.mean(alarms) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / len(alarms))


def test_chance_shrinks_with_the_rows_until_the_reference_itself_is_what_errs():
    frozen, _, null = calibrated(reference(1000))

    at = {rows: chance.noise(null, rows, 0.05, frozen)[0] for rows in (100, 300, 1000, 8000, 10**6)}

    assert at[100] > at[300] > at[1000] > at[8000]
    assert at[8000] == at[10**6] > 0


def test_the_expected_jensen_shannon_divergence_follows_its_asymptotics():
    # Twice the sum of squares is chi-squared: E[JS] = (bins - 1) / (8 ln 2) (1/n + 1/N), with 22 bins.
    _, _, null = calibrated(reference(20_000))

    expected = 21 / (8 * np.log(2)) * (1 / 5000 + 1 / 20_000)

    assert chance.expected(null, 5000)[0] == pytest.approx(expected, rel=0.06)


def test_the_threshold_of_a_coin_follows_the_normal_distribution():
    # Alone, |p - q| of a coin exceeds 1.96 sqrt(1/4 (1/n + 1/N)) in 5 % of the spans.
    table = reference(10_000)
    frozen = bins.freeze(table, {"coin": "categorical"})
    null = chance.calibrate(bins.encode(table, frozen), frozen, replicates=4000)

    assert chance.noise(null, 1000, 0.05, frozen)[0] == pytest.approx(
        1.96 * np.sqrt(0.25 * (1 / 1000 + 1 / 10_000)), rel=0.05
    )


def test_a_feature_that_never_moves_needs_more_than_a_row_to_have_moved():
    # One row in 500 that the 1,000 of the reference have no like of is no drift; a tenth of the rows is.
    frozen, _, null = calibrated(reference(1000))
    always = [feature.name for feature in frozen].index("always")

    one_row, many = (chance.chance(null, 500, np.full(len(frozen), d), frozen)[always] for d in (0.002, 0.1))

    assert one_row > 0.5
    assert many == 0
    assert 0.005 < chance.noise(null, 500, 0.05, frozen)[always] < 0.03


def test_chance_at_the_threshold_is_the_false_alarm_rate():
    frozen, _, null = calibrated(reference(2000))

    limits = chance.noise(null, 800, 0.05, frozen)

    at_limit = chance.chance(null, 800, limits, frozen)

    assert at_limit == pytest.approx(np.full(len(frozen), 0.05), abs=0.005)


def test_fewer_rows_than_the_grid_are_refused():
    frozen, _, null = calibrated(reference(200))

    with pytest.raises(ValueError, match="24 rows are too few to compare: the calibration starts at 25"):
        chance.noise(null, 24, 0.05, frozen)


def test_the_same_seed_calibrates_the_same():
    table = reference(500)
    _, _, left = calibrated(table, seed=3)
    _, _, right = calibrated(table, seed=3)

    for name in ("sizes", "mean", "shape", "largest"):
        assert np.array_equal(getattr(left, name), getattr(right, name))
