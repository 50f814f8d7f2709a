"""What would 10^10 rows cost, and what gives out first? A linear model through two measured sizes.

    python -m benchmarks.scale          # after `make prove-beam`; writes the tables of docs/scale.md

Each component's seconds, peak memory and shuffled bytes are taken as `fixed + rows * per row`, through the 327,346 and
the 3,273,460 flights of benchmarks/results/distributed.json: of the local engine its own, of the Beam engine what the
processes of a Flink cluster used (CPU time, not wall time: two workers shared two cores with everything else). Nothing
was measured beyond the larger size; the tables say so.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks import pages
from benchmarks.pages import write_table

RESULTS = pages.RESULTS / "distributed.json"
PAGE = pages.DOCS / "scale.md"
LOCAL = ("local", "large_local")
CLUSTER = ("flink", "large_flink")
COMPONENTS = ("ExampleGen", "StatisticsGen", "TrainingWindow", "Transform", "WindowStatistics", "Evaluator")
ROWS = 10**10
WORKERS = 100
VCPUS = 4
MEMORY_GB = 15  # of a worker with 4 vCPUs, n1-standard-4
LIMIT_GB = 64  # of the one machine that runs what does not run on Beam
SHOWN_BYTES = 10_000  # Steps that send less at the larger size are counted, not listed.

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


def measured(results: dict[str, Any], parts: tuple[str, str], values: Sequence[float]) -> Line:  # Any: JSON.
    """Returns the line through a figure of the smaller and the larger part."""
    small, large = (float(results[part]["rows"]) for part in parts)
    return line((small, values[0]), (large, values[1]))


def local_lines(results: dict[str, Any], figure: str) -> dict[str, Line]:  # Any: JSON.
    """Returns each component's line of the local engine: of its `components` (seconds) or `peak_mb`."""
    before, after = (results[part][figure] for part in LOCAL)
    return {name: measured(results, LOCAL, (before[name], after[name])) for name in after if name in before}


def cluster_lines(results: dict[str, Any], figure: str) -> dict[str, Line]:  # Any: JSON.
    """Returns the line of each component's job on the cluster: of its `cpu_s` or `shuffled_bytes`."""
    before, after = ({job["component"]: job[figure] for job in results[part]["jobs"]} for part in CLUSTER)
    return {name: measured(results, CLUSTER, (before[name], after[name])) for name in COMPONENTS}


def crossing(results: dict[str, Any]) -> str:  # Any: JSON.
    """How many cores of a cluster do what one process of the local engine does, by component."""
    local, cluster = local_lines(results, "components"), cluster_lines(results, "cpu_s")
    lines = ["| component | local engine, s | per row, µs | cluster, CPU s | per row, µs | cores for the same speed |",
             "|---|---|---|---|---|---|"]  # fmt: skip
    for name in COMPONENTS:
        mine, other = local[name], cluster[name]
        # What finds its answer in this process's memory costs nothing per row; no number of cores is as fast.
        cores = f"{other.per_row / mine.per_row:.0f}" if mine.per_row > 0.05e-6 else "-"
        lines.append(
            f"| {name} | {mine.fixed:.1f} | {mine.per_row * 1e6:.1f} | {other.fixed:.1f} | {other.per_row * 1e6:.1f} | "
            f"{cores} |"
        )
    fixed = [sum(each[name].fixed for name in COMPONENTS) for each in (local, cluster)]
    grows = [sum(each[name].per_row for name in COMPONENTS) for each in (local, cluster)]
    together = (
        f"| {fixed[0]:.1f} | {grows[0] * 1e6:.1f} | {fixed[1]:.1f} | {grows[1] * 1e6:.1f} | {grows[1] / grows[0]:.0f} |"
    )
    return "\n".join([*lines, f"| **together** {together}"])


