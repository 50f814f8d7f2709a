"""Pictures on one sheet, as a file of their own: the report's charts as SVG, and the same drawing as PNG.

The style is resolved here, one set of rules for light and one for dark: browsers know CSS variables, other programs
that show SVG mostly do not. A program without media queries, resvg among them, draws the light sheet.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree

import resvg_py
from markupsafe import Markup

from pipeline.report import numbers
from pipeline.report.distributions import Picture
from pipeline.report.svg import tag

_FOLDER = Path(__file__).parent
FONT = _FOLDER / "fonts" / "DejaVuSans.ttf"
"""Drawn into PNG: a container has no fonts, and text without a font is not drawn at all."""
_FAMILY = "DejaVu Sans"
_PIXELS = 2
"""Pixels of a PNG per pixel of the sheet, for sharp text on today's screens."""

_COLUMNS, _WIDTH, _GAP, _MARGIN = 2, 440, 40, 32
_LINE = 18
_LETTERS, _LINES = 58, 3
"""Of a caption: letters that fit into a line, and lines."""
_RULES = """
.paper { fill: var(--paper); }
text { font-family: system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
.title { font-size: 15px; font-weight: 600; fill: var(--ink); }
.says { font-size: 13px; fill: var(--soft); }
.swatch.baseline { fill: var(--before); } .swatch.span { fill: var(--accent); }
"""
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def svg(pictures: Sequence[Picture], *, baseline: str, span: str) -> str:
    """Returns the pictures in two columns as one SVG document, the first at the top left.

    Args:
      baseline, span: what the two colours stand for; for the key above the pictures.
    """
    parts, top = _key(baseline, span)
    below = [top] * _COLUMNS
    for picture in pictures:
        column = below.index(min(below))
        card, height = _card(picture, _MARGIN + column * (_WIDTH + _GAP), below[column])
        parts.append(card)
        below[column] += height + _GAP
    drawn = tag(
        "svg",
        tag("style", Markup(_style())),  # noqa: S704  # The program's own rules: no value from data is in them.
        tag("rect", width="100%", height="100%", class_="paper"),
        *parts,
        xmlns="http://www.w3.org/2000/svg",
        width=2 * _MARGIN + _COLUMNS * _WIDTH + (_COLUMNS - 1) * _GAP,
        height=max(below) - _GAP + _MARGIN,
    )
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{_legal(drawn)}\n'


def png(document: str) -> bytes:
    """Returns what `svg` made as a PNG, light, with letters of our own font; the system's fonts have what it lacks."""
    return resvg_py.svg_to_bytes(
        svg_string=document,
        zoom=_PIXELS,
        font_files=[str(FONT)],
        font_family=_FAMILY,
        sans_serif_family=_FAMILY,
    )


def _key(baseline: str, span: str) -> tuple[list[Markup], int]:
    """Returns the lines that say what the colours stand for, and where the pictures may begin."""
    parts = []
    top = _MARGIN
    for words, class_ in ((baseline, "baseline"), (span, "span")):
        parts.append(tag("rect", x=_MARGIN, y=top, width=12, height=12, rx=2, class_=f"swatch {class_}"))
        parts.append(_text(numbers.short(words, 120), _MARGIN + 20, top + 11, "says"))
        top += _LINE
    return parts, top + _LINE


def _card(picture: Picture, left: int, top: int) -> tuple[Markup, int]:
    """Returns a picture with its title and caption in their place, and its height."""
    words = picture.caption.replace("`", "")
    says = textwrap.wrap(words, _LETTERS, max_lines=_LINES, placeholder=" …") if words else []
    chart_top = 14 + len(says) * _LINE + 14
    # The program's own drawing: what comes from data is escaped.
    chart_height = float(ElementTree.fromstring(_legal(picture.chart)).attrib["height"])  # noqa: S314
    height = chart_top + round(chart_height)
    card = tag(
        "svg",
        _text(numbers.short(picture.title, 44), 0, 14, "title"),
        *(_text(line, 0, 14 + index * _LINE, "says") for index, line in enumerate(says, start=1)),
        tag("svg", picture.chart, y=chart_top, width=_WIDTH, height=chart_height),
        x=left,
        y=top,
        width=_WIDTH,
        height=height,
    )
    return card, height


def _text(words: str, x: int, y: int, class_: str) -> Markup:
    return tag("text", words, x=x, y=y, class_=class_)


def _style() -> str:
    """Returns the rules for light, and within a media query those for dark."""
    colours = (_FOLDER / "templates" / "colours.css").read_text(encoding="utf-8")
    rules = (_FOLDER / "templates" / "charts.css").read_text(encoding="utf-8") + _RULES
    light, query, dark = re.split(r"(@media [^{]*)", colours)
    return f"{_resolved(rules, _variables(light))}{query}{{\n{_resolved(rules, _variables(dark))}}}\n"


def _variables(css: str) -> dict[str, str]:
    return dict(re.findall(r"(--[\w-]+): ([^;]+);", css))


def _resolved(rules: str, variables: Mapping[str, str]) -> str:
    return re.sub(r"var\((--[\w-]+)\)", lambda match: variables[match[1]], rules)


def _legal(text: str) -> str:
    """Returns text without the characters that XML does not allow, even escaped; values of data may hold them."""
    return _NOT_XML.sub("\ufffd", text)
