"""What can happen to a span: the changes that the detectors are shown."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from benchmarks.gate.spans import settings
from pipeline.config.dataset import Dataset
from pipeline.gate import labels


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
            "fare of other rows": of_other_rows("fare"),
            "one company (1/5) sends minutes for seconds": scale_where(
                "trip_seconds", 1 / 60, "company", "Taxi Affiliation Services"
            ),
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
        "distance of other rows": of_other_rows("distance"),
        "carrier of other rows": of_other_rows("carrier"),
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


def of_other_rows(column: str) -> Any:
    """Gives every row the value of another one, as a broken join does: no distribution moves."""
    return lambda table, rng: _replace(table, column, table[column].take(rng.permutation(table.num_rows)))


def scale_where(column: str, factor: float, by: str, value: str) -> Any:
    """Multiplies a column in the rows of one value of another."""

    def change(table: pa.Table, _rng: np.random.Generator) -> pa.Table:
        those = pc.fill_null(pc.equal(table[by], value), False)
        scaled = pc.multiply(table[column], pa.scalar(factor, pa.float64()))
        kind = table[column].type
        whole = pc.cast(pc.round(scaled), kind) if pa.types.is_integer(kind) else scaled
        return _replace(table, column, pc.if_else(those, whole, table[column]))

    return change


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


def _replace(table: pa.Table, column: str, values: Any) -> pa.Table:
    return table.set_column(table.column_names.index(column), column, values)
