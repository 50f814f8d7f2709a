"""What does the gate add to a push and to a run that ends in nothing to do?"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv

from benchmarks.gate.spans import build, settings
from benchmarks.pages import markdown
from columnar.fingerprint import fingerprint
from pipeline.config.schema import read_schema
from pipeline.gate import drift, labels, performance, quality


def measure(name: str, spans: Mapping[int, pa.Table]) -> dict[str, Any]:
    """Times what a push and a skip add, on four spans as the reference and the next one."""
    dataset = settings(name)
    assert dataset.schema_path is not None, "the shipped datasets have schemas"
    past = {span: spans[span] for span in (1, 2, 3, 4)}
    drift.compare(spans[5], build(name, past), dataset.features, dataset.gate)  # Imports TFDV.
    base = build(name, past)
    schema = read_schema(dataset.schema_path)
    scores = np.random.default_rng(0).random(spans[5].num_rows)
    truth = labels.evaluate(spans[5], dataset.label.text) == 1
    parts = {
        "baseline at push": lambda: build(name, past),
        "comparison": lambda: drift.compare(spans[5], base, dataset.features, dataset.gate),
        "quality": lambda: quality.check(spans[5], schema, dataset.features, dataset.gate, known=base.known),
        "fingerprint": lambda: fingerprint(spans[5].to_batches()),
        "performance, without slices": lambda: performance.evaluate(truth, scores),
    }
    times = {what: [_seconds(part) for _ in range(5)] for what, part in parts.items()}
    return {
        "rows": {"reference": base.rows, "span": spans[5].num_rows, "features": len(base.bins)},
        "seconds": {what: {"median": float(np.median(t)), "max": max(t)} for what, t in times.items()},
    }


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return round(time.perf_counter() - start, 4)


def table(found: Mapping[str, Any]) -> str:
    rows = []
    for name, result in reversed(found.items()):
        for what, seconds in result["seconds"].items():
            counts = result["rows"]
            of = counts["reference"] if what.startswith("baseline") else counts["span"]
            rows.append(
                [name, what, f"{of:,} x {counts['features']}", f"{seconds['median']:.2f}", f"{seconds['max']:.2f}"]
            )
    return markdown(["dataset", "what", "rows x features", "median s", "max s"], rows)
