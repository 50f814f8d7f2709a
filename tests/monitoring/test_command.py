"""`monitor` as a user types it."""

import json
import time

import pytest

import local_runner
from tests.helpers import request_logs, windows
from tests.helpers.requests import requests
from tests.monitoring.conftest import VERSION


@pytest.fixture
def argv(site):
    rows = windows.rows(1_000, 9, fare=100)
    yesterday = int(time.time()) - 86_400
    request_logs.write(site.log / "1.tfrecord", [*requests(site, rows, time=yesterday), b"\xff"])
    dataset = str(site.dataset.path.parent)
    return ["monitor", "--dataset", dataset, "--root", str(site.root.path), "--log-dir", str(site.log), "--once"]


def test_a_look_is_printed_for_people(argv, capfd):
    assert local_runner.main(argv) == 0

    out = capfd.readouterr().out
    assert "Requests, 51 new records" in out
    assert "dropped: 1 not a record" in out
    assert "ALERT requests of " in out
    assert "`fare`: median" in out
    assert str(VERSION) in out


def test_a_look_leaves_a_page_of_all_windows(argv, site, capfd):
    assert local_runner.main(argv) == 0

    page = site.root.monitoring / "monitoring.html"
    assert f"Report: {page}" in capfd.readouterr().out
    text = page.read_text(encoding="utf-8")
    assert ">1 alert</span>" in text
    assert "<code>fare</code>: median" in text
    made = page.stat().st_mtime_ns
    assert local_runner.main([*argv, "--json"]) == 0
    # Nothing was judged anew.
    assert (json.loads(capfd.readouterr().out)["report"], page.stat().st_mtime_ns) == (str(page), made)


def test_a_look_is_printed_for_programs(argv, capfd):
    assert local_runner.main([*argv, "--json"]) == 0

    value = json.loads(capfd.readouterr().out)
    assert value["new_records"] == 51
    assert value["dropped"] == {"not_a_record": 1}
    assert [alert["feature"] for alert in value["evidence"]["alerts"]] == ["fare"]
    assert [item["feature"] for item in value["windows"][0]["skew"]["features"] if item["moved"]] == ["fare"]


def test_a_look_that_fails_is_one_line_and_status_1(argv, capfd, monkeypatch):
    monkeypatch.setattr("monitoring.monitor.judge", lambda *_: (_ for _ in ()).throw(OSError("no space left")))

    assert local_runner.main(argv) == 1

    err = capfd.readouterr().err
    assert "error: OSError: no space left" in err
    assert "The log: " in err


def test_metrics_are_written_for_cron(argv, tmp_path):
    assert local_runner.main([*argv, "--metrics-file", str(tmp_path / "driftgate.prom")]) == 0

    text = (tmp_path / "driftgate.prom").read_text()
    assert 'driftgate_skew_alert{dataset="small",feature="fare"} 1.0' in text
    assert "driftgate_monitor_last_look_timestamp_seconds" in text


def test_without_a_schema_the_command_that_infers_one_can_be_pasted(argv, site, capfd):
    text = site.dataset.path.read_text()
    site.dataset.path.write_text(text.replace('schema = "schema.pbtxt"\n', ""))

    assert local_runner.main(argv) == 2

    folder = site.dataset.path.parent
    assert capfd.readouterr().err == (
        f"error: {site.dataset.path} names no schema yet, so no model can have been served. "
        f"Have one inferred, and correct it: python local_runner.py run --dataset {folder} --root {site.root.path}\n"
    )
