"""The comparison for eyes: the distributions that moved most as a picture, and all distances as a table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from pipeline import files
from pipeline.errors import ReportError, printable
from pipeline.gate.distributions import Distribution
from pipeline.gate.evidence import Drift
from pipeline.report import sheet
from pipeline.report.distributions import distributions

ENDINGS = (".png", ".svg")
_LIMITS = {"noise": "chance", "variation": "variation", "floor": "floor", "schema": "schema"}


def plot_drift(path: Path, drift: Drift, compared: Sequence[Distribution], *, baseline: str, span: str) -> None:
    """Draws the features with the largest excess, as the report draws them, into a file with one of the ENDINGS.

    Args:
      baseline, span: the names of the two sides, for the key.

    Raises:
      ReportError: nothing was compared over the frozen bins.
    """
    pictures = distributions(drift, compared)
    if not pictures:
        raise ReportError("There is nothing to draw: no feature was compared over the frozen bins.")
    document = sheet.svg(pictures, baseline=baseline, span=span)
    content = document.encode() if path.name.endswith(".svg") else sheet.png(document)
    with files.replacing(path) as unfinished:
        unfinished.write_bytes(content)


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
        table.add_row(*map(printable, row), style="bold" if row[6] else None)
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
