"""Do two commands take a stranger's file to a pushed model and a prediction?

    python -m benchmarks.onboarding [--init-only] [NAME ...]

Writes the tables of benchmarks/odd_tables/, each into a folder of its own, and types `init` and `run` there, and no
more; then `predict --batch` on the newest span. Compares the roles that `init` proposed with those that were written by
hand. Where DuckDB is installed, its sniffer reads the CSV files beside ours. Results:
benchmarks/results/onboarding.json and the table in docs/data.md.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.csv

from benchmarks import pages
from benchmarks.odd_tables import TABLES
from benchmarks.odd_tables.table import OddTable
from benchmarks.pages import DOCS, REPOSITORY, environment, write_table
from pipeline.onboarding.roles import FEATURE_ROLES
from pipeline.onboarding.sources import open_source

RESULTS = pages.RESULTS / "onboarding.json"
PAGE = DOCS / "data.md"
_MULTILINE = pyarrow.csv.ParseOptions(newlines_in_values=True)
_FEATURES = FEATURE_ROLES


def measure(table: OddTable, folder: Path, *, init_only: bool) -> dict[str, Any]:  # Any: JSON.
    """Types the commands for one table; returns how far they came, and the seconds of `init`."""
    folder.mkdir()
    path = folder / table.file.rstrip("/")
    table.write(path)
    started = time.perf_counter()
    init = typed(folder, "init", path.name, *table.options, "--name", "mine", "--json")
    outcome: dict[str, Any] = {"init_s": round(time.perf_counter() - started, 1)}
    if init.returncode:
        return outcome | {"reached": "nothing", "why": init.stderr.strip().splitlines()[-1:]}
    proposed = json.loads(init.stdout)
    roles = {column["name"]: column["role"] for column in proposed["columns"]}
    different = {
        name: [table.roles.get(name, "?"), roles.get(name, "left out")]
        for name in sorted(table.roles.keys() | roles.keys())
        if table.roles.get(name) != roles.get(name)
    }
    outcome |= {
        "rows": proposed["rows"],
        "spans": len(proposed["spans"]),
        "columns": len(roles),
        "different": different,
    }
    outcome["sniffers_agree"] = duckdb_agrees(path)
    if init_only:
        return outcome | {"reached": "init"}
    run = typed(folder, "run", "--dataset", "mine", "--json")
    result = json.loads(run.stdout)["result"] if run.stdout.strip() else "failed"
    if result != "pushed":
        return outcome | {"reached": "init", "why": [result, *run.stderr.strip().splitlines()[-1:]]}
    newest = str(proposed["spans"][-1]["span"])
    predict = typed(folder, "predict", "--dataset", "mine", "--batch", "--span", newest, "--output", "p.csv")
    rows = 0 if predict.returncode else pyarrow.csv.read_csv(folder / "p.csv", parse_options=_MULTILINE).num_rows
    outcome["predicted"] = rows
    return outcome | {"reached": "prediction" if rows == proposed["spans"][-1]["rows"] else "pushed"}


def typed(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Types a command in a folder."""
    command = [sys.executable, str(REPOSITORY / "local_runner.py"), *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def duckdb_agrees(path: Path) -> bool | None:
    """Returns whether DuckDB's sniffer names the same columns of a CSV file; None where there is none of either."""
    try:
        import duckdb
    except ImportError:
        return None
    file = path if path.is_file() else min(path.iterdir())
    source = open_source(file)
    if source.format != "csv":
        return None
    try:
        rows = duckdb.connect().execute("select Columns from sniff_csv(?)", [str(file)]).fetchall()
    except duckdb.Error:
        return False
    return set(source.columns) <= {column["name"] for column in rows[0][0]}


def summary(tables: dict[str, Any]) -> dict[str, Any]:  # Any: JSON.
    """Returns the shares over all tables."""
    columns = sum(one.get("columns", 0) for one in tables.values())
    different = [(*pair, name) for name, one in tables.items() for pair in one.get("different", {}).values()]
    sniffed = [one["sniffers_agree"] for one in tables.values() if one.get("sniffers_agree") is not None]
    return {
        "tables": len(tables),
        "pushed": sum(one["reached"] in ("pushed", "prediction") for one in tables.values()),
        "predicted": sum(one["reached"] == "prediction" for one in tables.values()),
        "columns": columns,
        "roles_equal": columns - len(different),
        "leaks_missed": sum(wanted == "leak" and got in _FEATURES for wanted, got, _ in different),
        "identifiers_taken": sum(
            wanted in ("identifier", "personal") and got in _FEATURES for wanted, got, _ in different
        ),
        "init_s": sorted(one["init_s"] for one in tables.values())[len(tables) // 2],
        "csv_files": len(sniffed),
        "duckdb_agrees": sum(sniffed),
    }


def markdown(results: dict[str, Any]) -> str:  # Any: JSON.
    """Returns the results as the docs show them."""
    all_ = results["summary"]
    share = all_["roles_equal"] / all_["columns"]
    lines = [
        ["tables that reach a pushed model with two commands", f"{all_['pushed']} of {all_['tables']}"],
        ["and a prediction for every row of the newest span", f"{all_['predicted']} of {all_['tables']}"],
        ["roles as a person gave them", f"{all_['roles_equal']} of {all_['columns']} ({share:.1%})"],
        ["leaks taken as features", str(all_["leaks_missed"])],
        ["identifiers and personal data taken as features", str(all_["identifiers_taken"])],
        ["seconds of `init`, median, start of Python included", f"{all_['init_s']:g}"],
    ]
    if all_["csv_files"]:
        lines.append(
            ["CSV files whose columns DuckDB's sniffer names too", f"{all_['duckdb_agrees']} of {all_['csv_files']}"]
        )
    return pages.markdown(["question", "answer"], lines)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="only these tables; of the others the last result stays"
    )
    parser.add_argument("--init-only", action="store_true", help="stop after `init`; nothing is recorded")
    args = parser.parse_args(argv)
    measured = json.loads(RESULTS.read_text(encoding="utf-8"))["tables"] if args.names and RESULTS.exists() else {}
    with tempfile.TemporaryDirectory(prefix="onboarding-") as scratch:
        for make in TABLES:
            if args.names and make.__name__ not in args.names:
                continue
            table = make()
            measured[table.name] = measure(table, Path(scratch) / table.name, init_only=args.init_only)
            print(table.name, json.dumps(measured[table.name], ensure_ascii=False), file=sys.stderr, flush=True)
    results = {"environment": environment("pyarrow"), "summary": summary(measured), "tables": measured}
    print(markdown(results))
    if not args.init_only:
        RESULTS.write_text(json.dumps(results, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
        write_table(PAGE, "onboarding", markdown(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
