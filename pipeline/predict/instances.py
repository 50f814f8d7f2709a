"""Rows as clients send them: predict instances, and the warm-up requests that a server replays."""

import base64
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa

from models.foreign_signature import signature_of
from pipeline.errors import clipped
from pipeline.ingest import csv_integers

Instance = dict[str, Any]  # Any: JSON.

_INTEGERS = frozenset({"DT_INT8", "DT_UINT8", "DT_INT16", "DT_INT32", "DT_INT64", "DT_UINT32", "DT_UINT64"})
_FLOATS = frozenset({"DT_FLOAT", "DT_DOUBLE"})
_BOOLEANS = {"true": True, "false": False}
# How assets.extra/feature_defaults.json names what a signature calls otherwise.
_SIGNATURE_TYPES = {"float32": "DT_FLOAT", "int64": "DT_INT64", "string": "DT_STRING"}
# TensorFlow Serving replays at most this many records, from this file.
MAX_WARMUP_RECORDS = 1000
WARMUP_FILE = Path("assets.extra") / "tf_serving_warmup_requests"


class InputError(ValueError):
    """A row that a signature does not take; names the input, what was expected and what was received."""


def instance(
    values: Mapping[str, Any],
    inputs: Mapping[str, str],
    defaults: Mapping[str, Any],
    separators: Mapping[str, str] = MappingProxyType({}),
) -> Instance:
    """Returns a row as a predict request holds it.

    Args:
      values: by column, of a table or of a person's file, where numbers may be texts; None and absent are missing.
        Columns that are no inputs are left out. Any: JSON.
      inputs: dtype by name, in TensorFlow's terms such as `DT_FLOAT`.
      defaults: what stands for a missing value, by input; inputs without one are required. "NaN" is the number, and is
        written as the bare token that TensorFlow Serving reads.
      separators: what stands between several values, by input; a list is written so.

    Raises:
      InputError: a value that its input cannot hold, or a missing one that nothing stands for; names the first.
    """
    row = {}
    for name, dtype in inputs.items():
        value = values.get(name)
        if value is None:
            if name not in defaults:
                raise InputError(f"{name}: the value is missing, and nothing says what stands for it")
            row[name] = float("nan") if defaults[name] == "NaN" and dtype in _FLOATS else defaults[name]
            continue
        if isinstance(value, list) and name in separators:
            row[name] = _joined(value, separators[name], name)
            continue
        try:
            row[name] = _as_json(value, dtype)
        except (ValueError, OverflowError) as error:
            raise InputError(f"{name}: expected {_expected(dtype)}. Received: {clipped(repr(value))}") from error
    return row


def _joined(values: Sequence[Any], separator: str, name: str) -> str:  # Any: JSON.
    """Returns a list as the one text that the model takes.

    Raises:
      InputError: an item holds the separator.
    """
    texts = [str(value) for value in values if value is not None]
    wrong = next((text for text in texts if separator in text), None)
    if wrong is not None:
        raise InputError(f"{name}: expected values without {separator!r}. Received: {clipped(repr(wrong))}")
    return separator.join(texts)


def instances(table: pa.Table | pa.RecordBatch, model_dir: Path) -> list[Instance]:
    """Returns one predict instance per example; a missing value becomes the input's documented default.

    Args:
      table: flat columns; those that are no input of the model are left out.
      model_dir: a SavedModel with `assets.extra/feature_defaults.json`.
    """
    described = json.loads((model_dir / "assets.extra" / "feature_defaults.json").read_text(encoding="utf-8"))
    foreign = signature_of(str(model_dir))
    if foreign is not None and foreign.examples:
        from models.tf_examples import encode_columns  # Loads TensorFlow.

        examples = encode_columns(table, list(described)).to_pylist()
        return [{foreign.examples: {"b64": base64.b64encode(example).decode("ascii")}} for example in examples]
    inputs = {name: _SIGNATURE_TYPES[entry["dtype"]] for name, entry in described.items()}
    defaults = {name: entry["missing"] for name, entry in described.items()}
    rows = table.select([name for name in inputs if name in table.schema.names]).to_pylist()
    return [instance(row, inputs, defaults) for row in rows or [{}] * table.num_rows]


def _as_json(value: Any, dtype: str) -> Any:
    """Returns a value as JSON for an input of `dtype`; lists are left to the server. Raises ValueError."""
    if isinstance(value, list | dict):
        return value
    if dtype == "DT_BOOL":
        if str(value).lower() not in _BOOLEANS:
            raise ValueError
        return _BOOLEANS[str(value).lower()]
    if dtype not in _FLOATS | _INTEGERS:
        if not isinstance(value, str):
            raise ValueError
        return value
    if dtype in _INTEGERS:
        return _whole_number(value)
    # Python reads 1_000 as a number, which nobody else does.
    if isinstance(value, str) and "_" in value:
        raise ValueError
    number = float(_BOOLEANS.get(value.strip().lower(), value) if isinstance(value, str) else value)
    if dtype == "DT_FLOAT":
        with np.errstate(over="ignore"):
            nearest = np.float32(number)
        # The shortest text that reads back to it; beyond its range the server shall say so.
        return float(str(nearest)) if math.isfinite(nearest) else number
    return number


def _whole_number(value: Any) -> int:
    """Returns what a text says as in a span's CSV, or a JSON number or Boolean. Raises ValueError."""
    if isinstance(value, str):
        number = csv_integers.parse(value)
        if number is None:
            raise ValueError
        return number
    if isinstance(value, float) and not value.is_integer():
        raise ValueError
    return int(value)


def _expected(dtype: str) -> str:
    if dtype in _FLOATS:
        return "a number"
    if dtype in _INTEGERS:
        return "a whole number"
    return "true or false" if dtype == "DT_BOOL" else "text"


def write_warmup(model_dir: Path, model_name: str, requests: Sequence[Sequence[Instance]]) -> None:
    """Writes predict requests where TensorFlow Serving looks for warm-up: each one a batch of instances.

    Source: TensorFlow Serving, "SavedModel Warmup".
    """
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

    described = json.loads((model_dir / "assets.extra" / "feature_defaults.json").read_text(encoding="utf-8"))
    foreign = signature_of(str(model_dir))
    dtypes = {name: entry["dtype"] for name, entry in described.items()}
    if foreign is not None and foreign.examples:
        dtypes = {foreign.examples: "string"}
    with tf.io.TFRecordWriter(str(model_dir / WARMUP_FILE)) as writer:
        for batch in requests[:MAX_WARMUP_RECORDS]:
            request = predict_pb2.PredictRequest()
            request.model_spec.name = model_name
            request.model_spec.signature_name = "serving_default"
            for name, dtype in dtypes.items():
                values = [_value(instance[name]) for instance in batch]
                request.inputs[name].CopyFrom(tf.make_tensor_proto(values, dtype=dtype, shape=[len(values)]))
            log = prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
            writer.write(log.SerializeToString())


def _value(value: Any) -> Any:
    """A value of an instance as a tensor holds it."""
    return base64.b64decode(value["b64"]) if isinstance(value, dict) else value
