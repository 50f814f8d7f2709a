"""How much memory does the gate take for a span of 3.3 million rows, above what it takes to start?

The rows are ten times the flights of 2013, with noise on the weather so that no two are equal, made batch by batch
as an artifact is read. TensorFlow scores nothing here: trees answer for the network, on the rows that are compared.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pyarrow as pa

from benchmarks.gate.spans import settings
from benchmarks.gate.whole import DAY, Model
from benchmarks.pages import markdown
from pipeline.config.schema import read_schema
from pipeline.gate import assess
from pipeline.gate.measuring import build_baseline
from pipeline.gate.settings import Settings

TIMES = 10
NOISY = ("temp", "dewp", "humid", "pressure")


class ManyRows:
    """Every span's rows again and again, no two equal."""

    def __init__(self, spans: Mapping[int, pa.Table], times: int) -> None:
        self._spans, self._times = spans, times

    def to_batches(self) -> Iterator[pa.RecordBatch]:
        """Makes the batches, one after the other."""
        rng = np.random.default_rng(0)
        for _ in range(self._times):
            for table in self._spans.values():
                for batch in table.to_batches(max_chunksize=16_384):
                    yield self._noisy(batch, rng)

    @staticmethod
    def _noisy(batch: pa.RecordBatch, rng: np.random.Generator) -> pa.RecordBatch:
        columns = dict(zip(batch.schema.names, batch.columns, strict=True))
        for name in NOISY:
            values = columns[name].to_numpy(zero_copy_only=False) * (1 + rng.normal(0, 1e-4, batch.num_rows))
            columns[name] = pa.array(values, from_pandas=True)
        return pa.RecordBatch.from_arrays(list(columns.values()), schema=batch.schema)


def measure(name: str, spans: Mapping[int, pa.Table]) -> dict[str, Any]:
    """Judges a span of one month, and then one of ten years, and compares the peaks with what was held before."""
    dataset = settings(name)
    assert dataset.schema_path is not None, "the shipped datasets have schemas"
    schema = read_schema(dataset.schema_path)
    past = {span: spans[span] for span in (1, 2, 3, 4)}
    model = Model(dataset, pa.concat_tables(past.values()))
    baseline = build_baseline(
        past, schema, dataset.features, dataset.gate, evaluation=model.evaluate(spans[4], dataset), statistics=None
    )
    live = assess.Live(version=str(100 * DAY), model_dir="the trees", baseline=baseline)
    wanted = Settings(features=dataset.features, policy=dataset.gate, slices=dataset.evaluation.slices)
    found: dict[str, Any] = {}
    for title, times, part in (("a month", 1, {5: spans[5]}), ("the span", TIMES, spans)):
        started, before = time.perf_counter(), _reset_peak()
        span = assess.Span(number=13, version=0, table=ManyRows(part, times), schema=schema)
        with mock.patch.object(assess, "evaluate_model", lambda *given: model.evaluate(given[1], dataset)):
            decision = assess.assess(span, live, (), wanted, evaluated_at=101 * DAY, forced=False).decision
        compared = decision.evidence.drift.rows if decision.evidence.drift else 0
        found[title] = {
            "rows": decision.evidence.rows,
            "compared": compared,
            "seconds": round(time.perf_counter() - started, 1),
            "above_start_mb": round(_peak() - before),
        }
    return found


def _reset_peak() -> float:
    """Forgets the process's peak so far; returns the memory that it holds, MB."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return _status("VmRSS")


def _peak() -> float:
    return _status("VmHWM")


def _status(key: str) -> float:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{key}:"))


def table(found: Mapping[str, Any]) -> str:
    """Returns the peaks."""
    rows = [
        [name, f"{run['rows']:,}", f"{run['compared']:,}", f"{run['above_start_mb']:,}", f"{run['seconds']:g}"]
        for name, result in found.items()
        for run in sorted(result.values(), key=lambda run: run["rows"])
    ]
    return markdown(["dataset", "rows", "of them compared", "peak above start, MB", "seconds"], rows)
