"""TFX's stock BulkInferrer, which loads a model into a TF1 session."""

from pathlib import Path

import tensorflow as tf
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog
from tfx.components.bulk_inferrer import executor
from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
from tfx.proto import bulk_inferrer_pb2
from tfx.types import standard_artifacts
from tfx.utils import proto_utils


def infer(examples_uri: str, version: Path, folder: Path, signature: str = "serve_examples") -> Path:
    """Runs its executor on both splits of an Examples artifact; returns the folder of its PredictionLogs."""
    examples = standard_artifacts.Examples()
    examples.uri = examples_uri
    examples.split_names = '["train", "eval"]'
    model = standard_artifacts.Model()
    model.uri = str(folder / "model")
    (folder / "model").mkdir()
    (folder / "model" / "Format-Serving").symlink_to(version)
    result = standard_artifacts.InferenceResult()
    result.uri = str(folder / "stock")
    model_spec = bulk_inferrer_pb2.ModelSpec(model_signature_name=[signature])
    context = BaseBeamExecutor.Context(beam_pipeline_args=["--runner=FnApiRunner"], tmp_dir=str(folder / "tmp"))
    executor.Executor(context).Do(
        {"examples": [examples], "model": [model]},
        {"inference_result": [result]},
        {
            "model_spec": proto_utils.proto_to_json(model_spec),
            "data_spec": proto_utils.proto_to_json(bulk_inferrer_pb2.DataSpec()),
        },
    )
    return folder / "stock"


def predictions(folder: Path) -> list[tuple[bytes, dict]]:
    """Returns each record's serialized example, in its canonical form, and its outputs by name; of `classify` the
    probability of each class."""
    found = []
    for path in folder.glob("*.gz"):
        for data in tf.data.TFRecordDataset(str(path), "GZIP").as_numpy_iterator():
            log = PredictionLog.FromString(data)
            if log.HasField("classify_log"):
                (example,) = log.classify_log.request.input.example_list.examples
                (result,) = log.classify_log.response.result.classifications
                outputs = {"probabilities": [[each.score for each in result.classes]]}
            else:
                example = tf.train.Example.FromString(log.predict_log.request.inputs["examples"].string_val[0])
                tensors = log.predict_log.response.outputs
                outputs = {name: tf.make_ndarray(tensor) for name, tensor in tensors.items()}
            found.append((example.SerializeToString(deterministic=True), outputs))
    return found
