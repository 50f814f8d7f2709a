"""Several models, version policies and labels: rules of the configuration, then a live server."""

import shutil

import grpc
import pytest
from google.protobuf import text_format

from serving.errors import OptionsError, ServingError
from serving.servables import config as model_config
from serving.servables.config import Policy
from tests.helpers.model_server import launch, stop, wait_for, wait_until
from tests.serving.conftest import publish

GOOD = '{"instances": [1]}'


def parse(text: str):
    from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

    return model_config.from_message(text_format.Parse(text, ModelServerConfig()))


def config(fields: str) -> str:
    return f"model_config_list {{ config {{ {fields} }} }}"


@pytest.mark.parametrize(
    ("policy", "chosen"),
    [
        ("", [7]),
        ("model_version_policy { latest {} }", [7]),
        ("model_version_policy { latest { num_versions: 2 } }", [3, 7]),
        ("model_version_policy { all {} }", [1, 3, 7]),
        ("model_version_policy { specific { versions: 1 versions: 7 versions: 9 } }", [1, 7]),
    ],
)
def test_policies(tmp_path, policy, chosen):
    for name in ("1", "003", "7", ".8", "9x", "latest"):
        (tmp_path / name).mkdir()
    (only,) = parse(config(f'name: "m" base_path: "{tmp_path}" {policy}'))

    found = model_config.find_versions(tmp_path)

    assert found is not None
    assert sorted(only.policy.choose(found)) == chosen
    assert found[3] == tmp_path / "003"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Expected a model_config_list"),
        (config('base_path: "/m"'), "has no name"),
        (config('name: "m" base_path: "models/m"'), "base_path: expected an absolute path on this machine"),
        (config('name: "m" base_path: "https://host/m"'), "expected the URL of a folder in an object store, one of s3"),
        (config('name: "m" base_path: "s3:///m"'), "expected the URL of a folder in an object store, one of s3"),
        (config('name: "m" base_path: "s3://key:secret@bucket/m"'), "credentials belong into the environment"),
        (config('name: "m" base_path: "/m" model_platform: "pytorch"'), "model_platform must be 'tensorflow'"),
        (config('name: "m" base_path: "/m" logging_config {}'), "logging_config is not supported"),
        (config('name: "m" base_path: "/m" version_labels { key: "a-b" value: 1 }'), "Received: 'a-b'"),
        (config('name: "m" base_path: "/m" model_version_policy { specific {} }'), "at least one of versions"),
        ('model_config_list { config { name: "m" base_path: "/m" } config { name: "m" base_path: "/n" } }',
         "Illegal to list model m multiple times"),
    ],
)  # fmt: skip
def test_rules(text, message):
    with pytest.raises(ServingError, match="") as caught:
        parse(text)

    assert message in str(caught.value)


def test_a_wrong_file_is_wrong_usage(tmp_path):
    file = tmp_path / "models.config"
    file.write_text("model_config_list { config { nome: 'm' } }")

    with pytest.raises(OptionsError, match=r"--model-config-file .*models.config: .*nome"):
        model_config.read_file(file)


def test_the_default_policy_is_the_latest():
    assert Policy() == Policy(latest=1)


@pytest.fixture
def two(models, tmp_path):
    """A server of two models from a file: a with both versions and labels, b with the latest of two."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        publish(models, tmp_path / name, 1)
        publish(models, tmp_path / name, 2)
    file = tmp_path / "models.config"
    file.write_text(configured(tmp_path, {"stable": 1, "canary": 2, "newest": 2}))
    server = wait_for(
        launch(
            tmp_path,
            "--model-config-file",
            str(file),
            "--model-config-file-poll-seconds",
            "0.1",
            "--poll-seconds",
            "0.1",
        ),
        "a",
    )
    yield server, tmp_path, file
    assert stop(server) == 0


def configured(folder, labels, more="") -> str:
    listed = " ".join(f'version_labels {{ key: "{key}" value: {value} }}' for key, value in labels.items())
    return f"""model_config_list {{
        config {{ name: "a" base_path: "{folder}/a" model_version_policy {{ all {{}} }} {listed} }}
        config {{ name: "b" base_path: "{folder}/b" }} {more} }}"""


def test_models_labels_and_reloads(two):
    from tensorflow_serving.apis import model_management_pb2, model_service_pb2_grpc

    server, folder, file = two

    def answer(where: str):
        reply = server.predict(GOOD, where)
        return reply.json.get("predictions") or (reply.status, reply.json["error"])

    # At the start: labels by name, no label by default, versions by policy.
    assert [answer(f"a/labels/{label}") for label in ("stable", "canary", "newest")] == [[2.0], [3.0], [3.0]]
    assert answer("a") == [3.0]
    assert answer("a/versions/1") == [2.0]
    assert answer("b/versions/1") == (404, "Servable not found for request: Specific(b, 1)")
    assert answer("a/labels/other") == (400, "Unrecognized servable version label: other")
    assert answer("b/labels/stable") == (400, "Unrecognized servable version label: stable")
    metadata = server.ask("/v1/models/a/labels/stable/metadata").json
    assert metadata["model_spec"]["version"] == "1"
    assert list(server.states("a")) == ["2", "1"]

    # The file is read again: a label moves; a wrong file changes nothing.
    file.write_text(configured(folder, {"stable": 2, "canary": 2}))
    wait_until(lambda: answer("a/labels/stable") == [3.0])
    assert answer("a/labels/newest") == (400, "Unrecognized servable version label: newest")
    file.write_text("model_config_list {")
    wait_until(lambda: "Nothing is changed" in server.log.read_text())
    file.write_text(configured(folder, {"stable": 9}))
    wait_until(lambda: "Request to assign label to version 9 of model a" in server.log.read_text())
    assert answer("a/labels/stable") == [3.0]

    # Over gRPC: a list replaces the list; what is not in it is unloaded, its status stays.
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        reload = model_service_pb2_grpc.ModelServiceStub(channel).HandleReloadConfigRequest
        request = model_management_pb2.ReloadConfigRequest()
        text = f'model_config_list {{ config {{ name: "c" base_path: "{folder}/b" }} }}'
        file.write_text(text)
        text_format.Parse(text, request.config)
        assert reload(request, timeout=60).status.error_code == 0
        assert answer("c") == [3.0]
        wait_until(lambda: answer("a") == (404, "Servable not found for request: Latest(a)"))
        wait_until(lambda: server.states("a") == {"2": "END", "1": "END"})

        request.config.Clear()
        text_format.Parse('model_config_list { config { name: "d" base_path: "relative" } }', request.config)
        with pytest.raises(grpc.RpcError, match="absolute path") as refused:
            reload(request, timeout=60)
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert answer("c") == [3.0]

    # A base path that is missing stops changes for every model.
    shutil.move(folder / "b", folder / "gone")
    wait_until(lambda: "Could not find base path" in server.log.read_text())
    assert answer("c") == [3.0]
