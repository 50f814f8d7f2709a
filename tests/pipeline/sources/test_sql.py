"""Queries against a real PostgreSQL and a SQLite file: types, times, size, and what nobody may read."""

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import urllib.parse

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import local_runner
from tests.helpers import postgres
from tests.pipeline.sources.conftest import SQL


def with_query(query):
    """The shop's source with a query that reads the same rows whatever the span."""
    before = SQL.split('query = "')[1].split('"')[0]
    return SQL.replace(before, f"{query} WHERE :begin < :end")


@pytest.fixture
def execute(database):
    from adbc_driver_postgresql import dbapi

    def execute(*statements):
        with dbapi.connect(database, autocommit=True) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    return execute


@pytest.fixture
def on_postgres(shop, database, execute, monkeypatch):
    """The shop of conftest.py, its sales in PostgreSQL."""
    monkeypatch.setenv("SHOP_URL", database)
    execute(
        "DROP TABLE IF EXISTS sales",
        "CREATE TABLE sales (id int8, at timestamptz, amount numeric(12, 2), paid boolean, day date, local timestamp)",
        """INSERT INTO sales
        SELECT id, (at || '+00')::timestamptz, amount, paid, at::date, at::timestamp
        FROM (VALUES
          (1, '2024-01-01 00:00:00', 10.25, true),
          (2, '2024-01-31 23:59:59.999999', 20.5, false),
          (3, '2024-02-01 00:00:00', null, null),
          (4, '2024-03-01 00:00:00', 'NaN', true)
        ) AS sold (id, at, amount, paid)""",
    )
    return shop


@pytest.mark.parametrize("column", ["at", "day", "local"])
def test_periods_are_utc_whatever_the_type_of_the_time_and_the_zone_of_the_server(on_postgres, column):
    on_postgres.write(SQL.replace("at >=", f"{column} >=").replace("at <", f"{column} <"))

    answer = on_postgres.pull("--json")

    assert answer.outcomes == [(1, 1, 2, "landed"), (2, 1, 1, "landed"), (3, 1, 1, "landed")], answer.err
    assert [row["id"] for span in (1, 2, 3) for row in on_postgres.rows(span, 1)] == [1, 2, 3, 4]


def test_a_numeric_is_a_number(on_postgres):
    on_postgres.pull()

    assert [row["amount"] for row in on_postgres.rows(1, 1)] == [10.25, 20.5]
    assert on_postgres.rows(2, 1)[0]["amount"] is None
    assert on_postgres.rows(3, 1)[0]["amount"] != on_postgres.rows(3, 1)[0]["amount"]  # NaN.


def test_every_type_lands_as_something_that_a_span_may_hold(on_postgres):
    on_postgres.write(
        SQL.replace(
            "id, amount, paid",
            "id, day, local, at, paid, 1.5::real AS r, 3::smallint AS small, 'x'::char(3) AS c, "
            "'12:30'::time AS clock, '{1,2}'::int[] AS list, '{}'::jsonb AS json, interval '1 day' AS span, "
            "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid AS uuid",
        )
    )

    answer = on_postgres.pull("--span", 1)

    assert answer.status == 0, answer.err
    schema = pq.read_schema(on_postgres.root / "data" / "span-1" / "v1" / "data.parquet")
    assert {field.name: str(field.type) for field in schema} == {
        "id": "int64", "day": "date32[day]", "local": "timestamp[us]", "at": "timestamp[us, tz=UTC]", "paid": "bool",
        "r": "float", "small": "int16", "c": "string", "clock": "string", "list": "list<element: int32>",
        "json": "string", "span": "string", "uuid": "string",
    }  # fmt: skip
    row = on_postgres.rows(1, 1)[0]
    assert (row["clock"], row["json"], row["list"]) == ("12:30:00.000000", "{}", [1, 2])
    assert row["uuid"] == "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"


def test_a_query_can_change_nothing(on_postgres, execute):
    execute("CREATE OR REPLACE FUNCTION spoil() RETURNS int LANGUAGE sql AS 'DELETE FROM sales RETURNING 1'")
    on_postgres.write(SQL.replace("SELECT id,", "SELECT spoil(), id,"))

    answer = on_postgres.pull()

    assert answer.status in (1, 2)
    assert "read-only transaction" in answer.err


def test_a_query_larger_than_memory_streams(shop, database):
    """Rows of 400 MB, by a process whose peak stays below that."""
    shop.write(with_query("SELECT g AS id, repeat('x', 8000) || g AS note FROM generate_series(1, 50000) g"))
    # Of Linux: getrusage would tell the peak of the process that started this one, too.
    peak = "print([line for line in open('/proc/self/status') if line.startswith('VmHWM:')][0].split()[1])"
    code = f"import sys, local_runner; status = local_runner.main(sys.argv[1:]); {peak}; sys.exit(status)"
    words = ["pull", "--dataset", shop.folder, "--root", shop.root, "--span", "1", "--json"]

    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        env={**os.environ, "SHOP_URL": database},
        cwd=os.path.dirname(local_runner.__file__),
        capture_output=True,
        text=True,
        check=True,
    )

    assert pq.read_metadata(shop.root / "data" / "span-1" / "v1" / "data.parquet").num_rows == 50_000
    assert int(done.stdout.splitlines()[-1]) < 450_000  # KiB; 110,000 before the first row


