"""Bearer tokens over REST and gRPC: RFC 6750, and what probes may ask without one."""

import os
import shutil
import socket

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from serving import tokens
from serving.errors import OptionsError
from tests.helpers.model_server import launch, stop, wait_until
from tests.serving.test_grpc import predict_request

OLD, NEW = "old-token-0123456789", "new.token~0123456789+/="
BODY = {"instances": [1.5]}


@pytest.fixture(scope="module")
def guarded(models, tmp_path_factory):
    folder = tmp_path_factory.mktemp("guarded")
    shutil.copytree(models / "1", folder / "base" / "1")
    (folder / "tokens").write_text(f"{OLD}\n")
    where = ("--model-name", "m", "--model-base-path", str(folder / "base"))
    server = launch(folder, *where, "--auth-token-file", str(folder / "tokens"), "--cors", "--grpc-reflection")
    wait_until(lambda: "Serving m" in server.log.read_text() or server.process.poll() is not None)
    yield server, folder / "tokens"
    assert stop(server) == 0


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize(
    "headers",
    [{}, bearer("x" * 20), bearer(OLD + "x"), bearer(OLD[:-1]), bearer(""), {"Authorization": OLD},
     {"Authorization": f"Basic {OLD}"}, {"Authorization": f"BearerX{OLD}"}],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/v1/models/m:predict", "/v1/models/m", "/monitoring/prometheus/metrics", "/other"])
def test_a_request_without_a_known_token_is_401(guarded, headers, path):
    reply = guarded[0].ask(path, BODY if path.endswith("predict") else None, headers=headers)

    assert reply.status == 401
    assert reply.json == {"error": "Expected a bearer token that this server knows"}
    assert reply.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_a_known_token_is_answered(guarded, scheme):
    reply = guarded[0].ask("/v1/models/m:predict", BODY, headers={"Authorization": f"{scheme} {OLD}"})

    assert (reply.status, reply.json) == (200, {"predictions": [3.0]})


def test_probes_and_preflights_need_none(guarded):
    server = guarded[0]

    assert server.ask("/v2/health/live").json == {"live": True}
    assert server.ask("/v2/health/ready").json == {"ready": True}
    assert server.ask("/v2/health/ready/").status == server.ask("/v2/health/ready?x").status == 401
    preflight = server.ask("/v1/models/m:predict", method="OPTIONS", headers={"Origin": "http://page"})
    assert (preflight.status, preflight.headers["access-control-allow-headers"]) == (200, "Content-Type, Authorization")
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        check = health_pb2_grpc.HealthStub(channel).Check
        assert check(health_pb2.HealthCheckRequest(), timeout=30).status == 1


def test_a_stranger_is_refused_before_its_body_is_received(guarded):
    with socket.create_connection(("127.0.0.1", guarded[0].port), timeout=30) as stranger:
        stranger.sendall(b"POST /v1/models/m:predict HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")

        assert stranger.recv(1000).startswith(b"HTTP/1.1 401 Unauthorized\r\n")


@pytest.mark.parametrize(
    "metadata", [[], [("authorization", f"Bearer {OLD}x")], [("authorization", f"Bearer {OLD}")] * 2]
)
def test_a_call_without_a_known_token_is_unauthenticated(guarded, metadata):
    with grpc.insecure_channel(f"127.0.0.1:{guarded[0].grpc_port}") as channel:
        for path in ("/tensorflow.serving.PredictionService/Predict", "/tensorflow.serving.ModelService/GetModelStatus",
                     "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", "/none/None"):  # fmt: skip
            with pytest.raises(grpc.RpcError) as caught:
                channel.unary_unary(path)(b"", metadata=metadata, timeout=30)
            assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_tokens_are_replaced_while_the_server_runs(guarded):
    import tensorflow as tf
    from tensorflow_serving.apis import prediction_service_pb2_grpc

    server, file = guarded
    file.with_suffix(".new").write_text(f"{OLD}\n\n{NEW}\n")
    os.replace(file.with_suffix(".new"), file)

    assert [server.ask("/v1/models/m", headers=bearer(token)).status for token in (OLD, NEW)] == [200, 200]
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        metadata = [("authorization", f"Bearer {NEW}")]
        answer = stub.Predict(predict_request("serving_default", x=[1.5]), metadata=metadata, timeout=30)
    assert tf.make_ndarray(answer.outputs["y"]).tolist() == [3.0]

    file.write_text("")
    assert server.ask("/v1/models/m", headers=bearer(NEW)).status == 200
    assert "--auth-token-file: nothing is changed" in server.log.read_text()
    assert OLD not in server.log.read_text()
    file.write_text(f"{OLD}\n")
    assert server.ask("/v1/models/m", headers=bearer(NEW)).status == 401


@pytest.mark.parametrize(
    "text", ["", "\n \n", "short", "x" * 15, "with space 0123456789", "äöü0123456789abcdef", "=" * 20]
)
def test_what_is_no_token_is_refused_without_showing_it(text, tmp_path):
    (tmp_path / "tokens").write_text(text)

    for make in (lambda: tokens.from_file(tmp_path / "tokens"), lambda: tokens.from_environment("TOKEN", text)):
        with pytest.raises(OptionsError) as caught:
            make()
        assert "holds no token" in str(caught.value) or "expected at least 16 characters" in str(caught.value)
        assert not text.strip() or text not in str(caught.value)
