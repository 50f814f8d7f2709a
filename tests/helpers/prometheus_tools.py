"""Debian's Prometheus for tests."""

import contextlib
import json
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.helpers import debian
from tests.helpers.ports import free_port

RULES = Path(__file__).resolve().parents[2] / "monitoring" / "prometheus"


def require_prometheus() -> None:
    """Makes `prometheus` and `promtool`, which come in one package, available, or skips."""
    debian.require("prometheus", "promtool")


def wait_until(condition, what: str, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come true within {seconds:g} s"
        time.sleep(0.1)


@dataclass(frozen=True)
class Prometheus:
    """A running server."""

    url: str

    def get(self, path: str, **parameters: object):
        query = urllib.parse.urlencode(parameters)
        with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{query}", timeout=30) as answer:
            return json.load(answer)["data"]

    def query(self, expression: str) -> list:
        return self.get("query", query=expression)["result"]

    def firing(self, alert: str) -> list[dict]:
        """Labels of the alert's firing instances."""
        found = self.get("alerts")["alerts"]
        return [a["labels"] for a in found if a["labels"]["alertname"] == alert and a["state"] == "firing"]

    def is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=5):
                return True
        except OSError:
            return False


@contextlib.contextmanager
def running(folder: Path, targets: Mapping[str, int]) -> Iterator[Prometheus]:
    """Runs Prometheus with the shipped configuration and rules, every second, on the ports of `targets` by job."""
    require_prometheus()
    shutil.copytree(RULES, folder)
    config = yaml.safe_load((folder / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    jobs = {job["job_name"]: job for job in config["scrape_configs"]}
    assert set(targets) <= set(jobs)
    for name, job in jobs.items():
        job["static_configs"] = [{"targets": [f"127.0.0.1:{targets[name]}"]}] if name in targets else []
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    port = free_port()
    command = [
        "prometheus",
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        server = Prometheus(f"http://127.0.0.1:{port}")
        try:
            wait_until(server.is_ready, "Prometheus is ready")
            yield server
        finally:
            process.terminate()
            process.wait(30)
