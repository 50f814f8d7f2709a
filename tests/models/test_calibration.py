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
