"""How often does the gate call the live model worse, and the label's share moved, when they are, and when nothing is?

    python -m benchmarks.performance_power            # measures (a minute), then makes the tables of docs/gate.md
    python -m benchmarks.performance_power --tables

Scores are normal, with two means, and calibrated: an AUC is known exactly. A window of four spans and one more, all of
the same size; between spans the AUC may vary. "One span" holds it against the newest span alone, as before the
results of all spans were kept. "All spans, variance known" is told how the AUC varies, which no window tells: no
estimate of it, shrunken or not, finds more at this rate.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from statistics import NormalDist
from typing import Any
from unittest import mock

import numpy as np
import pyarrow as pa

from benchmarks import pages
from benchmarks.pages import environment, markdown, write_table
from pipeline.gate import between_spans, labels, performance
from pipeline.gate.between_spans import Between
from pipeline.gate.policy import GatePolicy

RESULTS = pages.RESULTS / "performance_power.json"
PAGE = pages.DOCS / "gate.md"
POLICY = GatePolicy()
SPANS = 4
SIZES = (300, 1_000, 5_000)
REPEATS = 100
_SHARE = 0.25
_AUC = 0.75
_LABEL = "tip > 0"
HELD_AGAINST = {"one": "one span", "all": "all spans", "known": "all spans, variance known"}


def evaluate(rng: np.random.Generator, rows: int, auc: float) -> performance.Evaluation:
    """Returns a calibrated model of this AUC on rows of its own."""
    apart = math.sqrt(2) * NormalDist().inv_cdf(auc)
    truth = (rng.random(rows) < _SHARE).astype(int)
    score = rng.normal(size=rows) + apart * truth
    odds = np.log(_SHARE / (1 - _SHARE)) + apart * score - apart**2 / 2
    return performance.evaluate(truth, 1 / (1 + np.exp(-odds)))


def worse(rng: np.random.Generator, rows: int, auc: float, varies: float, against: str) -> bool:
    """Draws a window and a span, and tells whether the model's AUC is called worse on it."""
    window = [evaluate(rng, rows, _AUC + varies * rng.normal()) for _ in range(SPANS)]
    results = [result for span, each in enumerate(window) for result in performance.results_of(span, each, POLICY)]
    now = evaluate(rng, rows, auc + varies * rng.normal())
    of_spans = against != "one"

    def compare() -> bool:
        changes, _ = performance.compare(now, window[-1], POLICY, spans=results if of_spans else (), pooled=of_spans)
        return any(change.matters for change in changes if change.metric == "auc")

    if against != "known":
        return compare()
    known = Between(variance=varies**2, sampling=0.0, spans=10**9)
    with mock.patch.object(between_spans, "ordinary", return_value=known):
        return compare()


def moved(rng: np.random.Generator, rows: int, before: float, after: float) -> bool:
    """Draws a window and a span, and tells whether the label's share is called moved."""
    window = [(int(rng.binomial(rows, before)), rows) for _ in range(SPANS)]
    tips = np.zeros(rows)
    tips[: rng.binomial(rows, after)] = 1.0
    change, _ = labels.compare(pa.table({"tip": tips}), _LABEL, window, POLICY)
    return bool(change and change.matters)


def measure() -> dict[str, Any]:
    """Returns shares of the repeats."""
    rng = np.random.default_rng(0)

    def share(call: Any, *args: Any, **given: Any) -> float:  # Any: `worse` or `moved`, and what they take.
        return float(np.mean([call(rng, *args, **given) for _ in range(REPEATS)]))

    aucs = {}
    for varies in (0.0, 0.02):
        for auc in (0.75, 0.70):
            for against in HELD_AGAINST:
                aucs[f"{auc:.2f}/{varies:g}/{against}"] = [share(worse, rows, auc, varies, against) for rows in SIZES]
    shares = {
        f"{before:g}/{after:g}": [share(moved, rows, before, after) for rows in SIZES]
        for before, after in ((0.005, 0.005), (0.005, 0.0005), (0.005, 0.01), (0.25, 0.25), (0.25, 0.35))
    }
    return {"auc": aucs, "label": shares, "repeats": REPEATS, "environment": environment("numpy")}


def auc_table(found: dict[str, Any]) -> str:
    rows = []
    for name, shares in found["auc"].items():
        auc, varies, against = name.split("/")
        shown = [f"{share:.0%}" for share in shares]
        rows.append([f"{_AUC} → {auc}", varies, HELD_AGAINST[against], *shown])
    header = ["AUC", "standard deviation between spans", "held against", *(f"{size:,} rows" for size in SIZES)]
    return markdown(header, rows)


def label_table(found: dict[str, Any]) -> str:
    rows = []
    for name, shares in found["label"].items():
        before, after = (float(part) for part in name.split("/"))
        rows.append([f"{before:.2%} → {after:.2%}", *(f"{share:.0%}" for share in shares)])
    return markdown(["share of positive labels", *(f"{size:,} rows" for size in SIZES)], rows)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", action="store_true", help="only make the tables")
    args = parser.parse_args(argv)
    if not args.tables:
        RESULTS.write_text(json.dumps(measure(), indent=1, sort_keys=True) + "\n", encoding="utf-8")
    found = json.loads(RESULTS.read_text(encoding="utf-8"))
    write_table(PAGE, "performance_power", auc_table(found))
    write_table(PAGE, "label_power", label_table(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
