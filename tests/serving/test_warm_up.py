"""Warm-up records: every kind is replayed before a version answers, and one that fails fails the load."""

import shutil

import numpy as np
import pytest

from serving import warm_up
from serving.errors import Code, ServingError
from serving.log.tfrecord import frame
from serving.servables.loaded_model import LoadedModel


@pytest.fixture(scope="module")
def folder(models, tmp_path_factory):
    copied = tmp_path_factory.mktemp("warm") / "1"
    shutil.copytree(models / "1", copied)
    (copied / "assets.extra").mkdir()
    return copied


@pytest.fixture(scope="module")
def model(folder):
    loaded = LoadedModel(folder)
    yield loaded
    loaded.close()


def predict_log(value, signature="divide"):
    import tensorflow as tf
    from tensorflow_serving.apis import prediction_log_pb2

    log = prediction_log_pb2.PredictionLog()
    request = log.predict_log.request
    request.model_spec.signature_name = signature
    request.inputs["i"].CopyFrom(tf.make_tensor_proto(np.int32(value)))
    return log


def example_log(kind: str):
    from tensorflow_serving.apis import prediction_log_pb2

    log = prediction_log_pb2.PredictionLog()
    request = getattr(log, f"{kind}_log").request
    if kind == "multi_inference":
        for api in ("classify", "regress"):
            task = request.tasks.add(method_name=f"tensorflow/serving/{api}")
            task.model_spec.signature_name = api
    else:
        request.model_spec.signature_name = kind
    example = request.input.example_list.examples.add()
    example.features.feature["x"].float_list.value.append(1.5)
    return log


def write(folder, *logs, tail: bytes = b"") -> None:
    records = b"".join(frame(log.SerializeToString()) for log in logs)
    (folder / warm_up.WARMUP_FILE).write_bytes(records + tail)


def test_every_kind_is_replayed(folder, model):
    write(folder, predict_log([1, 2]), *[example_log(kind) for kind in ("classify", "regress", "multi_inference")])

    assert warm_up.replay(model) == 4


def test_a_version_without_records_needs_none(folder, model):
    (folder / warm_up.WARMUP_FILE).unlink(missing_ok=True)

    assert warm_up.replay(model) == 0


@pytest.mark.parametrize(
    ("logs", "tail", "code", "message"),
    [
        (lambda: [predict_log([1]), predict_log([0])], b"", Code.INVALID_ARGUMENT, "Warm-up record 2 failed: "),
        (lambda: [predict_log([1], "none")], b"", Code.FAILED_PRECONDITION, "not found in signature def"),
        (lambda: [predict_log([1])], b"cut", Code.DATA_LOSS, "is damaged after"),
        (lambda: [predict_log([1])] * 1001, b"", Code.INVALID_ARGUMENT, "more than 1000 records"),
    ],
    ids=["a run that fails", "an unknown signature", "a damaged file", "too many"],
)
def test_what_cannot_be_replayed_fails_the_load(folder, model, logs, tail, code, message):
    write(folder, *logs(), tail=tail)

    with pytest.raises(ServingError, match=message) as caught:
        warm_up.replay(model)

    assert caught.value.code is code
