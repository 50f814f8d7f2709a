"""Files and tables of others: in folders, behind https, in a real S3 server, and in lakes."""

import datetime
import functools
import http.server
import threading

import pyarrow as pa
import pyarrow.csv
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from pyarrow import fs

from tests.helpers import object_store

SOURCE = """kind = "files"
url = "{url}"
every = "month"
begin = "2024-01-01"
{more}
"""
MOMENTS = [datetime.datetime(2024, *parts) for parts in ((1, 1), (1, 31, 23, 59, 59), (2, 1), (3, 31))]
SALES = pa.table({"id": [1, 2, 3, 4], "amount": [1.5, 2.5, None, 4.5], "at": pa.array(MOMENTS, pa.timestamp("us"))})
OUTCOMES = [(1, 1, 2, "landed"), (2, 1, 1, "landed"), (3, 1, 1, "landed")]


def ids(shop):
    return [[row["id"] for row in shop.rows(span, 1)] for span in (1, 2, 3)]


SECRET = "a-secret-of-the-store"


@pytest.fixture(scope="module")
def store():
    """URL of an S3 server."""
    with object_store.running() as (local, _):
        local.fs.create_dir("lake")
        yield f"http://127.0.0.1:{local.port}"


@pytest.fixture
def bucket(store, monkeypatch):
    environment = {**object_store.ENVIRONMENT, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_REGION": "us-east-1"}
    for name, value in {**environment, "AWS_ENDPOINT_URL": store}.items():
        monkeypatch.setenv(name, value)
    system = fs.S3FileSystem(endpoint_override=store, allow_bucket_creation=True)
    yield system
    system.delete_dir_contents("lake")


def in_zone(values):
    return values.cast(pa.timestamp("us", "UTC"))


@pytest.mark.parametrize(
    "of_time",
    [
        lambda values: values,
        in_zone,
        lambda values: values.cast(pa.date32(), safe=False),
        lambda values: pa.compute.cast(values.cast(pa.timestamp("s"), safe=False), pa.int64()),
        lambda values: pa.compute.strftime(values, "%Y-%m-%d"),
    ],
    ids=["timestamp", "zoned", "date", "seconds", "text"],
)
def test_rows_are_chosen_by_the_column_of_their_time(shop, of_time):
    table = SALES.set_column(2, "at", of_time(SALES["at"].combine_chunks()))
    ds.write_dataset(table, shop.folder / "sales", format="parquet")
    shop.write(SOURCE.format(url="sales", more='time = "at"'))

    assert shop.pull("--json").outcomes == OUTCOMES
    assert ids(shop) == [[1, 2], [3], [4]]


def test_files_are_chosen_by_their_names(shop):
    for month, row in (("2024-01", 0), ("2024-03", 3)):
        (shop.folder / "in" / month).mkdir(parents=True)
        pa.csv.write_csv(SALES.slice(row, 1).select(["id", "amount"]), shop.folder / "in" / month / "a.csv")
        (shop.folder / "in" / month / "_SUCCESS.csv").write_text("no,table\n")
    shop.write(SOURCE.format(url="in/{begin:%Y-%m}/*.csv", more='format = "csv"'))

    assert shop.pull("--json").outcomes == [(1, 1, 1, "landed"), (2, 0, 0, "empty"), (3, 1, 1, "landed")]


def test_hive_folders_of_a_bucket_are_columns(shop, bucket):
    days = SALES.append_column("day", pa.compute.strftime(SALES["at"], "%Y-%m-%d")).drop_columns("at")
    ds.write_dataset(
        days,
        "lake/sales",
        filesystem=bucket,
        format="parquet",
        partitioning=ds.partitioning(pa.schema([("day", pa.string())]), flavor="hive"),
    )
    shop.write(SOURCE.format(url="s3://lake/sales", more='time = "day"'))

    answer = shop.pull("--json")

    assert answer.outcomes == OUTCOMES, answer.err
    assert ids(shop) == [[1, 2], [3], [4]]
    assert shop.rows(3, 1)[0]["day"] == "2024-03-31"


def test_json_lines_of_a_bucket(shop, bucket):
    with bucket.open_output_stream("lake/2024-01.json") as file:
        file.write(b'{"id": 1, "amount": 1.5}\n{"id": 2, "amount": null}\n')
    shop.write(SOURCE.format(url="s3://lake/{begin:%Y-%m}.json", more='format = "json"'))

    assert shop.pull("--span", 1).status == 0
    assert shop.rows(1, 1) == [{"id": 1, "amount": 1.5}, {"id": 2, "amount": None}]


def test_a_delta_table_of_a_bucket(shop, bucket):
    deltalake = pytest.importorskip("deltalake")
    deltalake.write_deltalake("s3://lake/delta", SALES.slice(0, 2), storage_options={"AWS_ALLOW_HTTP": "true"})
    deltalake.write_deltalake(
        "s3://lake/delta", SALES.slice(2), mode="append", storage_options={"AWS_ALLOW_HTTP": "true"}
    )
    shop.write(SOURCE.format(url="s3://lake/delta", more='time = "at"\nformat = "delta"'))

    answer = shop.pull("--json")

    assert answer.outcomes == OUTCOMES, answer.err
    assert ids(shop) == [[1, 2], [3], [4]]


def test_an_iceberg_table_of_a_catalog(shop, bucket, store, monkeypatch):
    pytest.importorskip("pyiceberg")
    from pyiceberg import catalog as catalogs
    from pyiceberg.utils.config import Config

    for name, value in {
        "TYPE": "glue",
        "GLUE__ENDPOINT": store,
        "GLUE__REGION": "us-east-1",
        "S3__ENDPOINT": store,
        "S3__REGION": "us-east-1",
        "S3__ACCESS_KEY_ID": "test",
        "S3__SECRET_ACCESS_KEY": SECRET,
    }.items():
        monkeypatch.setenv(f"PYICEBERG_CATALOG__DEFAULT__{name}", value)
    monkeypatch.setattr(catalogs, "_ENV_CONFIG", Config())  # Read when pyiceberg is imported.
    catalog = catalogs.load_catalog()
    catalog.create_namespace("shop", {"location": "s3://lake/iceberg"})
    table = catalog.create_table("shop.sales", SALES.schema, location="s3://lake/iceberg/sales")
    table.append(SALES)
    for url in ("shop.sales", table.metadata_location):
        shop.write(SOURCE.format(url=url, more='time = "at"\nformat = "iceberg"'))

        answer = shop.pull("--from", "2024-01-01", "--json")

        assert [(span, rows) for span, _, rows, _ in answer.outcomes] == [(1, 2), (2, 1), (3, 1)], answer.err
        assert ids(shop) == [[1, 2], [3], [4]]


def test_one_file_by_https_is_tried_again(shop, tmp_path):
    (tmp_path / "served").mkdir()
    pa.csv.write_csv(SALES.slice(0, 2).select(["id", "amount"]), tmp_path / "served" / "2024-01.csv")
    fails = [503]

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self):
            if fails:
                self.send_response(fails.pop())
                self.send_header("Retry-After", "0")
                self.end_headers()
            else:
                super().do_GET()

        def log_message(self, *_):
            pass

    handler = functools.partial(Handler, directory=str(tmp_path / "served"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/{{begin:%Y-%m}}.csv"
        shop.write(SOURCE.format(url=url, more='format = "csv"'))

        assert shop.pull("--span", 1).status == 0
        assert shop.rows(1, 1) == [{"id": 1, "amount": 1.5}, {"id": 2, "amount": 2.5}]
        answer = shop.pull("--span", 2)
        server.shutdown()
    assert answer.status == 2
    assert "answers 404" in answer.err


@pytest.mark.parametrize(
    ("url", "more", "status", "message"),
    [
        ("s3://nowhere/{begin:%Y}", "", 1, "[source]: there is no bucket 'nowhere'."),
        ("s3://lake/salse", 'time = "at"', 1, "[source]: there are no files at s3://lake/salse."),
        ("ftp://host/sales", 'time = "at"', 2, "[source]: expected a path, or a URL that begins with s3://, "),
        ("s3://lake/sales", "", 2, "each span would have the same rows. Name the column"),
        ("s3://lake/sales", 'time = "when"', 2, "time: there is no column 'when'. Columns: id, amount, at."),
        ("s3://lake/sales", 'time = "amount"', 2, "Received: 'amount', which is double."),
        ("s3://lake/broken", 'time = "at"', 1, "[source]: cannot be read: "),
        ("s3://lake/sales", 'format = "delta"\ntime = "at"', 1, "[source]: no Delta table could be read: "),
        ("shop.nothing", 'format = "iceberg"\ntime = "at"', 1, "[source]: no Iceberg table could be read: "),
        ("s3://key:geheim@lake/sales", 'time = "at"', 2, "it has a secret written into it."),
    ],
)
def test_a_mistake_is_one_line_without_secrets(shop, bucket, url, more, status, message):
    ds.write_dataset(SALES, "lake/sales", filesystem=bucket, format="parquet")
    with bucket.open_output_stream("lake/broken/a.parquet") as file:
        file.write(f"no Parquet, but {SECRET}".encode())
    shop.write(SOURCE.format(url=url, more=more))

    answer = shop.pull("--span", 1)

    assert (answer.status, len(answer.err.strip().splitlines())) == (status, 1), answer.err
    assert message in answer.err
    assert "geheim" not in answer.err
    assert SECRET not in answer.err


def test_spans_land_in_a_bucket_as_in_a_folder(shop, bucket):
    shop.write(spans='[spans]\ndata = "s3://lake/spans"\n')

    assert shop.pull("--json").outcomes == [(1, 1, 2, "landed"), (2, 0, 0, "empty"), (3, 1, 1, "landed")]

    found = bucket.get_file_info(fs.FileSelector("lake/spans", recursive=True))
    files = [one.path for one in found if one.type == fs.FileType.File]
    assert sorted(files) == ["lake/spans/span-1/v1/data.parquet", "lake/spans/span-3/v1/data.parquet"]
    assert pq.read_table("lake/spans/span-1/v1/data.parquet", filesystem=bucket)["id"].to_pylist() == [1, 2]
    shop.sell((5, "2024-03-15", 50.0, 0))
    assert shop.pull("--json").outcomes == [(3, 2, 2, "landed")]
    assert shop.pull("--json").outcomes == [(3, 2, 2, "unchanged")]
    assert list((shop.root / ".pull").glob("*.parquet")) == []


def test_a_bucket_that_is_not_there_takes_no_span(shop, bucket):
    shop.write(spans='[spans]\ndata = "s3://nowhere/spans"\n')

    answer = shop.pull()

    assert (answer.status, len(answer.err.strip().splitlines())) == (1, 1), answer.err
    assert "s3://nowhere/spans/span-1/v1/data.parquet cannot be written: " in answer.err
