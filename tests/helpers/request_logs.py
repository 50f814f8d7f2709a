"""Request logs for tests, as a server writes them: TFRecords of PredictionLog."""

import gzip
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from models.features import FeatureSpec
from serving.log.tfrecord import frame

MISSING = {"float32": float("nan"), "int64": -1, "string": ""}


def arrays_of(table: pa.Table, features: FeatureSpec) -> dict[str, np.ndarray]:
    """Flat columns as the serving signature takes them."""
    arrays = {}
    for name in features.names:
        column = table.column(name)
        if name not in features.categorical:
            arrays[name] = np.array([MISSING["float32"] if v is None else v for v in column.to_pylist()], np.float32)
        elif pa.types.is_integer(column.type):
            arrays[name] = np.array([-1 if v is None else v for v in column.to_pylist()], np.int64)
        else:
            arrays[name] = np.array(["" if v is None else v for v in column.to_pylist()], object)
    return arrays


def predict_log(
    arrays: dict[str, np.ndarray],
    probabilities: Sequence[float] | None,
    *,
    version: int,
    time: int,
    model: str = "m",
    rate: float = 1.0,
) -> bytes:
    """One predict request with its answer; None for a request that was not answered."""
    log = prediction_log_pb2.PredictionLog()
    log.log_metadata.model_spec.name = model
    log.log_metadata.model_spec.version.value = version
    log.log_metadata.sampling_config.sampling_rate = rate
    log.log_metadata.timestamp_secs = time
    for name, array in arrays.items():
        log.predict_log.request.inputs[name].CopyFrom(tf.make_tensor_proto(array))
    if probabilities is not None:
        answer = tf.make_tensor_proto(np.array(probabilities, np.float32))
        log.predict_log.response.outputs["probability"].CopyFrom(answer)
    else:
        log.predict_log.SetInParent()
    return log.SerializeToString()


def requests(
    table: pa.Table, features: FeatureSpec, probabilities: np.ndarray, *, batch: int = 20, **metadata: Any
) -> list[bytes]:
    """The rows of a table as predict requests of `batch` rows."""
    arrays = arrays_of(table, features)
    return [
        predict_log(
            {name: array[start : start + batch] for name, array in arrays.items()},
            probabilities[start : start + batch].tolist(),
            **metadata,
        )
        for start in range(0, table.num_rows, batch)
    ]


def write(path: Path, records: Sequence[bytes], *, modified: float | None = None) -> Path:
    """Writes a log file; gzipped where its name says so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = b"".join(frame(record) for record in records)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    if modified is not None:
        os.utime(path, (modified, modified))
    return path
