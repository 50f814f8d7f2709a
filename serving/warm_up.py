"""Replays the requests that a version carries, so that the first client finds it warm."""

from pathlib import Path

from google.protobuf.message import DecodeError
from tensorflow_serving.apis import prediction_log_pb2

from serving import messages
from serving.errors import Code, ServingError, invalid
from serving.log.tfrecord import whole_records
from serving.servables import inference
from serving.servables.loaded_model import LoadedModel

WARMUP_FILE = Path("assets.extra") / "tf_serving_warmup_requests"
MAX_RECORDS = 1000


def replay(model: LoadedModel) -> int:
    """Runs the version's warm-up records, at most 1,000; returns how many.

    Raises:
      ServingError: a record cannot be read or fails, which fails the load.
    """
    path = model.folder / WARMUP_FILE
    if not path.is_file():
        return 0
    count = end = 0
    with path.open("rb") as file:
        for record, end in whole_records(file):  # noqa: B007 - the last end is looked at below.
            count += 1
            if count > MAX_RECORDS:
                raise invalid(f"The warm-up file has more than {MAX_RECORDS} records: {path}")
            try:
                _replay_one(model, prediction_log_pb2.PredictionLog.FromString(record))
            except ServingError as error:
                raise ServingError(error.code, f"Warm-up record {count} failed: {error}") from error
            except DecodeError as error:
                raise ServingError(Code.DATA_LOSS, f"Warm-up record {count} is no PredictionLog: {path}") from error
    if end != path.stat().st_size:
        raise ServingError(Code.DATA_LOSS, f"The warm-up file is damaged after {end} bytes: {path}")
    return count


def _replay_one(model: LoadedModel, log: prediction_log_pb2.PredictionLog) -> None:
    kind = log.WhichOneof("log_type")
    if kind == "predict_log":
        request = log.predict_log.request
        feeds = messages.tensors(request)
        inference.predict(model, request.model_spec.signature_name, feeds, tuple(request.output_filter))
    elif kind == "classify_log":
        request = log.classify_log.request
        inference.classify(model, request.model_spec.signature_name, messages.examples(request.input))
    elif kind == "regress_log":
        request = log.regress_log.request
        inference.regress(model, request.model_spec.signature_name, messages.examples(request.input))
    elif kind == "multi_inference_log":
        request = log.multi_inference_log.request
        for task in request.tasks:
            ask = inference.classify if task.method_name.endswith("classify") else inference.regress
            ask(model, task.model_spec.signature_name, messages.examples(request.input))
    else:
        raise ServingError(Code.UNIMPLEMENTED, f"Records of the kind {kind} cannot be replayed")
