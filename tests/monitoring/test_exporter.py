"""What a scrape shows of a root, over HTTP and in a file; and that an exporter which fails harms nobody."""

import argparse
import json
import re
import subprocess
import urllib.request
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from monitoring import exporter, metrics
from monitoring.exporter import SnapshotCollector
from monitoring.monitor import Monitor
from monitoring.snapshot import Gatherer
from pipeline.errors import ConfigError
from pipeline.gate.decision import decide
from pipeline.gate.policy import GatePolicy
from pipeline.state.span_records import SpanRecord, write_record
from tests.helpers import request_logs, windows
from tests.helpers.evidence_of import drift, evidence, feature_drift, metric_change
from tests.helpers.prometheus_tools import free_port, require_prometheus
from tests.helpers.requests import NOW, requests
from tests.monitoring.conftest import VERSION

DOCS = Path(__file__).resolve().parents[2] / "docs" / "monitoring.md"


def scrape(site, server_url=None) -> str:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(SnapshotCollector(Gatherer(site.dataset, site.root, server_url).gather, "small"))
    return generate_latest(registry).decode()


def decided(root, **changes):
    """Leaves what a run leaves: the decision, the span's record, the run."""
    made = decide(evidence(**changes), GatePolicy())
    with root.decisions.open("a") as file:
        file.write(made.to_json() + "\n")
    record = SpanRecord(
        span=made.evidence.span, version=0, fingerprint="", rows=1200, verdict=made.verdict.value, accepted=True,
        waiting=False, examples_uri="", decided_at=0,
    )  # fmt: skip
    write_record(str(root.state), record)
    run = {"span": 5, "started_at": 100, "ended_at": 160, "result": "pushed", "seconds": {"Trainer": 12.5}}
    with root.runs.open("a") as file:
        file.write(json.dumps(run) + "\n" + json.dumps({**run, "ended_at": 170, "result": "failed"}) + "\n")


def test_a_root_on_which_nothing_has_run_shows_what_is_known(site):
    text = scrape(site)

    assert f'driftgate_live_model_info{{dataset="small",version="{VERSION}"}} 1.0' in text
    assert 'driftgate_auc_floor{dataset="small"} 0.6' in text
    assert 'driftgate_exporter_failures_total{dataset="small"} 0.0' in text
    assert not re.search(r"^driftgate_newest_span", text, re.MULTILINE)


def test_decisions_drift_and_runs_are_shown(site):
    decided(site.root, span=4)
    decided(
        site.root,
        drift=drift(feature_drift(distance=0.3), ),
        performance=(metric_change(matters=False),),
    )  # fmt: skip

    lines = scrape(site).splitlines()

    assert 'driftgate_newest_span{dataset="small"} 5.0' in lines
    assert 'driftgate_newest_span_rows{dataset="small"} 1200.0' in lines
    assert 'driftgate_newest_decision{dataset="small",verdict="rerun"} 1.0' in lines
    assert 'driftgate_newest_decision{dataset="small",verdict="block"} 0.0' in lines
    assert 'driftgate_decisions_total{dataset="small",reason="nothing_changed",verdict="skip"} 1.0' in lines
    assert 'driftgate_decisions_total{dataset="small",reason="drift",verdict="rerun"} 1.0' in lines
    assert 'driftgate_drift_distance{dataset="small",feature="payment_type"} 0.3' in lines
    # Span 5 moved, and the live version was trained on spans 1 to 4.
    assert 'driftgate_unfollowed_drift_features{dataset="small"} 1.0' in lines
    assert 'driftgate_run_component_duration_seconds{component="Trainer",dataset="small"} 12.5' in lines
    assert 'driftgate_run_last_success_timestamp_seconds{dataset="small"} 160.0' in lines
    assert 'driftgate_runs_total{dataset="small",result="failed"} 2.0' in lines
    # Version 3 was scored on the span; it is not the one that is live here.
    (area,) = [line for line in lines if line.startswith("driftgate_live_model_auc{")]
    assert 'model="replaced",slice="all",source="span"' in area


