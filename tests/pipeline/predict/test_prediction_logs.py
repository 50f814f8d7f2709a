"""PredictionLogs made column by column are what protobuf's own classes read."""

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

from columnar.example_writer import each_bytes
from pipeline.predict.prediction_logs import AskedModel, encode

MODEL = AskedModel(name="taxi", version=1795590347, signature="serve_examples", input="examples")
# Lengths on both sides of where a varint of one and of two bytes ends.
EXAMPLES = [b"", b"a", b"b" * 90, b"c" * 127, b"d" * 128, b"e" * 16_384]
OUTPUTS = {
    "probability": np.array([0, 0.5, np.nan, 1, -1, 1e-30], np.float32),
    "class": np.array([0, 1, -1, 2**40, 1, 0], np.int64),
    "name": np.array([b"", b"x", b"x" * 200, b"y", b"x", b""], object),
    "pair": np.arange(12, dtype=np.float64).reshape(6, 2),
    "ids": np.arange(12, dtype=np.int64).reshape(6, 2),
    "known": np.array([True, False] * 3),
}


@pytest.fixture(scope="module")
def logs():
    encoded = encode(pa.array(EXAMPLES, pa.large_binary()), OUTPUTS, MODEL)
    return [PredictionLog.FromString(data) for data in each_bytes(encoded)]


def test_the_request_is_the_example(logs):
    for log, example in zip(logs, EXAMPLES, strict=True):
        tensor = log.predict_log.request.inputs["examples"]
        assert tf.make_ndarray(tensor).tolist() == [example]
        assert tensor.dtype == tf.string.as_datatype_enum
        assert log.predict_log.request.model_spec.signature_name == "serve_examples"


@pytest.mark.parametrize("name", sorted(OUTPUTS))
def test_the_response_has_every_output_with_a_batch_of_one(logs, name):
    for row, log in enumerate(logs):
        tensor = log.predict_log.response.outputs[name]
        expected = tf.make_tensor_proto(OUTPUTS[name][row : row + 1])
        assert tensor.dtype == expected.dtype
        assert tensor.tensor_shape == expected.tensor_shape
        np.testing.assert_array_equal(tf.make_ndarray(tensor), tf.make_ndarray(expected))
    # Where people look first.
    assert logs[1].predict_log.response.outputs["probability"].float_val == [0.5]
    assert logs[3].predict_log.response.outputs["class"].int64_val == [2**40]


def test_the_record_says_which_version_answered(logs):
    spec = logs[0].log_metadata.model_spec
    assert (spec.name, spec.version.value, spec.signature_name) == ("taxi", 1795590347, "serve_examples")
    assert logs[0].predict_log.response.model_spec.signature_name == "serve_examples"


def test_no_rows_are_no_records():
    assert encode(pa.array([], pa.large_binary()), {"y": np.empty(0, np.float32)}, MODEL).to_pylist() == []
