"""Does a compiled pipeline, run task by task from its file, come to what the local runner comes to?

Four steps on the taxi spans, each by both, on roots of their own: a first run, the same span again (skip), a span with
fares 1.6 times as high (drift), one with impossible fares (block). Compared: verdicts, what moved by how much, what was
found wrong, the pushed models' predictions. Writes benchmarks/results/rehearsal.json and the table in docs/kubeflow.md.

    python -m benchmarks.rehearsal
"""

import argparse
import csv
import json
import os
import platform
import re
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import pages
from benchmarks.pages import REPOSITORY, write_table
from data.taxi import source

RESULTS = pages.RESULTS / "rehearsal.json"
PAGE = pages.DOCS / "kubeflow.md"
FIRST, NEXT, LAST = 5, 6, 7

Json = dict[str, Any]  # Any: JSON.


def run(*command: object) -> tuple[Json, float]:
    """Runs a command that prints one JSON object; returns it and the CPU seconds of all its processes."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, *map(str, command), "--json"], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    if not done.stdout.strip():
        raise SystemExit(f"{' '.join(map(str, command))} printed nothing:\n{done.stderr[-3000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return dict(json.loads(done.stdout)), cpu_s


def edit(data: Path, span: int, change: Callable[[int, dict[str, str]], dict[str, str]]) -> None:
    """Rewrites a span's rows."""
    path = data / f"span-{span}" / "data.csv"
    with path.open(newline="") as file:
        rows = [change(index, row) for index, row in enumerate(csv.DictReader(file))]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def dearer(_: int, row: dict[str, str]) -> dict[str, str]:
    return {**row, "fare": str(float(row["fare"]) * 1.6) if row["fare"] else ""}


def impossible(index: int, row: dict[str, str]) -> dict[str, str]:
    return {**row, "fare": "-99999"} if index % 50 == 0 else row


def comparable(decision: Json | None) -> Json | None:
    """Returns a decision without what differs between any two runs: versions are times of a push."""
    if decision is None:
        return None
    value: Json = json.loads(json.dumps(decision))
    if value["evidence"].get("live"):
        value["evidence"]["live"] = {"window": value["evidence"]["live"]["window"]}
    # The age in words, and the version that is named.
    text = json.dumps(value)
    return dict(json.loads(re.sub(r"\b\d{10}\b", "VERSION", text)))


def predictions(models: list[Path], data: Path, span: int) -> list[Any]:
    """Returns each model's probabilities of the span's rows."""
    from models.predictor import Predictor
    from pipeline.commands.drift import read_span
    from pipeline.config.dataset import load_dataset

    table = read_span(load_dataset("taxi"), str(data), span)
    return [Predictor(str(model)).predict(table) for model in models]


STEPS: dict[str, tuple[int, Callable[[int, dict[str, str]], dict[str, str]] | None]] = {
    "first run": (FIRST, None),
    "skip": (FIRST, None),
    "drift": (NEXT, dearer),
    "block": (LAST, impossible),
}


def main() -> None:
    """Runs the steps, and writes the results after each."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--folder", type=Path, metavar="DIR", help="work there, carry on there, and leave it")
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=list(STEPS), help="only these (default: all)")
    args = parser.parse_args()
    folder = args.folder or Path(tempfile.mkdtemp(prefix="rehearsal-"))
    file, data = folder / "pipeline.json", folder / "data"
    if not file.exists():
        source.write_spans(data)
        root = folder / "compiled"
        run("kubeflow_runner.py", "compile", "--pipeline-root", root, "--data-root", data, "--output", file)
    results: Json = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {"steps": {}}
    results["question"] = __doc__.split("\n")[0]
    results["machine"] = {"cpus": os.cpu_count(), "python": platform.python_version(), "system": platform.platform()}
    for name in args.steps:
        results["steps"][name] = play(name, folder, file, data)
        print(json.dumps(results["steps"][name]), file=sys.stderr, flush=True)
        RESULTS.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
        write_table(PAGE, "rehearsal", table([results["steps"][step] for step in STEPS if step in results["steps"]]))
    if args.folder is None:
        shutil.rmtree(folder)


def play(name: str, folder: Path, file: Path, data: Path) -> Json:
    """Runs one step by both, and compares."""
    span, change = STEPS[name]
    if change:
        edit(data, span, change)
    where = ("--root", folder / "local", "--data-root", data)
    ours, local_s = run("local_runner.py", "run", "--span", span, *where)
    theirs, rehearsed_s = run("kubeflow_runner.py", "rehearse", "--pipeline", file, "--param", f"span={span}")
    step: Json = {
        "step": name,
        "span": span,
        "local": {"result": ours["result"], "cpu_seconds": round(local_s, 1)},
        "rehearsed": {
            "result": theirs["result"],
            "cpu_seconds": round(rehearsed_s, 1),
            "tasks": {task["task"]: task["status"] for task in theirs["tasks"]},
        },
        "verdicts": [(side["decision"] or {}).get("verdict") for side in (ours, theirs)],
        "decisions_equal": comparable(ours["decision"]) == comparable(theirs["decision"]),
    }
    if ours["pushed_path"] and theirs["pushed_path"]:
        pushed = [Path(side["pushed_path"]) for side in (ours, theirs)]
        scores = predictions(pushed, data, span)
        step["largest_difference_of_predictions"] = float(abs(scores[0] - scores[1]).max())
        step["rows"] = len(scores[0])
    return step


def table(steps: list[Json]) -> str:
    """Returns the table of docs/kubeflow.md."""
    lines = [
        "| step | span | local runner | rehearsal | same decision | predictions differ by at most | tasks run | "
        "local, CPU s | rehearsal, CPU s |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for step in steps:
        ran = sum(status == "ran" for status in step["rehearsed"]["tasks"].values())
        difference = step.get("largest_difference_of_predictions")
        lines.append(
            f"| {step['step']} | {step['span']} | {step['local']['result']} | {step['rehearsed']['result']} | "
            f"{'yes' if step['decisions_equal'] else 'no'} | {'-' if difference is None else f'{difference:.1g}'} | "
            f"{ran} | {step['local']['cpu_seconds']} | {step['rehearsed']['cpu_seconds']} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