def test_requests_skew_and_labels_are_shown(site):
    rows = windows.rows(1_000, 9, fare=100)
    request_logs.write(site.log / "1.tfrecord", [*requests(site, rows, rate=0.25), b"\xff"])
    Monitor(site.dataset, site.root, site.log, None).look(NOW, 30.0)

    lines = scrape(site).splitlines()

    assert f'driftgate_served_requests_total{{dataset="small",version="{VERSION}"}} 200.0' in lines
    assert f'driftgate_log_records_total{{dataset="small",version="{VERSION}"}} 50.0' in lines
    assert 'driftgate_log_records_dropped_total{dataset="small",reason="not_a_record"} 1.0' in lines
    assert 'driftgate_served_window_rows{dataset="small"} 1000.0' in lines
    assert 'driftgate_skew_alert{dataset="small",feature="fare"} 1.0' in lines
    assert 'driftgate_skew_alert{dataset="small",feature="miles"} 0.0' in lines
    assert 'driftgate_serving_alerts{dataset="small",kind="skew"} 1.0' in lines
    assert f'driftgate_monitor_last_look_timestamp_seconds{{dataset="small"}} {NOW:.5e}'.split("e")[0][
        :60
    ] in "\n".join(lines)
    assert 'driftgate_monitor_interval_seconds{dataset="small"} 30.0' in lines


def test_every_metric_is_exported_and_follows_the_conventions(site):
    require_prometheus()
    decided(site.root, drift=drift(feature_drift()))
    request_logs.write(site.log / "1.tfrecord", [*requests(site, windows.rows(1_000, 9)), b"\xff"])
    Monitor(site.dataset, site.root, site.log, None).look(NOW)

    text = scrape(site)

    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    for metric in metrics.METRICS:
        assert f"# HELP {metric.name} " in text


def test_every_metric_is_documented():
    text = DOCS.read_text(encoding="utf-8")

    for name in [*(metric.name for metric in metrics.METRICS), exporter.FAILURES]:
        assert f"`{name}`" in text, name


def test_a_damaged_root_is_counted_and_scraped_all_the_same(site):
    (site.root.state / "span-1-version-0.json").write_text("not a record")

    assert 'driftgate_exporter_failures_total{dataset="small"} 1.0' in scrape(site)


def test_the_server_is_asked_which_versions_it_has_and_may_be_silent(site):
    text = scrape(site, f"http://127.0.0.1:{free_port()}")

    assert not re.search(r"^driftgate_live_model_available", text, re.MULTILINE)
    assert 'driftgate_exporter_failures_total{dataset="small"} 0.0' in text


def arguments(site, **options):
    return argparse.Namespace(
        dataset=str(site.dataset.path.parent),
        root=site.root.path,
        **{"metrics_port": None, "metrics_file": None, **options},
    )


def test_over_http_and_as_a_file(site, tmp_path):
    port, path = free_port(), tmp_path / "driftgate.prom"

    with exporter.exporting(arguments(site, metrics_port=str(port), metrics_file=path)):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            over_http = answer.read().decode()
        with (
            pytest.raises(ConfigError, match="cannot listen on"),
            exporter.exporting(arguments(site, metrics_port=str(port))),
        ):
            pass

    assert f'version="{VERSION}"' in over_http
    assert path.read_text().splitlines()[-1] == 'driftgate_exporter_failures_total{dataset="small"} 0.0'
    assert [entry.name for entry in tmp_path.glob("driftgate.prom*")] == ["driftgate.prom"]


@pytest.mark.parametrize("address", ["x", "host:", "99999999", "a:b:c", "70000"])
def test_an_address_that_is_none_is_said(site, address):
    with (
        pytest.raises(ConfigError, match="expected PORT or HOST:PORT"),
        exporter.exporting(arguments(site, metrics_port=address)),
    ):
        pass


def test_a_file_that_cannot_be_written_ends_nothing(site, tmp_path):
    (tmp_path / "driftgate.prom").mkdir()

    with exporter.exporting(arguments(site, metrics_file=tmp_path / "driftgate.prom")):
        pass

    with (
        pytest.raises(ConfigError, match="--metrics-file: there is no folder"),
        exporter.exporting(arguments(site, metrics_file=Path("/nowhere/x.prom"))),
    ):
        pass
