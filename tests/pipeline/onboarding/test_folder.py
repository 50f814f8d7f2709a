import pytest

from pipeline.onboarding.cut import SpanSummary
from pipeline.onboarding.folder import floors_of, window_of


def test_limits_leave_room_for_the_noise_of_few_rows():
    floors = floors_of(SpanSummary(number=1, rows=300, positives=150))

    # 100 rows, 50 of each label: the deviation of an AUC that knows nothing is sqrt(101 / (12 * 50 * 50)) = 0.058.
    assert floors.rows == 100
    assert floors.min_auc == 0.38
    assert floors.max_auc_drop == 0.06
    # 0.05 + sqrt(2 / pi * 10 * 0.25 / 100) = 0.176, and twice sqrt((1 - 2 / pi) * 0.25 / 100) = 0.030: 0.2365 in all.
    assert floors.max_calibration_error == 0.24


def test_limits_of_many_rows_are_the_defaults_or_nearly():
    floors = floors_of(SpanSummary(number=1, rows=3_000_000, positives=600_000))

    assert floors.min_auc == 0.49
    assert floors.max_auc_drop == 0.01
    assert floors.max_calibration_error == 0.06


@pytest.mark.parametrize(
    ("rows", "window"),
    [([150], 4), ([500] * 10, 10), ([2_000] * 10, 5), ([50_000] * 10, 4), ([10] * 100, 52)],
)
def test_window_holds_ten_thousand_rows_or_four_spans(rows, window):
    assert window_of([SpanSummary(number=i, rows=count) for i, count in enumerate(rows, 1)]) == window
