"""The life of versions, seen from a client: swaps without a gap, broken versions, removed ones, crashes."""

import json
import shutil
import signal
import subprocess
import sys
import threading

import pytest

from tests.helpers.model_server import REPOSITORY, start, stop, wait_until
from tests.serving.conftest import publish

GOOD = '{"instances": [1]}'


@pytest.fixture
def own(models, tmp_path):
    """A server of its own on version 1, and its base path."""
    shutil.copytree(models / "1", tmp_path / "1")
    server = start(tmp_path, "--load-retry-seconds", "0.1", "--load-retries", "2")
    yield server, tmp_path
    assert stop(server) == 0


def test_swaps_broken_versions_and_removals(own, models):
    server, base_path = own
    answers: list[tuple[int, object]] = []
    done = threading.Event()

    def ask_on_and_on():
        while not done.is_set():
            reply = server.predict(GOOD)
            answers.append((reply.status, reply.json.get("predictions")))

    clients = [threading.Thread(target=ask_on_and_on, daemon=True) for _ in range(4)]
    for client in clients:
        client.start()

    # A request under way ends on the version that it began with.
    slow: list[object] = []
    long_request = threading.Thread(
        target=lambda: slow.append(server.predict('{"signature_name": "count", "inputs": 400000}').status)
    )
    long_request.start()
    publish(models, base_path, 2)
    wait_until(lambda: server.version() == "2")
    wait_until(lambda: answers[-1:] == [(200, [3.0])])
    long_request.join()
    wait_until(lambda: server.states() == {"2": "AVAILABLE", "1": "END"})

    # A broken version leaves the old one, and says why; it is tried again.
    publish(models, base_path, 3)
    wait_until(lambda: server.log.read_text().count("Version 3 of m cannot be loaded") == 3)
    newest = server.ask("/v1/models/m").json["model_version_status"][0]
    assert server.predict(GOOD).json == {"predictions": [3.0]}

    # Removing what is served brings the next lower one back, before it goes.
    shutil.rmtree(base_path / "3")
    (base_path / "2").rename(base_path / ".retired-2")
    wait_until(lambda: server.version() == "1")
    wait_until(lambda: answers[-1:] == [(200, [2.0])])
    done.set()
    for client in clients:
        client.join()

    assert slow == [200]
    assert {status for status, _ in answers} == {200}
    assert {json.dumps(value) for _, value in answers} == {"[2.0]", "[3.0]"}
    assert (newest["version"], newest["state"]) == ("3", "END")
    assert newest["status"]["error_code"] != "OK"
    assert newest["status"]["error_message"]
    wait_until(lambda: server.states() == {"3": "END", "2": "END", "1": "AVAILABLE"})


def test_a_version_is_found_under_any_spelling_of_its_number_and_the_last_one_can_go(own, models):
    server, base_path = own
    (base_path / "not-a-number").mkdir()
    shutil.copytree(models / "2", base_path / ".pushing")
    (base_path / ".pushing").rename(base_path / "0000005")
    wait_until(lambda: server.version() == "5")

    (base_path / "0000005").rename(base_path / ".retired")
    (base_path / "1").rename(base_path / ".retired-1")

    wait_until(lambda: set(server.states().values()) == {"END"})
    reply = server.predict(GOOD)
    assert (reply.status, reply.json) == (404, {"error": "Servable not found for request: Latest(m)"})


def test_a_crash_during_a_swap_loses_nothing(models, tmp_path):
    shutil.copytree(models / "1", tmp_path / "1")
    server = start(tmp_path)
    publish(models, tmp_path, 2)

    # At whatever moment of the swap.
    server.process.send_signal(signal.SIGKILL)
    server.process.wait()
    again = start(tmp_path)

    assert again.predict(GOOD).json == {"predictions": [3.0]}
    assert stop(again) == 0


def test_a_first_version_that_cannot_load_ends_the_server(models, tmp_path):
    shutil.copytree(models / "3", tmp_path / "3")

    done = subprocess.run(
        [sys.executable, "-m", "serving", "--server", "embedded", "--model-base-path", str(tmp_path),
         "--load-retries", "1", "--load-retry-seconds", "0.1"],
        cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip

    assert done.returncode == 1
    assert done.stderr.count("Version 3 of model cannot be loaded") == 2
    assert "error: version 3 of model cannot be loaded" in done.stderr.splitlines()[-1]


def test_sigterm_while_nothing_is_served_yet_is_a_clean_end(tmp_path):
    command = [sys.executable, "-m", "serving", "--server", "embedded", "--model-base-path", str(tmp_path)]
    with subprocess.Popen(command, cwd=REPOSITORY, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        wait_until(lambda: "is waiting for a first version" in process.stderr.readline())
        process.terminate()

        assert process.wait(timeout=30) == 0
