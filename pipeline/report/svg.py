"""SVG elements and scales. Every chart is as wide as its place: x is in percent of it, y in pixels.

So text keeps its size on a phone and on a wide screen, which a scaled viewBox does not do. Colours are CSS classes,
so one chart serves light and dark.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

Attribute = str | int | float | None


def tag(name: str, *children: str, **attributes: Attribute) -> Markup:
    """Returns an element. Text among the children is escaped, Markup is not.

    Args:
      attributes: `class_` for class, `text_anchor` for text-anchor; None leaves the attribute out.
    """
    given = {_attribute(key): _plain(item) for key, item in attributes.items() if item is not None}
    parts = [Markup(' {}="{}"').format(key, item) for key, item in given.items()]
    inner = Markup("").join(escape(child) for child in children)
    return Markup("<{name}{attributes}>{inner}</{name}>").format(
        name=name, attributes=Markup("").join(parts), inner=inner
    )


def _attribute(key: str) -> str:
    """Returns an attribute's name from a keyword; viewBox and preserveAspectRatio have no dashes to begin with."""
    return key.rstrip("_").replace("_", "-")


def _plain(item: str | int | float) -> str:
    return f"{item:.2f}".rstrip("0").rstrip(".") if isinstance(item, float) else str(item)


def percent(value: float) -> str:
    """Returns a position across the chart."""
    return f"{_plain(float(value))}%"


def drawing(title: str, description: str, height: float, *children: str, class_: str = "") -> Markup:
    """Returns a chart of `height` pixels, as wide as its place, with its title and description for screen readers."""
    return tag(
        "svg",
        tag("title", title),
        tag("desc", description),
        *children,
        class_=f"chart {class_}".strip(),
        width="100%",
        height=height,
        role="img",
    )


def text(x: float, y: float, words: str, *, anchor: str = "start", class_: str = "") -> Markup:
    """Returns words at `x` percent and `y` pixels; `anchor` is start, middle or end."""
    return tag(
        "text",
        words,
        x=percent(x),
        y=float(y),
        text_anchor=None if anchor == "start" else anchor,
        class_=class_ or None,
    )


def hover(words: str) -> Markup:
    """Returns what appears when a pointer rests on the element that holds this."""
    return tag("title", words)


@dataclass(frozen=True)
class Scale:
    """A linear map from data to chart: `low` lies at `start`, `high` at `end`."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        if self.high == self.low:
            return (self.start + self.end) / 2
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Returns round numbers from `low` to `high`, at most `most` of them, in steps of 1, 2 or 5."""
    if not (math.isfinite(low) and math.isfinite(high)) or high <= low:
        return [low]
    raw = (high - low) / max(most - 1, 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(index * step, 12) for index in range(first, last + 1)]


def polyline(points: Sequence[tuple[float, float]], height: float, class_: str) -> Markup:
    """Returns a line through points of (percent, pixels): a drawing of its own, stretched under a line that is not."""
    path = " ".join(f"{x:.2f},{y:.2f}" for x, y in points)
    return tag(
        "svg",
        tag("polyline", points=path, class_=class_, vector_effect="non-scaling-stroke"),
        viewBox=f"0 0 100 {_plain(float(height))}",
        preserveAspectRatio="none",
        width="100%",
        height=float(height),
        x=0,
        y=0,
        class_="plane",
    )
