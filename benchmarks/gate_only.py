"""How long is a run that ends in "nothing to do", beside one that trains, evaluates and pushes?

    python -m benchmarks.gate_only

Three runs of `local_runner.py run` on the shipped taxi spans, each a process of its own: span 3 on a fresh root, which
pushes a first model; span 4, which the gate skips because nothing moved; span 4 again, which is taken from the cache.
Results: benchmarks/results/gate_only.json and the table in docs/pipeline.md.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import pages
from benchmarks.end_to_end import PACKAGES, PAGE
from benchmarks.pages import REPOSITORY, environment, write_table

RESULTS = pages.RESULTS / "gate_only.json"
RUNS = (("a full run", 3, "pushed"), ("a skip", 4, "skipped"), ("the same span again", 4, "skipped"))


def measure(span: int, root: Path) -> dict[str, Any]:  # Any: JSON.
    """Runs one span; returns what it came to, its seconds and its peak memory."""
    command = [sys.executable, "local_runner.py", "run", "--span", str(span), "--root", str(root), "--json"]
    started = time.perf_counter()
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.DEVNULL, cwd=REPOSITORY)
        _, _, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
        out.seek(0)
        outcome = json.load(out)
    return {
        "result": outcome["result"],
        "wall_s": round(wall, 1),
        "cpu_s": round(used.ru_utime + used.ru_stime, 1),
        "peak_rss_mb": round(used.ru_maxrss / 1024),
        "components_s": round(sum(node["seconds"] for node in outcome["components"]), 1),
    }


def table(runs: dict[str, Any]) -> str:  # Any: JSON.
    """Returns the results as the docs show them."""
    lines = ["| run | wall s | CPU s | of it in components, wall s | peak memory, MB |", "|---|---|---|---|---|"]
    for name, run in runs.items():
        figures = f"{run['wall_s']:g} | {run['cpu_s']:g} | {run['components_s']:g} | {run['peak_rss_mb']:,}"
        lines.append(f"| {name} | {figures} |")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    argparse.ArgumentParser(description=__doc__.split("\n")[0]).parse_args(argv)
    runs = {}
    with tempfile.TemporaryDirectory(prefix="gate-only-") as scratch:
        for name, span, expected in RUNS:
            runs[name] = measure(span, Path(scratch) / "root")
            print(name, json.dumps(runs[name]), file=sys.stderr, flush=True)
            if runs[name]["result"] != expected:
                raise SystemExit(f"{name}: span {span} came to {runs[name]['result']}, expected {expected}")
    results = {"environment": environment(*PACKAGES), "runs": runs}
    RESULTS.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")
    write_table(PAGE, "gate_only", table(runs))
    print(table(runs))
    return 0


if __name__ == "__main__":
    sys.exit(main())
