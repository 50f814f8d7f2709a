"""Small requests whose work costs less than a thread's hand-over are answered on the event loop, and only those."""

import json
import math
import socket

import pytest

from serving.http.rest import Call, RestService
from serving.metrics import Metrics
from serving.servables.batching import BatchingParameters, BatchScheduler
from serving.servables.config import ModelConfig
from serving.servables.loaded_model import LoadedModel
from serving.servables.registry import ModelRegistry
from serving.servables.versions import Retries
from tests.helpers import saved_models
from tests.helpers.model_server import start, stop

CALL = Call("m", None, None, "predict")
BODY = b'{"instances": [1.5]}'


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A base path with a model whose graph neither loops nor waits."""
    folder = tmp_path_factory.mktemp("plain")
    saved_models.save(folder / "1", 2.0, "serving_default", "mixed")
    return folder


@pytest.fixture
def service():
    registries = []

    def make(base_path, **options):
        registry = ModelRegistry(lambda _, folder: LoadedModel(folder, **options), retries=Retries(count=0))
        registries.append(registry)
        registry.configure([ModelConfig("m", base_path)])
        return RestService(registry, Metrics(), max_values=10**6)

    yield make
    for registry in registries:
        registry.close(wait=True)


def asked(service, seconds, monkeypatch):
    """Answers once; the clock says that it took so long."""
    clock = iter([0.0, 0.0, 0.0, seconds, seconds, seconds])
    monkeypatch.setattr("serving.http.rest.time.perf_counter", lambda: next(clock))
    answer = service.work(CALL, BODY, math.inf)
    monkeypatch.undo()
    assert json.loads(answer.body) == {"predictions": [3.0]}


def test_what_was_quick_before_is_quick(plain, service, monkeypatch):
    asked_for = service(plain)

    assert not asked_for.is_quick(CALL, len(BODY))  # Nothing is known yet.
    asked(asked_for, 0.001, monkeypatch)
    assert asked_for.is_quick(CALL, len(BODY))
    assert not asked_for.is_quick(CALL, 100_000)
    assert not asked_for.is_quick(Call("m", None, None, "regress"), len(BODY))


def test_a_slow_answer_is_remembered(plain, service, monkeypatch):
    asked_for = service(plain)
    asked(asked_for, 0.02, monkeypatch)

    # 0.02 s fade to 0.002 s in 76 steps: 0.97 ** 76 = 0.099.
    for _ in range(75):
        asked(asked_for, 0.001, monkeypatch)
        assert not asked_for.is_quick(CALL, len(BODY))
    asked(asked_for, 0.001, monkeypatch)
    assert asked_for.is_quick(CALL, len(BODY))


@pytest.mark.parametrize("signature", ["count", "file"])
def test_graphs_that_may_wait_are_never_quick(signature, service, tmp_path):
    saved_models.save(tmp_path / "1", 2.0, "serving_default", signature)
    asked_for = service(tmp_path)

    assert json.loads(asked_for.work(CALL, BODY, math.inf).body) == {"predictions": [3.0]}
    assert not asked_for.is_quick(CALL, len(BODY))


def test_batches_are_never_quick(plain, service):
    asked_for = service(plain, batched=BatchScheduler(BatchingParameters(), lambda _: None).batched)

    assert json.loads(asked_for.work(CALL, BODY, math.inf).body) == {"predictions": [3.0]}
    assert not asked_for.is_quick(CALL, len(BODY))


def test_requests_sent_ahead_are_answered_in_their_order(plain):
    server = start(plain)
    try:
        bodies = [json.dumps({"instances": [number]}) for number in range(40)]
        head = "POST /v1/models/m:predict HTTP/1.1\r\nHost: m\r\nContent-Length: {}\r\n\r\n"
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            for _ in range(3):  # First in threads; then one of each packet on the event loop.
                client.sendall("".join(head.format(len(body)) + body for body in bodies).encode())
                received = b""
                while received.count(b"predictions") < len(bodies):
                    received += client.recv(2**16)
                answers = [part.split(b"]}")[0] for part in received.split(b'{"predictions": [')[1:]]
                assert answers == [f"{2.0 * number}".encode() for number in range(40)]
    finally:
        assert stop(server) == 0
