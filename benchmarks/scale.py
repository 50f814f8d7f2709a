"""What would 10^10 rows cost, and what gives out first? A linear model through two measured sizes.

    python -m benchmarks.scale          # after benchmarks.end_to_end; writes the tables of docs/scale.md

Each component's seconds and peak memory are taken as `fixed + rows * per row`, through the 327,346 and the 3,273,460
flights of benchmarks/results/end_to_end.json. Nothing was measured beyond the larger one; the tables say so. The stock
components ran on Beam's runner in one process, where a wall second is a CPU second; what a cluster adds to that (moving
elements between its processes, starting workers) is not in it.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
RESULTS = REPOSITORY / "benchmarks" / "results" / "end_to_end.json"
PAGE = REPOSITORY / "docs" / "scale.md"
SIZES = ("flights", "flights-x10")
# TFX's component, and ours in its place.
COMPONENTS = {
    "CsvExampleGen": "ExampleGen",
    "StatisticsGen": "StatisticsGen",
    "Transform": "Transform",
    "Evaluator": "Evaluator",
}
ROWS = 10**10
WORKERS = 100
VCPUS = 4
MEMORY_GB = 15  # of a worker with 4 vCPUs, n1-standard-4
LIMIT_GB = 64  # of the one machine that runs what does not run on Beam
# Serialized tf.Examples of the flights: 191,198,524 bytes for 327,346 rows. ExampleGen shuffles them before it writes.
EXAMPLE_BYTES = 584

# US dollars, batch workers in us-central1, from cloud.google.com/dataflow/pricing as of 2025. The page could not be
# asked where this was written: check it before you decide by it.
PRICE_VCPU_HOUR = 0.056
PRICE_GB_HOUR = 0.003557
PRICE_SHUFFLED_GB = 0.011


@dataclass(frozen=True)
class Line:
    """`fixed + per_row * rows`, through two measured points; never below 0."""

    fixed: float
    per_row: float

    def at(self, rows: float) -> float:
        """Returns the value at a number of rows."""
        return self.fixed + self.per_row * rows


def line(small: tuple[float, float], large: tuple[float, float]) -> Line:
    """Returns the line through two points (rows, value). What does not grow is all fixed."""
    per_row = max(0.0, (large[1] - small[1]) / (large[0] - small[0]))
    return Line(max(0.0, large[1] - per_row * large[0]), per_row)


def lines_of(results: dict[str, Any], engine: str, figure: str) -> dict[str, Line]:  # Any: JSON.
    """Returns the line of each component of an engine: of its `components` (seconds) or `peak_mb_after`."""
    small, large = (results["datasets"][size] for size in SIZES)
    before, after = small[engine][figure], large[engine][figure]
    return {name: line((small["rows"], before[name]), (large["rows"], after[name])) for name in after if name in before}


def crossing(results: dict[str, Any]) -> str:  # Any: JSON.
    """How many cores of a cluster do what one process of the local engine does, by component."""
    stock, local = (lines_of(results, engine, "components") for engine in ("stock", "local"))
    lines = ["| component | local engine, µs per row | stock on Beam, µs per row | cores for the same speed |",
             "|---|---|---|---|"]  # fmt: skip
    sums = [0.0, 0.0]
    for theirs, ours in COMPONENTS.items():
        mine, other = local[ours].per_row * 1e6, stock[theirs].per_row * 1e6
        sums = [sums[0] + mine, sums[1] + other]
        lines.append(f"| {ours} | {mine:.1f} | {other:.1f} | {other / mine:.0f} |")
    lines.append(f"| **together** | {sums[0]:.1f} | {sums[1]:.1f} | {sums[1] / sums[0]:.0f} |")
    return "\n".join(lines)


def costs(results: dict[str, Any]) -> str:  # Any: JSON.
    """What each component costs, measured, and at ROWS on WORKERS."""
    stock = lines_of(results, "stock", "components")
    lines = [
        "| component | fixed, s | per row, µs | "
        f"10^10 rows: vCPU hours | hours on {WORKERS} workers | shuffled TB | US $ |",
        "|---|---|---|---|---|---|---|",
    ]
    total = [0.0] * 4
    for theirs, ours in COMPONENTS.items():
        vcpu_hours = stock[theirs].at(ROWS) / 3600
        hours = vcpu_hours / (WORKERS * VCPUS)
        gigabytes = ROWS * EXAMPLE_BYTES / 1e9 if ours == "ExampleGen" else 0.0
        machines = vcpu_hours * PRICE_VCPU_HOUR + hours * WORKERS * MEMORY_GB * PRICE_GB_HOUR
        row = [vcpu_hours, hours, gigabytes / 1e3, machines + gigabytes * PRICE_SHUFFLED_GB]
        total = [sum(pair) for pair in zip(total, row, strict=True)]
        lines.append(f"| {ours} | {stock[theirs].fixed:.1f} | {stock[theirs].per_row * 1e6:.1f} | {_cells(row)} |")
    lines.append(f"| **together** | | | {_cells(total)} |")
    return "\n".join(lines)


def _cells(row: Sequence[float]) -> str:
    return f"{row[0]:,.0f} | {row[1]:,.1f} | {row[2]:,.1f} | {row[3]:,.0f}"


def saturation(results: dict[str, Any]) -> str:  # Any: JSON.
    """Which component gives out first: the local engine's peak memory, up to and with each component."""
    peak = lines_of(results, "local", "peak_mb_after")
    rows = results["datasets"][SIZES[1]]["rows"]
    lines = [f"| up to and with | peak MB at {rows:,} rows | bytes per row | rows in {LIMIT_GB} GB |",
             "|---|---|---|---|"]  # fmt: skip
    for name in ("ExampleGen", "StatisticsGen", "RerunGate", "Transform", "Trainer", "BaselineGen", "Evaluator"):
        value = peak[name]
        limit = (LIMIT_GB * 1024 - value.fixed) / value.per_row / 1e6 if value.per_row else float("inf")
        lines.append(f"| {name} | {value.at(rows):,.0f} | {value.per_row * 2**20:,.0f} | {limit:,.0f} million |")
    return "\n".join(lines)


def write_table(page: Path, name: str, text: str) -> None:
    """Puts the table between a page's markers."""
    content = page.read_text(encoding="utf-8")
    begin, end = f"<!-- {name} -->\n", f"\n<!-- end of {name} -->"
    head, _, rest = content.partition(begin)
    _, _, tail = rest.partition(end)
    page.write_text(head + begin + text + end + tail, encoding="utf-8")


def main() -> int:
    if not RESULTS.exists():
        print(f"error: {RESULTS} is missing. Run: python -m benchmarks.end_to_end", file=sys.stderr)
        return 1
    results: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8"))
    for name, text in (("crossing", crossing(results)), ("saturation", saturation(results)), ("costs", costs(results))):
        write_table(PAGE, name, text)
        print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
