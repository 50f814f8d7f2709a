"""Reads the request log back: files, records, and rows as `tf.Example`s with their answers.

Works on any TFRecord file of `PredictionLog`: the server's own, TensorFlow Serving's, or BulkInferrer's output.
TensorFlow is imported by the functions that need its protos, so listing files costs nothing.
"""

import datetime
import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy.typing as npt

from serving.log.tfrecord import whole_records

if TYPE_CHECKING:
    from tensorflow.core.example.example_pb2 import Example
    from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

logger = logging.getLogger(__name__)

Value = float | int | bytes | list[Any]  # Any: a list of one of these, nested as the tensor is.
Kind = Literal["INT", "FLOAT", "BYTES"]  # TensorFlow Metadata's feature types.

# The one input of a signature that takes serialized examples, as TFX names it.
EXAMPLES_INPUT = "examples"
_FILE = re.compile(r"requests-(\d{8}T\d{6}\.\d{6}Z)-\d+-\d+\.tfrecord")


@dataclass(frozen=True)
class LogFile:
    """A closed file of the log.

    Attributes:
      started_at: when its first record was offered, seconds since 1970; later ones have times of their own.
    """

    path: Path
    started_at: float


@dataclass(frozen=True, kw_only=True)
class LoggedRow:
    """One example that a client asked about, and the answer.

    Attributes:
      version: the one that answered.
      answered_at: seconds since 1970.
      sampling_rate: the row stands for 1 / sampling_rate rows.
      example: what was asked; a missing feature is left out.
      answer: outputs by name; a scalar for each output of shape (batch,), a list for others. Of a classification
        `classes` and `scores`, of a regression `value`; with several of them in one request, `SIGNATURE/value`.
    """

    model: str
    version: int
    signature: str
    answered_at: int
    sampling_rate: float
    example: "Example"
    answer: Mapping[str, Value]


def log_files(folder: Path) -> list[LogFile]:
    """Returns a model's closed files, `LOGDIR/MODEL/requests-*.tfrecord`, oldest first."""
    files = []
    for path in folder.glob("requests-*.tfrecord"):
        match = _FILE.fullmatch(path.name)
        if match:
            start = datetime.datetime.strptime(match.group(1), "%Y%m%dT%H%M%S.%fZ").replace(tzinfo=datetime.UTC)
            files.append(LogFile(path, start.timestamp()))
    return sorted(files, key=lambda file: (file.started_at, file.path.name))


def read_logs(path: Path) -> Iterator["PredictionLog"]:
    """Yields a file's records; where a power cut has cut the file short, those before the cut, with a warning."""
    from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

    read_bytes = 0
    with path.open("rb") as file:
        for data, end in whole_records(file):
            yield PredictionLog.FromString(data)
            read_bytes = end
    if read_bytes != path.stat().st_size:
        logger.warning("%s is damaged after %d bytes; what follows was not read.", path, read_bytes)


def logged_rows(
    log: "PredictionLog", missing: Mapping[str, Any] | None = None, kinds: Mapping[str, Kind] | None = None
) -> list[LoggedRow]:
    """Returns the rows of one Predict, Classify, Regress or MultiInference record.

    Args:
      missing: what clients send for a missing value of an input, by name ("NaN", -1, ""), as in the `missing` of
        `assets.extra/feature_defaults.json`; such values are left out. NaN is always left out.
      kinds: the type of each feature in the schema, where it is not its input's own: an integer column that is served
        as a float32 becomes an int64 again.

    Raises:
      ValueError: a Predict request whose inputs differ in their first dimension, or a record of another kind.
    """
    kind = log.WhichOneof("log_type")
    if kind == "predict_log":
        examples, answers = _predict(log, missing or {}, kinds or {})
    elif kind == "classify_log":
        examples = _input_examples(log.classify_log.request.input)
        answers = _classifications(log.classify_log.response.result, "")
    elif kind == "regress_log":
        examples = _input_examples(log.regress_log.request.input)
        answers = _regressions(log.regress_log.response.result, "")
    elif kind == "multi_inference_log":
        examples = _input_examples(log.multi_inference_log.request.input)
        answers = [{} for _ in examples]
        for result in log.multi_inference_log.response.results:
            prefix = f"{result.model_spec.signature_name}/"
            read = _classifications if result.WhichOneof("result") == "classification_result" else _regressions
            more = read(getattr(result, result.WhichOneof("result")), prefix)
            answers = [answer | added for answer, added in zip(answers, more, strict=True)]
    else:
        raise ValueError(f"expected a Predict, Classify, Regress or MultiInference record. Received: {kind}.")
    spec = log.log_metadata.model_spec
    return [
        LoggedRow(
            model=spec.name,
            version=spec.version.value,
            signature=spec.signature_name,
            answered_at=log.log_metadata.timestamp_secs,
            sampling_rate=log.log_metadata.sampling_config.sampling_rate or 1.0,
            example=example,
            answer=answer,
        )
        for example, answer in zip(examples, answers, strict=True)
    ]


