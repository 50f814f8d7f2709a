"""Numbers as a reader wants them; a no-break space before each unit."""

import math

import pytest

from pipeline.report import numbers


@pytest.mark.parametrize(
    ("write", "value", "expected"),
    [
        (numbers.count, 12345, "12,345"),
        (numbers.share, 0.1234, "12.3 %"),
        (numbers.share, 0.0, "0 %"),
        (numbers.share, 0.00037, "0.04 %"),
        (numbers.share, 0.99963, "99.96 %"),
        (numbers.share, 1.0, "100 %"),
        (numbers.chance, 0.0, "< 0.1 %"),
        (numbers.chance, 0.996, "99.6 %"),
        (numbers.score, 0.96503, "0.965"),
        (numbers.score, -0.002, "−0.002"),
        (numbers.change, -0.0254, "−0.025"),
        (numbers.value, 72120.4, "72,120"),
        (numbers.value, -87.6543, "−87.65"),
        (numbers.value, 1e300, "1e+300"),
        (numbers.value, 0.00001234, "1.23e-05"),
        (numbers.value, math.inf, "∞"),
        (numbers.seconds, 0.4213, "0.42 s"),
        (numbers.seconds, 18.77, "18.8 s"),
        (numbers.seconds, 178.2, "2 min 58 s"),
        (numbers.seconds, 7260, "2 h 1 min"),
        (numbers.size, 1_310_000_000, "1.31 GB"),
        (numbers.size, 512, "512 B"),
        (numbers.times, 1.899, "1.9 ×"),
    ],
)
def test_a_number_is_written(write, value, expected):
    assert write(value).replace("\u00a0", " ") == expected


@pytest.mark.parametrize(
    "write", [numbers.count, numbers.share, numbers.score, numbers.value, numbers.seconds, numbers.size]
)
def test_what_is_not_known_is_a_dash(write):
    assert write(None) == "–"


def test_long_text_is_cut():
    assert numbers.short("x" * 500, 10) == "xxxxxxxxx…"
    assert numbers.short("short", 10) == "short"
