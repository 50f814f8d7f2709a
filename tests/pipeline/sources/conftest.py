"""A dataset whose rows are in a database, and the command that pulls them."""

import contextlib
import datetime
import io
import json
import sqlite3
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import local_runner
from pipeline.commands import pull
from tests.helpers import postgres

DATASET = """name = "shop"
{spans}
[source]
{source}
[label]
column = "paid"
[features]
numeric = ["amount"]
[serving]
model_name = "shop"
"""
SQL = """kind = "sql"
url = "env:SHOP_URL"
query = "SELECT id, amount, paid FROM sales WHERE at >= :begin AND at < :end ORDER BY id"
every = "month"
begin = "2024-01-01"
"""


@dataclass
class Answer:
    """What a command left: its status, and what it printed."""

    status: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)

    @property
    def outcomes(self):
        return [(one["span"], one["version"], one["rows"], one["outcome"]) for one in self.json["spans"]]


@dataclass
class Shop:
    """A dataset's folder, its root, and a SQLite file of sales."""

    folder: Path

    @property
    def root(self):
        return self.folder / "root"

    @property
    def database(self):
        return self.folder / "sales.db"

    def write(self, source=SQL, spans=""):
        (self.folder / "dataset.toml").write_text(DATASET.format(source=source, spans=spans))

    def sell(self, *sales):
        """Adds sales: (id, moment, amount, paid)."""
        with contextlib.closing(sqlite3.connect(self.database)) as connection, connection:
            connection.execute("CREATE TABLE IF NOT EXISTS sales (id INT, at TEXT, amount REAL, paid INT)")
            connection.executemany("INSERT INTO sales VALUES (?, ?, ?, ?)", sales)

    def run(self, *words):
        out, err = io.StringIO(), io.StringIO()
        words = [*map(str, words), "--dataset", str(self.folder), "--root", str(self.root)]
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = local_runner.main(words)
        return Answer(status, out.getvalue(), err.getvalue())

    def pull(self, *words):
        return self.run("pull", *words)

    def rows(self, span, version):
        return pq.read_table(self.root / "data" / f"span-{span}" / f"v{version}" / "data.parquet").to_pylist()

    def files(self):
        """The files below the root's data that have their names."""
        return sorted(str(path.relative_to(self.root / "data")) for path in (self.root / "data").glob("span-*/*/*"))


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """Sales of January and March 2024, seen on 10 April."""
    shop = Shop(tmp_path)
    shop.write()
    shop.sell(
        (1, "2024-01-01", 10.0, 1),
        (2, "2024-01-31 23:59:59", 20.5, 0),
        (3, "2024-03-01 00:00:00", 30.0, 1),
        (4, "2024-04-02", 40.0, 0),
    )
    monkeypatch.setenv("SHOP_URL", "sqlite:///sales.db")
    monkeypatch.setattr(pull, "clock", lambda: datetime.datetime(2024, 4, 10, tzinfo=datetime.UTC))
    return shop


@pytest.fixture(scope="session")
def database():
    """URL of a real PostgreSQL, with its password."""
    with postgres.running() as url:
        yield url
