"""A local server in the backend's place: it records what the real client libraries send, and answers by a table."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest


@dataclass
class Backend:
    """Answers by (method, path): a list is used up from the front, its last answer for good."""

    url: str = ""
    answers: dict[tuple[str, str], list[tuple[int, Any]]] = field(default_factory=dict)
    requests: list[tuple[str, str, dict[str, list[str]], Any, dict[str, str]]] = field(default_factory=list)

    def on(self, method: str, path: str, *answers: tuple[int, Any]) -> None:
        self.answers[method, path] = list(answers)

    def sent(self, method: str, path: str) -> Any:
        """The body of the one request of this kind."""
        (body,) = [body for m, p, _, body, _ in self.requests if (m, p) == (method, path)]
        return body


@contextmanager
def serving(backend: Backend) -> Iterator[Backend]:
    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            parts = urlsplit(self.path)
            length = int(self.headers.get("Content-Length") or 0)
            text = self.rfile.read(length)
            body = json.loads(text) if text else None
            backend.requests.append((self.command, parts.path, parse_qs(parts.query), body, dict(self.headers)))
            table = backend.answers.get((self.command, parts.path), [(404, {"error": {"code": 404, "message": "?"}})])
            status, answer = table.pop(0) if len(table) > 1 else table[0]
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_DELETE = handle_any  # noqa: N815

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    backend.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield backend
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def backend() -> Iterator[Backend]:
    with serving(Backend()) as started:
        yield started


@pytest.fixture
def vertex_file(vertex_package, tmp_path):
    path = tmp_path / "pipeline.json"
    path.write_text(vertex_package.text(), encoding="utf-8")
    return path


@pytest.fixture
def kubeflow_file(kubeflow_package, tmp_path):
    path = tmp_path / "pipeline.yaml"
    path.write_text(kubeflow_package.text(), encoding="utf-8")
    return path
