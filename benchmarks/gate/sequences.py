"""How often does the gate ask for a rerun on real spans that follow each other? Nothing is trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv

from benchmarks.gate.spans import build, settings
from benchmarks.pages import markdown
from pipeline.gate import drift, labels

WINDOW = 4


def sequences(name: str, spans: Mapping[int, pa.Table]) -> dict[str, list[pa.Table]]:
    """Returns the dataset's spans as they are, and the flights by week and by day."""
    tables = [spans[span] for span in sorted(spans)]
    if name != "flights":
        return {name: tables}
    year = pa.concat_tables(tables)
    month, day = (year[column].to_numpy() for column in ("month", "day"))
    date = np.array([np.datetime64(f"2013-{m:02d}-{d:02d}") for m, d in zip(month, day, strict=True)])
    number = (date - np.datetime64("2013-01-01")).astype(int)
    return {
        "flights by month": tables,
        "flights by week": [year.filter(pa.array(number // 7 == week)) for week in range(52)],
        "flights by day": [year.filter(pa.array(number == day)) for day in range(60)],
    }


def measure(name: str, spans: Mapping[int, pa.Table]) -> dict[str, dict[str, int]]:
    """Plays each sequence."""
    return {title: play(name, tables) for title, tables in sequences(name, spans).items()}


def play(name: str, tables: list[pa.Table]) -> dict[str, int]:
    """Moves the window whenever a row asks for a rerun, and counts which row did."""
    dataset = settings(name)
    counts = {"spans": 0, "reruns": 0, "drift": 0, "label": 0}
    base = build(name, _window(tables, WINDOW))
    for span in range(WINDOW, len(tables)):
        table = tables[span]
        compared = drift.compare(table, base, dataset.features, dataset.gate).drift
        change, _ = labels.compare(table, dataset.label.text, base.label_spans, dataset.gate)
        drifted, labelled = bool(compared and compared.moved), bool(change and change.matters)
        counts["spans"] += 1
        counts["drift"] += drifted
        counts["label"] += labelled
        if drifted or labelled:
            counts["reruns"] += 1
            base = build(name, _window(tables, span + 1))
    return counts


def _window(tables: list[pa.Table], end: int) -> dict[int, pa.Table]:
    """Returns two thirds of the rows of the spans before `end`, as the train split has."""
    rng = np.random.default_rng(end)
    return {
        span: tables[span].take(np.sort(rng.permutation(tables[span].num_rows)[: tables[span].num_rows * 2 // 3]))
        for span in range(max(end - WINDOW, 0), end)
    }


def table(found: Mapping[str, Any]) -> str:
    rows = [
        [title, *(str(counts[kind]) for kind in ("spans", "reruns", "drift", "label"))]
        for sequences_ in reversed(found.values())
        for title, counts in sequences_.items()
    ]
    return markdown(["sequence", "spans", "reruns", "drift", "label"], rows)
