"""Dates as spans, from the command line to what it prints."""

import datetime
import json

import pytest

import local_runner
from pipeline.commands import options, run
from pipeline.config.dataset import load_dataset
from pipeline.errors import ConfigError, SpanNotFoundError
from pipeline.ingest import span_names

TOML = """name = "days"
schema = "schema.pbtxt"
[spans]
data = "spans"
settle_seconds = 0
pattern = "{YYYY}/{MM}/{DD}/data.csv"
[label]
column = "y"
[features]
numeric = ["x"]
[serving]
model_name = "days"
"""
NOON = datetime.datetime(2017, 12, 2, 12, tzinfo=datetime.UTC).timestamp()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("time.time", lambda: NOON)
    for day in ("2017/11/30", "2017/12/01", "2017/12/02"):
        (tmp_path / "days" / "spans" / day).mkdir(parents=True)
        (tmp_path / "days" / "spans" / day / "data.csv").write_text("x,y,extra\n1,0,a\n")
    (tmp_path / "days" / "dataset.toml").write_text(TOML)
    (tmp_path / "days" / "schema.pbtxt").write_text('feature { name: "x" type: INT } feature { name: "y" type: INT }')
    return tmp_path / "days"


def test_spans_are_listed_as_dates_and_the_open_one_waits(folder, capsys):
    assert local_runner.main(["spans", "--dataset", "days"]) == 0

    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [line[0] for line in lines if line and line[0].startswith("2017")] == [
        "2017-11-30",
        "2017-12-01",
        "2017-12-02",
    ]
    local_runner.main(["spans", "--dataset", "days", "--json"])
    listed = json.loads(capsys.readouterr().out)
    assert [row["span"] for row in listed["spans"]] == [17500, 17501, 17502]
    assert listed["spans"][2]["waits_for"] == "not over until 2017-12-03 00:00 UTC"
    assert [row["span_date"] for row in listed["spans"]] == ["2017-11-30", "2017-12-01", "2017-12-02"]
    assert (listed["next"]["span"], listed["next"]["span_date"]) == (17500, "2017-11-30")


def test_a_span_is_named_by_its_date(folder, capsys):
    assert local_runner.main(["schema", "diff", "--dataset", "days", "--span", "2017-12-01"]) == 0

    assert capsys.readouterr().out.strip().startswith("Span 2017-12-01, 1 rows, beyond ")


def test_a_date_that_is_not_there_is_said_as_a_date(folder, capsys):
    assert local_runner.main(["schema", "diff", "--dataset", "days", "--span", "2017-12-09"]) == 2

    err = capsys.readouterr().err
    assert "Span 2017-12-09 does not match '{YYYY}/{MM}/{DD}/data.csv'" in err
    assert "Found: 2017-11-30, 2017-12-01, 2017-12-02." in err


def test_a_date_where_spans_are_numbers_is_refused(capsys):
    assert local_runner.main(["run", "--span", "2017-12-01"]) == 2

    assert "--span: the spans of " in capsys.readouterr().err


def test_json_has_dates_beside_the_numbers_of_spans():
    value = {"span": 17500, "live": [{"window": (17498, 17499), "span": None}], "trained_on": False, "rows": 17500}

    dated = span_names.with_dates(value, "{YYYY}/{MM}/{DD}/data.csv")

    assert dated == {
        "span": 17500,
        "span_date": "2017-11-30",
        "live": [{"window": [17498, 17499], "window_dates": ["2017-11-28", "2017-11-29"], "span": None}],
        "trained_on": False,
        "rows": 17500,
    }
    assert span_names.with_dates(value, "span-{SPAN}/data.csv") == value


@pytest.mark.parametrize(
    ("spans", "message"),
    [
        ("2017-12-03..2017-12-09", "no span from 2017-12-03 to 2017-12-09. Found: 2017-11-30, 2017-12-01, 2017-12-02."),
        ("today", "--spans: expected FIRST-LAST, such as 2017-11-30..2017-12-02. Received: 'today'."),
    ],
)
def test_spans_to_replay_are_named_by_their_dates(folder, capsys, spans, message):
    assert local_runner.main(["replay", "--dataset", "days", "--spans", spans]) == 2

    assert message in capsys.readouterr().err


def test_first_and_last_are_days_or_numbers(folder):
    days = load_dataset("days")

    assert options.first_and_last("2017-11-30..2017-12-02", days) == (17500, 17502)
    assert options.first_and_last("2017-11-30-2017-12-02", days) == (17500, 17502)
    assert options.first_and_last("17500-17502", days) == (17500, 17502)
    with pytest.raises(ConfigError, match=r"--spans: the spans of .* are numbers"):
        options.first_and_last("2017-11-30..2017-12-02", load_dataset("taxi"))
    with pytest.raises(ConfigError, match=r"--spans: the spans of .* are numbers"):
        options.first_and_last("1970-01-02..99", load_dataset("taxi"))


def test_no_span_and_no_date_is_wrong_usage(capsys):
    with pytest.raises(SystemExit):
        local_runner.main(["run", "--span", "yesterday"])

    assert "expected a span's number, or a date such as 2017-12-01. Received: 'yesterday'." in capsys.readouterr().err


def test_run_takes_the_newest_day_that_is_over(folder):
    chosen, waits = run.newest_whole(None, load_dataset("days"), "days/spans")

    assert (chosen, waits) == (17501, ["span 17502 is not over until 2017-12-03 00:00 UTC"])
    assert run.newest_whole(17502, load_dataset("days"), "days/spans") == (17502, [])


def test_the_only_day_is_named_with_what_to_do(folder, monkeypatch):
    monkeypatch.setattr("time.time", lambda: NOON - 3 * 86_400)

    with pytest.raises(
        SpanNotFoundError, match=r"the newest is 2017-12-02. Take it all the same with --span 2017-12-02"
    ):
        run.newest_whole(None, load_dataset("days"), "days/spans")