def shuffles(results: dict[str, Any]) -> str:  # Any: JSON.
    """What each analyzer, statistic and metric sent by key from worker to worker, at both sizes and at ROWS."""
    small, large = (int(results[part]["rows"]) for part in CLUSTER)
    lines = [f"| component | step | bytes at {small:,} rows | at {large:,} | at 10^10, by the line |",
             "|---|---|---|---|---|"]  # fmt: skip
    before, after = ({job["component"]: job["shuffles"] for job in results[part]["jobs"]} for part in CLUSTER)
    for name in COMPONENTS:
        rest = [0, 0]
        for step, sent in sorted(after[name].items(), key=lambda item: -item[1]):
            pair = before[name].get(step, 0), sent
            if sent < SHOWN_BYTES:
                rest = [one + more for one, more in zip(rest, pair, strict=True)]
            else:
                lines.append(f"| {name} | {short(step)} | {_bytes(results, pair)} |")
        lines.append(f"| {name} | all others | {_bytes(results, rest)} |")
    return "\n".join(lines)


def _bytes(results: dict[str, Any], pair: Sequence[int]) -> str:  # Any: JSON.
    return f"{pair[0]:,} | {pair[1]:,} | {measured(results, CLUSTER, pair).at(ROWS):,.0f}"


def short(step: str) -> str:
    """Returns a transform's name without the levels that say nothing."""
    silent = {
        *("RunStatsGenerators", "GenerateStatistics", "GenerateSlicedStatisticsImpl", "Analyze", "WriteImpl"),
        *(
            "ExtractEvaluateAndWriteResults",
            "ExtractAndEvaluate",
            "EvaluateMetricsAndPlots",
            "ComputeMetricsAndPlots()",
        ),
        *("Group", "GroupByKey", "CombinePerKey"),
    }
    return "/".join(level for level in step.split("/") if level not in silent)


def costs(results: dict[str, Any]) -> str:  # Any: JSON.
    """What each component costs, measured, and at ROWS on WORKERS."""
    cpu, sent = cluster_lines(results, "cpu_s"), cluster_lines(results, "shuffled_bytes")
    lines = [
        "| component | fixed, CPU s | per row, µs | "
        f"10^10 rows: vCPU hours | hours on {WORKERS} workers | shuffled GB | US $ |",
        "|---|---|---|---|---|---|---|",
    ]
    total = [0.0] * 4
    for name in COMPONENTS:
        vcpu_hours = cpu[name].at(ROWS) / 3600
        hours = vcpu_hours / (WORKERS * VCPUS)
        gigabytes = sent[name].at(ROWS) / 1e9
        machines = vcpu_hours * PRICE_VCPU_HOUR + hours * WORKERS * MEMORY_GB * PRICE_GB_HOUR
        row = [vcpu_hours, hours, gigabytes, machines + gigabytes * PRICE_SHUFFLED_GB]
        total = [sum(pair) for pair in zip(total, row, strict=True)]
        lines.append(f"| {name} | {cpu[name].fixed:.1f} | {cpu[name].per_row * 1e6:.1f} | {_cells(row)} |")
    lines.append(f"| **together** | | | {_cells(total)} |")
    return "\n".join(lines)


def _cells(row: Sequence[float]) -> str:
    return f"{row[0]:,.0f} | {row[1]:,.1f} | {row[2]:,.1f} | {row[3]:,.0f}"


def saturation(results: dict[str, Any]) -> str:  # Any: JSON.
    """Which component gives out first: the local engine's peak memory, up to and with each component."""
    peak = local_lines(results, "peak_mb")
    rows = results[LOCAL[1]]["rows"]
    lines = [f"| up to and with | peak MB at {rows:,} rows | bytes per row | rows in {LIMIT_GB} GB |",
             "|---|---|---|---|"]  # fmt: skip
    for name in ("ExampleGen", "StatisticsGen", "RerunGate", "Transform", "Trainer", "BaselineGen", "Evaluator"):
        value = peak[name]
        limit = (LIMIT_GB * 1024 - value.fixed) / value.per_row / 1e6 if value.per_row else float("inf")
        lines.append(f"| {name} | {value.at(rows):,.0f} | {value.per_row * 2**20:,.0f} | {limit:,.0f} million |")
    return "\n".join(lines)


TABLES = {"crossing": crossing, "saturation": saturation, "shuffles": shuffles, "costs": costs}


def main() -> int:
    if not RESULTS.exists():
        print(f"error: {RESULTS} is missing. Run: make prove-beam", file=sys.stderr)
        return 1
    results: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8"))
    for name, table in TABLES.items():
        text = table(results)
        write_table(PAGE, name, text)
        print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
