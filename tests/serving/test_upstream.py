"""What TensorFlow Serving's own end-to-end tests show of its program, as a table of ours, started by the stock flags.

Their 30 tests and one that they keep for later, by their names:
tensorflow_serving/model_servers/tensorflow_model_server_test.py, mid-2026. Where `tensorflow_model_server` is on the
path, it is asked the same. Three rows differ by choice: docs/serving.md, "What differs", says why.
"""

import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest

from tests.helpers import half_plus
from tests.helpers.model_server import REPOSITORY, Server, wait_for, wait_until
from tests.helpers.ports import free_port
from tests.serving.conftest import SERVERS

MONITORING = 'prometheus_config { enable: true path: "/monitoring/prometheus/metrics" }'
ROWS = {
    "test_get_model_status": ["testGetModelStatus"],
    "test_get_model_metadata": ["testGetModelMetadata"],
    "test_classify": ["testClassify", "testClassifyTf2"],
    "test_regress": ["testRegress", "testRegressTf2"],
    "test_multi_inference": ["testMultiInference", "testMultiInferenceTf2"],
    "test_predict": [
        "testPredictSavedModel",
        "testGoodModelConfig",
        "testGoodGrpcChannelArgs",
        "test_tf_saved_model_save",
        "test_tf_saved_model_save_multiple_signatures",
        "test_sequential_keras_saved_model_save",
        "test_distrat_sequential_keras_saved_model_save",
    ],
    "test_a_bad_model_is_not_served": ["_TestBadModel"],
    "test_a_bad_model_config_ends_the_server": ["testBadModelConfig"],
    "test_a_model_config_is_read_again_where_the_flag_says_so_and_only_there": [
        "testModelConfigReload",
        "testModelConfigReloadWithZeroPollPeriod",
    ],
    "test_rest": [
        "testClassifyREST",
        "testRegressREST",
        "testPredictREST",
        "testPredictColumnarREST",
        "testGetStatusREST",
    ],
    "test_metadata_over_rest": ["testGetModelMetadataREST"],
    "test_prometheus": ["testPrometheusEndpoint"],
    "test_predict_over_a_unix_socket": ["testPredictUDS"],
    "test_a_tf_lite_model_is_refused_in_words": ["testPredictOnTfLite", "testPredictWithSignatureDefOnTfLite"],
    "test_there_is_no_profiler_service": ["test_profiler_service_with_valid_trace_request"],
    "test_a_model_with_an_operation_of_its_own_answers_as_in_tensorflow": ["test_tf_text"],
}  # Their tests by ours.
MODELS = {
    "default": lambda folder: half_plus.save_tf1(folder, 2.0),
    "tf2": lambda folder: half_plus.save_tf2(folder, 2.0),
    "half_plus_three": lambda folder: half_plus.save_tf1(folder, 3.0),
    "concrete": half_plus.save_concrete,
    "constants": half_plus.save_constants,
    "keras": half_plus.save_keras,
    "distributed": lambda folder: half_plus.save_keras(folder, distributed=True),
}


