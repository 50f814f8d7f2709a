"""The shipped spans as the gate sees them, and training windows cut from them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from columnar import examples
from pipeline.config.dataset import Dataset, load_dataset
from pipeline.config.schema import read_schema
from pipeline.gate import measuring
from pipeline.gate.baseline import Baseline

# Columns of the month of the year or of one flight or plane: different in every span, by their nature.
EXCLUDED = {"taxi": ("trip_start_month",), "flights": ("flight", "tailnum")}


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


def build(name: str, tables: Mapping[int, pa.Table], **given: Any) -> Baseline:
    """Returns the baseline of a training window."""
    dataset = settings(name)
    assert dataset.schema_path is not None, "the shipped datasets have schemas"
    schema = read_schema(dataset.schema_path)
    return measuring.build_baseline(
        tables, schema, dataset.features, dataset.gate, **{"evaluation": None, "statistics": None, **given}
    )
