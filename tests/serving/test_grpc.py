"""gRPC, with the stubs of tensorflow-serving-api: equal to REST, and section 15 of the contract."""

import grpc
import numpy as np
import pytest

from serving.errors import ServingError
from tests.helpers import saved_models

NAMES = ("mixed", "serving_default", "regress", "classify")


@pytest.fixture(scope="module")
def stubs(server):
    from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        yield (
            prediction_service_pb2_grpc.PredictionServiceStub(channel),
            model_service_pb2_grpc.ModelServiceStub(channel),
        )


def predict_request(signature: str, **inputs):
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2

    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = "m", signature
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    return request


def example_request(kind, signature: str, *examples, context=None):
    import tensorflow as tf

    request = kind()
    request.model_spec.name, request.model_spec.signature_name = "m", signature
    where = request.input.example_list
    if context is not None:
        where = request.input.example_list_with_context
        where.context.CopyFrom(_example(tf, context))
    where.examples.extend(_example(tf, example) for example in examples)
    return request


def _example(tf, values):
    example = tf.train.Example()
    for name, value in values.items():
        feature = example.features.feature[name]
        if isinstance(value, float):
            feature.float_list.value.append(value)
        elif isinstance(value, int):
            feature.int64_list.value.append(value)
        else:
            feature.bytes_list.value.append(value.encode())
    return example


def code_of(call, request) -> tuple[str, str]:
    with pytest.raises(grpc.RpcError) as caught:
        call(request, timeout=30)
    return caught.value.code().name, caught.value.details()


DTYPES = {
    "float32": [1.5, -2.0, np.inf], "float64": [0.1, 1e300], "int8": [-128, 127], "uint8": [0, 255],
    "int16": [-32768], "int32": [-(2**31), 5], "int64": [2**63 - 1, -(2**63)], "uint32": [2**32 - 1],
    "uint64": [2**64 - 1], "bool": [True, False], "string": ["Zürich", "", "x" * 100],
}  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES)
def test_predict_equals_rest_for_every_dtype(server, stubs, dtype):
    import tensorflow as tf

    values = DTYPES[dtype]
    encoded = [value.encode() for value in values] if dtype == "string" else np.array(values, dtype)

    response = stubs[0].Predict(predict_request(f"same_{dtype}", v=encoded), timeout=30)
    body = str(values).replace("'", '"').replace("True", "true").replace("False", "false").replace("inf", "Infinity")
    rest = server.predict(f'{{"signature_name": "same_{dtype}", "inputs": {body}}}').json["outputs"]

    spec = response.model_spec
    assert (spec.name, spec.signature_name, spec.version.value) == ("m", f"same_{dtype}", 1)
    answer = tf.make_ndarray(response.outputs["out"])
    expected = [text.encode() for text in rest] if dtype == "string" else rest
    assert answer.dtype == (object if dtype == "string" else dtype)
    assert answer.tolist() == np.array(expected, answer.dtype).tolist()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "uint16", "complex64"])
def test_dtypes_that_json_cannot_give_pass_as_messages(stubs, dtype):
    import tensorflow as tf

    sent = tf.make_tensor_proto(tf.cast(tf.constant([1.5, 2.0, 300.0]), dtype))
    request = predict_request(f"same_{dtype}")
    request.inputs["v"].CopyFrom(sent)

    response = stubs[0].Predict(request, timeout=30)

    np.testing.assert_array_equal(tf.make_ndarray(response.outputs["out"]), tf.make_ndarray(sent))