@dataclass
class Stock:
    """A server that was started by the stock flags."""

    server: Server
    socket: Path

    def stub(self, service: str, address: str = ""):
        from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

        channel = grpc.insecure_channel(address or f"127.0.0.1:{self.server.grpc_port}")
        kinds = {
            "predict": prediction_service_pb2_grpc.PredictionServiceStub,
            "model": model_service_pb2_grpc.ModelServiceStub,
        }
        return kinds[service](channel)

    def predict(self, model="default", signature="serving_default", shape=(1,), output_filter=(), address=""):
        """Sends x = 2 in `float_val`; returns y, which must come in `float_val` too, and the version."""
        from tensorflow_serving.apis import predict_pb2

        request = predict_pb2.PredictRequest(output_filter=output_filter)
        request.model_spec.name, request.model_spec.signature_name = model, signature
        request.inputs["x"].dtype = 1
        request.inputs["x"].float_val.append(2.0)
        for size in shape:
            request.inputs["x"].tensor_shape.dim.add().size = size
        response = self.stub("predict", address).Predict(request, timeout=60)
        assert (response.model_spec.name, response.model_spec.signature_name) == (model, signature)
        assert (list(response.outputs), response.outputs["y"].dtype) == (["y"], 1)
        (y,) = response.outputs["y"].float_val
        return y, response.model_spec.version.value

    def from_example(self, method: str, model: str):
        """Sends one example with x = 2 to the signature of that method."""
        from tensorflow_serving.apis import classification_pb2, regression_pb2

        request = {"Classify": classification_pb2.ClassificationRequest, "Regress": regression_pb2.RegressionRequest}[
            method
        ]()
        spec = request.model_spec
        spec.name, spec.signature_name = model, f"{method.lower()}_x_to_y"
        request.input.example_list.examples.add().features.feature["x"].float_list.value.append(2.0)
        response = getattr(self.stub("predict"), method)(request, timeout=60)
        assert (response.model_spec.name, response.model_spec.signature_name) == (model, spec.signature_name)
        assert response.model_spec.version.value == 123
        return response.result


def command(kind: str, *flags: str) -> list[str]:
    return [sys.executable, "-m", "serving", "--server", kind, *flags]


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("upstream")
    for name, save in MODELS.items():
        save(folder / name / "00000123")
    return folder


def config(saved: Path, *names: str) -> str:
    listed = [f'config {{ name: "{name}" base_path: "{saved / name}" model_platform: "tensorflow" }}' for name in names]
    return f"model_config_list {{ {' '.join(listed)} }}"


def launch(kind: str, folder: Path, *flags: str) -> Stock:
    port, rest = free_port(), free_port()
    line = command(
        kind, f"--port={port}", f"--rest_api_port={rest}", "--rest_api_timeout_in_ms=30000",
        f"--grpc_socket_path={folder / 'socket'}", *flags,
    )  # fmt: skip
    log = folder / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(line, cwd=REPOSITORY, stdout=output, stderr=output)
    return Stock(Server(f"http://127.0.0.1:{rest}", rest, port, process, log, kind), folder / "socket")


def end(stock: Stock) -> None:
    stock.server.process.terminate()
    assert stock.server.process.wait(timeout=60) in (0, -signal.SIGTERM)


@pytest.fixture(scope="module", params=SERVERS)
def stock(request, saved, tmp_path_factory):
    folder = tmp_path_factory.mktemp("stock")
    (folder / "models").write_text(config(saved, *MODELS))
    (folder / "monitoring").write_text(MONITORING)
    running = launch(
        request.param, folder, f"--model_config_file={folder / 'models'}", "--model_config_file_poll_wait_seconds=0",
        f"--monitoring_config_file={folder / 'monitoring'}",
        "--grpc_channel_arguments=grpc.max_connection_age_ms=2000,grpc.lb_policy_name=grpclb",
    )  # fmt: skip
    wait_for(running.server, "default")
    yield running
    end(running)


def test_get_model_status(stock):
    from tensorflow_serving.apis import get_model_status_pb2

    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "default"
    (status,) = stock.stub("model").GetModelStatus(request, timeout=60).model_version_status

    assert (status.version, status.status.error_code) == (123, 0)


def test_get_model_metadata(stock):
    from tensorflow_serving.apis import get_model_metadata_pb2

    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "default"
    response = stock.stub("predict").GetModelMetadata(request, timeout=60)

    assert (response.model_spec.name, response.model_spec.version.value) == ("default", 123)
    assert list(response.metadata) == ["signature_def"]


@pytest.mark.parametrize("model", ["default", "tf2"])
def test_classify(stock, model):
    (classified,) = stock.from_example("Classify", model).classifications

    assert [entry.score for entry in classified.classes] == [3.0]


@pytest.mark.parametrize("model", ["default", "tf2"])
def test_regress(stock, model):
    assert [entry.value for entry in stock.from_example("Regress", model).regressions] == [3.0]


