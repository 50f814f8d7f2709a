"""One version in memory: its signatures, how to run them, and how to describe them."""

import json
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from google.protobuf import json_format
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2
from tensorflow_serving.apis import get_model_metadata_pb2, prediction_log_pb2

from serving.errors import Code, ServingError, invalid

DEFAULT_SIGNATURE = "serving_default"
WARMUP_FILE = Path("assets.extra") / "tf_serving_warmup_requests"
MAX_WARMUP_RECORDS = 1000

_CODES = {
    tf.errors.InvalidArgumentError: Code.INVALID_ARGUMENT,
    tf.errors.FailedPreconditionError: Code.FAILED_PRECONDITION,
    tf.errors.OutOfRangeError: Code.OUT_OF_RANGE,
    tf.errors.NotFoundError: Code.NOT_FOUND,
    tf.errors.ResourceExhaustedError: Code.RESOURCE_EXHAUSTED,
    tf.errors.UnimplementedError: Code.UNIMPLEMENTED,
    tf.errors.DeadlineExceededError: Code.DEADLINE_EXCEEDED,
    tf.errors.UnavailableError: Code.UNAVAILABLE,
}


class LoadedModel:
    """A SavedModel ready to answer.

    Loading runs the warm-up requests that the version carries; a request that fails, fails the load.
    """

    def __init__(self, folder: Path) -> None:
        """Loads the version in `folder`.

        Raises:
          Exception: whatever TensorFlow says of a broken SavedModel.
        """
        self._model = tf.saved_model.load(str(folder))  # Owns the variables that the signatures use.
        self._functions = dict(self._model.signatures.items())
        saved = saved_model_pb2.SavedModel()
        saved.ParseFromString((folder / "saved_model.pb").read_bytes())
        self.signatures: Mapping[str, meta_graph_pb2.SignatureDef] = dict(saved.meta_graphs[0].signature_def)
        self._in_use = threading.Condition()
        self._users = 0
        self._warm_up(folder / WARMUP_FILE)

    def inputs(self, signature: str) -> dict[str, str]:
        """Returns the input names of a signature and their dtypes, such as `float32`.

        Raises:
          ServingError: 400, there is no such signature, or it has no inputs.
        """
        if signature not in self.signatures:
            raise invalid(f'Serving signature name: "{signature}" not found in signature def')
        inputs = self.signatures[signature].inputs
        if not inputs or signature not in self._functions:
            raise invalid(f'Serving signature name: "{signature}" has no inputs')
        return {name: tf.dtypes.as_dtype(info.dtype).name for name, info in inputs.items()}

    def run(self, signature: str, arrays: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
        """Runs a signature on arrays of its dtypes.

        Raises:
          ServingError: what the graph raises, with its own code.
        """
        dtypes = self.inputs(signature)
        try:
            tensors = {name: tf.constant(array, tf.dtypes.as_dtype(dtypes[name])) for name, array in arrays.items()}
            outputs = self._functions[signature](**tensors)
        except tf.errors.OpError as error:
            code = _CODES.get(type(error), Code.INTERNAL)
            raise ServingError(code, error.message) from error
        except (TypeError, ValueError) as error:
            # A shape that the signature cannot take is found by TensorFlow's Python layer first.
            raise invalid(str(error).split("\n")[0]) from error
        return {name: np.asarray(tensor.numpy()) for name, tensor in outputs.items()}

    def metadata(self, name: str, version: int) -> bytes:
        """Returns the answer of the metadata call: every signature of the SavedModel."""
        signatures = get_model_metadata_pb2.SignatureDefMap()
        for key, signature in self.signatures.items():
            signatures.signature_def[key].CopyFrom(signature)
        described = json_format.MessageToDict(
            signatures, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
        )
        spec = {"name": name, "signature_name": "", "version": str(version)}
        return json.dumps({"model_spec": spec, "metadata": {"signature_def": described}}).encode()

    def __enter__(self) -> "LoadedModel":
        with self._in_use:
            self._users += 1
        return self

    def __exit__(self, *exc_info: object) -> None:
        with self._in_use:
            self._users -= 1
            self._in_use.notify_all()

    def wait_until_idle(self) -> None:
        """Returns when the requests under way have ended; the caller has made sure that no new ones come."""
        with self._in_use:
            self._in_use.wait_for(lambda: self._users == 0)

    def _warm_up(self, path: Path) -> None:
        if not path.exists():
            return
        for record in tf.data.TFRecordDataset(str(path)).take(MAX_WARMUP_RECORDS).as_numpy_iterator():
            request = prediction_log_pb2.PredictionLog.FromString(record).predict_log.request
            arrays = {name: tf.make_ndarray(tensor) for name, tensor in request.inputs.items()}
            self.run(request.model_spec.signature_name or DEFAULT_SIGNATURE, arrays)
