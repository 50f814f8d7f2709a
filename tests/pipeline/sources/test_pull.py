"""`pull`: each span once, whole, and again only where its rows changed."""

import datetime
import fcntl
import json

import pyarrow.parquet as pq
import pytest

import kubeflow_runner
from pipeline.commands import pull, watch
from pipeline.config.dataset import load_dataset
from pipeline.runs.outcome import Outcome
from pipeline.state import span_records
from tests.helpers.records import record
from tests.pipeline.sources.conftest import SQL


def test_each_period_that_is_over_lands_once(shop):
    first = shop.pull("--json")

    assert first.outcomes == [(1, 1, 2, "landed"), (2, 0, 0, "empty"), (3, 1, 1, "landed")]
    assert shop.files() == ["span-1/v1/data.parquet", "span-3/v1/data.parquet"]
    assert shop.rows(1, 1) == [{"id": 1, "amount": 10.0, "paid": 1}, {"id": 2, "amount": 20.5, "paid": 0}]
    # February was asked for and is not asked for again; March, the newest, is checked for late rows.
    second = shop.pull("--json")
    assert second.outcomes == [(3, 1, 1, "unchanged")]
    assert second.json["through"] == "2024-04-01T00:00:00+00:00"


def test_late_rows_make_a_new_version(shop):
    shop.pull()
    before = (shop.root / "data" / "span-3" / "v1" / "data.parquet").read_bytes()
    shop.sell((5, "2024-03-15", 50.0, 0))

    assert shop.pull("--json").outcomes == [(3, 2, 2, "landed")]

    assert [row["id"] for row in shop.rows(3, 2)] == [3, 5]
    assert (shop.root / "data" / "span-3" / "v1" / "data.parquet").read_bytes() == before


def test_the_same_rows_in_another_order_are_no_new_version(shop):
    shop.pull()
    shop.write(SQL.replace("ORDER BY id", "ORDER BY id DESC"))

    assert shop.pull("--span", 1, "--json").outcomes == [(1, 1, 2, "unchanged")]


def test_spans_may_be_named(shop):
    assert shop.pull("--from", "2024-03-05", "--json").outcomes == [(3, 1, 1, "landed")]
    assert shop.pull("--from", "2024-01-01", "--to", "2024-02-15", "--json").outcomes == [(1, 1, 2, "landed")]
    shop.sell((6, "2024-02-10", 60.0, 1))
    assert shop.pull("--span", 2, "--json").outcomes == [(2, 1, 1, "landed")]


def test_a_span_that_was_removed_from_the_front_does_not_come_back(shop):
    shop.pull()
    (shop.root / "data" / "span-1" / "v1" / "data.parquet").unlink()

    assert [one[0] for one in shop.pull("--json").outcomes] == [3]


def test_a_span_whose_rows_are_gone_stays(shop):
    shop.pull()
    shop.write(SQL.replace("WHERE", "WHERE id < 0 AND"))

    answer = shop.pull()

    assert (answer.status, shop.files()) == (0, ["span-1/v1/data.parquet", "span-3/v1/data.parquet"])
    assert "no rows in the source any more; the version that is there stays" in answer.out


def test_the_file_says_what_was_pulled(shop):
    shop.pull()

    metadata = pq.read_metadata(shop.root / "data" / "span-1" / "v1" / "data.parquet").metadata
    record = json.loads(metadata[b"driftgate.pull"])
    assert (record["begin"], record["end"]) == ("2024-01-01T00:00:00+00:00", "2024-02-01T00:00:00+00:00")
    assert (record["span"], record["version"], record["rows"]) == (1, 1, 2)
    journal = [json.loads(line) for line in (shop.root / "pulls.jsonl").read_text().splitlines()]
    assert [(line["span"], line["outcome"]) for line in journal] == [(1, "landed"), (2, "empty"), (3, "landed")]


def test_a_pattern_with_a_date_has_dates_for_spans(shop):
    shop.write(spans='[spans]\npattern = "{YYYY}-{MM}-{DD}/v{VERSION}/data.parquet"\n')

    # 19,723 days from 1970-01-01 to 2024-01-01.
    assert shop.pull("--json").outcomes[0] == (19_723, 1, 2, "landed")
    assert (shop.root / "data" / "2024-01-01" / "v1" / "data.parquet").exists()
    assert shop.pull("--span", "2024-03-01", "--json").outcomes == [(19_783, 1, 1, "unchanged")]
    assert "2024-03-01" in shop.pull().out
    assert load_dataset(str(shop.folder)).spans.every == "month"


def test_a_column_without_values_has_the_schemas_type(shop):
    features = "".join(
        f'feature {{ name: "{name}" type: {kind} }}\n'
        for name, kind in (("id", "INT"), ("amount", "FLOAT"), ("paid", "INT"), ("note", "BYTES"))
    )
    (shop.folder / "schema.pbtxt").write_text(features)
    shop.write(SQL.replace("paid FROM", "paid, NULL AS note FROM"), spans='schema = "schema.pbtxt"')

    assert shop.pull().status == 0

    schema = pq.read_schema(shop.root / "data" / "span-1" / "v1" / "data.parquet")
    assert str(schema.field("note").type) == "string"


def test_a_period_that_is_not_over_is_refused(shop):
    answer = shop.pull("--span", 4)

    assert (answer.status, shop.files()) == (2, [])
    assert "span 4 (2024-04-01 to 2024-05-01) is not over until 2024-05-01 UTC. Pull it then." in answer.err


def test_rows_that_the_source_has_late_are_waited_for(shop):
    shop.write(SQL + "delay_hours = 240\n")  # Ten days after the end of March is 2024-04-11.

    assert [one[0] for one in shop.pull("--json").outcomes] == [1, 2]


