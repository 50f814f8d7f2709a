"""What does the gate decide on real spans, and what does it save against always and never retraining?

python -m benchmarks.replays            # plays both datasets (about half an hour), then makes the tables
python -m benchmarks.replays --tables   # makes the tables of docs/gate.md from benchmarks/results/replay_*.json
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import pages
from benchmarks.pages import REPOSITORY, write_table
from pipeline.report.series_data import POLICIES

PAGE = pages.DOCS / "gate.md"
DATASETS = ("taxi", "flights")


def results_file(name: str) -> Path:
    return pages.RESULTS / f"replay_{name}.json"


def play(name: str) -> None:
    """Plays a dataset through the command line, as a user would."""
    with tempfile.TemporaryDirectory(prefix="replay-") as scratch:
        command = [sys.executable, "local_runner.py", "replay", "--dataset", name, "--compare", "--json"]
        done = subprocess.run(
            [*command, "--root", f"{scratch}/root"], stdout=subprocess.PIPE, cwd=REPOSITORY, check=True
        )
    value = json.loads(done.stdout)
    del value["report"]  # A path in the scratch folder.
    results_file(name).write_text(json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n")


def tables(value: dict[str, Any]) -> str:  # Any: JSON.
    """Returns what the gate decided, span by span, and the policies side by side."""
    lines = ["| span | decision | first reason | AUC of the live model | |", "|---|---|---|---|---|"]
    for step in value["steps"]["gate"]:
        score = step["score"] if "score" in step else step["auc"]  # As earlier releases wrote it.
        auc = f"{score:.4f}" if score is not None else ""
        done = "pushed" if step["pushed"] else "trained, not pushed" if step["trained"] else ""
        lines.append(f"| {step['span']} | {step['verdict']} | {step['reason']} | {auc} | {done} |")
    lines += ["", "| policy | trainings | pushes | mean AUC of the live model | of always' |", "|---|---|---|---|---|"]
    means = {policy: total.get("mean_score", total.get("mean_auc")) for policy, total in value["summary"].items()}
    for policy in (name for name in POLICIES if name in means):
        total, mean = value["summary"][policy], means[policy]
        of_always = f"{mean / means['always']:.2%}" if mean and means.get("always") else ""
        score = "" if mean is None else f"{mean:.4f}"
        lines.append(f"| {policy} | {total['trainings']} | {total['pushes']} | {score} | {of_always} |")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tables", action="store_true", help="only make the tables")
    parser.add_argument("--datasets", nargs="+", default=DATASETS, choices=DATASETS)
    args = parser.parse_args(argv)
    for name in args.datasets:
        if not args.tables:
            play(name)
        write_table(PAGE, f"replay {name}", tables(json.loads(results_file(name).read_text(encoding="utf-8"))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
