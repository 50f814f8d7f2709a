"""Does the gate call a span drifted when nothing happened, and does it see what did happen?

    python -m benchmarks.gate false-alarms          # 200 same-distribution resamples per size
    python -m benchmarks.gate power [--evidently PYTHON] [--nannyml PYTHON]
    python -m benchmarks.gate cost                  # calibration at push, comparison of 27,000 rows
    python -m benchmarks.gate table                 # writes the tables of docs/gate.md

Results go to benchmarks/results/gate.json. Evidently and NannyML do not fit into this environment: give the Python of
an environment that has them. Stock TFDV is measured with thresholds of 0.1 and 0.3 for every feature.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from columnar import examples
from columnar.fingerprint import fingerprint
from models import label
from pipeline.config.dataset import Dataset, load_dataset, read_schema
from pipeline.gate import baseline as baselines
from pipeline.gate import drift, labels, performance, quality

RESULTS = Path(__file__).parent / "results" / "gate.json"
DOCS = Path(__file__).parent.parent / "docs" / "gate.md"
# Columns of the month of the year or of one flight or plane: different in every span, by their nature.
EXCLUDED = {"taxi": ("trip_start_month",), "flights": ("flight", "tailnum")}
# The training rows of four spans: two thirds of each.
REFERENCE_ROWS = {"taxi": 4_000, "flights": 72_000}
# 15,000 trips are all there are.
SIZES = {"taxi": (300, 1_000, 5_000, 11_000), "flights": (300, 1_000, 5_000, 27_000)}
POWER_SIZES = (1_000, 5_000)


def main(argv: list[str] | None = None) -> int:
    """Runs one part and merges what it found into the results. Exit status: 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=["false-alarms", "power", "cost", "table"])
    parser.add_argument("--repeats", type=int, help="resamples (default: 200 for false alarms, 50 for power)")
    parser.add_argument("--datasets", nargs="+", default=["taxi", "flights"], choices=["taxi", "flights"])
    parser.add_argument("--peer-repeats", type=int, default=3, help="resamples that the slow peers are asked about")
    parser.add_argument("--evidently", metavar="PYTHON", help="an interpreter that can import evidently")
    parser.add_argument("--nannyml", metavar="PYTHON", help="an interpreter that can import nannyml")
    args = parser.parse_args(argv)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if args.part == "table":
        write_tables()
        return 0
    with tempfile.TemporaryDirectory() as folder:
        for name in args.datasets:
            spans = load_spans(name, Path(folder))
            if args.part == "false-alarms":
                found: Any = false_alarms(name, spans, args.repeats or 200)
            elif args.part == "power":
                peers = {"evidently": args.evidently, "nannyml": args.nannyml}
                asked = {peer: path for peer, path in peers.items() if path}
                found = power(name, spans, args.repeats or 50, asked, args.peer_repeats)
            else:
                found = cost(name, spans)
            record(args.part.replace("-", "_"), name, found)
    return 0


def load_spans(name: str, folder: Path) -> dict[int, pa.Table]:
    """Returns the shipped spans as the pipeline sees them: flat, floats rounded to float32."""
    dataset = load_dataset(name)
    assert dataset.schema_path is not None, "the shipped datasets have schemas"
    schema = read_schema(dataset.schema_path)
    target = examples.flat_schema(schema)
    source = __import__(f"data.{name}.source", fromlist=["write_spans"])
    as_missing = pa.csv.ConvertOptions(strings_can_be_null=True)
    tables = {}
    for span, path in enumerate(source.write_spans(folder / name), start=1):
        parquet = path.with_suffix(".parquet")
        read = pq.read_table(parquet) if parquet.exists() else pa.csv.read_csv(path, convert_options=as_missing)
        tables[span] = pa.table([_as_stored(read[field.name], field.type) for field in target], schema=target)
    return tables


