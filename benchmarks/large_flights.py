"""A span as large as one wants: the flights, repeated, with jitter in the numeric columns so that no copies are alike.

Written by Arrow, a copy at a time, so that making 3.3 million rows takes seconds and little memory.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

# Relative standard deviation; far below what separates one hour's weather from the next.
_JITTER = 0.01
# Measured quantities. Codes, times of day and the label's column stay as they are.
JITTERED = ("distance", "temp", "dewp", "humid", "wind_speed", "wind_gust", "precip", "pressure", "visib")


def enlarge(source: Path, target: Path, copies: int, seed: int = 0) -> int:
    """Writes `copies` of a CSV of flights, the first unchanged, into one file; returns the number of rows."""
    convert = pa.csv.ConvertOptions(null_values=[""], strings_can_be_null=True, column_types={"time_hour": pa.string()})
    table = pa.csv.read_csv(source, convert_options=convert)
    target.parent.mkdir(parents=True, exist_ok=True)
    options = pa.csv.WriteOptions(include_header=False, quoting_style="none")
    with target.open("wb") as file:
        # Arrow would quote the names, and TFX's CsvExampleGen would take the quotes for a part of them.
        file.write((",".join(table.column_names) + "\n").encode())
        with pa.csv.CSVWriter(file, table.schema, write_options=options) as writer:
            for copy in copies_of(table, copies, seed):
                writer.write_table(copy)
    return int(table.num_rows) * copies


def copies_of(table: pa.Table, copies: int, seed: int = 0) -> Iterator[pa.Table]:
    """Yields the table, and then copies of it with jitter; `copies` in all."""
    random = np.random.default_rng(seed)
    yield table
    for _ in range(copies - 1):
        yield _jittered(table, random)


def _jittered(table: pa.Table, random: np.random.Generator) -> pa.Table:
    for name in JITTERED:
        column = table.column(name)
        factor = pa.array(1 + _JITTER * random.standard_normal(table.num_rows))
        moved = pc.round(pc.multiply(column.cast(pa.float64()), factor), 3 if pa.types.is_floating(column.type) else 0)
        # Nothing beyond what was measured: the schema knows what an hour of weather can be.
        limits = pc.min_max(column).as_py()
        moved = pc.min_element_wise(
            pc.max_element_wise(moved, limits["min"], skip_nulls=False), limits["max"], skip_nulls=False
        )
        table = table.set_column(table.schema.get_field_index(name), name, moved.cast(column.type))
    return table
