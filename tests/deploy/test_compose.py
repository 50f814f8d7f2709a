"""The Compose file, as far as it can be checked without a container engine."""

import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import yaml

from tests.deploy.conftest import DEPLOY

# Source: TensorFlow Serving, model_servers/main.cc; those of its flags that concern a deployment.
FLAGS = {
    "port",
    "rest_api_port",
    "rest_api_timeout_in_ms",
    "model_config_file",
    "model_config_file_poll_wait_seconds",
    "allow_version_labels_for_unavailable_models",
    "enable_batching",
    "batching_parameters_file",
    "monitoring_config_file",
}


@pytest.fixture(scope="module")
def service():
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["tensorflow-serving"]


def flags(arguments):
    """The server's flags as a dict."""
    return dict(argument.removeprefix("--").split("=", 1) for argument in arguments)


@pytest.mark.parametrize("name", ["compose.yaml", "compose.monitoring.yaml"])
def test_it_fits_the_compose_schema(checker, name):
    status, said = checker(
        "check-jsonschema==0.39.0",
        "check-jsonschema",
        "--builtin-schema",
        "vendor.compose-spec",
        DEPLOY / name,
    )

    assert status == 0, said


def test_the_image_is_pinned_and_the_server_knows_every_flag(service):
    assert service["image"] == "tensorflow/serving:2.21.0"
    assert service["entrypoint"] == ["tensorflow_model_server"]
    assert set(flags(service["command"])) <= FLAGS


def test_every_file_that_a_flag_names_is_mounted(service):
    mounts = {volume["target"]: volume for volume in service["volumes"]}
    assert all(volume["read_only"] and not volume["bind"]["create_host_path"] for volume in mounts.values())
    for flag, path in flags(service["command"]).items():
        if flag.endswith("_file"):
            folder, name = path.rsplit("/", 1)
            source = mounts[folder]["source"]
            # The rendered configuration is written by labels.py, by default to where this default points.
            assert source == "${RENDERED:-./rendered}" if "rendered" in folder else (DEPLOY / source / name).is_file()


def test_only_this_machine_reaches_the_ports_and_they_are_the_server_s(service):
    published = [port.rsplit(":", 1) for port in service["ports"]]
    assert all(outside.startswith("127.0.0.1:") for outside, _ in published)
    given = flags(service["command"])
    assert [inside for _, inside in published] == [given["port"], given["rest_api_port"]]


@pytest.mark.parametrize(
    ("status", "state", "expected"), [(200, "AVAILABLE", 0), (200, "LOADING", 1), (404, "none", 1), (None, "none", 1)]
)
def test_the_health_check_tells_whether_a_version_is_available(status, state, expected):
    class Status(BaseHTTPRequestHandler):
        def do_GET(self):
            assert self.path == "/v1/models/taxi"
            self.send_response(status)
            self.end_headers()
            self.wfile.write(f'{{"model_version_status": [{{"version": "1",\n  "state": "{state}"}}]}}'.encode())

        def log_message(self, *args):
            pass

    with HTTPServer(("127.0.0.1", 0), Status) as server:
        port = server.server_port
        if status is not None:
            threading.Thread(target=server.serve_forever, daemon=True).start()
        else:
            server.server_close()
        script = DEPLOY / "tensorflow-serving" / "healthy.sh"
        done = subprocess.run(["bash", script, "taxi", str(port)], capture_output=True, check=False, timeout=20)
        if status is not None:
            server.shutdown()

    assert done.returncode == expected