@pytest.mark.parametrize("model", ["default", "tf2"])
def test_multi_inference(stock, model):
    from tensorflow_serving.apis import inference_pb2

    request = inference_pb2.MultiInferenceRequest()
    for method in ("regress", "classify"):
        task = request.tasks.add(method_name=f"tensorflow/serving/{method}")
        task.model_spec.name, task.model_spec.signature_name = model, f"{method}_x_to_y"
    request.input.example_list.examples.add().features.feature["x"].float_list.value.append(2.0)
    regressed, classified = stock.stub("predict").MultiInference(request, timeout=60).results

    assert regressed.regression_result.regressions[0].value == 3.0
    assert classified.classification_result.classifications[0].classes[0].score == 3.0
    for result, task in zip((regressed, classified), request.tasks, strict=True):
        spec = result.model_spec
        assert (spec.name, spec.signature_name) == (model, task.model_spec.signature_name)
        assert spec.version.value == 123


# testPredictSavedModel, testGoodModelConfig, testGoodGrpcChannelArgs, and those of tf.saved_model.save and Keras.
@pytest.mark.parametrize(
    ("upstream", "asked", "y"),
    [
        ("testPredictSavedModel", {"model": "default", "shape": (1, 1), "output_filter": ["y"]}, 3.0),
        ("testGoodModelConfig", {"model": "half_plus_three", "shape": (1, 1)}, 4.0),
        ("testGoodGrpcChannelArgs", {"model": "tf2"}, 3.0),
        ("test_tf_saved_model_save", {"model": "concrete"}, 12.0),
        (
            "test_tf_saved_model_save_multiple_signatures",
            {"model": "constants", "signature": "custom_signature_key"},
            2.0,
        ),
        ("test_tf_saved_model_save_multiple_signatures", {"model": "constants"}, 1.0),
        ("test_sequential_keras_saved_model_save", {"model": "keras", "shape": (1, 1)}, 2.0),
        ("test_distrat_sequential_keras_saved_model_save", {"model": "distributed", "shape": (1, 1)}, 2.0),
    ],
)
def test_predict(stock, upstream, asked, y):
    assert stock.predict(**asked) == (y, 123)


def test_predict_over_a_unix_socket(stock):
    assert stock.predict("tf2", address=f"unix:{stock.socket}") == (3.0, 123)


