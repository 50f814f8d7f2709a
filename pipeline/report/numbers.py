"""Numbers as a reader wants them: few digits, thousands marks, always a unit. The functions are template filters."""

from __future__ import annotations

import datetime
import math

NONE = "–"
_LONGEST = 120


def count(value: float | None) -> str:
    """Returns a count: 12,345."""
    return NONE if value is None else f"{round(value):,}"


def share(value: float | None) -> str:
    """Returns a share of a whole as percent, with as many digits as tell it from 0 and 100."""
    if value is None or not math.isfinite(value):
        return NONE
    percent = value * 100
    digits = 0 if percent in (0, 100) else 1 if 1 <= percent <= 99 else 2
    return f"{percent:.{digits}f}\u00a0%"


def chance(value: float | None) -> str:
    """Returns a probability that may be as good as nothing."""
    if value is None:
        return NONE
    return "< 0.1\u00a0%" if value < 0.001 else f"{value * 100:.1f}\u00a0%"


def score(value: float | None) -> str:
    """Returns a metric, such as an AUC or a distance; beyond 100, which has a unit, four digits that matter."""
    if value is None or not math.isfinite(value):
        return NONE
    return (f"{value:.3f}" if abs(value) < 100 else f"{value:,.4g}").replace("-", "\u2212")


def change(value: float | None) -> str:
    """Returns a difference with its sign."""
    if value is None or not math.isfinite(value):
        return NONE
    return (f"{value:+.3f}" if abs(value) < 100 else f"{value:+,.4g}").replace("-", "\u2212")


def value(number: float | None) -> str:
    """Returns a feature's value, in the feature's own unit: four digits that matter."""
    if number is None or math.isnan(number):
        return NONE
    if math.isinf(number):
        return "∞" if number > 0 else "\u2212∞"
    size = abs(number)
    if size >= 1e9:
        text = f"{number:.3g}"
    elif size >= 1_000:
        text = f"{number:,.0f}"
    elif size == 0 or size >= 1e-3:
        text = f"{number:.4g}"
    else:
        text = f"{number:.2e}"
    return text.replace("-", "\u2212", 1) if text.startswith("-") else text


def seconds(value: float | None) -> str:
    """Returns a duration: 0.42 s, 12.3 s, 4 min 20 s."""
    if value is None:
        return NONE
    if value >= 3600:
        return f"{value // 3600:.0f}\u00a0h {value % 3600 // 60:.0f}\u00a0min"
    if value >= 100:
        return f"{value // 60:.0f}\u00a0min {value % 60:.0f}\u00a0s"
    return f"{value:.1f}\u00a0s" if value >= 10 else f"{value:.2f}\u00a0s"


def size(value: float | None) -> str:
    """Returns bytes in decimal units: 1.30 GB."""
    if value is None:
        return NONE
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if value >= factor:
            return f"{value / factor:.3g}\u00a0{unit}"
    return f"{value:.0f}\u00a0B"


def times(value: float) -> str:
    """Returns a multiple: 1.9 times."""
    return "∞" if math.isinf(value) else f"{value:.1f}\u00a0×" if value < 10 else f"{value:,.0f}\u00a0×"


def moment(value: float) -> str:
    """Returns a time, seconds since 1970, in the time zone of the machine that makes the report."""
    return f"{datetime.datetime.fromtimestamp(value).astimezone():%Y-%m-%d %H:%M:%S %Z}"


def short(text: object, longest: int = _LONGEST) -> str:
    """Returns text that may be anything at all, cut where nobody reads on."""
    whole = str(text)
    return whole if len(whole) <= longest else f"{whole[: longest - 1]}…"


FILTERS = {
    function.__name__: function
    for function in (count, share, chance, score, change, value, seconds, size, times, moment, short)
}
