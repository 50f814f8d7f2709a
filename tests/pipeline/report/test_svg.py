"""SVG elements: escaped, and ticks at round numbers."""

import pytest
from markupsafe import Markup

from pipeline.report import svg


def test_text_and_attributes_are_escaped_and_markup_is_not():
    drawn = svg.tag("text", "<b>&\"'", svg.tag("title", "a < b"), class_='x" onload="y', text_anchor="end", y=None)

    assert drawn == Markup(
        '<text class="x&#34; onload=&#34;y" text-anchor="end">&lt;b&gt;&amp;&#34;&#39;<title>a &lt; b</title></text>'
    )


def test_numbers_are_written_short():
    assert svg.tag("line", x1=svg.percent(33.333333), y1=2.0) == '<line x1="33.33%" y1="2"></line>'


@pytest.mark.parametrize(
    ("low", "high", "most", "expected"),
    [
        (0, 1, 5, [0, 0.5, 1]),
        (0, 1, 6, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (0.93, 0.97, 5, [0.93, 0.94, 0.95, 0.96, 0.97]),
        (-120, 480, 4, [0, 200, 400]),
        (3, 3, 5, [3]),
    ],
)
def test_ticks_are_round_numbers(low, high, most, expected):
    assert svg.ticks(low, high, most) == pytest.approx(expected)


def test_a_scale_maps_ends_to_ends_and_a_single_value_to_the_middle():
    assert [svg.Scale(10, 20, 100, 0)(value) for value in (10, 15, 20)] == [100, 50, 0]
    assert svg.Scale(5, 5, 0, 100)(5) == 50
