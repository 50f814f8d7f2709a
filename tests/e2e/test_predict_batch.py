"""Offline predictions by command, against TFX's stock BulkInferrer, which loads the model into a TF1 session."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog
from tfx.components.bulk_inferrer import executor
from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
from tfx.proto import bulk_inferrer_pb2
from tfx.types import standard_artifacts
from tfx.utils import proto_utils

from tests.e2e.conftest import run

pytestmark = pytest.mark.e2e


def test_a_span_s_predictions_are_the_stock_bulk_inferrer_s(pushed, tmp_path):
    root, done = pushed
    version = root / "serving" / "taxi" / str(done.json["pushed_version"])

    ours = run("predict", "--batch", "--root", root, "--span", 5, "--output", tmp_path / "ours", "--json")
    stock(root, version, tmp_path)

    assert ours.status == 0, ours.err
    expected = predictions(tmp_path / "stock")
    found = predictions(tmp_path / "ours")
    assert ours.json["rows"] == len(expected) == len(found) == 1231
    # Splits and shards have an order of their own: the example is the key.
    for (example, outputs), (other, theirs) in zip(sorted(found), sorted(expected), strict=True):
        assert example == other
        assert sorted(outputs) == sorted(theirs) == ["class", "probability"]
        np.testing.assert_allclose(outputs["probability"], theirs["probability"], rtol=0, atol=1e-6)


def stock(root, version, tmp_path):
    """Runs the executor of TFX's BulkInferrer on the Examples artifact that the pipeline made of span 5."""
    examples = standard_artifacts.Examples()
    (uri,) = (root / "artifacts" / "ExampleGen" / "examples").iterdir()
    examples.uri = str(uri)
    examples.split_names = '["train", "eval"]'
    model = standard_artifacts.Model()
    model.uri = str(tmp_path / "model")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "Format-Serving").symlink_to(version)
    result = standard_artifacts.InferenceResult()
    result.uri = str(tmp_path / "stock")
    model_spec = bulk_inferrer_pb2.ModelSpec(model_signature_name=["serve_examples"])
    context = BaseBeamExecutor.Context(beam_pipeline_args=["--runner=FnApiRunner"], tmp_dir=str(tmp_path / "tmp"))
    executor.Executor(context).Do(
        {"examples": [examples], "model": [model]},
        {"inference_result": [result]},
        {
            "model_spec": proto_utils.proto_to_json(model_spec),
            "data_spec": proto_utils.proto_to_json(bulk_inferrer_pb2.DataSpec()),
        },
    )


def predictions(folder):
    """Returns each record's serialized example and its outputs."""
    found = []
    for path in folder.glob("*.gz"):
        for data in tf.data.TFRecordDataset(str(path), "GZIP").as_numpy_iterator():
            log = PredictionLog.FromString(data).predict_log
            outputs = {name: tf.make_ndarray(tensor) for name, tensor in log.response.outputs.items()}
            found.append((canonical(log.request.inputs["examples"].string_val[0]), outputs))
    return found


def canonical(example):
    return tf.train.Example.FromString(example).SerializeToString(deterministic=True)
