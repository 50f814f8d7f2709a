"""The life of versions, seen from a client: swaps without a gap, broken versions, removed ones, limits."""

import json
import shutil
import socket
import subprocess
import sys
import threading

import pytest

from tests.serving.conftest import REPOSITORY, start, stop, wait_until

PREDICT = "/v1/models/m:predict"


@pytest.fixture
def own(models, tmp_path):
    """A server of its own on version 1, and its base path."""
    shutil.copytree(models / "1", tmp_path / "1")
    server = start(tmp_path, "--max-body-bytes", "1000", "--timeout-seconds", "2")
    yield server, tmp_path
    assert stop(server) == 0


def publish(models, base_path, version, source=None):
    """As the Pusher does: under a non-numeric name, then one rename."""
    shutil.copytree(models / str(source or version), base_path / f".pushing-{version}")
    (base_path / f".pushing-{version}").rename(base_path / str(version))


def test_a_swap_under_load_loses_no_request_and_ends_on_the_new_version(own, models):
    server, base_path = own
    answers: list[tuple[int, object]] = []
    done = threading.Event()

    def ask_on_and_on():
        while not done.is_set():
            reply = server.ask(PREDICT, '{"instances": [1]}')
            answers.append((reply.status, reply.json.get("predictions")))

    clients = [threading.Thread(target=ask_on_and_on) for _ in range(4)]
    for client in clients:
        client.start()
    publish(models, base_path, 2)
    wait_until(lambda: server.version() == "2")
    wait_until(lambda: answers[-1] == (200, [3.0]))
    done.set()
    for client in clients:
        client.join()

    assert {status for status, _ in answers} == {200}
    assert {json.dumps(value) for _, value in answers} == {"[2.0]", "[3.0]"}
    states = {v["version"]: v["state"] for v in server.ask("/v1/models/m").json["model_version_status"]}
    wait_until(lambda: server.ask("/v1/models/m").json["model_version_status"][1]["state"] == "END")
    assert states["2"] == "AVAILABLE"


def test_a_broken_version_leaves_the_old_one_and_says_why(own, models):
    server, base_path = own

    publish(models, base_path, 3)
    wait_until(lambda: len(server.ask("/v1/models/m").json["model_version_status"]) == 2)
    wait_until(lambda: server.ask("/v1/models/m").json["model_version_status"][0]["state"] == "END")

    newest = server.ask("/v1/models/m").json["model_version_status"][0]
    assert newest["version"] == "3"
    assert newest["status"]["error_message"]
    assert server.ask(PREDICT, '{"instances": [1]}').json == {"predictions": [2.0]}


def test_removing_the_newest_version_brings_the_older_one_back(own, models):
    server, base_path = own
    publish(models, base_path, 2)
    wait_until(lambda: server.version() == "2")

    (base_path / "2").rename(base_path / ".retired-2")

    wait_until(lambda: server.version() == "1")
    assert server.ask(PREDICT, '{"instances": [1]}').json == {"predictions": [2.0]}


def test_a_body_beyond_the_limit_is_413(own):
    server, _ = own

    reply = server.ask(PREDICT, json.dumps({"instances": [1] * 1000}))

    assert reply.status == 413
    assert "limit of 1000 bytes" in reply.json["error"]


def test_a_slow_client_times_out_and_holds_nobody_up(own):
    server, _ = own
    with socket.create_connection(("127.0.0.1", server.port)) as slow:
        slow.sendall(b"POST /v1/models/m:predict HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")

        assert server.ask(PREDICT, '{"instances": [1]}').status == 200

        slow.settimeout(10)
        assert slow.recv(1000).startswith(b"HTTP/1.1 504")


def test_a_first_version_that_cannot_load_ends_the_server(models, tmp_path):
    shutil.copytree(models / "3", tmp_path / "3")

    done = subprocess.run(
        [sys.executable, "-m", "serving", "--server", "embedded", "--model-base-path", str(tmp_path), "--port", "0"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 1
    assert "error: version 3 of model cannot be loaded" in done.stderr


def test_a_missing_folder_is_wrong_usage():
    done = subprocess.run(
        [sys.executable, "-m", "serving", "--model-base-path", "/nowhere"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stderr) == (2, "error: --model-base-path: there is no folder /nowhere.\n")