def test_classify_regress_and_multi_inference_equal_rest(server, stubs):
    from tensorflow_serving.apis import classification_pb2, inference_pb2, regression_pb2

    examples = ({"x": 1.5, "s": "a"}, {"x": -1.0, "c": 7})
    rest = {
        api: server.ask(f"/v1/models/m:{api}", {"signature_name": api, "context": {"c": 2}, "examples": list(examples)})
        for api in ("classify", "regress")
    }

    classified = stubs[0].Classify(
        example_request(classification_pb2.ClassificationRequest, "classify", *examples, context={"c": 2}), timeout=30
    )
    regressed = stubs[0].Regress(
        example_request(regression_pb2.RegressionRequest, "regress", *examples, context={"c": 2}), timeout=30
    )
    both = inference_pb2.MultiInferenceRequest()
    both.input.CopyFrom(example_request(regression_pb2.RegressionRequest, "regress", *examples, context={"c": 2}).input)
    for api in ("classify", "regress"):
        task = both.tasks.add(method_name=f"tensorflow/serving/{api}")
        task.model_spec.name, task.model_spec.signature_name = "m", api
    together = stubs[0].MultiInference(both, timeout=30).results

    def classes(result):
        return [[[entry.label, entry.score] for entry in row.classes] for row in result.classifications]

    assert classes(classified.result) == rest["classify"].json["results"]
    assert [row.value for row in regressed.result.regressions] == rest["regress"].json["results"] == [5.0, 5.0]
    assert classes(together[0].classification_result) == rest["classify"].json["results"]
    assert [row.value for row in together[1].regression_result.regressions] == rest["regress"].json["results"]
    assert classified.model_spec.version.value == regressed.model_spec.version.value == 1


