"""TLS for REST and gRPC: with a certificate, with clients' certificates, with new ones while the server runs."""

import http.client
import json
import shutil
import socket
import ssl
import subprocess
import sys
import urllib.request

import grpc
import pytest

from serving import tls
from serving.errors import OptionsError
from tests.helpers.certificates import Authority
from tests.helpers.model_server import REPOSITORY, launch, stop, wait_until
from tests.helpers.ports import free_port
from tests.serving.test_grpc import predict_request


@pytest.fixture(scope="module")
def authority():
    return Authority("one")


@pytest.fixture(scope="module")
def other():
    return Authority("other")


@pytest.fixture(scope="module")
def base_path(models, tmp_path_factory):
    folder = tmp_path_factory.mktemp("base")
    shutil.copytree(models / "1", folder / "1")
    return folder


def client_context(authority, folder, pair=None) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=authority.certificate.decode())
    if pair is not None:
        (folder / "client.pem").write_bytes(pair.key + pair.certificate)
        context.load_cert_chain(folder / "client.pem")
    return context


def over_grpc(address: str, authority, pair=None) -> list[float]:
    import tensorflow as tf
    from tensorflow_serving.apis import prediction_service_pb2_grpc

    key, chain = (pair.key, pair.certificate) if pair else (None, None)
    with grpc.secure_channel(address, grpc.ssl_channel_credentials(authority.certificate, key, chain)) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        answer = stub.Predict(predict_request("serving_default", x=[1.5]), timeout=30)
    return tf.make_ndarray(answer.outputs["y"]).tolist()


class Running:
    """A server of TLS that asks for clients' certificates."""

    def __init__(self, folder, base_path, authority) -> None:
        self.folder = folder
        self.certificate, self.key, self.ca = folder / "server.crt", folder / "server.key", folder / "ca.crt"
        self.put(authority.issue("server"))
        self.ca.write_bytes(authority.certificate)
        self.server = launch(
            folder, "--model-name", "m", "--model-base-path", str(base_path), "--tls-certificate",
            str(self.certificate), "--tls-key", str(self.key), "--tls-client-ca", str(self.ca),
            "--max-body-bytes", "1000",
        )  # fmt: skip
        wait_until(lambda: "Serving m" in self.said() or self.server.process.poll() is not None)
        self.grpc = f"127.0.0.1:{self.server.grpc_port}"

    def said(self) -> str:
        return self.server.log.read_text()

    def put(self, pair) -> None:
        """Replaces both files, each by one rename."""
        for file, content in ((self.certificate, pair.certificate), (self.key, pair.key)):
            file.with_suffix(".new").write_bytes(content)
            file.with_suffix(".new").rename(file)

    def ask(self, context, body=b'{"instances": [1.5]}', **headers):
        connection = http.client.HTTPSConnection("127.0.0.1", self.server.port, context=context, timeout=30)
        connection.request("POST", "/v1/models/m:predict", body, headers)
        return connection.getresponse()


@pytest.fixture(scope="module")
def running(base_path, authority, tmp_path_factory):
    running = Running(tmp_path_factory.mktemp("tls"), base_path, authority)
    yield running
    assert stop(running.server) == 0


def test_a_client_with_a_certificate_is_answered_over_rest_and_grpc(running, authority, tmp_path):
    client = authority.issue("client")

    answer = running.ask(client_context(authority, tmp_path, client))

    assert f"https://127.0.0.1:{running.server.port}/v1/models/" in running.said()
    assert (answer.status, json.load(answer)) == (200, {"predictions": [3.0]})
    assert over_grpc(running.grpc, authority, client) == [3.0]


def test_a_client_without_a_certificate_or_with_anothers_is_refused(running, authority, other, tmp_path):
    for stranger in (None, other.issue("client")):
        with pytest.raises((ssl.SSLError, ConnectionError, http.client.RemoteDisconnected)):
            running.ask(client_context(authority, tmp_path, stranger))
        with pytest.raises(grpc.RpcError):
            over_grpc(running.grpc, authority, stranger)


def test_a_client_that_speaks_no_tls_gets_nothing(running):
    with socket.create_connection(("127.0.0.1", running.server.port), timeout=30) as plain:
        plain.sendall(b"GET /v1/models/m HTTP/1.1\r\n\r\n")
        try:
            answer = plain.recv(1000)
        except ConnectionError:
            answer = b""

    assert b"HTTP" not in answer