def test_another_length_than_that_of_the_spans_there_is_refused(shop):
    shop.pull()

    answer = shop.pull("--every", "week", "--span", 1)

    assert answer.status == 2
    assert (
        "span-1/v1/data.parquet holds 2024-01-01T00:00:00+00:00 to 2024-02-01T00:00:00+00:00, and span 1" in answer.err
    )


def test_two_pulls_into_one_folder_exclude_each_other(shop):
    shop.pull()
    with (shop.root / "data" / ".pull" / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)

        answer = shop.pull()

    assert answer.status == 5
    assert "Another pull is at work on" in answer.err


def test_a_failure_keeps_what_landed_before(shop):
    """Division by zero is NULL in SQLite; an integer that overflows is not."""
    shop.write(SQL.replace("amount,", "CASE id WHEN 3 THEN abs(-9223372036854775807 - 1) ELSE amount END AS amount,"))

    answer = shop.pull()

    assert answer.status == 1
    assert "[source]: the database fails: " in answer.err
    assert "integer overflow" in answer.err
    assert shop.files() == ["span-1/v1/data.parquet"]
    assert "a new version" in answer.out
    assert list((shop.root / "data" / ".pull").glob("*.parquet")) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("env:SHOP_URL", "env:NOT_SET"), "[source]: url: the environment variable NOT_SET is not set."),
        (("env:SHOP_URL", "oracle://host/db"), "[source]: url: expected one that begins with postgresql://, "),
        (("env:SHOP_URL", "sqlite:///none.db"), "[source]: there is no SQLite file "),
        (("env:SHOP_URL", "postgresql://me:geheim@host/db"), "[source]: url: it has a secret written into it."),
        (("FROM sales", "FROM purchases"), "[source]: the database refuses the query: "),
        (("SELECT id, amount", "SELECT id, id, amount"), "[source]: the column 'id' is there 2 times."),
        (("< :end", "< 0"), "[source]: query: :end is missing"),
        (('begin = "2024-01-01"\n', ""), "[source]: begin is missing"),
        (("2024-01-01", "2024-02-31"), "[source]: begin: '2024-02-31' is no date"),
        (('every = "month"\n', ""), "[source]: nothing says how long a span is."),
        (('kind = "sql"', 'kind = "oracle"'), "[source]: kind: expected 'sql'"),
    ],
)
def test_a_mistake_is_one_line_that_repeats_no_secret(shop, change, message):
    assert change[0] in SQL
    shop.write(SQL.replace(*change))

    answer = shop.pull()

    assert (answer.status, len(answer.err.strip().splitlines())) == (2, 1), answer.err
    assert message in answer.err
    assert "geheim" not in answer.err


@pytest.mark.parametrize(
    ("spans", "message"),
    [
        ('[spans]\nformat = "csv"', "[spans]: format: [source] writes parquet."),
        ('[spans]\nmarker = "_SUCCESS"', "[spans]: marker: [source] writes spans whole and leaves no marker."),
        (
            '[spans]\npattern = "span-{SPAN}/data.parquet"',
            "[spans]: pattern: [source] writes one file for each version",
        ),
        ('[spans]\npattern = "{YYYY}{MM}{DD}/v{VERSION}"', "spans of an hour need {SPAN} in [spans] pattern."),
    ],
)
def test_spans_that_a_source_cannot_write(shop, spans, message):
    shop.write(SQL.replace("month", "hour"), spans=spans)

    answer = shop.pull()

    assert answer.status == 2
    assert message in answer.err


def test_a_dataset_without_a_source_is_not_pulled(shop):
    (shop.folder / "dataset.toml").write_text(
        (shop.folder / "dataset.toml").read_text().replace(SQL, "").replace("[source]", "")
    )

    assert "there is no [source] to pull from" in shop.pull().err


def test_a_span_is_whole_a_while_after_its_end(shop, monkeypatch):
    monkeypatch.setattr(pull, "clock", lambda: datetime.datetime(2024, 2, 1, tzinfo=datetime.UTC))

    assert shop.pull("--json").outcomes == [(1, 1, 2, "landed")]


def test_watch_pulls_by_itself_and_takes_what_came(shop, monkeypatch):
    features = (
        'feature { name: "id" type: INT }\nfeature { name: "amount" type: FLOAT }\nfeature { name: "paid" type: INT }'
    )
    (shop.folder / "schema.pbtxt").write_text(features)
    shop.write(spans='schema = "schema.pbtxt"')
    taken = []

    def process(request, waiting, *_):
        taken.append((waiting.span, waiting.version))
        span_records.write_record(str(request.root.state), record(waiting.span, version=waiting.version))
        return Outcome(result="skipped", span=waiting.span, nodes=[])

    monkeypatch.setattr(watch, "process", process)

    answer = shop.run("watch", "--once")

    assert (answer.status, taken) == (0, [(1, 1), (3, 1)]), answer.err
    shop.sell((5, "2024-03-15", 50.0, 0), (6, "2024-04-15", 60.0, 0))
    assert shop.run("watch", "--once").status == 0  # No period is over, so nothing is asked for.
    assert taken == [(1, 1), (3, 1)]
    monkeypatch.setattr(pull, "clock", lambda: datetime.datetime(2024, 5, 1, tzinfo=datetime.UTC))
    assert shop.run("watch", "--once").status == 0
    assert taken == [(1, 1), (3, 1), (3, 2), (4, 1)]


def test_a_compiled_pipeline_cannot_pull_and_says_why(shop, capsys):
    status = kubeflow_runner.main(["compile", "--dataset", str(shop.folder), "--pipeline-root", "gs://bucket/shop"])

    error = capsys.readouterr().err
    assert status == 2
    assert "a compiled pipeline cannot pull. TFX's own query-based ExampleGens read BigQuery and Presto" in error
