"""Requests and answers as TensorFlow Serving's messages: what gRPC, warm-up records and the request log share."""

from collections.abc import Mapping, Sequence
from typing import Any

from tensorflow.core.example import example_pb2
from tensorflow_serving.apis import classification_pb2, input_pb2, model_pb2, predict_pb2, regression_pb2

from serving.errors import Code, ServingError, invalid
from serving.servables.inference import Classified
from serving.values import tensor_proto
from serving.values.tensors import Array, Tensor


def tensors(request: Any) -> dict[str, Tensor]:  # Any: the generated messages are untyped.
    """Returns the inputs of a `PredictRequest`.

    Raises:
      ServingError: a tensor's content does not fit its shape.
    """
    return {name: tensor_proto.read(proto, name) for name, proto in request.inputs.items()}


def examples(request_input: Any) -> list[bytes]:
    """Returns the serialized examples of an `Input`, the features of its context first.

    Raises:
      ServingError: there is none.
    """
    kind = request_input.WhichOneof("kind")
    if kind == "example_list":
        serialized = [example.SerializeToString(deterministic=True) for example in request_input.example_list.examples]
    elif kind == "example_list_with_context":
        listed = request_input.example_list_with_context
        serialized = [_in_context(listed.context, example) for example in listed.examples]
    else:
        raise invalid("Input is empty.")
    if not serialized:
        raise invalid("Input is empty.")
    return serialized


def _in_context(context: Any, example: Any) -> bytes:
    merged = example_pb2.Example()
    merged.CopyFrom(context)
    for name, feature in example.features.feature.items():
        merged.features.feature[name].CopyFrom(feature)
    serialized: bytes = merged.SerializeToString(deterministic=True)
    return serialized


def model_spec(name: str, version: int, signature_name: str) -> Any:
    """Returns the `ModelSpec` of an answer."""
    spec = model_pb2.ModelSpec(name=name, signature_name=signature_name)
    spec.version.value = version
    return spec


def predict_request(spec: Any, feeds: Mapping[str, Tensor]) -> Any:
    """Returns a `PredictRequest` of these tensors."""
    inputs = {name: tensor_proto.write(tensor) for name, tensor in feeds.items()}
    return predict_pb2.PredictRequest(model_spec=spec, inputs=inputs)


def predict_response(spec: Any, outputs: Mapping[str, Tensor], *, as_content: bool = False) -> Any:
    """Returns a `PredictResponse`.

    Args:
      as_content: see `tensor_proto.write`.

    Raises:
      ServingError: an output has a dtype that a message cannot carry.
    """
    try:
        written = {name: tensor_proto.write(tensor, as_content=as_content) for name, tensor in outputs.items()}
    except KeyError as error:
        raise ServingError(Code.UNIMPLEMENTED, f"An output has the dtype {error}, which has no values") from error
    return predict_pb2.PredictResponse(model_spec=spec, outputs=written)


def example_input(serialized: Sequence[bytes]) -> Any:
    """Returns an `Input` of these examples."""
    listed = input_pb2.ExampleList(examples=[example_pb2.Example.FromString(data) for data in serialized])
    return input_pb2.Input(example_list=listed)


def classification_result(answer: Classified) -> Any:
    """Returns a `ClassificationResult`, one `Classifications` per example."""
    shape = next(array.shape for array in answer if array is not None)
    labels = answer.labels.tolist() if answer.labels is not None else [[b""] * shape[1]] * shape[0]
    scores = answer.scores.tolist() if answer.scores is not None else [[0.0] * shape[1]] * shape[0]
    return classification_pb2.ClassificationResult(
        classifications=[
            classification_pb2.Classifications(
                classes=[
                    classification_pb2.Class(label=label.decode("utf-8", errors="replace"), score=score)
                    for label, score in zip(*pair, strict=True)
                ]
            )
            for pair in zip(labels, scores, strict=True)
        ]
    )


def regression_result(values: Array) -> Any:
    """Returns a `RegressionResult`, one value per example."""
    return regression_pb2.RegressionResult(
        regressions=[regression_pb2.Regression(value=value) for value in values.tolist()]
    )
