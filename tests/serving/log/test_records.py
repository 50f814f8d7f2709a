"""The request log of a live server: what was asked and answered comes back as rows, also after a kill."""

import os
import signal

from serving.log.reader import log_files, logged_rows, read_logs
from serving.log.request_log import RequestLog
from tests.helpers.model_server import start, wait_until
from tests.serving.conftest import publish


def test_what_a_server_answered_is_logged_and_outlives_its_kill(models, tmp_path):
    base_path, logs = tmp_path / "m", tmp_path / "logs"
    base_path.mkdir()
    publish(models, base_path, 1)
    server = start(base_path, "--log-dir", str(logs))
    try:
        asked = {"instances": [{"a": 1.5, "n": 2, "s": "x"}, {"a": 2.5, "n": 3, "s": "y"}], "signature_name": "mixed"}
        assert server.predict(asked).status == 200
        assert server.predict({"instances": ["refused"]}).status == 400
        metrics = "/monitoring/prometheus/metrics"
        written = ':driftgate:serving:request_log_count{outcome="written"} 1'
        wait_until(lambda: written in server.ask(metrics).body.decode().splitlines())
    finally:
        os.kill(server.process.pid, signal.SIGKILL)
        server.process.wait(timeout=60)
    assert log_files(logs / "m") == []  # The file was open.

    salvaging = RequestLog(logs, 1.0)
    salvaging.close()

    (file,) = log_files(logs / "m")
    (log,) = read_logs(file.path)
    rows = logged_rows(log)
    assert [(row.model, row.version, row.signature) for row in rows] == [("m", 1, "mixed")] * 2
    assert [row.example.features.feature["s"].bytes_list.value[0] for row in rows] == [b"x", b"y"]
    assert [row.example.features.feature["n"].int64_list.value[0] for row in rows] == [2, 3]
    assert [(row.answer["a"], row.answer["flag"]) for row in rows] == [(1.5, True), (2.5, True)]