def _as_stored(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    return column.cast(pa.float32()).cast(kind) if pa.types.is_floating(kind) else column.cast(kind)


def settings(name: str) -> Dataset:
    """Returns the dataset file, with the gate's defaults and the columns above excluded."""
    dataset = load_dataset(name)
    return dataclasses.replace(dataset, gate=dataclasses.replace(dataset.gate, exclude=EXCLUDED[name]))


def window(table: pa.Table, rng: np.random.Generator) -> dict[int, pa.Table]:
    """Cuts rows at random into four spans, as a training window has."""
    parts = np.array_split(rng.permutation(table.num_rows), 4)
    return {span: table.take(np.sort(part)) for span, part in enumerate(parts, start=1)}


def build(name: str, tables: Mapping[int, pa.Table], **given: Any) -> baselines.Baseline:
    """Returns the baseline of a training window."""
    dataset = settings(name)
    assert dataset.schema_path is not None, "the shipped datasets have schemas"
    schema = read_schema(dataset.schema_path)
    return baselines.build_baseline(
        tables, schema, dataset.features, dataset.gate, **{"evaluation": None, "statistics": None, **given}
    )


def false_alarms(name: str, spans: Mapping[int, pa.Table], repeats: int) -> dict[str, Any]:
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
        "target": dataset.gate.false_alarm_rate,
        "repeats": repeats,
        "reference_rows": REFERENCE_ROWS[name],
        "features": len(base.bins),
        "alarms": {str(size): counts for size, counts in alarms.items()},
    }


def scale(column: str, factor: float) -> Any:
    """Multiplies a column."""
    return lambda table, _rng: _replace(table, column, pc.multiply(table[column], pa.scalar(factor, pa.float64())))


def move_share(column: str, source: str, target: str, points: float) -> Any:
    """Turns a value into another one in so many points of all rows."""

    def change(table: pa.Table, rng: np.random.Generator) -> pa.Table:
        values = np.array(table[column].to_pylist(), dtype=object)
        holders = np.flatnonzero(values == source)
        values[rng.choice(holders, min(round(points * len(values)), len(holders)), replace=False)] = target
        return _replace(table, column, pa.chunked_array([pa.array(values.tolist(), table[column].type)]))

    return change


def double_missing(column: str) -> Any:
    """Removes as many values as are missing already."""

    def change(table: pa.Table, rng: np.random.Generator) -> pa.Table:
        missing = pc.is_null(table[column]).combine_chunks().to_numpy(zero_copy_only=False)
        there = np.flatnonzero(~missing)
        also = missing.copy()
        also[rng.choice(there, min(int(missing.sum()), len(there)), replace=False)] = True
        return _replace(table, column, pc.if_else(pa.array(also), pa.scalar(None, table[column].type), table[column]))

    return change


def drop_value(column: str, value: str) -> Any:
    """Leaves out every row with a value."""
    return lambda table, _rng: table.filter(pc.fill_null(pc.not_equal(table[column], value), True))


def move_label(dataset: Dataset, points: float) -> Any:
    """Makes so many points of all rows positive, and leaves their features as they are."""

    def change(table: pa.Table, rng: np.random.Generator) -> pa.Table:
        positive = {"tips > 0.2 * fare": ("tips", 1e3), "arr_delay > 15": ("arr_delay", 100)}
        column, value = positive[dataset.label.text]
        negatives = np.flatnonzero(labels.evaluate(table, dataset.label.text) == 0)
        chosen = np.zeros(table.num_rows, np.bool_)
        chosen[rng.choice(negatives, round(points * table.num_rows), replace=False)] = True
        raised = pc.if_else(pa.array(chosen), pa.scalar(value, table[column].type), table[column])
        return _replace(table, column, raised)

    return change


