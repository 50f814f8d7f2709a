"""What the request log gets of an answered request: functions that build its record later, on the log's own thread.

They hold arrays, bytes and messages that nobody changes any more.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tensorflow_serving.apis import classification_pb2, inference_pb2, logging_pb2, prediction_log_pb2, regression_pb2

from serving import messages
from serving.servables.inference import Classified
from serving.values.tensors import STRING, Array, Tensor

Build = Callable[[], Any]  # Any: the generated messages are untyped.


def predict(spec: Any, feeds: Mapping[str, Tensor], outputs: Mapping[str, Tensor]) -> Build:
    """Returns the record of a predict call.

    Args:
      spec: the `ModelSpec` of the answer.
    """
    return lambda: prediction_log_pb2.PredictionLog(
        log_metadata=logging_pb2.LogMetadata(model_spec=spec),
        predict_log=prediction_log_pb2.PredictLog(
            request=messages.predict_request(spec, feeds), response=messages.predict_response(spec, outputs)
        ),
    )


def classify(spec: Any, examples: Sequence[bytes], answer: Classified) -> Build:
    """Returns the record of a classify call."""
    return lambda: prediction_log_pb2.PredictionLog(
        log_metadata=logging_pb2.LogMetadata(model_spec=spec),
        classify_log=prediction_log_pb2.ClassifyLog(
            request=classification_pb2.ClassificationRequest(model_spec=spec, input=messages.example_input(examples)),
            response=classification_pb2.ClassificationResponse(
                model_spec=spec, result=messages.classification_result(answer)
            ),
        ),
    )


def regress(spec: Any, examples: Sequence[bytes], values: Array) -> Build:
    """Returns the record of a regress call."""
    return lambda: prediction_log_pb2.PredictionLog(
        log_metadata=logging_pb2.LogMetadata(model_spec=spec),
        regress_log=prediction_log_pb2.RegressLog(
            request=regression_pb2.RegressionRequest(model_spec=spec, input=messages.example_input(examples)),
            response=regression_pb2.RegressionResponse(model_spec=spec, result=messages.regression_result(values)),
        ),
    )


def multi_inference(spec: Any, request: Any, response: Any) -> Build:
    """Returns the record of a MultiInference call."""
    return lambda: prediction_log_pb2.PredictionLog(
        log_metadata=logging_pb2.LogMetadata(model_spec=spec),
        multi_inference_log=prediction_log_pb2.MultiInferenceLog(
            request=inference_pb2.MultiInferenceRequest.FromString(request.SerializeToString()), response=response
        ),
    )


def size_of(*groups: Mapping[str, Tensor]) -> int:
    """Returns about how many bytes tensors hold in memory."""
    return sum(
        sum(map(len, tensor.array.ravel().tolist())) + 50 * tensor.array.size
        if tensor.dtype == STRING
        else tensor.array.nbytes
        for group in groups
        for tensor in group.values()
    )
