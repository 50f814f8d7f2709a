"""Does the gate call a span drifted when nothing happened?"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv

from benchmarks.gate.spans import REFERENCE_ROWS, build, settings, window
from benchmarks.pages import markdown
from pipeline.gate import drift

# 15,000 trips are all there are.
SIZES = {"taxi": (300, 1_000, 5_000, 11_000), "flights": (300, 1_000, 5_000, 27_000)}


def measure(name: str, spans: Mapping[int, pa.Table], repeats: int) -> dict[str, Any]:
    """Draws reference and spans from all rows, without replacement and disjoint: the same distribution, exactly.

    `calibrated` counts what exceeds the thresholds of chance; `gate` what also exceeds the floors.
    """
    dataset = settings(name)
    pool = pa.concat_tables(list(spans.values())).combine_chunks()
    alarms = {size: {"calibrated": 0, "gate": 0} for size in SIZES[name]}
    for repeat in range(repeats):
        rng = np.random.default_rng([20_261_124, repeat])
        order = rng.permutation(pool.num_rows)
        base = build(name, window(pool.take(order[: REFERENCE_ROWS[name]]), rng), seed=repeat)
        rest = order[REFERENCE_ROWS[name] :]
        for size in SIZES[name]:
            span = pool.take(rng.choice(rest, size, replace=False))
            found = drift.compare(span, base, dataset.features, dataset.gate).drift
            assert found is not None, "the span has rows"
            chance = [item for item in found.features if item.noise is not None and item.distance > item.noise]
            alarms[size]["calibrated"] += bool(chance)
            alarms[size]["gate"] += bool(found.moved)
        if repeat % 20 == 19:
            print(f"{name}: {repeat + 1} of {repeats}: {alarms}", file=sys.stderr)
    return {
        "target": dataset.gate.alarm_rate("drift"),
        "repeats": repeats,
        "reference_rows": REFERENCE_ROWS[name],
        "features": len(base.bins),
        "alarms": {str(size): counts for size, counts in alarms.items()},
    }


def table(found: Mapping[str, Any]) -> str:
    rows = []
    for name, result in reversed(found.items()):
        for size, alarms in sorted(result["alarms"].items(), key=lambda item: int(item[0])):
            shares = [f"{alarms[kind] / result['repeats']:.1%}" for kind in ("calibrated", "gate")]
            rows.append([name, f"{result['reference_rows']:,}", f"{int(size):,}", *shares])
    return markdown(["dataset", "training rows", "rows of the span", "chance alone", "with the floors"], rows)