def changes(name: str) -> dict[str, Any]:
    """Returns what is done to a span, by name; `nothing` is the measure of false alarms for the others."""
    dataset = settings(name)
    both = {
        "nothing": lambda table, _rng: table,
        "label share +5 points": move_label(dataset, 0.05),
        "label share +10 points": move_label(dataset, 0.10),
    }
    if name == "taxi":
        return both | {
            "fare x 1.1": scale("fare", 1.1),
            "fare x 1.25": scale("fare", 1.25),
            "fare x 2": scale("fare", 2.0),
            "miles to kilometres": scale("trip_miles", 1.609344),
            "payment type moved 5 points": move_share("payment_type", "Cash", "Credit Card", 0.05),
            "payment type moved 10 points": move_share("payment_type", "Cash", "Credit Card", 0.10),
            "missing doubled (company, 1/3 of the rows)": double_missing("company"),
            "missing doubled (dropoff_latitude, 1/25)": double_missing("dropoff_latitude"),
            "category gone (company, 1/15)": drop_value("company", "Choice Taxi Association"),
        }
    return both | {
        "distance: miles to kilometres": lambda table, _rng: _replace(
            table, "distance", pc.cast(pc.round(pc.multiply(table["distance"], 1.609344)), pa.int64())
        ),
        "wind_speed x 1.1": scale("wind_speed", 1.1),
        "origin moved 5 points": move_share("origin", "EWR", "LGA", 0.05),
        "origin moved 10 points": move_share("origin", "EWR", "LGA", 0.10),
        "missing doubled (plane_age, 1/6)": double_missing("plane_age"),
        "missing doubled (wind_dir, 1/35)": double_missing("wind_dir"),
        "category gone (carrier US, 1/16)": drop_value("carrier", "US"),
    }


def power(
    name: str, spans: Mapping[int, pa.Table], repeats: int, peers: Mapping[str, str], peer_repeats: int
) -> dict[str, Any]:
    """Changes spans of the reference's distribution, and asks every detector whether anything moved."""
    dataset = settings(name)
    pool = pa.concat_tables(list(spans.values())).combine_chunks()
    found: dict[str, Any] = {"reference_rows": REFERENCE_ROWS[name], "rows": {}, "seasons": {}}
    for size in POWER_SIZES:
        alarms_of: dict[str, dict[str, list[int]]] = {change: {} for change in changes(name)}
        for repeat in range(repeats):
            rng = np.random.default_rng([11, size, repeat])
            order = rng.permutation(pool.num_rows)
            reference = pool.take(order[: REFERENCE_ROWS[name]])
            base = build(name, window(reference, rng), seed=repeat)
            span = pool.take(order[REFERENCE_ROWS[name] :][:size])
            changed = {change: apply(span, rng) for change, apply in changes(name).items()}
            asked = peers if repeat < peer_repeats else {}
            for detector, alarms in detect(dataset, base, reference, changed, asked).items():
                for change, alarm in alarms.items():
                    alarms_of[change].setdefault(detector, []).append(alarm)
        found["rows"][str(size)] = {
            change: {detector: {"alarms": sum(alarms), "of": len(alarms)} for detector, alarms in detectors.items()}
            for change, detectors in alarms_of.items()
        }
        print(f"{name} {size}: done", file=sys.stderr)
    if name == "flights":
        found["seasons"] = seasons(spans, peers)
    return found


def seasons(spans: Mapping[int, pa.Table], peers: Mapping[str, str]) -> dict[str, dict[str, int]]:
    """Compares May to December with a baseline of January to April."""
    dataset = settings("flights")
    rng = np.random.default_rng(4)
    rows = {span: spans[span].take(np.sort(rng.permutation(spans[span].num_rows)[::3])) for span in spans}
    past = {span: rows[span] for span in (1, 2, 3, 4)}
    months = {f"month {span}": spans[span] for span in range(5, 13)}
    base = build("flights", past)
    found = detect(dataset, base, pa.concat_tables(list(past.values())), months, peers)
    return {month: {detector: alarms[month] for detector, alarms in found.items()} for month in months}


