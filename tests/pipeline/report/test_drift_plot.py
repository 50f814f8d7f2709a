import dataclasses
import io
from xml.etree import ElementTree

import pytest
from PIL import Image
from rich.console import Console

from pipeline.errors import ReportError
from pipeline.gate import drift
from pipeline.gate.measuring import build_baseline
from pipeline.gate.policy import GatePolicy
from pipeline.report import drift_plot
from tests.helpers.windows import FEATURES, SCHEMA, rows, window

POLICY = GatePolicy(exclude=("month",))
SVG = "{http://www.w3.org/2000/svg}"
SPAN = rows(2000, 76, card=0.42, fare=2.0)


@pytest.fixture(scope="module")
def baseline():
    return build_baseline(window(areas=30), SCHEMA, FEATURES, POLICY, evaluation=None, statistics=None)


@pytest.fixture(scope="module")
def compared(baseline):
    return drift.compare(SPAN, baseline, FEATURES, POLICY)


def plot(path, comparison):
    drift_plot.plot_drift(path, comparison.drift, comparison.distributions, baseline="spans 1 to 4", span="span 5")


def titles(path):
    return [element.text for element in ElementTree.parse(path).iter(f"{SVG}text") if element.get("class") == "title"]


def test_the_distributions_that_moved_most_are_drawn(compared, tmp_path):
    plot(tmp_path / "drift.svg", compared)

    # Three features moved, so the fourth is the one nearest to its threshold.
    assert titles(tmp_path / "drift.svg") == [item.feature for item in compared.drift.features[:4]]
    assert titles(tmp_path / "drift.svg")[0] == "fare"
    assert "spans 1 to 4" in (tmp_path / "drift.svg").read_text(encoding="utf-8")


def test_a_png_is_the_same_drawing_at_twice_its_size(compared, tmp_path):
    for name in ("drift.svg", "drift.png"):
        plot(tmp_path / name, compared)

    drawn = ElementTree.parse(tmp_path / "drift.svg").getroot()
    with Image.open(tmp_path / "drift.png") as picture:
        assert picture.format == "PNG"
        assert picture.size == (2 * float(drawn.get("width")), 2 * float(drawn.get("height")))
        colours = {colour for _, colour in picture.convert("RGB").getcolors(2**24)}
    # Paper, ink, and the two sides, as templates/colours.css has them for light.
    assert {(0xFF, 0xFF, 0xFF), (0x16, 0x20, 0x2C), (0xAA, 0xB4, 0xC0), (0x0B, 0x5C, 0xAD)} <= colours


def test_a_share_of_missing_values_is_drawn(baseline, tmp_path):
    plot(tmp_path / "drift.svg", drift.compare(rows(3000, 66, missing=0.3), baseline, FEATURES, POLICY))

    assert titles(tmp_path / "drift.svg")[:2] == ["miles", "miles (missing)"]


@pytest.mark.parametrize("ending", drift_plot.ENDINGS)
def test_the_same_comparison_draws_the_same_picture(compared, tmp_path, ending):
    for name in ("a", "b"):
        plot(tmp_path / f"{name}{ending}", compared)

    assert (tmp_path / f"a{ending}").read_bytes() == (tmp_path / f"b{ending}").read_bytes()


def test_where_nothing_was_compared_there_is_no_file(compared, tmp_path):
    with pytest.raises(ReportError, match="nothing to draw: no feature was compared over the frozen bins"):
        plot(tmp_path / "drift.svg", dataclasses.replace(compared, distributions=()))

    assert list(tmp_path.iterdir()) == []


def test_the_table_shows_every_feature_and_what_moved(compared):
    text = io.StringIO()
    Console(file=text, width=160).print(drift_plot.drift_table(compared.drift, title="span 5 against spans 1 to 4"))

    lines = text.getvalue().splitlines()
    assert lines[0].strip() == "span 5 against spans 1 to 4"
    assert lines[2].split()[0] == "fare"
    assert "moved" in lines[2]
    assert "median" in lines[2]
    assert len(lines) == 2 + len(compared.drift.features)
