"""Does the gate see what did happen, and do others?"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv

from benchmarks.gate.changes import changes
from benchmarks.gate.detectors import Peer, detect
from benchmarks.gate.spans import build, settings, window
from benchmarks.pages import markdown

POWER_SIZES = (1_000, 5_000)
REFERENCE_ROWS = {"taxi": 4_000, "flights": 24_000}


def measure(
    name: str,
    spans: Mapping[int, pa.Table],
    repeats: int,
    peers: Sequence[Peer],
    sizes: Sequence[int],
    recorded: Mapping[str, Any],
) -> Iterator[dict[str, Any]]:
    """Changes spans of the reference's distribution, and asks every detector whether anything moved.

    Yields what is known after each resample.

    Args:
      recorded: of earlier resamples, which are counted on from.
    """
    dataset = settings(name)
    pool = pa.concat_tables(list(spans.values())).combine_chunks()
    taken = REFERENCE_ROWS[name]
    rows, months = recorded.get("rows", {}), recorded.get("seasons", {})
    if name == "flights" and peers and not months:
        months = seasons(spans, peers)
    counts: dict[str, dict[str, dict[str, dict[str, int]]]] = {str(size): rows.get(str(size), {}) for size in sizes}
    first = min(of_size["nothing"]["gate"]["of"] if of_size else 0 for of_size in counts.values())
    for repeat in range(first, repeats):
        rng = np.random.default_rng([11, repeat])
        order = rng.permutation(pool.num_rows)
        reference = pool.take(order[:taken])
        base = build(name, window(reference, rng), seed=repeat)
        for size in sizes:
            span = pool.take(order[taken : taken + size])
            changed = {change: apply(span, rng) for change, apply in changes(name).items()}
            for detector, alarms in detect(dataset, base, reference, changed, peers).items():
                for change, alarm in alarms.items():
                    of = counts[str(size)].setdefault(change, {}).setdefault(detector, {"alarms": 0, "of": 0})
                    of["alarms"] += alarm
                    of["of"] += 1
        print(f"{name}: {repeat + 1} of {repeats}", file=sys.stderr, flush=True)
        yield {"reference_rows": taken, "rows": {**rows, **counts}, "seasons": months}


def seasons(spans: Mapping[int, pa.Table], peers: Sequence[Peer]) -> dict[str, dict[str, int]]:
    """Compares May to December with a baseline of January to April."""
    dataset = settings("flights")
    rng = np.random.default_rng(4)
    rows = {span: spans[span].take(np.sort(rng.permutation(spans[span].num_rows)[::3])) for span in spans}
    past = {span: rows[span] for span in (1, 2, 3, 4)}
    months = {f"month {span}": rows[span] for span in range(5, 13)}
    base = build("flights", past)
    found = detect(dataset, base, pa.concat_tables(list(past.values())), months, peers)
    return {month: {detector: alarms[month] for detector, alarms in found.items()} for month in months}


def table(found: Mapping[str, Any]) -> str:
    text = ""
    for name, result in reversed(found.items()):
        order = list(changes(name))
        for size, counts in sorted(result["rows"].items(), key=lambda item: int(item[0])):
            detectors = _in_order(counts["nothing"])
            rows = [
                [change, *(f"{alarms[detector]['alarms'] / alarms[detector]['of']:.0%}" for detector in detectors)]
                for change, alarms in sorted(counts.items(), key=lambda item: order.index(item[0]))
            ]
            repeats = counts["nothing"]["gate"]["of"]
            text += f"\n{name}, spans of {int(size):,} rows, {repeats} resamples.\n\n"
            text += markdown(["change", *detectors], rows)
        if result["seasons"]:
            months = sorted(result["seasons"].items(), key=lambda item: int(item[0].split()[1]))
            detectors = _in_order(months[0][1])
            rows = [[month, *("moved" if alarms[d] else "-" for d in detectors)] for month, alarms in months]
            text += "\nflights, a baseline of January to April:\n\n" + markdown(["span", *detectors], rows)
    return text


def _in_order(detectors: Mapping[str, Any]) -> list[str]:
    """Returns the gate, then TFDV, then the peers."""
    return sorted(detectors, key=lambda name: (not name.startswith("gate"), not name.startswith("TFDV"), name))
