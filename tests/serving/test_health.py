"""grpc.health.v1 as Kubernetes' probes ask it, with its package's own client."""

import os
import shutil
import signal

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.helpers.model_server import start, stop
from tests.serving.conftest import publish

SERVING, NOT_SERVING, UNKNOWN = 1, 2, 3


def request(service: str = ""):
    return health_pb2.HealthCheckRequest(service=service)


@pytest.fixture
def changing(models, tmp_path):
    shutil.copytree(models / "1", tmp_path / "base" / "1")
    running = start(tmp_path / "base")
    with grpc.insecure_channel(f"127.0.0.1:{running.grpc_port}") as channel:
        yield running, tmp_path / "base", channel
    stop(running)


def test_health_follows_the_models(models, changing):
    server, base_path, channel = changing
    stub = health_pb2_grpc.HealthStub(channel)

    states = {
        name: stub.Check(request(name), timeout=30).status
        for name in ("", "m", "tensorflow.serving.PredictionService", "PredictionService")
    }
    assert set(states.values()) == {SERVING}
    with pytest.raises(grpc.RpcError) as caught:
        stub.Check(request("none"), timeout=30)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND

    model, none = (stub.Watch(request(name), timeout=60) for name in ("m", "none"))
    assert (next(model).status, next(none).status) == (SERVING, UNKNOWN)
    shutil.rmtree(base_path / "1")
    assert next(model).status == NOT_SERVING
    assert stub.Check(request(), timeout=30).status == NOT_SERVING
    publish(models, base_path, 2)
    assert next(model).status == SERVING
    os.kill(server.process.pid, signal.SIGTERM)
    assert next(model).status == NOT_SERVING
