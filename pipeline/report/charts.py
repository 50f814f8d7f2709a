"""The charts of the reports: pure functions from values to SVG, none of which knows where the values come from."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from pipeline.ingest import span_names
from pipeline.report import numbers
from pipeline.report.svg import Scale, drawing, hover, percent, polyline, tag, text, ticks

HEIGHT = 240.0
TOP, BOTTOM = 30.0, 32.0
_BAR_ROW = 46.0


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of a chart: its name, its points in data units, and the class that colours it."""

    name: str
    points: Sequence[tuple[float, float]]
    class_: str


@dataclass(frozen=True, kw_only=True)
class Axis:
    """An axis: its name with the unit, its range, and how a number on it is written."""

    name: str
    low: float
    high: float
    write: Callable[[float], str]


_MOST_SPANS, _MOST_DAYS = 13, 5
"""Spans that are named below a chart, at most: a date is wider than a number."""


def span_axis(spans: Sequence[int], pattern: str) -> Axis:
    """Returns an axis of spans, ascending, with dates where the pattern of their files has some."""
    return Axis(
        name="span",
        low=spans[0] - 0.3,
        high=spans[-1] + 0.3,
        write=lambda value: span_names.name(round(value), pattern),
    )


def span_ticks(spans: Sequence[int], pattern: str, most: int = _MOST_SPANS) -> Sequence[int]:
    """Returns the spans that are named beside a chart, `most` numbers at most: every so often where they are many."""
    most = _MOST_DAYS if span_names.is_dated(pattern) else most
    return spans[:: max(1, math.ceil(len(spans) / most))]


def lines(
    title: str,
    description: str,
    drawn: Sequence[Line],
    x: Axis,
    y: Axis,
    *,
    x_ticks: Sequence[float] | None = None,
    dots: bool = False,
    labelled: bool = True,
    extra: Sequence[Markup] = (),
    height: float = HEIGHT,
) -> Markup:
    """Returns lines over a common grid.

    Args:
      x_ticks: where numbers stand below; round ones where not given.
      dots: mark every point.
      labelled: write each line's name at its end.
      extra: drawn first, such as a diagonal.
    """
    across = Scale(x.low, x.high, 0.5, 84.0 if labelled else 99.5)
    down = Scale(y.low, y.high, height - BOTTOM, TOP)
    parts = [*grid(x, y, across, down, height, x_ticks), *extra]
    for line in drawn:
        points = [(across(a), down(b)) for a, b in line.points]
        if len(points) > 1:
            parts.append(polyline(points, height, f"line {line.class_}"))
        if dots or len(points) == 1:
            parts += [
                tag(
                    "circle",
                    hover(f"{line.name}: {x.write(a)}, {y.write(b)}"),
                    cx=percent(across(a)),
                    cy=down(b),
                    r=3.5,
                    class_=f"dot {line.class_}",
                )
                for a, b in line.points
            ]
    if labelled:
        parts += _end_labels(drawn, across, down)
    return drawing(title, description, height, *parts)


def grid(
    x: Axis, y: Axis, across: Scale, down: Scale, height: float, x_ticks: Sequence[float] | None = None
) -> list[Markup]:
    """Returns the lines behind a chart with their numbers: y above its lines, x below, each axis with its name."""
    parts = []
    for value in ticks(y.low, y.high, 5):
        parts.append(tag("line", x1="0", x2="100%", y1=down(value), y2=down(value), class_="grid"))
        parts.append(text(0, down(value) - 3, y.write(value), class_="tick"))
    parts.append(text(0, 10, y.name, class_="axis"))
    values = list(x_ticks) if x_ticks is not None else ticks(x.low, x.high, 6)
    for value in values:
        position = across(value)
        anchor = "start" if position < 4 else "end" if position > 96 else "middle"
        parts.append(text(position, height - BOTTOM + 13, x.write(value), anchor=anchor, class_="tick"))
    parts.append(text(100, height - 3, x.name, anchor="end", class_="axis"))
    return parts


def _end_labels(drawn: Sequence[Line], across: Scale, down: Scale) -> list[Markup]:
    """Writes each line's name beside its last point, moved apart where they would cover each other."""
    ends = sorted((down(line.points[-1][1]), index) for index, line in enumerate(drawn) if line.points)
    parts = []
    free = TOP - 13.0
    for y, index in ends:
        free = max(y + 4, free + 14)
        x = across(drawn[index].points[-1][0])
        parts.append(text(x + 1.5, free, drawn[index].name, class_=f"name {drawn[index].class_}"))
    return parts


def diagonal(height: float = HEIGHT) -> Markup:
    """Returns the line that chance, or perfect calibration, draws."""
    return tag("line", x1="0.5%", x2="99.5%", y1=height - BOTTOM, y2=TOP, class_="reference")


def whiskers(ends: Iterable[tuple[float, float, float]], across: Scale, down: Scale) -> list[Markup]:
    """Returns upright lines at x from low to high, for `lines` to draw behind its own; `ends` are (x, low, high)."""
    return [
        tag(
            "line",
            x1=percent(across(x)),
            x2=percent(across(x)),
            y1=down(low),
            y2=down(high),
            class_="whisker span thin",
        )
        for x, low, high in ends
    ]