def detect(
    dataset: Dataset,
    base: baselines.Baseline,
    reference: pa.Table,
    changed: Mapping[str, pa.Table],
    peers: Mapping[str, str],
) -> dict[str, dict[str, int]]:
    """Returns detector to change to 1 where anything was called moved."""
    found: dict[str, dict[str, int]] = {"gate": {}}
    for change, table in changed.items():
        compared = drift.compare(table, base, dataset.features, dataset.gate).drift
        moved, _ = labels.compare(table, dataset.label.text, base.positives, dataset.gate)
        found["gate"][change] = int(bool(compared and compared.moved) or bool(moved and moved.matters))
    before = _statistics(reference, dataset)
    for change, table in changed.items():
        now = _statistics(table, dataset)
        for source in ("STANDARD", "QUANTILES"):
            distances = _stock_distances(now, before, source)
            for threshold in (0.1, 0.3):
                alarms = found.setdefault(f"TFDV {source} {threshold}", {})
                alarms[change] = int(any(distance > threshold for distance in distances))
    for peer, python in peers.items():
        found |= _ask_peer(peer, python, dataset, reference, changed)
    return found


def _flat(table: pa.Table, dataset: Dataset) -> pa.Table:
    """Returns the compared columns, label included, for detectors that know no schema."""
    columns = [column for column in dataset.features.names if column not in dataset.gate.exclude]
    values = labels.evaluate(table, dataset.label.text)
    known = pa.array(values.astype(str).tolist(), mask=values == label.NO_LABEL)
    kept = {column: table[column] for column in columns}
    for column in (*dataset.features.categorical, *dataset.features.hashed):
        if column in kept:
            kept[column] = kept[column].cast(pa.large_string())
    return pa.table({**kept, "label": known.cast(pa.large_string())})


def _statistics(table: pa.Table, dataset: Dataset) -> Any:
    import tensorflow_data_validation as tfdv
    from tensorflow_data_validation.statistics import stats_impl

    flat = _flat(table, dataset).combine_chunks().to_batches()[0]
    arrays = [
        pa.array([None] * flat.num_rows, pa.large_list(c.type)) if c.null_count == len(c) else _lists(c) for c in flat
    ]
    batch = pa.RecordBatch.from_arrays(arrays, names=flat.schema.names)
    return stats_impl.generate_statistics_in_memory(batch, tfdv.StatsOptions())


def _lists(column: pa.Array) -> pa.Array:
    """Returns one list per row, null where the value is missing, as a decoded tf.Example has it."""
    there = pc.is_valid(column).to_numpy(zero_copy_only=False)
    ends = np.concatenate([[0], np.cumsum(there)])
    lists = pa.LargeListArray.from_arrays(pa.array(ends, pa.int64()), column.drop_null())
    return pc.if_else(pa.array(there), lists, pa.scalar(None, lists.type))


def _stock_distances(current: Any, reference: Any, source: str) -> list[float]:
    import tensorflow_data_validation as tfdv
    from tensorflow_metadata.proto.v0 import schema_pb2

    schema = tfdv.infer_schema(reference)
    for feature in schema.feature:
        comparator = feature.drift_comparator
        if feature.type == schema_pb2.BYTES:
            comparator.infinity_norm.threshold = 0.0
        else:
            comparator.jensen_shannon_divergence.threshold = 0.0
            if source == "QUANTILES":
                comparator.jensen_shannon_divergence.source.type = schema_pb2.HistogramSelection.QUANTILES
    anomalies = tfdv.validate_statistics(current, schema, previous_statistics=reference)
    return [m.value for info in anomalies.drift_skew_info for m in info.drift_measurements]


def _ask_peer(
    peer: str, python: str, dataset: Dataset, reference: pa.Table, changed: Mapping[str, pa.Table]
) -> dict[str, dict[str, int]]:
    with tempfile.TemporaryDirectory() as folder:
        pq.write_table(_flat(reference, dataset), f"{folder}/reference.parquet")
        for index, table in enumerate(changed.values()):
            pq.write_table(_flat(table, dataset), f"{folder}/{index}.parquet")
        script = Path(__file__).with_name("gate_peers.py")
        command = [python, str(script), peer, folder, str(len(changed))]
        answer = subprocess.run(command, check=True, capture_output=True, text=True)
    verdicts = json.loads(answer.stdout.strip().splitlines()[-1])
    return {detector: dict(zip(changed, alarms, strict=True)) for detector, alarms in verdicts.items()}