def _predict(
    log: "PredictionLog", missing: Mapping[str, Any], kinds: Mapping[str, Kind]
) -> tuple[list["Example"], list[dict[str, Value]]]:
    import tensorflow as tf

    request, response = log.predict_log.request, log.predict_log.response
    inputs = {name: _rows(tf.make_ndarray(tensor)) for name, tensor in request.inputs.items()}
    outputs = {name: _rows(tf.make_ndarray(tensor)) for name, tensor in response.outputs.items()}
    if set(inputs) == {EXAMPLES_INPUT} and inputs[EXAMPLES_INPUT].dtype == object:
        examples = [tf.train.Example.FromString(data) for data in inputs[EXAMPLES_INPUT]]
    else:
        columns = [_features(name, rows, missing.get(name), kinds.get(name)) for name, rows in inputs.items()]
        examples = []
        for row in _together(columns, "inputs"):
            example = tf.train.Example()
            for name, feature in zip(inputs, row, strict=True):
                if feature is not None:
                    example.features.feature[name].CopyFrom(feature)
            examples.append(example)
    if not outputs:
        return examples, [{} for _ in examples]
    values = _together([rows.tolist() for rows in outputs.values()], "outputs")
    return examples, [dict(zip(outputs, row, strict=True)) for row in values]


def _together(columns: list[list[Any]], what: str) -> list[tuple[Any, ...]]:
    sizes = {len(column) for column in columns}
    if len(sizes) != 1:
        raise ValueError(f"the {what} of a logged request differ in their first dimension: {sorted(sizes)}.")
    return list(zip(*columns, strict=True))


def _rows(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return array.reshape(1) if array.ndim == 0 else array


def _features(name: str, rows: npt.NDArray[Any], missing: Any, kind: Kind | None) -> list[Any]:
    """Returns a tf.train.Feature for each row, None where it has no value."""
    import tensorflow as tf

    kind = kind or ("BYTES" if rows.dtype == object else "FLOAT" if rows.dtype.kind == "f" else "INT")
    absent = missing.encode() if isinstance(missing, str) else missing
    flat = rows.reshape(len(rows), -1)
    features: list[Any] = []
    for row in flat.tolist():
        values = [value for value in row if value == value and value != absent]
        if not values:
            features.append(None)
        elif kind == "BYTES":
            encoded = [value if isinstance(value, bytes) else str(value).encode() for value in values]
            features.append(tf.train.Feature(bytes_list=tf.train.BytesList(value=encoded)))
        elif kind == "INT":
            if any(value != int(value) for value in values):
                raise ValueError(f"{name}: expected whole numbers, as the schema has them. Received: {values}.")
            integers = [int(value) for value in values]
            features.append(tf.train.Feature(int64_list=tf.train.Int64List(value=integers)))
        else:
            features.append(tf.train.Feature(float_list=tf.train.FloatList(value=values)))
    return features


def _input_examples(given: Any) -> list["Example"]:
    """Returns the examples of an `Input`, each with the shared context where there is one."""
    import tensorflow as tf

    if given.WhichOneof("kind") != "example_list_with_context":
        return list(given.example_list.examples)
    examples = []
    for own in given.example_list_with_context.examples:
        example = tf.train.Example()
        example.CopyFrom(given.example_list_with_context.context)
        for name, feature in own.features.feature.items():
            example.features.feature[name].CopyFrom(feature)
        examples.append(example)
    return examples


def _classifications(result: Any, prefix: str) -> list[dict[str, Value]]:
    return [
        {
            f"{prefix}classes": [entry.label for entry in row.classes],
            f"{prefix}scores": [entry.score for entry in row.classes],
        }
        for row in result.classifications
    ]


def _regressions(result: Any, prefix: str) -> list[dict[str, Value]]:
    return [{f"{prefix}value": row.value} for row in result.regressions]
