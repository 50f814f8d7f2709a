"""Does the gate call a span drifted when nothing happened, and does it see what did happen?

    python -m benchmarks.gate false-alarms          # 200 same-distribution resamples per size
    python -m benchmarks.gate whole [--only TEXT]   # all kinds of evidence together, 200 clean spans per size
    python -m benchmarks.gate power [--evidently PYTHON] [--nannyml PYTHON] [--alibi PYTHON]
    python -m benchmarks.gate sequences             # real spans in order, nothing trained
    python -m benchmarks.gate cost                  # calibration at push, comparison of 27,000 rows
    python -m benchmarks.gate memory --datasets flights
    python -m benchmarks.gate table                 # writes the tables of docs/gate.md

Results go to benchmarks/results/gate.json, those of `whole` and `power` after each draw. Stock TFDV is measured with
thresholds of 0.1 and 0.3 for every feature. Evidently, NannyML and alibi-detect do not fit into this environment: give
the Python of an environment that has them.

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
from pathlib import Path
from typing import Any

from benchmarks import pages
from benchmarks.gate import cost, false_alarms, memory, power, sequences, whole
from benchmarks.gate.detectors import Peer
from benchmarks.gate.spans import load_spans
from benchmarks.pages import environment, write_table

RESULTS = pages.RESULTS / "gate.json"
PAGE = pages.DOCS / "gate.md"
PARTS = {
    "false_alarms": false_alarms,
    "whole": whole,
    "power": power,
    "sequences": sequences,
    "cost": cost,
    "memory": memory,
}


def main(argv: list[str] | None = None) -> int:
    """Runs one part and merges what it found into the results. Exit status: 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=["false-alarms", "whole", "power", "sequences", "cost", "memory", "table"])
    parser.add_argument("--repeats", type=int, help="resamples (default: 200 for false alarms, 30 for power)")
    parser.add_argument("--only", metavar="TEXT", help="of `whole`, the settings whose title holds this")
    parser.add_argument("--more", action="store_true", help="of `whole`, adds to the draws that are recorded")
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
            if args.part == "false-alarms":
                found: Any = false_alarms.measure(name, spans, args.repeats or 200)
            elif args.part == "whole":
                recorded = _recorded("whole", name)
                if not args.more:
                    recorded = {title: of for title, of in recorded.items() if args.only and args.only not in title}
                for found in whole.measure(name, spans, args.repeats or 200, args.only, recorded):
                    record("whole", name, found)
                continue
            elif args.part == "power":
                pythons = {"evidently": args.evidently, "nannyml": args.nannyml, "alibi": args.alibi}
                peers = [Peer(peer, path) for peer, path in pythons.items() if path]
                for found in power.measure(name, spans, args.repeats or 30, peers, args.sizes):
                    record("power", name, found)
                for peer in peers:
                    peer.close()
                continue
            elif args.part == "sequences":
                found = sequences.measure(name, spans)
            elif args.part == "memory":
                found = memory.measure(name, spans)
            else:
                found = cost.measure(name, spans)
            record(args.part.replace("-", "_"), name, found)
    return 0


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