def cost(name: str, spans: Mapping[int, pa.Table]) -> dict[str, Any]:
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


def _replace(table: pa.Table, column: str, values: Any) -> pa.Table:
    return table.set_column(table.column_names.index(column), column, values)


def record(part: str, name: str, found: Any) -> None:
    """Merges one part's results into the file."""
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    results.setdefault(part, {})[name] = found
    results["machine"] = {
        "processors": os.cpu_count(),
        "system": platform.machine(),
        "python": platform.python_version(),
    }
    results["versions"] = dict(_versions())
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")


def _versions() -> Iterator[tuple[str, str]]:
    import importlib.metadata

    yield "python", platform.python_version()
    for package in ("tensorflow-data-validation", "numpy", "pyarrow"):
        yield package, importlib.metadata.version(package)


def write_tables() -> None:
    """Replaces the tables in docs/gate.md, between their markers."""
    results = json.loads(RESULTS.read_text())
    text = DOCS.read_text()
    for part, render in (("false_alarms", _alarm_table), ("power", _power_table), ("cost", _cost_table)):
        if part in results:
            before, rest = text.split(f"<!-- {part} -->\n")
            after = rest.split(f"<!-- end {part} -->")[1]
            text = f"{before}<!-- {part} -->\n{render(results[part])}<!-- end {part} -->{after}"
    DOCS.write_text(text)


def _table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _alarm_table(found: Mapping[str, Any]) -> str:
    rows = []
    for name, result in reversed(found.items()):
        for size, alarms in sorted(result["alarms"].items(), key=lambda item: int(item[0])):
            shares = [f"{alarms[kind] / result['repeats']:.1%}" for kind in ("calibrated", "gate")]
            rows.append([name, f"{result['reference_rows']:,}", f"{int(size):,}", *shares])
    return _table(["dataset", "training rows", "rows of the span", "chance alone", "with the floors"], rows)


def _power_table(found: Mapping[str, Any]) -> str:
    text = ""
    for name, result in reversed(found.items()):
        order = list(changes(name))
        for size, counts in sorted(result["rows"].items(), key=lambda item: int(item[0])):
            detectors = _in_order(counts["nothing"])
            rows = [
                [change, *(f"{alarms[detector]['alarms'] / alarms[detector]['of']:.0%}" for detector in detectors)]
                for change, alarms in sorted(counts.items(), key=lambda item: order.index(item[0]))
            ]
            asked = counts["nothing"]
            repeats = ", ".join(f"{detector}: {asked[detector]['of']}" for detector in detectors)
            text += f"\n{name}, spans of {int(size):,} rows. Repeats: {repeats}.\n\n"
            text += _table(["change", *detectors], rows)
        if result["seasons"]:
            months = sorted(result["seasons"].items(), key=lambda item: int(item[0].split()[1]))
            detectors = _in_order(months[0][1])
            rows = [[month, *("moved" if alarms[d] else "-" for d in detectors)] for month, alarms in months]
            text += "\nflights, a baseline of January to April:\n\n" + _table(["span", *detectors], rows)
    return text


def _in_order(detectors: Mapping[str, Any]) -> list[str]:
    """Returns the gate, then TFDV, then the peers."""
    return sorted(detectors, key=lambda name: (name != "gate", not name.startswith("TFDV"), name))


def _cost_table(found: Mapping[str, Any]) -> str:
    rows = []
    for name, result in reversed(found.items()):
        for what, seconds in result["seconds"].items():
            counts = result["rows"]
            of = counts["reference"] if what.startswith("baseline") else counts["span"]
            rows.append(
                [name, what, f"{of:,} x {counts['features']}", f"{seconds['median']:.2f}", f"{seconds['max']:.2f}"]
            )
    return _table(["dataset", "what", "rows x features", "median s", "max s"], rows)


if __name__ == "__main__":
    sys.exit(main())
