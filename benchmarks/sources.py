"""How long does a span of 415,000 rows take from a database to Parquet, and how much memory?

    python -m benchmarks.sources [--rows N] [--repeats N]

`pull` (ADBC) beside pandas with SQLAlchemy, which read the same query and write Parquet too, whole and in chunks; each
in a fresh process, start of Python included. `pull` also hashes the rows, which tells late ones. PostgreSQL is
Debian's, run by this program; SQLite is a file. Results: benchmarks/results/sources.json, and the table in
docs/sources.md.
"""

import argparse
import contextlib
import json
import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import pages
from pipeline.environment import bootstrap
from tests.helpers import postgres

RESULTS = pages.RESULTS / "sources.json"
PAGE = pages.DOCS / "sources.md"
PEERS = ("pandas==2.3.3", "sqlalchemy==2.1.9", "psycopg[binary]==3.3.9", "pyarrow==18.1.0")
_COLUMNS = """
  id, started, fare, miles, seconds, payment, company, pickup, dropoff, paid
""".strip()
_QUERY = f"SELECT {_COLUMNS} FROM trips WHERE started >= {{begin}} AND started < {{end}}"
_BEGIN, _END = "'2024-01-01'", "'2024-02-01'"
# The n-th row by arithmetic alone, so that both databases hold the same.
_POSTGRESQL = """CREATE TABLE trips AS SELECT n::bigint AS id,
  timestamp '2024-01-01' + n * interval '5 seconds' AS started,
  round((5 + n * 7919 % 4000 / 100.0)::numeric, 2) AS fare,
  n * 104729 % 1000 / 10.0::float8 AS miles, (60 + n * 31 % 3600)::int AS seconds,
  (ARRAY['Cash', 'Card', 'Mobile', 'Unknown'])[1 + n % 4] AS payment, 'Company ' || n * 13 % 150 AS company,
  (n * 17 % 77)::int AS pickup, CASE WHEN n % 9 = 0 THEN NULL ELSE (n * 19 % 77)::int END AS dropoff, n % 3 = 0 AS paid
  FROM generate_series(0::bigint, {last}) AS n"""
_DATASET = """name = "trips"
[source]
kind = "sql"
url = "env:TRIPS_URL"
query = "{query}"
every = "month"
begin = "2024-01-01"
[label]
column = "paid"
[features]
numeric = ["fare"]
[serving]
model_name = "trips"
"""
_PULL = """import sys, local_runner
status = local_runner.main(sys.argv[1:])
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM:")))
sys.exit(status)"""


def fill_postgresql(url: str, rows: int) -> None:
    """Makes the table."""
    from adbc_driver_postgresql import dbapi

    with dbapi.connect(url, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute(_POSTGRESQL.format(last=rows - 1))


def copy_to_sqlite(url: str, path: Path) -> None:
    """Copies the table, moments as text and truth as 0 and 1, since SQLite has no types for them."""
    from adbc_driver_postgresql import dbapi

    with (
        dbapi.connect(url) as source,
        source.cursor() as cursor,
        contextlib.closing(sqlite3.connect(path)) as target,
        target,
    ):
        cursor.execute(f"SELECT {_COLUMNS} FROM trips".replace("fare,", "fare::float8 AS fare,"))
        target.execute(
            "CREATE TABLE trips (id INTEGER, started TEXT, fare REAL, miles REAL, seconds INTEGER, payment TEXT, "
            "company TEXT, pickup INTEGER, dropoff INTEGER, paid INTEGER)"
        )
        for batch in cursor.fetch_record_batch():
            columns = batch.to_pydict()
            columns["started"] = [moment.isoformat(sep=" ") for moment in columns["started"]]
            target.executemany(f"INSERT INTO trips VALUES ({', '.join('?' * 10)})", zip(*columns.values(), strict=True))


def peer_python() -> str:
    """Returns the interpreter of the peers' environment, made where it is missing."""
    folder = bootstrap.VENV / "sources-peer"
    python = str(folder / "bin" / "python")
    uv = str(bootstrap.VENV / "bin" / "uv")
    subprocess.run([uv, "venv", "--quiet", "--clear", "--python", bootstrap.base_python(), folder], check=True)
    subprocess.run([uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", python, *PEERS], check=True)
    return python


def measure(command: Sequence[str], environment: Mapping[str, str]) -> tuple[float, float]:
    """Returns seconds and peak MiB of one process, which prints its peak in KiB last."""
    started = time.perf_counter()
    done = subprocess.run(
        command,
        env={**os.environ, **environment},
        cwd=pages.REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return time.perf_counter() - started, int(done.stdout.split()[-1]) / 1024


def ways(url: str, folder: Path, python: str) -> dict[str, tuple[list[str], dict[str, str]]]:
    """Returns the command and the environment of each way, by its name."""
    root, target = folder / "root", folder / "peer.parquet"
    query = _QUERY.format(begin=_BEGIN, end=_END)
    peer_url = url.replace("postgresql://", "postgresql+psycopg://")
    peer = [python, str(Path(__file__).with_name("sources_peer.py")), peer_url, query, str(target)]
    pull = ["pull", "--dataset", str(folder), "--root", str(root), "--span", "1", "--json"]
    return {
        "`pull`": ([sys.executable, "-c", _PULL, *pull], {"TRIPS_URL": url}),
        "pandas, SQLAlchemy, in chunks": ([*peer, "chunks"], {}),
        "pandas, SQLAlchemy": ([*peer, "whole"], {}),
    }


def run(rows: int, repeats: int) -> dict[str, Any]:  # Any: JSON.
    """Measures every way on both databases."""
    python = peer_python()
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="driftgate-sources-") as name, postgres.running() as url:
        folder = Path(name)
        (folder / "dataset.toml").write_text(_DATASET.format(query=_QUERY.format(begin=":begin", end=":end")))
        fill_postgresql(url, rows)
        copy_to_sqlite(url, folder / "trips.db")
        for database, where in (("PostgreSQL", url), ("SQLite", f"sqlite:///{folder}/trips.db")):
            for way, (command, environment) in ways(where, folder, python).items():
                found = []
                for _ in range(repeats):
                    shutil.rmtree(folder / "root", ignore_errors=True)
                    found.append(measure(command, environment))
                seconds, peaks = zip(*found, strict=True)
                figures[f"{database}: {way}"] = {
                    "seconds": round(statistics.median(seconds), 2),
                    "seconds_spread": [round(min(seconds), 2), round(max(seconds), 2)],
                    "peak_mib": round(statistics.median(peaks)),
                }
                print(database, way, figures[f"{database}: {way}"], file=sys.stderr)
    return figures


def table(figures: Mapping[str, Any]) -> str:
    """Returns the page's table."""
    rows = [
        [
            *key.split(": "),
            f"{one['seconds']:.1f} ({one['seconds_spread'][0]:.1f} to {one['seconds_spread'][1]:.1f})",
            f"{one['peak_mib']:,}",
        ]
        for key, one in figures.items()
    ]
    return pages.markdown(("database", "way", "seconds, median (least to most)", "peak memory, MiB"), rows)


def main() -> None:
    """Measures, and writes the result file and the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=415_000)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    figures = run(args.rows, args.repeats)
    measured_on = pages.environment("pyarrow", "adbc-driver-postgresql", "adbc-driver-sqlite")
    result = {"rows": args.rows, "repeats": args.repeats, "peers": PEERS, "measured_on": measured_on, "ways": figures}
    RESULTS.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    pages.write_table(PAGE, "sources", table(figures))


if __name__ == "__main__":
    main()
