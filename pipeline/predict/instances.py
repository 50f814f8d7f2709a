"""Rows as clients send them: predict instances, and the warm-up requests that a server replays."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

Instance = dict[str, Any]  # Any: JSON.

# How a value of each input's dtype is written; a float32 as the shortest text that reads back to it. Any: JSON.
_AS_JSON: Mapping[str, Callable[[Any], Any]] = {
    "float32": lambda value: float(str(np.float32(value))),
    "int64": int,
    "string": str,
}
# TensorFlow Serving replays at most this many records, from this file.
MAX_WARMUP_RECORDS = 1000
WARMUP_FILE = Path("assets.extra") / "tf_serving_warmup_requests"


def instances(table: pa.Table | pa.RecordBatch, model_dir: Path) -> list[Instance]:
    """Returns one predict instance per example; a missing value becomes the input's documented default.

    Args:
      table: flat columns; those that are no input of the model are left out.
      model_dir: a SavedModel with `assets.extra/feature_defaults.json`. "NaN" there is the number, and is written as
        the bare token that TensorFlow Serving reads.
    """
    described = json.loads((model_dir / "assets.extra" / "feature_defaults.json").read_text(encoding="utf-8"))
    columns: list[list[Any]] = []  # Any: JSON.
    for name, entry in described.items():
        missing = float("nan") if entry["missing"] == "NaN" else entry["missing"]
        write = _AS_JSON[entry["dtype"]]
        values = table.column(name).to_pylist() if name in table.schema.names else [None] * table.num_rows
        columns.append([missing if value is None else write(value) for value in values])
    return [dict(zip(described, row, strict=True)) for row in zip(*columns, strict=True)]


def write_warmup(model_dir: Path, model_name: str, requests: Sequence[Sequence[Instance]]) -> None:
    """Writes predict requests where TensorFlow Serving looks for warm-up: each one a batch of instances.

    Source: TensorFlow Serving, "SavedModel Warmup".
    """
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

    described = json.loads((model_dir / "assets.extra" / "feature_defaults.json").read_text(encoding="utf-8"))
    with tf.io.TFRecordWriter(str(model_dir / WARMUP_FILE)) as writer:
        for batch in requests[:MAX_WARMUP_RECORDS]:
            request = predict_pb2.PredictRequest()
            request.model_spec.name = model_name
            request.model_spec.signature_name = "serving_default"
            for name, entry in described.items():
                values = [instance[name] for instance in batch]
                request.inputs[name].CopyFrom(tf.make_tensor_proto(values, dtype=entry["dtype"], shape=[len(values)]))
            log = prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
            writer.write(log.SerializeToString())
