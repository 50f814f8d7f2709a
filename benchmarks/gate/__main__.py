"""Does the gate call a span drifted when nothing happened, and does it see what did happen?

    python -m benchmarks.gate whole [--only TEXT]   # all kinds of evidence together, 200 clean spans per size
    python -m benchmarks.gate tasks [--only TEXT]   # the same where numbers and classes are predicted, on flights
    python -m benchmarks.gate power [--evidently PYTHON] [--nannyml PYTHON] [--alibi PYTHON]
    python -m benchmarks.gate promised              # what answers promise without labels, and what came
    python -m benchmarks.gate sequences             # real spans in order, nothing trained
    python -m benchmarks.gate cost                  # a push, and each part of a decision, up to 3.3 million rows
    python -m benchmarks.gate memory --datasets flights
    python -m benchmarks.gate table                 # writes the tables of docs/gate.md

Results go to benchmarks/results/gate.json, those of `whole`, `tasks` and `power` after each draw. Stock TFDV is
measured with thresholds of 0.1 and 0.3 for every feature. Evidently, NannyML and alibi-detect do not fit into this
environment: give the Python of an environment that has them.

    uv venv evidently && uv pip install --python evidently/bin/python evidently "pandas<3" pyarrow
    uv venv nannyml && uv pip install --python nannyml/bin/python nannyml statsmodels pyarrow
    uv venv alibi && uv pip install --python alibi/bin/python alibi-detect "pandas<3" "pyarrow<19"
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from benchmarks import pages
from benchmarks.gate import cost, memory, power, promised, sequences, tasks, whole
from benchmarks.gate.detectors import Peer
from benchmarks.gate.spans import load_spans
from benchmarks.pages import environment, write_table

RESULTS = pages.RESULTS / "gate.json"
PAGE = pages.DOCS / "gate.md"
PARTS: dict[str, Any] = {  # Any: modules with a `measure` and a `table`.
    "whole": whole,
    "tasks": tasks,
    "power": power,
    "promised": promised,
    "sequences": sequences,
    "cost": cost,
    "memory": memory,
}


def main(argv: list[str] | None = None) -> int:
    """Runs one part and merges what it found into the results. Exit status: 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=[*PARTS, "table"])
    parser.add_argument("--repeats", type=int, help="resamples (default: 30 for `power`, else 200)")
    parser.add_argument("--only", metavar="TEXT", help="of `whole` and `tasks`, the settings whose title holds this")
    parser.add_argument("--more", action="store_true", help="of them and `power`, adds to the recorded draws")
    parser.add_argument("--datasets", nargs="+", default=["taxi", "flights"], choices=["taxi", "flights"])
    parser.add_argument("--evidently", metavar="PYTHON", help="an interpreter that can import evidently")
    parser.add_argument("--nannyml", metavar="PYTHON", help="an interpreter that can import nannyml")
    parser.add_argument("--alibi", metavar="PYTHON", help="an interpreter that can import alibi_detect")
    parser.add_argument("--sizes", nargs="+", type=int, default=power.POWER_SIZES, help="rows of the spans of `power`")
    args = parser.parse_args(argv)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if args.part == "table":
        results = json.loads(RESULTS.read_text(encoding="utf-8"))
        for part, module in PARTS.items():
            if part in results:
                write_table(PAGE, part, module.table(results[part]))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        for name in args.datasets:
            spans = load_spans(name, Path(folder))
            for found in _measured(args, name, spans):
                record(args.part, name, found)
    return 0


def _measured(args: argparse.Namespace, name: str, spans: Mapping[int, pa.Table]) -> Iterator[Any]:
    """Yields what is known of a part and a dataset, where it is made of draws after each of them."""
    if args.part in ("whole", "tasks"):
        recorded = _recorded(args.part, name)
        if not args.more:
            recorded = {title: of for title, of in recorded.items() if args.only and args.only not in title}
        yield from PARTS[args.part].measure(name, spans, args.repeats or 200, args.only, recorded)
    elif args.part == "power":
        pythons = {"evidently": args.evidently, "nannyml": args.nannyml, "alibi": args.alibi}
        peers = [Peer(peer, path) for peer, path in pythons.items() if path]
        recorded = _recorded("power", name) if args.more else {}
        yield from power.measure(name, spans, args.repeats or 30, peers, args.sizes, recorded)
        for peer in peers:
            peer.close()
    else:
        yield PARTS[args.part].measure(name, spans)


def _recorded(part: str, name: str) -> dict[str, Any]:
    """Returns what an earlier call recorded of a part and a dataset."""
    results = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    return dict(results.get(part, {}).get(name, {}))


def record(part: str, name: str, found: Any) -> None:
    """Merges one part's results into the file."""
    results = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    results.setdefault(part, {})[name] = found
    results["environment"] = environment("tensorflow-data-validation", "numpy", "pyarrow")
    RESULTS.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
