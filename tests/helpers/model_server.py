"""A live server in a process of its own, and how it is asked."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from tests.helpers.ports import free_port

REPOSITORY = Path(__file__).resolve().parent.parent.parent


@dataclass(frozen=True)
class Reply:
    status: int
    body: bytes
    headers: dict[str, str]

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def content_type(self) -> str | None:
        return self.headers.get("content-type")


@dataclass
class Server:
    """A running server."""

    url: str
    port: int
    grpc_port: int
    process: subprocess.Popen
    log: Path
    kind: str = "embedded"

    def ask(
        self, path: str, body: bytes | str | dict | None = None, *, method: str | None = None, headers=None
    ) -> Reply:
        data = json.dumps(body).encode() if isinstance(body, dict) else body.encode() if isinstance(body, str) else body
        request = urllib.request.Request(self.url + path, data=data, method=method, headers=headers or {})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return _reply(answer.status, answer)
        except urllib.error.HTTPError as error:
            return _reply(error.code, error)

    def predict(self, body: bytes | str | dict, where: str = "m") -> Reply:
        return self.ask(f"/v1/models/{where}:predict", body)

    def states(self, model: str = "m") -> dict[str, str]:
        """States by version, newest first."""
        reply = self.ask(f"/v1/models/{model}")
        return {entry["version"]: entry["state"] for entry in reply.json["model_version_status"]}

    def version(self) -> str | None:
        """The version that answers now."""
        return next((version for version, state in self.states().items() if state == "AVAILABLE"), None)


def _reply(status: int, answer) -> Reply:
    return Reply(status, answer.read(), {name.lower(): value for name, value in answer.headers.items()})


def wait_until(condition, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.02)


def launch(folder: Path, *options: str, kind: str = "embedded") -> Server:
    """Starts a server without waiting for it; its log is `folder`/server.log."""
    port, grpc_port = free_port(), free_port()
    command = [sys.executable, "-m", "serving", "--server", kind, "--port", str(port), "--grpc-port", str(grpc_port)]
    log = folder / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen([*command, *options], cwd=REPOSITORY, stdout=output, stderr=output)
    return Server(f"http://127.0.0.1:{port}", port, grpc_port, process, log, kind)


def wait_for(server: Server, model: str = "m") -> Server:
    """Returns once the server's ports are open."""

    def answers() -> bool:
        assert server.process.poll() is None, server.log.read_text()
        try:
            return server.ask(f"/v1/models/{model}").status == 200
        except OSError:
            return False

    wait_until(answers, 90)
    return server


def start(base_path: Path, *options: str, kind: str = "embedded") -> Server:
    """Starts a server of the model m and waits until it answers."""
    where = ("--model-name", "m", "--model-base-path", str(base_path), "--poll-seconds", "0.1")
    return wait_for(launch(base_path, *where, *options, kind=kind))


def stop(server: Server) -> int:
    with contextlib.suppress(ProcessLookupError):
        os.kill(server.process.pid, signal.SIGTERM)
    return server.process.wait(timeout=60)
