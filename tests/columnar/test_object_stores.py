"""Spans in a real S3 server: listed, read and told apart by time and size."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from columnar import object_stores
from columnar.tfrecords import open_binary
from pipeline.errors import PipelineError
from pipeline.ingest import spans
from pipeline.ingest.columns import Columns
from pipeline.ingest.reader import open_span
from tests.helpers import object_store

PATTERN = "span-{SPAN}/v{VERSION}/data.parquet"
COLUMNS = Columns(pa.schema([("x", pa.int64())]), required=frozenset({"x"}))


@pytest.fixture(scope="module")
def bucket():
    with object_store.running() as (local, _), pytest.MonkeyPatch.context() as patch:
        for name, value in object_store.ENVIRONMENT.items():
            patch.setenv(name, value)
        patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{local.port}")
        for span, version in ((1, 1), (2, 1), (2, 2), (10, 1)):
            path = f"{object_store.BUCKET}/trips/span-{span}/v{version}/data.parquet"
            with local.fs.open_output_stream(path) as file:
                pq.write_table(pa.table({"x": [span, version]}), file)
        yield local


def test_spans_and_versions_are_found(bucket):
    found = spans.newest_versions(f"s3://{object_store.BUCKET}/trips", PATTERN, "")

    assert {span: [file.version for file in files] for span, files in found.items()} == {1: [1], 2: [2], 10: [1]}
    assert found[2][0].path == "s3://bucket/trips/span-2/v2/data.parquet"


def test_rows_are_read(bucket):
    (file,) = spans.choose_span("s3://bucket/trips", PATTERN, "", 10)

    opened = open_span([file.path], "parquet", COLUMNS)

    assert [batch.column("x").to_pylist() for batch in opened.batches] == [[10, 1]]


def test_a_file_that_is_written_anew_has_another_fingerprint(bucket):
    place = "bucket/changed/data.csv"
    prints = []
    for text in (b"x\n1\n", b"x\n1\n2\n"):
        with bucket.fs.open_output_stream(place) as file:
            file.write(text)
        prints.append(spans.fingerprint("train", f"s3://{place}"))

    assert len(set(prints)) == 2
    with open_binary(f"s3://{place}") as file:
        assert file.read() == b"x\n1\n2\n"


def test_a_missing_object_and_a_missing_bucket(bucket):
    with pytest.raises(FileNotFoundError):
        open_binary("s3://bucket/nothing")
    assert object_stores.find("s3://bucket/nothing/*") == []
    with bucket.fs.open_output_stream("bucket/a/b/c.csv") as file:
        file.write(b"x\n")
    assert object_stores.find("s3://bucket/a/*") == []  # A star does not cross a slash.


def test_a_store_that_does_not_answer_is_named(monkeypatch):
    for name, value in object_store.ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setattr(object_stores, "_ATTEMPTS", 1)

    with pytest.raises(PipelineError, match=r"s3://bucket/trips/.*: cannot be listed: .*NETWORK_CONNECTION"):
        spans.newest_versions("s3://bucket/trips", PATTERN, "")
