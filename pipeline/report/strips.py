"""Charts of a series: one cell per span, so that rows of several charts line up."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from pipeline.ingest import span_names
from pipeline.report import charts, numbers
from pipeline.report.svg import hover, percent, tag, text

_GAP = 0.08
_MOST_WORDS = 20
"""Cells with words in them, at most: narrower ones keep their colour and what a pointer shows."""
_SHADES = 5


def header(spans: Sequence[int], pattern: str) -> Markup:
    """Returns the spans' numbers, or their dates, over the cells, every so often where they are many."""
    width = 100 / len(spans)
    named = frozenset(charts.span_ticks(spans, pattern, _MOST_WORDS))
    parts = [
        text((index + 0.5) * width, 12, span_names.name(span, pattern), anchor="middle", class_="tick")
        for index, span in enumerate(spans)
        if span in named
    ]
    return tag("svg", tag("title", "spans"), *parts, class_="chart strip", width="100%", height=16, role="img")


_LETTERS = {"block": "B", "skip": "S", "recalibrate": "C", "rerun": "R"}


def decisions(name: str, cells: Sequence[tuple[int, str, str, bool]]) -> Markup:
    """Returns what one policy did.

    Args:
      cells: span, what became of it (block, skip, recalibrate or rerun), the reason, and whether a version was pushed.
    """
    width = 100 / len(cells)
    parts = []
    for index, (span, verdict, reason, pushed) in enumerate(cells):
        left = (index + _GAP / 2) * width
        done = f"{verdict}, pushed" if pushed else verdict
        words = [hover(f"span {span}: {done}. {numbers.short(reason, 300)}")]
        words.append(
            tag("rect", x=percent(left), y=0, width=percent(width * (1 - _GAP)), height=26, class_=f"cell {verdict}")
        )
        if len(cells) <= _MOST_WORDS:
            words.append(
                text((index + 0.5) * width, 17, _LETTERS[verdict], anchor="middle", class_=f"letter {verdict}")
            )
        if pushed:
            words.append(
                tag("rect", x=percent(left), y=29, width=percent(width * (1 - _GAP)), height=3, class_="pushed")
            )
        parts.append(tag("g", *words))
    said = "; ".join(f"span {span} {verdict}{', pushed' if pushed else ''}" for span, verdict, _, pushed in cells)
    return tag(
        "svg",
        tag("title", f"{name}: decisions"),
        tag("desc", said),
        *parts,
        class_="chart strip",
        width="100%",
        height=32,
        role="img",
    )


def heat(feature: str, spans: Sequence[int], excess: Sequence[float | None]) -> Markup:
    """Returns one feature's cells: darker with the distance's multiple of its threshold, a bar where it moved."""
    width = 100 / len(spans)
    parts = []
    for index, (span, value) in enumerate(zip(spans, excess, strict=True)):
        left = percent((index + _GAP / 2) * width)
        across = percent(width * (1 - _GAP))
        words = "not compared" if value is None else f"{numbers.times(value)} its threshold"
        cell = [
            hover(f"span {span}: {words}"),
            tag("rect", x=left, y=1, width=across, height=20, class_=f"cell {_shade(value)}"),
        ]
        if value is not None and value > 1:
            cell.append(tag("rect", x=left, y=18, width=across, height=3, class_="pushed"))
        parts.append(tag("g", *cell))
    moved = [str(span) for span, value in zip(spans, excess, strict=True) if value is not None and value > 1]
    said = f"moved in spans {', '.join(moved)}" if moved else "never moved"
    return tag(
        "svg",
        tag("title", f"{numbers.short(feature, 60)}: {said}"),
        *parts,
        class_="chart strip",
        width="100%",
        height=22,
        role="img",
    )


def _shade(value: float | None) -> str:
    """Returns the class of a multiple: heat-0 for nothing to heat-4 for the double of the threshold and more."""
    if value is None:
        return "none"
    return f"heat-{min(int(value / 2 * (_SHADES - 1) + 1e-9), _SHADES - 1)}"
