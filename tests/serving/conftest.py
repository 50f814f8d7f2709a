"""A live server in a process of its own, over small SavedModels built once."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent.parent


@dataclass(frozen=True)
class Reply:
    status: int
    body: bytes
    content_type: str

    @property
    def json(self):
        return json.loads(self.body)


@dataclass
class Server:
    """A running server."""

    url: str
    port: int
    process: subprocess.Popen

    def ask(
        self, path: str, body: bytes | str | dict | None = None, *, method: str | None = None, headers=None
    ) -> Reply:
        data = json.dumps(body).encode() if isinstance(body, dict) else body.encode() if isinstance(body, str) else body
        request = urllib.request.Request(self.url + path, data=data, method=method, headers=headers or {})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return Reply(answer.status, answer.read(), answer.headers["Content-Type"])
        except urllib.error.HTTPError as error:
            return Reply(error.code, error.read(), error.headers["Content-Type"])

    def version(self) -> str | None:
        """The version that answers now."""
        reply = self.ask("/v1/models/m")
        states = {entry["version"]: entry["state"] for entry in reply.json["model_version_status"]}
        return next((version for version, state in states.items() if state == "AVAILABLE"), None)


def wait_until(condition, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.02)


def save_model(folder: Path, factor: float) -> None:
    """Writes a version: y = factor * x, and signatures for every dtype that the contract writes."""
    import tensorflow as tf

    class Module(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.factor = tf.Variable(factor)

        @tf.function(input_signature=[tf.TensorSpec(None, tf.float32, name="x")])
        def scale(self, x):
            return {"y": self.factor * x}

        @tf.function(
            input_signature=[
                tf.TensorSpec([None], tf.float32, name="a"),
                tf.TensorSpec([None], tf.int64, name="n"),
                tf.TensorSpec([None], tf.string, name="s"),
            ]
        )
        def mixed(self, a, n, s):
            return {"a": a, "n": n, "s": s, "s_bytes": s, "flag": n > 0}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.int32, name="i")])
        def divide(self, i):
            return {"q": 1 // i}

    module = Module()
    signatures = {"serving_default": module.scale, "mixed": module.mixed, "divide": module.divide}
    unfinished = folder.with_name(f".saving-{folder.name}")
    tf.saved_model.save(module, str(unfinished), signatures=signatures)
    unfinished.rename(folder)


def start(base_path: Path, *options: str) -> Server:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "serving", "--server", "embedded", "--model-name", "m", "--port", str(port)]
    command += ["--model-base-path", str(base_path), "--poll-seconds", "0.1", *options]
    log = (base_path / "server.log").open("wb")
    process = subprocess.Popen(command, cwd=REPOSITORY, stdout=log, stderr=log)
    server = Server(f"http://127.0.0.1:{port}", port, process)

    def answers() -> bool:
        assert process.poll() is None, (base_path / "server.log").read_text()
        try:
            return server.ask("/v1/models/m").status == 200
        except OSError:
            return False

    wait_until(answers, 90)
    return server


def stop(server: Server) -> int:
    os.kill(server.process.pid, signal.SIGTERM)
    return server.process.wait(timeout=30)


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three versions to copy from: 1 and 2 are good, 3 is broken."""
    folder = tmp_path_factory.mktemp("models")
    save_model(folder / "1", 2.0)
    save_model(folder / "2", 3.0)
    (folder / "3").mkdir()
    (folder / "3" / "saved_model.pb").write_bytes(b"not a graph")
    return folder


@pytest.fixture(scope="session")
def server(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of version 1, shared by tests that only ask."""
    import shutil

    base_path = tmp_path_factory.mktemp("served")
    shutil.copytree(models / "1", base_path / "1")
    running = start(base_path)
    yield running
    assert stop(running) == 0
