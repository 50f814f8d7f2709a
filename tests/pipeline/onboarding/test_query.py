"""`init --query`: a folder whose spans came from a database, and that says where the next ones come from."""

import contextlib
import datetime
import sqlite3
import tomllib

import pytest

import local_runner
from pipeline.commands import pull
from pipeline.config.dataset import load_dataset
from pipeline.config.schema import read_schema
from pipeline.ingest.columns import columns_of
from pipeline.ingest.reader import open_span
from pipeline.ingest.spans import newest_versions

QUERY = (
    "SELECT amount, paid, 'it''s' AS note, town, signed, at AS sold FROM sales\n"
    "WHERE at >= :begin AND at < :end -- every sale\n"
    "ORDER BY at"
)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working directory beside a database with sales of January and March 2024."""
    with contextlib.closing(sqlite3.connect(tmp_path / "sales.db")) as connection, connection:
        connection.execute("CREATE TABLE sales (at TEXT, amount REAL, paid TEXT, town TEXT, signed TEXT)")
        rows = [
            (f"2024-0{month}-{day:02}", day * 1.0, "Yes" if day % 3 else "No", f"0{day % 4}", f"2023-05-{day:02}")
            for month in (1, 3)
            for day in range(1, 29)
        ]
        connection.executemany("INSERT INTO sales VALUES (?, ?, ?, ?, ?)", rows)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SHOP_URL", f"sqlite:///{tmp_path}/sales.db")
    monkeypatch.setattr(pull, "clock", lambda: datetime.datetime(2024, 4, 10, tzinfo=datetime.UTC))
    return tmp_path


def init(*words):
    given = ["--query", QUERY, "--url", "env:SHOP_URL", "--every", "month", "--begin", "2024-01-01", "--name", "shop"]
    return local_runner.main(["init", *given, *words])


def test_a_query_makes_a_folder_that_pulls_by_itself(here, capsys):
    assert init("--label", "paid") == 0, capsys.readouterr().err

    table = tomllib.loads((here / "shop" / "dataset.toml").read_text())
    source = table["source"]
    assert source.pop("query").strip() == QUERY
    assert source == {"kind": "sql", "url": "env:SHOP_URL", "every": "month", "begin": "2024-01-01"}
    # It tells one span from another, and the next one will have values that no model has seen.
    assert {"sold", "note"} <= set(table["features"]["never"])
    assert table["features"]["dates"] == ["signed"]
    assert table["label"] == {"column": "paid", "positive": "Yes"}
    dataset = load_dataset(str(here / "shop"))
    spans = newest_versions(str(here / "shop" / "spans"), dataset.spans.pattern, "")
    assert [(span, files[0].version) for span, files in spans.items()] == [(1, 1), (3, 1)]
    # What was pulled is what the schema says: a code of digits stays a text, whole floats stay floats.
    types = {one.name: one.type for one in read_schema(dataset.schema_path).feature}
    assert {name: types[name] for name in ("town", "amount")} == {"town": 1, "amount": 3}  # BYTES, FLOAT
    columns = columns_of(read_schema(dataset.schema_path), dataset.label.text, dataset.features.names)
    rows = [batch.num_rows for batch in open_span([spans[3][0].path], "parquet", columns).batches]
    assert rows == [28]
    capsys.readouterr()

    # April is over.
    with contextlib.closing(sqlite3.connect(here / "sales.db")) as connection, connection:
        connection.execute("INSERT INTO sales VALUES ('2024-04-02', 1.5, 'No', '00', '2023-05-01')")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pull, "clock", lambda: datetime.datetime(2024, 5, 1, tzinfo=datetime.UTC))
        assert local_runner.main(["pull", "--dataset", "shop", "--root", str(here / "root")]) == 0
    assert (here / "shop" / "spans" / "span-4" / "v1" / "data.parquet").exists()


def test_without_a_label_it_says_the_whole_command(here, capsys):
    assert init() == 2

    out = capsys.readouterr().out
    assert "--url env:SHOP_URL" in out
    assert "--label paid" in out
    assert not (here / "shop").exists()


def test_the_same_again_writes_nothing(here, capsys):
    init("--label", "paid")

    assert init("--label", "paid") == 0
    assert "says the same; nothing was written" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--query", QUERY], "Missing: --url."),
        (
            ["--query", QUERY, "--url", "env:X", "--every", "day", "--begin", "2024-01-01"],
            "Missing: --name NAME, or --out",
        ),
        (["sales.csv", "--url", "env:X"], "--url belongs to a query, and a file was named: sales.csv."),
        ([], "Give a file, or a query: "),
    ],
)
def test_a_query_that_is_not_whole_is_refused(here, capsys, words, message):
    assert local_runner.main(["init", *words]) == 2

    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--query", "SELECT * FROM sales"], "--query: query: :begin is missing"),
        (["--url", "postgresql://me:geheim@host/db"], "--query: url: it has a secret written into it."),
        (["--begin", "2025-01-01"], "--query: no month from 2025-01-01 to 2024-04-10 UTC has rows."),
        (["--label", "payed"], "--label: there is no column 'payed'. Did you mean 'paid'?"),
    ],
)
def test_a_mistake_leaves_nothing(here, capsys, words, message):
    assert init(*words) == 2

    error = capsys.readouterr().err
    assert message in error
    assert "geheim" not in error
    assert [path.name for path in here.iterdir()] == ["sales.db"]