def steps(
    title: str, description: str, before: Sequence[float], after: Sequence[float], names: Sequence[str]
) -> Markup:
    """Returns a numeric feature's distribution: the baseline as filled columns, the span as an outline over them.

    Args:
      before, after: shares of the rows, one per column.
      names: of the columns; those at the edges of the drawing and every few between are written.
    """
    height = 190.0
    highest = max(*before, *after, 1e-9)
    down = Scale(0, highest, height - BOTTOM, TOP)
    width = 100 / len(names)
    axis = Axis(name="share of the rows, %", low=0, high=highest, write=lambda value: f"{value * 100:g}")
    levels = ticks(0, highest, 5)[1:]
    parts = [tag("line", x1="0", x2="100%", y1=down(value), y2=down(value), class_="grid") for value in levels]
    for index, (was, now, name) in enumerate(zip(before, after, names, strict=True)):
        parts.append(
            tag(
                "g",
                hover(f"{name}: {numbers.share(was)} → {numbers.share(now)}"),
                tag(
                    "rect",
                    x=percent(index * width),
                    y=TOP,
                    width=percent(width),
                    height=height - BOTTOM - TOP,
                    class_="target",
                ),
                tag(
                    "rect",
                    x=percent(index * width + width * 0.06),
                    y=down(was),
                    width=percent(width * 0.88),
                    height=down(0) - down(was),
                    class_="fill baseline",
                ),
            )
        )
    parts.append(_outline([down(now) for now in after], down(0)))
    parts.append(tag("line", x1="0", x2="100%", y1=down(0), y2=down(0), class_="ground"))
    # Numbers last: the first column may be as high as the drawing.
    parts += [text(0, down(value) - 3, axis.write(value), class_="tick") for value in levels]
    parts.append(text(0, 10, axis.name, class_="axis"))
    every = max(1, -(-len(names) // 5))
    for index in range(0, len(names), every):
        late = index * width > 75
        x = (index + 1) * width if late else index * width + 0.5
        name = numbers.short(names[index], 14)
        parts.append(text(x, height - BOTTOM + 13, name, anchor="end" if late else "start", class_="tick"))
    return drawing(title, description, height, *parts)


def _outline(tops: Sequence[float], ground: float) -> Markup:
    """Returns the outline of columns that stand side by side across the whole chart.

    It consists of single lines: `svg.polyline` needs non-scaling strokes, which browsers know and rasterisers do not.
    """
    width = 100 / len(tops)
    parts = []
    for index, (left, right) in enumerate(itertools.pairwise([ground, *tops, ground])):
        x = percent(index * width)
        parts.append(tag("line", x1=x, x2=x, y1=left, y2=right))
        if index < len(tops):
            parts.append(tag("line", x1=x, x2=percent((index + 1) * width), y1=right, y2=right))
    return tag("g", *parts, class_="line span")


def pairs(
    title: str, description: str, before: Sequence[float], after: Sequence[float], names: Sequence[str]
) -> Markup:
    """Returns a categorical feature's distribution: a row per value, the baseline's bar above the span's."""
    highest = max(*before, *after, 1e-9)
    across = Scale(0, highest, 0, 100)
    parts = []
    for index, (was, now, name) in enumerate(zip(before, after, names, strict=True)):
        top = index * _BAR_ROW
        parts += [
            text(0, top + 13, numbers.short(name, 24), class_="label"),
            text(100, top + 13, f"{numbers.share(was)} → {numbers.share(now)}", anchor="end", class_="figure"),
            tag("rect", x="0", y=top + 19, width=percent(across(was)), height=8, class_="fill baseline"),
            tag("rect", x="0", y=top + 29, width=percent(across(now)), height=8, class_="fill span"),
        ]
    return drawing(title, description, len(names) * _BAR_ROW, *parts)


def bar(value: float, limit: float, highest: float, *, strong: bool, words: str) -> Markup:
    """Returns one row's bar with a mark at its limit; for a table's cell."""
    across = Scale(0, highest, 0, 100)
    return tag(
        "svg",
        tag("title", words),
        tag(
            "rect",
            x="0",
            y=4,
            width=percent(min(across(value), 100)),
            height=10,
            class_="fill span" if strong else "fill baseline",
        ),
        tag("line", x1=percent(across(limit)), x2=percent(across(limit)), y1=0, y2=18, class_="limit"),
        class_="chart row",
        width="100%",
        height=18,
        role="img",
    )


def interval(
    low: float, value: float, high: float, mark: float | None, scale: tuple[float, float], *, strong: bool, words: str
) -> Markup:
    """Returns one row's value with its interval, and a mark for what it is compared with; for a table's cell."""
    across = Scale(*scale, 2, 98)

    def place(item: float) -> str:
        return percent(min(max(across(item), 0), 100))

    parts = [
        tag("line", x1="0", x2="100%", y1=9, y2=9, class_="grid"),
        tag("line", x1=place(low), x2=place(high), y1=9, y2=9, class_="whisker span" if strong else "whisker quiet"),
        tag("circle", cx=place(value), cy=9, r=4.5, class_="dot span" if strong else "dot quiet"),
    ]
    if mark is not None:
        parts.insert(1, tag("line", x1=place(mark), x2=place(mark), y1=1, y2=17, class_="mark"))
    return tag("svg", tag("title", words), *parts, class_="chart row", width="100%", height=18, role="img")


def period(start: float, length: float, whole: float, words: str) -> Markup:
    """Returns one row of a time line: from `start`, `length` long, of `whole`, all in seconds."""
    across = Scale(0, whole or 1, 0, 100)
    return tag(
        "svg",
        tag("title", words),
        tag("line", x1="0", x2="100%", y1=9, y2=9, class_="grid"),
        tag(
            "rect",
            x=percent(across(start)),
            y=3,
            width=percent(max(across(length), 0.6)),
            height=12,
            class_="fill span",
        ),
        class_="chart row",
        width="100%",
        height=18,
        role="img",
    )
