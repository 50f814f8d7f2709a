"""The loop: a served model, a day of requests, a day in the wrong unit; Prometheus, the evidence, the next decision."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from monitoring.grafana import dashboard
from pipeline.commands.drift import read_span
from pipeline.config.dataset import load_dataset
from pipeline.predict.instances import instances
from serving.log.reader import log_files, read_logs
from tests.e2e.conftest import Done, command, run
from tests.helpers import request_logs
from tests.helpers.prometheus_tools import Prometheus, free_port, running, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]

DAY = 86_400
BATCH = 50
WAIT_S = 600.0


@dataclass
class Loop:
    """Everything at work at once."""

    root: Path
    log: Path
    server: str
    version: str
    prometheus: Prometheus
    monitor: subprocess.Popen
    started: float
    quiet: list
    skewed: list
    evidence: dict
    decided: Done

    def ask(self, rows: list[dict]) -> list[float]:
        return ask(self.server, rows)


def ask(server: str, rows: list[dict]) -> list[float]:
    body = json.dumps({"instances": rows}).encode()
    with urllib.request.urlopen(f"{server}:predict", body, timeout=60) as answer:
        return [row["probability"] for row in json.load(answer)["predictions"]]


@contextlib.contextmanager
def process(*args: object, log: Path) -> Iterator[subprocess.Popen]:
    with log.open("wb") as file, subprocess.Popen(command(*args), stdout=file, stderr=file) as started:
        try:
            yield started
        finally:
            if started.poll() is None:
                os.kill(started.pid, signal.SIGTERM)
            started.wait(60)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except OSError:
        return False


def answered(tables: Sequence[pa.Table], serving: Sequence[object], port: int, root: Path, folder: Path) -> list[list]:
    """Asks a server about every row of every day, and returns the records of the log that it leaves, day by day."""
    (version,) = (entry.name for entry in (root / "serving" / "taxi").iterdir())
    records = []
    with process(*serving, "--log-dir", folder / "served", log=folder / "logging-server.log"):
        server = f"http://127.0.0.1:{port}/v1/models/taxi"
        wait_until(lambda: answers(server), "the server answers", WAIT_S)
        for table in tables:
            rows = instances(table, root / "serving" / "taxi" / version)
            for start in range(0, len(rows), BATCH):
                ask(server, rows[start : start + BATCH])
    for file in log_files(folder / "served" / "taxi"):
        records += list(read_logs(file.path))
    days = []
    for table in tables:
        number = -(-table.num_rows // BATCH)
        days.append(records[:number])
        records = records[number:]
    assert records == []
    return days


def log_day(log: Path, records: Sequence, days_ago: int) -> None:
    """Puts a day's records where the monitor looks, with that day's time, as a server does: by one rename."""
    for record in records:
        record.log_metadata.timestamp_secs = int(time.time()) - days_ago * DAY
    unfinished = request_logs.write(log / "taxi" / f".{days_ago}", [record.SerializeToString() for record in records])
    unfinished.rename(log / "taxi" / f"requests-{days_ago}-days-ago.tfrecord")


@pytest.fixture(scope="module")
def loop(pushed: tuple[Path, Done], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loop]:
    folder = tmp_path_factory.mktemp("loop")
    root, log = folder / "root", folder / "requests"
    shutil.copytree(pushed[0], root, ignore=shutil.ignore_patterns("metadata.sqlite*", "artifacts"))
    (log / "taxi").mkdir(parents=True)
    (version,) = (entry.name for entry in (root / "serving" / "taxi").iterdir())
    dataset, rng = load_dataset("taxi"), np.random.default_rng(0)
    training = pa.concat_tables([read_span(dataset, str(root / "data"), span) for span in (2, 3, 4, 5)])
    order = rng.permutation(training.num_rows)
    usual, cents = training.take(order[:1_000]), training.take(order[1_000:2_000])
    place = cents.column_names.index("fare")
    cents = cents.set_column(place, "fare", pa.array(cents.column("fare").to_numpy() * 100))
    newest = read_span(dataset, str(root / "data"), 6).slice(0, 600)
    ports = {"driftgate": free_port(), "model-server": free_port()}
    base = f"http://127.0.0.1:{ports['model-server']}"
    serving = ("serve", "--server", "embedded", "--model-name", "taxi", "--port", ports["model-server"])
    serving += ("--grpc-port", 0, "--model-base-path", root / "serving" / "taxi")
    days = answered((newest, usual, cents), serving, ports["model-server"], root, folder)
    monitor = ("monitor", "--root", root, "--log-dir", log, "--labels", root / "data", "--every", 1, "--judge-open")
    with contextlib.ExitStack() as stack:
        stack.enter_context(process(*serving, log=folder / "server.log"))
        watching = stack.enter_context(
            process(*monitor, "--metrics-port", ports["driftgate"], "--server-url", base, log=folder / "monitor.log")
        )
        prometheus = stack.enter_context(running(folder / "prometheus", ports))
        started = time.time()
        server = f"{base}/v1/models/taxi"
        wait_until(lambda: answers(server), "the server answers", WAIT_S)

        rows = instances(usual.slice(0, BATCH), root / "serving" / "taxi" / version)

        def judged(rows_: int) -> bool:
            ask(server, rows)  # Clients go on asking.
            assert watching.poll() is None, (folder / "monitor.log").read_text()
            found = prometheus.query("driftgate_served_window_rows")
            return bool(found) and found[0]["value"][1] == str(rows_)

        # The day before yesterday: rows of the next span, whose labels have come.
        log_day(log, days[0], 2)
        wait_until(lambda: judged(600), "the first day is judged", WAIT_S)
        # Yesterday: rows like those that the model was trained on.
        log_day(log, days[1], 1)
        wait_until(lambda: judged(1_000), "the usual day is judged", WAIT_S)
        wait_until(lambda: not prometheus.firing("DriftgateServingSkew"), "no skew is left", WAIT_S)
        quiet = prometheus.firing("DriftgateServingSkew") + prometheus.firing("DriftgatePredictionsMoved")
        # Today: fares in cents.
        log_day(log, days[2], 0)
        wait_until(lambda: prometheus.firing("DriftgateServingSkew"), "the skew alert fires", WAIT_S)
        skewed = prometheus.firing("DriftgateServingSkew")
        evidence = json.loads((root / "state" / "serving.json").read_text())
        decided = run("run", "--span", 6, "--root", root, "--json")
        runs = len((root / "runs.jsonl").read_text().splitlines())
        wait_until(
            lambda: prometheus.query(
                f"driftgate_newest_span == 6 and on (dataset) sum by (dataset) (driftgate_runs_total) == {runs}"
            ),
            "the run is scraped",
            WAIT_S,
        )
        yield Loop(
            root=root,
            log=log,
            server=server,
            version=version,
            prometheus=prometheus,
            monitor=watching,
            started=started,
            quiet=quiet,
            skewed=skewed,
            evidence=evidence,
            decided=decided,
        )


def test_the_skew_alert_fires_for_the_wrong_unit_and_not_for_the_usual_day(loop):
    assert loop.quiet == []
    assert [(labels["dataset"], labels["feature"]) for labels in loop.skewed] == [("taxi", "fare")]


def test_the_evidence_names_the_feature_and_the_version(loop):
    assert loop.evidence["version"] == loop.version
    assert loop.evidence["rows"] == 1_000
    skew = [alert for alert in loop.evidence["alerts"] if alert["kind"] == "skew"]
    assert {alert["feature"] for alert in skew} == {"fare"}


def test_the_next_runs_decision_names_the_feature(loop):
    assert loop.decided.status in (0, 4), loop.decided.err
    decision = loop.decided.json["decision"]
    said = [reason for reason in decision["reasons"] + decision["notes"] if reason["kind"] == "serving_skew"]
    assert "fare" in {reason["feature"] for reason in said}
    assert decision["alert"] is True
    assert decision["evidence"]["live"]["version"] == loop.version


def test_the_report_shows_it(loop):
    page = Path(loop.decided.json["report"]).read_text(encoding="utf-8")

    assert "<h2>Served requests</h2>" in page
    assert loop.evidence["alerts"][0]["text"].split("`fare`")[1][:20] in page


def test_labels_that_came_later_are_the_live_models_auc(loop):
    (found,) = loop.prometheus.query('max_over_time(driftgate_live_model_auc{source="requests", slice="all"}[10m])')

    assert 0.85 < float(found["value"][1]) <= 1


def test_no_panel_of_the_dashboard_is_empty(loop):
    shown = json.loads(dashboard.FILE.read_text())
    queries = {
        (panel["title"], target["expr"]): target.get("instant", False)
        for panel in shown["panels"]
        for target in panel.get("targets", [])
    }
    queries |= {("markers", marker["expr"]): False for marker in shown["annotations"]["list"]}
    values = {"$dataset": "taxi", "$model": "taxi", "$__rate_interval": "1m"}
    empty = []
    for (title, expression), instant in queries.items():
        for name, value in values.items():
            expression = expression.replace(name, value)
        result = (
            loop.prometheus.query(expression)
            if instant
            else loop.prometheus.get("query_range", query=expression, start=loop.started, end=time.time(), step=1)[
                "result"
            ]
        )
        if not result:
            empty.append((title, expression))

    assert empty == []
    assert len(queries) > 20
    for variable in shown["templating"]["list"]:
        metric, label = variable["query"]["query"].removeprefix("label_values(").removesuffix(")").rsplit(", ", 1)
        found = loop.prometheus.get(f"label/{label}/values", **{"match[]": metric})
        assert "taxi" in found, variable["name"]


def test_a_deleted_log_and_a_killed_monitor_harm_no_request(loop):
    row = json.loads(
        (loop.root / "serving" / "taxi" / loop.version / "assets.extra" / "sample_request.json").read_text()
    )
    shutil.rmtree(loop.log)
    looked = loop.prometheus.query("driftgate_monitor_last_look_timestamp_seconds")[0]["value"][1]

    wait_until(
        lambda: loop.prometheus.query("driftgate_monitor_last_look_timestamp_seconds")[0]["value"][1] != looked,
        "the monitor looks again",
        WAIT_S,
    )
    assert loop.monitor.poll() is None
    assert len(loop.ask(row["instances"])) == 1
    os.kill(loop.monitor.pid, signal.SIGKILL)
    loop.monitor.wait(30)
    assert len(loop.ask(row["instances"])) == 1
