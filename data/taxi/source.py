"""Cuts the taxi trips inside the installed `tfx` package into 13 spans by quarter."""

import csv
import importlib.util
import io
import os
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

# One value in 15,000 rows: a column that is missing throughout a span has no type to learn and nothing to say.
LEFT_OUT = "pickup_census_tract"
# Whole numbers that the files spell "180.0".
INTEGERS = frozenset({"dropoff_census_tract", "trip_seconds", "dropoff_community_area"})
FILES = ("data.csv", "data2.csv")
LAST_SPAN = 13


def write_spans(data_root: Path) -> list[Path]:
    """Writes `span-1` to `span-13` under `data_root`, each as `data.csv`, and returns the files in span order.

    A file appears whole or not at all, a file that is there is left alone, and the bytes never vary.

    Raises:
      FileNotFoundError: `tfx` is not installed, or its wheel no longer holds the trips.
    """
    targets = {span: data_root / f"span-{span}" / "data.csv" for span in range(1, LAST_SPAN + 1)}
    missing = {span: path for span, path in targets.items() if not path.exists()}
    if missing:
        header, trips = _trips()
        for span, path in missing.items():
            _write(path, header, trips[span])
    return list(targets.values())


def span_of(timestamp: int) -> int:
    """Returns the span of a trip by its start, seconds after 1970: 1 to 12 by quarter, 13 for all of 2016."""
    start = datetime.fromtimestamp(timestamp, UTC)
    return min((start.year - 2013) * 4 + (start.month - 1) // 3 + 1, LAST_SPAN)


def _trips() -> tuple[list[str], dict[int, list[list[str]]]]:
    header: list[str] = []
    spans: dict[int, list[list[str]]] = defaultdict(list)
    for name in FILES:
        with (_folder() / name).open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            header = [column for column in reader.fieldnames or [] if column != LEFT_OUT]
            for trip in reader:
                spans[span_of(int(trip["trip_start_timestamp"]))].append(list(_cells(trip, header)))
    return header, spans


def _cells(trip: dict[str, str], header: list[str]) -> Iterator[str]:
    for column in header:
        cell = trip[column]
        yield cell.removesuffix(".0") if column in INTEGERS else cell


def _folder() -> Path:
    spec = importlib.util.find_spec("tfx")  # Finding it is cheap; importing it takes seconds.
    roots = list(spec.submodule_search_locations or ()) if spec else []
    folder = Path(roots[0] if roots else "tfx") / "components" / "testdata" / "external" / "csv"
    if not (folder / FILES[0]).exists():
        raise FileNotFoundError(f"The taxi trips are part of tfx 1.21. Expected {FILES[0]} in {folder}. Install tfx.")
    return folder


def _write(path: Path, header: list[str], rows: list[list[str]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    # The process id keeps two runs that start at once from sharing a half-written file.
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(text.getvalue().encode("utf-8"))
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
