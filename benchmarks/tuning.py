"""Is there anything to win by tuning? The command `tune` on three tables, as it is without any option.

    python -m benchmarks.tuning [--only taxi] [--trials 12]

- flights: will it arrive more than 15 minutes late? The four newest months, each from the four before it.
- taxi: will the rider tip more than a fifth of the fare? Four quarters, each from the four before it.
- tips: what will the rider tip, in dollars? The same trips, a number.

Each search begins with the dataset's own configuration; the best is then trained anew from two other seeds, and only
those trainings are reported as the gain. Results: benchmarks/results/tuning.json and the table in docs/selection.md.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import pages
from benchmarks.pages import environment, markdown, write_table
from pipeline.evaluation import registry

RESULTS = pages.RESULTS / "tuning.json"
PAGE = pages.DOCS / "selection.md"
PACKAGES = ("keras-tuner", "keras", "tensorflow", "numpy")
TABLES = ("flights", "taxi", "tips")
_TIPS = """\
[label]
task = "regression"
column = "tips"
"""


def dataset(name: str, folder: Path) -> Path:
    """Writes a shipped dataset, or the one of tips, into a folder of its own; returns it."""
    shipped = pages.REPOSITORY / "data" / ("flights" if name == "flights" else "taxi")
    folder.mkdir(parents=True)
    shutil.copy(shipped / "schema.pbtxt", folder)
    text = (shipped / "dataset.toml").read_text(encoding="utf-8")
    if name == "tips":
        text = re.sub(r"\[label\]\n.*\n", _TIPS, text).replace('never = ["tips", ', "never = [")
        text = re.sub(r"\[evaluation\]\n(?:.+\n)*", "", text).replace('"taxi"', '"tips"')
    (folder / "dataset.toml").write_text(text, encoding="utf-8")
    return folder


def run(name: str, trials: int) -> dict[str, Any]:  # Any: JSON.
    """Tunes one dataset by the command, on a root of its own."""
    with tempfile.TemporaryDirectory(prefix="tuning-") as temporary:
        folder = dataset(name, Path(temporary) / name)
        command = [sys.executable, str(pages.REPOSITORY / "local_runner.py"), "tune", "--dataset", str(folder)]
        started = time.monotonic()
        done = subprocess.run([*command, "--trials", str(trials), "--json"], stdout=subprocess.PIPE, check=True)
        found: dict[str, Any] = json.loads(done.stdout)
    return {
        **{key: value for key, value in found.items() if key not in ("report", "written")},
        "seconds": round(time.monotonic() - started, 1),
        "environment": environment(*PACKAGES),
    }


def table(results: dict[str, Any]) -> str:
    """Returns the table of the docs."""
    rows = []
    for name, found in results.items():
        definition = registry.METRICS[found["metric"]]
        own, best = found["trials"][0], found["trials"][found["best"]]
        gain = found["gain"]
        half = (float(gain["high"]) - float(gain["low"])) / 2 if gain else 0.0
        stopped = sum(bool(trial["stopped"]) for trial in found["trials"])
        rows.append(
            (
                name,
                f"{len(found['trials'])} ({stopped} stopped)",
                f"{definition.title} {sum(own['by_fold']) / len(own['by_fold']):.4f}",
                f"{best['ahead']:+.4f}",
                f"{gain['value']:+.4f} ± {half:.4f}" if gain else "the own is the best",
                ", ".join(f"{key} {value}" for key, value in found["chosen"].items()) or "the dataset's own",
                f"{found['seconds'] / 60:.0f} min",
            )
        )
    header = ("table", "trials", "own", "best trial", "confirmed from other seeds", "used", "time")
    return markdown(header, rows)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=TABLES, default=TABLES)
    parser.add_argument("--trials", type=int, default=20)
    args = parser.parse_args(argv)
    results = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    for name in args.only:
        results[name] = run(name, args.trials)
        print(f"{name}: {len(results[name]['trials'])} trials in {results[name]['seconds']} s", flush=True)
        RESULTS.write_text(json.dumps(results, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    write_table(PAGE, "tuning", table({name: results[name] for name in TABLES if name in results}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
