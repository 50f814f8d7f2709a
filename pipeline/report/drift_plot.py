"""The comparison for eyes: the distributions that moved most as a picture, and all distances as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from rich.table import Table

from pipeline.gate import bins as frozen_bins
from pipeline.gate import labels
from pipeline.gate.baseline import Baseline
from pipeline.gate.distances import Floats, shares
from pipeline.gate.evidence import Drift, FeatureDrift

MOST_PLOTTED = 6
_MOST_VALUES = 12
_BEFORE, _AFTER = "#8a8f98", "#c8502d"
_LIMITS = {"noise": "chance", "variation": "variation", "floor": "floor", "schema": "schema"}


def plot_drift(path: str, drift: Drift, table: pa.Table, baseline: Baseline, *, most: int = MOST_PLOTTED) -> list[str]:
    """Draws the features with the largest excess, the span beside the training window, into a .png or .svg file.

    Args:
      table: the span's rows that were compared.

    Returns:
      The features drawn, in order.

    Raises:
      ValueError: the file's name ends otherwise, or nothing was compared over the frozen bins.
    """
    if not path.endswith((".png", ".svg")):
        raise ValueError(f"Expected a file name that ends in .png or .svg. Received: {path}.")
    drawn = _chosen(drift, baseline, most)
    if not drawn:
        raise ValueError("There is nothing to draw: no feature was compared over the frozen bins.")
    # The object-oriented interface: no global state, no window, whatever the backend.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    codes = frozen_bins.encode(labels.with_label(table, baseline.label), baseline.bins)
    counts = frozen_bins.count(codes, baseline.bins)
    starts = frozen_bins.offsets(baseline.bins)
    figure = Figure(figsize=(11, 2.6 * len(drawn)), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(drawn), 1, squeeze=False)[:, 0]
    for axes, (index, item) in zip(panels, drawn.items(), strict=True):
        part = slice(starts[index], starts[index + 1])
        _draw(axes, baseline.bins[index], shares(baseline.counts[part]), shares(counts[part]), item)
    panels[0].legend(loc="upper right", frameon=False)
    # Without a date, so that the same comparison draws the same file.
    figure.savefig(path, dpi=120, metadata={"Date": None} if path.endswith(".svg") else {"Software": None})
    return [baseline.bins[index].name for index in drawn]


def _chosen(drift: Drift, baseline: Baseline, most: int) -> dict[int, FeatureDrift]:
    """Returns the positions of the bins to draw; a column's share of missing values is a bar among its own."""
    position = {feature.column: index for index, feature in enumerate(baseline.bins) if feature.kind != "presence"}
    column = {feature.name: feature.column for feature in baseline.bins}
    chosen: dict[int, FeatureDrift] = {}
    for item in drift.features:
        if item.limit != "schema" and item.feature in column and len(chosen) < most:
            chosen.setdefault(position[column[item.feature]], item)
    return chosen


def _draw(axes: Any, feature: frozen_bins.FeatureBins, before: Floats, after: Floats, item: FeatureDrift) -> None:
    """Draws one feature as pairs of bars; categories by frequency, the rest of them together."""
    shown, names = _shown(feature, before, after)
    middle = np.arange(len(shown))
    axes.bar(middle - 0.2, [before[part].sum() for part in shown], 0.4, color=_BEFORE, label="training window")
    axes.bar(middle + 0.2, [after[part].sum() for part in shown], 0.4, color=_AFTER, label="span")
    axes.set_xticks(middle, names, rotation=35, ha="right", fontsize=7)
    axes.set_ylabel("share of rows", fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    verdict = "moved" if item.moved else "within its threshold"
    direction = item.direction.replace("`", "")
    axes.set_title(
        f"{direction}   (distance {item.distance:.3f}, threshold {item.threshold:.3f}, {verdict})",
        loc="left",
        fontsize=9,
        parse_math=False,
    )


def _shown(
    feature: frozen_bins.FeatureBins, before: Floats, after: Floats
) -> tuple[list[npt.NDArray[np.intp]], list[str]]:
    """Returns the bins of each bar and its name; bins that are empty on both sides are left out."""
    names = [name.removeprefix("= ") for name in feature.labels()]
    filled = np.flatnonzero((before > 0) | (after > 0))
    if feature.kind == "numeric" or len(filled) <= _MOST_VALUES:
        return [np.array([bin_]) for bin_ in filled], [names[bin_] for bin_ in filled]
    ranked = sorted(filled, key=lambda bin_: -max(before[bin_], after[bin_]))
    rest = np.array(ranked[_MOST_VALUES:])
    kept = ranked[:_MOST_VALUES]
    return [*(np.array([bin_]) for bin_ in kept), rest], [*(names[bin_] for bin_ in kept), f"{len(rest)} others"]


def drift_table(drift: Drift, *, title: str = "") -> Table:
    """Returns all distances as a table for the terminal, the largest excess first."""
    table = Table(title=title or None, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for name, justify in (
        ("feature", "left"),
        ("distance", "right"),
        ("threshold", "right"),
        ("times", "right"),
        ("limited by", "left"),
        ("by chance", "right"),
        ("", "left"),
        ("what", "left"),
    ):
        table.add_column(name, justify="right" if justify == "right" else "left", overflow="fold")
    for row in drift_rows(drift):
        table.add_row(*row, style="bold" if row[6] else None)
    return table


def drift_rows(drift: Drift) -> Sequence[tuple[str, ...]]:
    """Returns the rows of `drift_table`."""
    return [
        (
            item.feature,
            f"{item.distance:.4f}",
            f"{item.threshold:.4f}",
            f"{item.excess:.2f}",
            _LIMITS[item.limit],
            "-" if item.chance is None else f"{item.chance:.3f}",
            "moved" if item.moved else "",
            item.direction.partition("`: ")[2] or item.direction,
        )
        for item in drift.features
    ]