def test_connections_end_in_order_under_tls(running, authority, tmp_path):
    context = client_context(authority, tmp_path, authority.issue("client"))

    closed = running.ask(context, Connection="close")
    too_large = running.ask(context, b"x" * 5000)

    assert json.load(closed) == {"predictions": [3.0]}
    assert (too_large.status, "limit of 1000 bytes" in json.load(too_large)["error"]) == (413, True)


def test_a_new_certificate_is_taken_up_while_the_server_runs(running, authority, other, tmp_path):
    client = authority.issue("client")
    old = client_context(authority, tmp_path, client)
    kept = http.client.HTTPSConnection("127.0.0.1", running.server.port, context=old, timeout=30)
    kept.request("GET", "/v1/models/m")
    assert kept.getresponse().read()

    running.certificate.write_bytes(b"broken")
    wait_until(lambda: "--tls-certificate: nothing is changed" in running.said())
    assert running.ask(old).status == 200

    running.put(other.issue("server"))
    wait_until(lambda: "--tls-certificate: the new content is in use" in running.said())
    new = client_context(other, tmp_path, client)

    def answers() -> bool:
        try:
            return running.ask(new).status == 200
        except ssl.SSLError:
            return False

    wait_until(answers)
    assert over_grpc(running.grpc, other, client) == [3.0]
    with pytest.raises(ssl.SSLError):
        running.ask(old)
    kept.request("GET", "/v1/models/m")
    assert kept.getresponse().status == 200


def ssl_config(file, pair, ca=b"", *, verify=False):
    """Writes what tensorflow_model_server reads: PEM text in the fields themselves."""
    fields = {"server_key": pair.key, "server_cert": pair.certificate, "custom_ca": ca}
    quoted = "".join(f"{name}: {json.dumps(value.decode())}\n" for name, value in fields.items() if value)
    file.write_text(f"{quoted}client_verify: {str(verify).lower()}\n")
    return file


@pytest.mark.parametrize("verify", [False, True])
def test_the_stock_ssl_config_file_secures_grpc_and_leaves_rest_as_it_is(verify, base_path, authority, tmp_path):
    file = ssl_config(tmp_path / "ssl.pbtxt", authority.issue("server"), authority.certificate, verify=verify)
    rest, port = free_port(), free_port()
    command = [sys.executable, "-m", "serving", f"--port={port}", f"--rest_api_port={rest}", "--model_name=m",
               f"--model_base_path={base_path}", f"--ssl_config_file={file}"]  # fmt: skip
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline().startswith("Serving m (version 1)")
            with urllib.request.urlopen(f"http://127.0.0.1:{rest}/v1/models/m", timeout=60) as answer:
                assert answer.status == 200
            assert over_grpc(f"127.0.0.1:{port}", authority, authority.issue("client")) == [3.0]
            if verify:
                with pytest.raises(grpc.RpcError):
                    over_grpc(f"127.0.0.1:{port}", authority)
            else:
                assert over_grpc(f"127.0.0.1:{port}", authority) == [3.0]
        finally:
            process.terminate()


def test_files_that_are_no_pair_are_refused_in_words(authority, tmp_path):
    one, two = authority.issue("one"), authority.issue("two")
    certificate, key = tmp_path / "crt", tmp_path / "key"
    certificate.write_bytes(one.certificate)
    for content, words in (
        (two.key, "no pair in PEM"), (b"", "no pair in PEM"), (one.encrypted(b"secret"), "the key is encrypted"),
    ):  # fmt: skip
        key.write_bytes(content)
        with pytest.raises(OptionsError, match=f"^--tls-certificate: .*{words}"):
            tls.from_files(certificate, key, None)
    key.write_bytes(one.key)
    for ca in (b"", b"\xff", b"no certificate"):
        (tmp_path / "ca").write_bytes(ca)
        with pytest.raises(OptionsError, match="no certificates in PEM"):
            tls.from_files(certificate, key, tmp_path / "ca")


def test_an_ssl_config_without_its_fields_is_refused_in_words(authority, tmp_path):
    pair, file = authority.issue("server"), tmp_path / "ssl.pbtxt"

    with pytest.raises(OptionsError, match=r"^--ssl-config-file: .* has no custom_ca\.$"):
        tls.from_ssl_config(ssl_config(file, pair, verify=True))
    file.write_text('server_key: "x"')
    with pytest.raises(OptionsError, match="has no server_cert"):
        tls.from_ssl_config(file)
    file.write_text("certificate: 'x'")
    with pytest.raises(OptionsError, match="is no SSLConfig in text form"):
        tls.from_ssl_config(file)
