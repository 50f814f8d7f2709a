import numpy as np
import pytest

from models import calibration, scores


def test_finds_the_slope_and_offset_that_made_the_labels():
    random = np.random.default_rng(7)
    logits = random.normal(0, 2, 200_000)
    labels = (random.random(len(logits)) < scores.sigmoid(0.5 * logits - 1.0)).astype(int)

    result = calibration.calibrate(logits, labels)

    assert result.slope[0] == pytest.approx(0.5, abs=0.01)
    assert result.offset[0] == pytest.approx(-1.0, abs=0.02)


def test_separable_rows_stay_finite():
    result = calibration.calibrate(np.array([-3.0, -2.0, 2.0, 3.0]), np.array([0, 0, 1, 1]))

    assert np.isfinite([result.slope[0], result.offset[0]]).all()


def test_ranks_are_never_turned_around():
    logits = np.linspace(-4, 4, 100)

    assert calibration.calibrate(logits, (logits < 0).astype(int)).slope[0] > 0


@pytest.mark.parametrize(("rows", "expected"), [(39, 1 - 2 * 2 / 40), (99, 1 - 2 * 5 / 100), (30, 1 - 2 * 1 / 31)])
def test_moved_ends_cover_new_rows_as_the_theorem_says(rows, expected):
    # Of n rows that could have come in any order, the ceil((n + 1) * 0.95)-th is not exceeded by a new one in just that
    # share of n + 1: theorem 2 of Romano, Patterson and Candès (2019), with equality where no two rows tie.
    random, covered = np.random.default_rng(3), []
    for _ in range(3_000):
        centre, width = random.normal(size=rows), random.uniform(0.5, 2, rows)
        targets = centre + width * random.normal(size=rows)
        ends = np.stack([centre - width, centre + width], axis=1)  # Wrong by as much as the move finds.
        lower, upper = calibration.conformal_moves(targets, ends, 0.9)
        new_centre, new_width = random.normal(), random.uniform(0.5, 2)
        new = new_centre + new_width * random.normal(size=200)
        covered.append(np.mean((new_centre - new_width + lower <= new) & (new <= new_centre + new_width + upper)))
    assert np.mean(covered) == pytest.approx(expected, abs=4 * np.std(covered) / np.sqrt(len(covered)))


def test_a_number_that_many_rows_have_stays_within_the_interval_in_float32():
    # Tips: two of three riders leave nothing. The lower end is learned to be just that, up to a rounding.
    random = np.random.default_rng(5)
    targets = np.where(np.arange(900) % 3 > 0, 0.0, random.gamma(2.0, 2.0, 900))
    ends = np.stack([np.full(900, 1e-9), np.where(targets == 0, 0.0, 8.0)], axis=1)
    lower, upper = calibration.conformal_moves(targets, ends, 0.9)

    served = (ends.astype(np.float32) + np.array([lower, upper], np.float32)).astype(np.float32)
    assert (served[targets == 0, 0] <= 0).all()
    assert (served[targets == 0, 1] >= 0).all()
