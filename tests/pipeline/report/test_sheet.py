"""Pictures as a file of their own: safe whatever the data holds, and in any program that shows SVG."""

import functools
import io
import re
from xml.etree import ElementTree

import pytest
import resvg_py
from markupsafe import Markup
from PIL import Image

from pipeline.report import sheet
from pipeline.report.distributions import Picture, distributions
from tests.helpers import browser, reports_of

BOX = Markup('<svg class="chart" width="100%" height="20"><rect width="100%" height="20" class="fill span"/></svg>')


def picture(title="fare", caption="", chart=BOX):
    return Picture(title=title, caption=caption, chart=chart)


def document(*pictures):
    return sheet.svg(pictures, baseline="before", span="after")


def test_names_from_data_are_text_and_characters_that_xml_forbids_are_replaced():
    hostile = reports_of.hostile()
    pictures = distributions(hostile.decision.evidence.drift, hostile.distributions)
    names = "<b>&\"'\x00\x07\ufffe"

    text = document(*pictures, picture(title=names, caption=names, chart=Markup(BOX.replace("<rect", "\x01<rect"))))

    root = ElementTree.fromstring(text.encode())
    assert not [element for element in root.iter() if element.tag.endswith(("script", "img", "}b"))]
    assert [element.text for element in root.iter() if element.text and "<b>" in element.text] == [
        "<b>&\"'\ufffd\ufffd\ufffd"
    ] * 2
    assert len(sheet.png(text)) > 10_000


def test_the_style_needs_no_variables_and_has_both_schemes():
    text = document(picture())

    assert "var(" not in text
    light, _, dark = text.partition("@media (prefers-color-scheme: dark)")
    assert ".chart .fill.span { fill: #0b5cad; }" in light
    assert ".chart .fill.span { fill: #78b6f2; }" in dark
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text)


def test_a_long_caption_takes_three_lines_and_pictures_go_where_there_is_room():
    root = ElementTree.fromstring(document(picture(caption="word " * 200), picture("a"), picture("b")).encode())

    cards = [element for element in root if element.tag.endswith("}svg")]
    captions = [[item.text for item in card if item.get("class") == "says"] for card in cards]
    assert [len(lines) for lines in captions] == [3, 0, 0]
    assert captions[0][-1].endswith(" …")
    # The first card is higher than the second by its caption, so the third stands under the second.
    assert [int(card.get("x")) for card in cards] == [32, 512, 512]


def test_letters_are_drawn_where_the_system_has_no_fonts(monkeypatch):
    """As in a container. Without the font that ships, nothing of the text is drawn, and nothing says so."""
    text = document(picture(title="größe ≥ 3 → Москва"))
    monkeypatch.setattr(resvg_py, "svg_to_bytes", functools.partial(resvg_py.svg_to_bytes, skip_system_fonts=True))

    with Image.open(io.BytesIO(sheet.png(text))) as drawn:
        counts = {colour: count for count, colour in drawn.convert("RGB").getcolors(2**24)}

    # The ink of the light scheme is the title's alone: 18 letters of 30 pixels' height.
    assert counts[(0x16, 0x20, 0x2C)] > 500


@pytest.fixture(scope="module")
def chromium():
    with browser.started() as started:
        yield started


@pytest.mark.parametrize(("scheme", "colour"), [("light", "rgb(11, 92, 173)"), ("dark", "rgb(120, 182, 242)")])
def test_a_browser_shows_it_in_its_own_scheme(chromium, tmp_path, scheme, colour):
    path = tmp_path / "drift.svg"
    path.write_text(document(picture()), encoding="utf-8")

    with browser.opened(chromium, path, 960, scheme) as opened:
        assert opened.page.evaluate("getComputedStyle(document.querySelector('.fill.span')).fill") == colour
        assert opened.messages == []
        assert opened.requests == [path.as_uri()]