def test_metadata_and_status_equal_rest(server, stubs):
    from google.protobuf import json_format
    from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2

    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "m"
    response = stubs[0].GetModelMetadata(request, timeout=30)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(signatures)
    status = get_model_status_pb2.GetModelStatusRequest()
    status.model_spec.name = "m"
    (version,) = stubs[1].GetModelStatus(status, timeout=30).model_version_status

    rest = server.ask("/v1/models/m/metadata").json["metadata"]["signature_def"]
    as_json = json_format.MessageToDict(
        signatures, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    assert as_json == rest
    assert response.model_spec.version.value == 1
    assert (version.version, version.state, version.status.error_code) == (1, 30, 0)


def test_the_status_of_a_label_is_that_of_all_versions(stubs):
    from tensorflow_serving.apis import get_model_status_pb2

    status = get_model_status_pb2.GetModelStatusRequest()
    status.model_spec.name, status.model_spec.version_label = "m", "none"

    assert [entry.version for entry in stubs[1].GetModelStatus(status, timeout=30).model_version_status] == [1]


def test_a_message_that_is_none_is_refused_without_a_traceback(server):
    before = len(server.log.read_text())
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        call = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")

        assert code_of(call, b"\xff\xff\xff") == ("INTERNAL", "The request is no tensorflow.serving.PredictRequest")

    assert "Traceback" not in server.log.read_text()[before:]


def test_one_value_for_a_whole_shape_has_its_limit(stubs):
    import tensorflow as tf

    one = predict_request("same_float32", v=np.float32([1]))
    proto = one.inputs["v"]
    proto.ClearField("tensor_content")
    proto.float_val[:] = [1.5]

    def shaped(*sizes):
        proto.tensor_shape.CopyFrom(tf.TensorShape(sizes).as_proto())
        return one

    assert tf.make_ndarray(stubs[0].Predict(shaped(3), timeout=30).outputs["out"]).tolist() == [1.5] * 3
    assert code_of(stubs[0].Predict, shaped(200, 2**20))[0] == "RESOURCE_EXHAUSTED"
    assert code_of(stubs[0].Predict, shaped(2**62, 2**62))[0] == "INVALID_ARGUMENT"


def test_an_input_that_is_left_out_takes_the_signatures_default(tmp_path):
    import tensorflow as tf
    from tensorflow.core.protobuf import saved_model_pb2

    from serving.servables.inference import predict
    from serving.servables.loaded_model import LoadedModel
    from serving.values.tensors import FLOAT, Tensor

    saved_models.save(tmp_path / "1", 1.0, "mixed")
    file = tmp_path / "1" / "saved_model.pb"
    model = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    defaults = model.meta_graphs[0].signature_def["mixed"].defaults
    defaults["n"].CopyFrom(tf.make_tensor_proto([7], tf.int64))
    defaults["s"].CopyFrom(tf.make_tensor_proto([b"x"]))
    file.write_bytes(model.SerializeToString())

    answer = predict(LoadedModel(tmp_path / "1"), "mixed", {"a": Tensor(FLOAT, np.float32([1.5]))})

    assert {name: answer[name].array.tolist() for name in ("a", "n", "s")} == {"a": [1.5], "n": [7], "s": [b"x"]}
    with pytest.raises(ServingError, match=r"Missing but required: \{a\}"):
        predict(LoadedModel(tmp_path / "1"), "mixed", {})


def test_the_output_filter(stubs):
    request = predict_request("mixed", a=np.float32([1]), n=np.int64([2]), s=[b"x"])
    request.output_filter.extend(["n", "s"])
    assert set(stubs[0].Predict(request, timeout=30).outputs) == {"n", "s"}

    request.output_filter.append("n")
    assert code_of(stubs[0].Predict, request)[0] == "INVALID_ARGUMENT"
    request.output_filter[:] = ["none"]
    assert code_of(stubs[0].Predict, request)[0] == "INVALID_ARGUMENT"


def test_errors_have_the_contracts_codes(stubs):
    from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, regression_pb2

    predict = stubs[0].Predict
    one = np.float32([1])
    missing = code_of(predict, predict_request("mixed", a=one))
    extra = code_of(predict, predict_request("serving_default", x=one, y=one))
    unknown = predict_request("serving_default", x=one)
    unknown.model_spec.name = "none"
    version = predict_request("serving_default", x=one)
    version.model_spec.version.value = 9
    label = predict_request("serving_default", x=one)
    label.model_spec.version_label = "stable"
    huge = predict_request("serving_default", x=one)
    huge.inputs["x"].ClearField("tensor_content")
    huge.inputs["x"].tensor_shape.dim[0].size = 10**12
    ragged = predict_request("serving_default", x=one)
    ragged.inputs["x"].tensor_content = b"\x00" * 7
    status = get_model_status_pb2.GetModelStatusRequest()
    status.model_spec.name = "none"
    metadata = get_model_metadata_pb2.GetModelMetadataRequest()
    metadata.model_spec.name = "m"

    assert missing[0] == extra[0] == "INVALID_ARGUMENT"
    assert missing[1].startswith("input size does not match signature: 1!=3")
    assert code_of(predict, predict_request("none", x=one)) == (
        "FAILED_PRECONDITION", 'Serving signature name: "none" not found in signature def',
    )  # fmt: skip
    assert code_of(predict, unknown) == ("NOT_FOUND", "Servable not found for request: Latest(none)")
    assert code_of(predict, version) == ("NOT_FOUND", "Servable not found for request: Specific(m, 9)")
    assert code_of(predict, label) == ("INVALID_ARGUMENT", "Unrecognized servable version label: stable")
    assert code_of(predict, huge)[0] == "RESOURCE_EXHAUSTED"
    assert code_of(predict, ragged)[0] == "INVALID_ARGUMENT"
    assert code_of(predict, predict_request("serving_default", x=np.float64([1])))[0] == "INVALID_ARGUMENT"
    divided = code_of(predict, predict_request("divide", i=np.int32([0])))
    assert divided[0] == "INVALID_ARGUMENT"
    assert "ivision by zero" in divided[1]
    assert code_of(stubs[1].GetModelStatus, status) == ("NOT_FOUND", "Could not find any versions of model none")
    assert code_of(stubs[0].GetModelMetadata, metadata)[0] == "INVALID_ARGUMENT"
    assert (
        code_of(stubs[0].Regress, example_request(regression_pb2.RegressionRequest, "regress"))[0] == "INVALID_ARGUMENT"
    )
    assert len(code_of(predict, predict_request("x" * 5000, x=one))[1]) == 1024


def test_grpc_requests_are_counted_beside_rest(server, stubs):
    stubs[0].Predict(predict_request("serving_default", x=np.float32([1])), timeout=30)

    text = server.ask("/monitoring/prometheus/metrics").body.decode()

    assert ':tensorflow:serving:request_latency_count{model_name="m",API="Predict",entrypoint="GRPC"}' in text