def test_sqlite_guesses_no_type_from_its_first_rows(shop):
    """The driver looks at 1,024 rows unless it is told to look at more."""
    with contextlib.closing(sqlite3.connect(shop.database)) as connection, connection:
        connection.execute("DELETE FROM sales")
        rows = [(number, "2024-01-05", None, 1) for number in range(3_000)]
        connection.executemany("INSERT INTO sales VALUES (?, ?, ?, ?)", [*rows, (3_000, "2024-01-05", 1.5, 1)])

    assert shop.pull("--span", 1).status == 0

    assert shop.rows(1, 1)[-1]["amount"] == 1.5


def test_a_column_of_two_types_says_what_to_write(shop):
    shop.sell(*[(number, "2024-01-05", None, number) for number in range(100_001)], (0, "2024-01-05", 1.5, "yes"))
    shop.write(SQL.replace(" ORDER BY id", ""))

    answer = shop.pull("--span", 1)

    assert answer.status == 1
    assert "Type mismatch in column" in answer.err
    assert "CAST(... AS ...)" in answer.err


def test_a_secret_is_in_no_file_and_no_message(on_postgres, database, execute):
    secrets = {postgres.PASSWORD, urllib.parse.quote(postgres.PASSWORD, safe=""), database}
    printed = []
    on_postgres.pull()
    wrong = database.replace("tester:", "nobody:"), database.replace("/postgres", "/nowhere"), f"{database}?nonsense=1"
    for url in (*wrong, f"pg://{postgres.PASSWORD}", f"host=127.0.0.1 password='{postgres.PASSWORD}'"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SHOP_URL", url)
            answer = on_postgres.pull("--span", 1)
        assert answer.status in (1, 2)
        printed += [answer.out, answer.err]
        secrets.add(url)
    for query in ("SELECT 1/0 AS id", "SELECT nothing"):
        on_postgres.write(with_query(query))
        printed += [on_postgres.pull("--span", 1).err]
    assert on_postgres.run("watch", "--once").status != 0

    files = [path for path in on_postgres.folder.rglob("*") if path.is_file()]
    assert len(files) > 5
    for text in (*printed, *(path.read_bytes().decode("latin-1") for path in files)):
        assert not [secret for secret in secrets if secret in text], text[:500]


def test_flight_sql_is_asked_with_timestamps(shop, monkeypatch):
    """A server that answers with the query that it was sent."""
    flight = pytest.importorskip("pyarrow.flight")

    class Echo(flight.FlightServerBase):
        def get_flight_info(self, context, descriptor):
            # A google.protobuf.Any: its type's URL, then the command, whose first field is the query.
            command = descriptor.command
            query = command[command.index(b"SELECT") :].decode()
            schema = pa.schema([("query", pa.string())])
            endpoint = flight.FlightEndpoint(query.encode(), [])
            return flight.FlightInfo(schema, descriptor, [endpoint], -1, -1)

        def do_get(self, context, ticket):
            return flight.RecordBatchStream(pa.table({"query": [ticket.ticket.decode()]}))

    with Echo("grpc://127.0.0.1:0") as server:
        monkeypatch.setenv("SHOP_URL", f"grpc://127.0.0.1:{server.port}")

        answer = shop.pull("--span", 1)

        assert answer.status == 0, answer.err
        assert shop.rows(1, 1)[0]["query"] == (
            "SELECT id, amount, paid FROM sales WHERE at >= TIMESTAMP '2024-01-01 00:00:00' AND "
            "at < TIMESTAMP '2024-02-01 00:00:00' ORDER BY id"
        )


@pytest.mark.parametrize(
    ("url", "module", "message"),
    [
        ("sqlite:///sales.db", "adbc_driver_sqlite", "this needs the extra [sql]; the module"),
        ("sqlite:///sales.db", "adbc_driver_sqlite", "Install it: pip install '.[sql]'."),
        ("snowflake://me@account/db", "adbc_driver_snowflake", "Install it: pip install adbc-driver-snowflake."),
        ("bigquery://project", "adbc_driver_bigquery", "this needs the package adbc-driver-bigquery"),
    ],
)
def test_a_driver_that_is_not_installed_is_one_line(shop, monkeypatch, url, module, message):
    monkeypatch.setenv("SHOP_URL", url)
    for name in (module, f"{module}.dbapi"):
        monkeypatch.setitem(sys.modules, name, None)

    answer = shop.pull()

    assert answer.status == 2
    assert message in answer.err


def test_ctrl_c_ends_a_query_and_leaves_nothing(shop, database, execute):
    shop.write(with_query("SELECT 1 AS id, pg_sleep(600)::text AS slept"))
    words = ["pull", "--dataset", shop.folder, "--root", shop.root, "--span", "1"]
    runner = os.path.abspath(local_runner.__file__)
    with subprocess.Popen(
        [sys.executable, runner, *words],
        env={**os.environ, "SHOP_URL": database},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        while not asked(
            database,
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'",  # Not yet while it is prepared.
        ):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        error = process.communicate(timeout=60)[1]

    assert process.returncode == 130, error
    assert error.splitlines()[0] == "interrupted"
    assert "Nothing is lost: the same command carries on." in error
    assert shop.files() == []
    assert list((shop.root / "data" / ".pull").glob("*.parquet")) == []


def asked(database, question):
    from adbc_driver_postgresql import dbapi

    with dbapi.connect(database) as connection, connection.cursor() as cursor:
        cursor.execute(question)
        return cursor.fetchone()[0]
