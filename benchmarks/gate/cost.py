"""What does the gate add to a push and to a run that ends in nothing to do, in seconds of one core?"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.gate.memory import TIMES, ManyRows
from benchmarks.gate.spans import build, settings
from benchmarks.gate.whole import Model
from benchmarks.pages import markdown
from columnar.fingerprint import fingerprint
from pipeline.components.rerun_gate import read_rows
from pipeline.config.dataset import Dataset
from pipeline.config.schema import read_schema
from pipeline.gate import challenger, drift, joint, labels, performance, quality
from pipeline.gate.evidence import Challenge
from pipeline.ingest.config import IngestConfig
from pipeline.ingest.spans import SpanFile

WINDOW = (1, 2, 3, 4)
CHALLENGE = "what a training would bring"
LARGE = f"{CHALLENGE}, the span's file read"


def measure(name: str, spans: Mapping[int, pa.Table]) -> dict[str, Any]:
    """Times what a push and a skip add, on four spans as the reference and the next one."""
    dataset = settings(name)
    assert dataset.schema_path is not None, "the shipped datasets have schemas"
    past = {span: spans[span] for span in WINDOW}
    drift.compare(spans[5], build(name, past), dataset.features, dataset.gate)  # Imports TFDV.
    base = build(name, past)
    sample = base.sample
    assert sample is not None, "it was just built"
    schema = read_schema(dataset.schema_path)
    scores = np.random.default_rng(0).random(spans[5].num_rows)
    truth = labels.evaluate(spans[5], dataset.label.text) == 1
    model = Model(dataset, pa.concat_tables(past.values()))
    parts = {
        "baseline at push": lambda: build(name, past),
        "comparison": lambda: drift.compare(spans[5], base, dataset.features, dataset.gate),
        "relations": lambda: joint.compare(spans[5], sample, base.bins, base.label, dataset.gate),
        CHALLENGE: lambda: _challenge(dataset, past, spans[5], model),
        "quality": lambda: quality.check(spans[5], schema, dataset.features, dataset.gate, known=base.known),
        "fingerprint": lambda: fingerprint(spans[5].to_batches()),
        "performance, without slices": lambda: performance.evaluate(truth, scores),
    }
    times = {what: [_seconds(part) for _ in range(5)] for what, part in parts.items()}
    rows = {"reference": base.rows, "span": spans[5].num_rows, "features": len(base.bins)}
    if name == "flights":
        with tempfile.TemporaryDirectory() as folder:
            file, rows["large"] = _write(ManyRows(spans, TIMES), Path(folder) / "data.parquet")
            ingest = IngestConfig(
                file_format="parquet",
                schema_text=dataset.schema_path.read_text(encoding="utf-8"),
                label=dataset.features.target,
                features=dataset.features.names,
            )
            times[LARGE] = [
                _seconds(lambda: _challenge(dataset, past, read_rows([file], ingest, dataset.features), model))
                for _ in range(3)
            ]
    return {
        "rows": rows,
        "seconds": {what: {"median": float(np.median(t)), "max": max(t)} for what, t in times.items()},
    }


def _challenge(dataset: Dataset, past: Mapping[int, pa.Table], span: pa.Table, model: Model) -> None:
    found = challenger.challenge(
        past, span, learned=WINDOW, would_learn=WINDOW[1:], live=model.predict, features=dataset.features
    )
    assert isinstance(found, Challenge), found


def _write(rows: ManyRows, path: Path) -> tuple[SpanFile, int]:
    batches = rows.to_batches()
    first = next(batches)
    count = first.num_rows
    with pq.ParquetWriter(path, first.schema) as writer:
        writer.write_batch(first)
        for batch in batches:
            writer.write_batch(batch)
            count += batch.num_rows
    return SpanFile(span=5, version=0, path=str(path), pattern=str(path)), count


def _seconds(call: Callable[[], object]) -> float:
    """Returns the processor time of a call, of all threads: others use the machine as well."""
    start = time.process_time()
    call()
    return round(time.process_time() - start, 4)


def table(found: Mapping[str, Any]) -> str:
    rows = []
    for name, result in reversed(found.items()):
        for what, seconds in result["seconds"].items():
            counts = result["rows"]
            of = counts["reference"] if what.startswith("baseline") else counts["large" if what == LARGE else "span"]
            rows.append(
                [name, what, f"{of:,} x {counts['features']}", f"{seconds['median']:.2f}", f"{seconds['max']:.2f}"]
            )
    return markdown(["dataset", "what", "rows x features", "median CPU s", "max CPU s"], rows)