@pytest.mark.parametrize(
    ("path", "body", "answer"),
    [
        (
            "default:classify",
            {"signature_name": "classify_x_to_y", "examples": [{"x": 2.0}]},
            {"results": [[["", 3.0]]]},
        ),
        ("default:regress", {"signature_name": "regress_x_to_y", "examples": [{"x": 2.0}]}, {"results": [3.0]}),
        ("tf2:predict", {"instances": [2.0, 3.0, 4.0]}, {"predictions": [3.0, 3.5, 4.0]}),
        ("tf2:predict", {"inputs": [2.0, 3.0, 4.0]}, {"outputs": [3.0, 3.5, 4.0]}),
        (
            "default",
            None,
            {
                "model_version_status": [
                    {"version": "123", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
                ]
            },
        ),
    ],
)
def test_rest(stock, path, body, answer):
    reply = stock.server.ask(f"/v1/models/{path}", body)

    assert (reply.status, reply.json) == (200, answer)


def test_metadata_over_rest(stock):
    def tensor(name, dtype, *sizes):
        dims = [{"size": size, "name": ""} for size in sizes]
        return {"name": name, "dtype": dtype, "tensor_shape": {"dim": dims, "unknown_rank": False}}

    examples, x, y = (
        tensor("tf_example:0", "DT_STRING", "-1"),
        tensor("x:0", "DT_FLOAT", "-1", "1"),
        tensor("y:0", "DT_FLOAT", "-1", "1"),
    )
    answer = stock.server.ask("/v1/models/default/metadata").json
    signatures = answer["metadata"]["signature_def"]["signature_def"]
    for signature in signatures.values():
        signature.pop("defaults", None)

    assert answer["model_spec"] == {"name": "default", "signature_name": "", "version": "123"}
    assert signatures == {
        "serving_default": {"inputs": {"x": x}, "outputs": {"y": y}, "method_name": half_plus.PREDICT},
        "classify_x_to_y": {
            "inputs": {"inputs": examples},
            "outputs": {"scores": y},
            "method_name": half_plus.CLASSIFY,
        },
        "regress_x_to_y": {"inputs": {"inputs": examples}, "outputs": {"outputs": y}, "method_name": half_plus.REGRESS},
    }


def test_prometheus(stock):
    assert "# TYPE" in stock.server.ask("/monitoring/prometheus/metrics").body.decode()


@pytest.mark.parametrize("kind", SERVERS)
def test_a_bad_model_config_ends_the_server(kind, tmp_path):
    (tmp_path / "models").write_text("improper: file {")
    line = command(kind, f"--port={free_port()}", f"--model_config_file={tmp_path / 'models'}")

    done = subprocess.run(line, cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=False)

    assert done.returncode != 0
    assert "Error parsing text-format tensorflow.serving.ModelServerConfig" in done.stdout + done.stderr


@pytest.mark.parametrize("kind", SERVERS)
def test_a_bad_model_is_not_served(kind, tmp_path):
    """What they keep as _TestBadModel: no server becomes ready."""
    (tmp_path / "base" / "1").mkdir(parents=True)
    (tmp_path / "base" / "1" / "saved_model.pb").write_bytes(b"bad")
    line = command(
        kind, f"--port={free_port()}", f"--model_base_path={tmp_path / 'base'}", "--max_num_load_retries=0",
    )  # fmt: skip

    done = subprocess.run(line, cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=False)

    assert done.returncode != 0


def test_a_model_config_is_read_again_where_the_flag_says_so_and_only_there(stock, saved, tmp_path):
    """testModelConfigReload, testModelConfigReloadWithZeroPollPeriod."""
    file = stock.server.log.with_name("models")
    polling = launch(
        stock.server.kind, tmp_path, f"--model_config_file={file}", "--model_config_file_poll_wait_seconds=1"
    )
    wait_for(polling.server, "default")
    before = file.read_text()
    file.write_text(config(saved, "half_plus_three"))

    def has_only_the_new_model() -> bool:
        gone = polling.server.ask("/v1/models/tf2:predict", {"instances": [2.0]}).status == 404
        return gone and polling.predict("half_plus_three", shape=(1, 1)) == (4.0, 123)

    wait_until(has_only_the_new_model)

    assert stock.predict("tf2") == (3.0, 123)
    end(polling)
    file.write_text(before)


@pytest.mark.skipif("tensorflow" in SERVERS, reason="its models are linked in or of its own formats")
class TestWhatDiffers:
    def test_a_tf_lite_model_is_refused_in_words(self, tmp_path):
        """testPredictOnTfLite, testPredictWithSignatureDefOnTfLite."""
        line = command("embedded", f"--model_base_path={tmp_path}", "--prefer_tflite_model=true")

        done = subprocess.run(line, cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=False)

        assert (done.returncode, done.stderr) == (2, "error: --prefer_tflite_model: only SavedModels are served.\n")

    def test_there_is_no_profiler_service(self, stock):
        """test_profiler_service_with_valid_trace_request."""
        channel = grpc.insecure_channel(f"127.0.0.1:{stock.server.grpc_port}")

        with pytest.raises(grpc.RpcError) as caught:
            channel.unary_unary("/tensorflow.ProfilerService/Profile")(b"", timeout=60)

        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_every_test_of_theirs_has_its_row():
    """test_tf_text is asked in servables/test_op_libraries.py: operations that TensorFlow lacks, by --op-library."""
    names = [name for theirs in ROWS.values() for name in theirs]
    texts = [Path(__file__).read_text(), (Path(__file__).parent / "servables" / "test_op_libraries.py").read_text()]

    assert len(set(names)) == len(names) == 31
    assert [test for test in ROWS if not any(f"def {test}(" in text for text in texts)] == []
