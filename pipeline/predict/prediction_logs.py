"""Predictions as TensorFlow Serving's `PredictionLog`, one for each row, made column by column.

What TFX's BulkInferrer writes: the request has the serialized tf.Example, the response each output as a tensor of shape
(1, ...). The messages are joined from Arrow columns, like tf.Examples in columnar/example_encoder.py: only the
lengths of the nested messages differ from row to row, and every distinct length is encoded once.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from columnar.example_encoder import by_length, join, varint

Array = npt.NDArray[np.generic]

# Tags: field number and wire type 2 (length-delimited), of the messages in tensorflow_serving/apis.
_LOG_METADATA, _PREDICT_LOG = b"\x0a", b"\x32"  # PredictionLog: 1, 6
_REQUEST, _RESPONSE = b"\x0a", b"\x12"  # PredictLog: 1, 2
_REQUEST_MODEL_SPEC, _REQUEST_INPUTS = b"\x0a", b"\x12"  # PredictRequest: 1, 2
_RESPONSE_OUTPUTS, _RESPONSE_MODEL_SPEC = b"\x0a", b"\x12"  # PredictResponse: 1, 2
_KEY, _VALUE = b"\x0a", b"\x12"  # A map's entry: 1, 2
_STRING_VAL = b"\x42"  # TensorProto: 8


@dataclass(frozen=True, kw_only=True)
class AskedModel:
    """What is recorded of the model: name and version, the signature, and its one input of serialized examples."""

    name: str
    version: int
    signature: str
    input: str


def encode(examples: pa.LargeBinaryArray, outputs: Mapping[str, Array], model: AskedModel) -> pa.LargeBinaryArray:
    """Returns a serialized PredictionLog for each row.

    Args:
      examples: serialized tf.Examples, (rows,).
      outputs: by name, (rows, ...).
    """
    from tensorflow_serving.apis import model_pb2, prediction_log_pb2

    spec = model_pb2.ModelSpec(signature_name=model.signature).SerializeToString()
    metadata = prediction_log_pb2.PredictionLog()
    metadata.log_metadata.model_spec.name = model.name
    metadata.log_metadata.model_spec.version.value = model.version
    metadata.log_metadata.model_spec.signature_name = model.signature
    request = join([_request_prefix(pc.binary_length(examples).to_numpy(), spec, model.input), examples])
    entries = [_entry(name, array) for name, array in outputs.items()]
    tagged = [column for entry in entries for column in (_prefix(_RESPONSE_OUTPUTS, entry), entry)]
    response = join([*tagged, pa.scalar(_field(_RESPONSE_MODEL_SPEC, spec), pa.large_binary())])
    log = join([_prefix(_REQUEST, request), request, _prefix(_RESPONSE, response), response])
    return join([pa.scalar(metadata.SerializeToString(), pa.large_binary()), _prefix(_PREDICT_LOG, log), log])


def _request_prefix(lengths: npt.NDArray[np.int64], spec: bytes, input_name: str) -> pa.LargeBinaryArray:
    """Returns the PredictRequest of each row up to its example, which ends it."""
    from tensorflow.core.framework import tensor_pb2, types_pb2

    tensor = tensor_pb2.TensorProto(dtype=types_pb2.DT_STRING)
    tensor.tensor_shape.dim.add().size = 1
    head: bytes = tensor.SerializeToString()
    key = _field(_KEY, input_name.encode())

    def make(length: int) -> bytes:
        value = head + _STRING_VAL + varint(length)
        entry = key + _VALUE + varint(len(value) + length) + value
        return _field(_REQUEST_MODEL_SPEC, spec) + _REQUEST_INPUTS + varint(len(entry) + length) + entry

    return by_length(lengths, make)


def _entry(name: str, array: Array) -> pa.LargeBinaryArray:
    """Returns the map entry of one output for each row: its name, and a tensor of shape (1, ...)."""
    import tensorflow as tf

    def make(row: Array) -> bytes:  # (1, ...)
        tensor = tf.make_tensor_proto(row, dtype=tf.as_dtype(array.dtype))
        return _field(_KEY, name.encode()) + _field(_VALUE, bytes(tensor.SerializeToString()))

    if not len(array):
        return pa.array([], pa.large_binary())
    if array.dtype in (np.float32, np.float64):
        # The numbers are the last bytes, and always as many.
        row_bytes = array[:1].nbytes
        prefix = make(array[:1])[:-row_bytes]
        numbers = pa.FixedSizeBinaryArray.from_buffers(
            pa.binary(row_bytes), len(array), [None, pa.py_buffer(np.ascontiguousarray(array))]
        )
        return join([pa.scalar(prefix, pa.large_binary()), numbers.cast(pa.binary()).cast(pa.large_binary())])
    if array.ndim == 1:
        distinct, index = np.unique(array, return_inverse=True)
        return _each(make, distinct).take(pa.array(index))
    return _each(make, array)


def _each(make: Callable[[Array], bytes], array: Array) -> pa.LargeBinaryArray:
    return pa.array([make(array[row : row + 1]) for row in range(len(array))], pa.large_binary())


def _prefix(tag: bytes, messages: pa.LargeBinaryArray) -> pa.LargeBinaryArray:
    return by_length(pc.binary_length(messages).to_numpy(), lambda length: tag + varint(length))


def _field(tag: bytes, content: bytes) -> bytes:
    return tag + varint(len(content)) + content
