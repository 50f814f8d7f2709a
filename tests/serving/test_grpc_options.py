"""What is off by default over gRPC: descriptions, numbers as bytes, settings of gRPC, method names that must fit."""

import shutil
import struct

import grpc
import numpy as np
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from tests.helpers.model_server import start, stop
from tests.serving.test_grpc import code_of, predict_request


@pytest.fixture(scope="module")
def special(models, tmp_path_factory):
    folder = tmp_path_factory.mktemp("special")
    shutil.copytree(models / "1", folder / "1")
    (folder / "1" / "assets.extra").mkdir()
    (folder / "1" / "assets.extra" / "tf_serving_warmup_requests").write_bytes(b"damaged")
    running = start(
        folder, "--grpc-reflection", "--grpc-tensor-content", "--check-method-names", "--no-warm-up",
        "--grpc-channel-arguments", "grpc.max_receive_message_length=1000",
    )  # fmt: skip
    with grpc.insecure_channel(f"127.0.0.1:{running.grpc_port}") as channel:
        yield running, channel
    assert stop(running) == 0


def test_numbers_come_as_bytes_and_texts_as_values(special):
    from tensorflow_serving.apis import prediction_service_pb2_grpc

    predict = prediction_service_pb2_grpc.PredictionServiceStub(special[1]).Predict

    outputs = predict(predict_request("mixed", a=[1.5, -2.0], n=np.int64([7, 8]), s=["a", "b"]), timeout=30).outputs

    assert outputs["a"].tensor_content == struct.pack("<2f", 1.5, -2.0)
    assert outputs["n"].tensor_content == struct.pack("<2q", 7, 8)
    assert outputs["flag"].tensor_content == b"\x01\x01"
    assert list(outputs["s"].string_val) == [b"a", b"b"]


def test_settings_of_grpc_reach_it(special):
    from tensorflow_serving.apis import prediction_service_pb2_grpc

    predict = prediction_service_pb2_grpc.PredictionServiceStub(special[1]).Predict

    assert (
        code_of(predict, predict_request("serving_default", x=np.arange(1000, dtype=np.float32)))[0]
        == "RESOURCE_EXHAUSTED"
    )


def test_a_signature_whose_method_name_does_not_fit_is_refused(special):
    """`tf.saved_model.save` calls every method predict."""
    for api, what in (("classify", "classification"), ("regress", "regression")):
        reply = special[0].ask(f"/v1/models/m:{api}", {"signature_name": api, "examples": [{"x": 1.5}]})

        expected = (
            f"Expected {what} signature method_name to be tensorflow/serving/{api}. Was: tensorflow/serving/predict"
        )
        assert (reply.status, reply.json["error"]) == (400, expected)


def test_reflection_describes_the_services_where_it_is_asked_for(special):
    database = ProtoReflectionDescriptorDatabase(special[1])

    assert set(database.get_services()) == {
        "tensorflow.serving.PredictionService", "tensorflow.serving.ModelService", "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection", "inference.GRPCInferenceService",
    }  # fmt: skip
    service = DescriptorPool(database).FindServiceByName("tensorflow.serving.PredictionService")
    assert service.methods_by_name["Predict"].input_type.fields_by_name["output_filter"].number == 3
    service = DescriptorPool(database).FindServiceByName("tensorflow.serving.ModelService")
    assert service.methods_by_name["HandleReloadConfigRequest"].output_type.name == "ReloadConfigResponse"
    service = DescriptorPool(database).FindServiceByName("inference.GRPCInferenceService")
    assert service.methods_by_name["ModelInfer"].input_type.fields_by_name["raw_input_contents"].number == 7
    assert len(service.methods) == 6


def test_reflection_is_off_by_default(server):
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel, pytest.raises(grpc.RpcError) as caught:
        ProtoReflectionDescriptorDatabase(channel).get_services()

    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
