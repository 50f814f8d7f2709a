"""What a candidate must answer to be pushed. The whole check runs against a real server in tests/e2e."""

import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import numpy as np
import pytest

from pipeline.predict import servability

INSTANCES = [{"x": number / 10} for number in range(10)]
OFFLINE = np.array([number / 10 for number in range(10)])


@pytest.fixture
def serve(monkeypatch):
    """Puts a server in the candidate's place that answers each instance with `answer(x)`, or refuses."""

    def serve(answer=lambda x: x, status=200):
        class Predict(BaseHTTPRequestHandler):
            def do_POST(self):
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["instances"]
                body = {"predictions": [{"probability": answer(instance["x"])} for instance in asked]}
                self.send_response(status)
                self.end_headers()
                self.wfile.write(json.dumps(body if status == 200 else {"error": "no such input"}).encode())

            def log_message(self, *args):
                pass

        @contextlib.contextmanager
        def starting(base_path, model_name, log):
            with ThreadingHTTPServer(("127.0.0.1", 0), Predict) as server:
                threading.Thread(target=server.serve_forever, daemon=True).start()
                url = f"http://127.0.0.1:{server.server_port}/v1/models/{model_name}"
                yield SimpleNamespace(url=url, wait=lambda: None)
                server.shutdown()

        monkeypatch.setattr(servability, "starting", starting)

    return serve


def check(tmp_path, **options):
    return servability.check(tmp_path, "m", INSTANCES, lambda: OFFLINE, log=tmp_path / "log", **options)


def test_equal_answers_are_servable_and_the_p99_is_recorded(serve, tmp_path):
    serve()
    outcome = check(tmp_path, max_p99_ms=60_000)

    assert outcome.servable
    assert 0 < outcome.p99_ms < 60_000
    assert outcome.reason.startswith("10 rows answered as offline")


def test_the_last_bits_may_differ_and_no_more(serve, tmp_path):
    serve(lambda x: x + 5e-6)
    assert check(tmp_path).servable

    serve(lambda x: x + 2e-5)
    outcome = check(tmp_path)
    assert not outcome.servable
    assert outcome.reason == "served and offline predictions differ by up to 2e-05 (allowed: 1e-05)"


def test_no_number_is_not_an_equal_answer(serve, tmp_path):
    serve(lambda x: float("nan"))

    assert not check(tmp_path).servable


def test_a_slow_candidate_is_not_servable_where_there_is_a_limit(serve, tmp_path):
    serve()
    outcome = check(tmp_path, max_p99_ms=1e-6)

    assert not outcome.servable
    assert outcome.p99_ms > 0
    assert "(allowed: 1e-06 ms)" in outcome.reason


def test_a_refusal_is_the_reason(serve, tmp_path):
    serve(status=400)

    outcome = check(tmp_path)
    assert (outcome.servable, outcome.p99_ms) == (False, 0.0)
    assert outcome.reason == 'the server answered 400: {"error": "no such input"}'


def test_a_candidate_that_cannot_be_loaded_says_what_the_server_said(tmp_path):
    (tmp_path / "m" / "1").mkdir(parents=True)
    (tmp_path / "m" / "1" / "saved_model.pb").write_bytes(b"no graph")

    outcome = servability.check(tmp_path / "m", "m", INSTANCES, lambda: OFFLINE, log=tmp_path / "log")

    assert not outcome.servable
    assert outcome.reason.startswith("the model server ended with status 1")
    assert "cannot be loaded" in outcome.reason
