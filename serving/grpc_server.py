"""TensorFlow Serving's gRPC services: the same models, checks and numbers as REST, as messages."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    prediction_service_pb2_grpc,
    regression_pb2,
)  # fmt: skip

from serving import messages
from serving.errors import Code, ServingError, invalid
from serving.http.rest import MAX_ERROR_LENGTH
from serving.log import records
from serving.log.request_log import RequestLog
from serving.metrics import REQUEST_LATENCY, RUNTIME_LATENCY, Metrics
from serving.servables import config, inference
from serving.servables.loaded_model import DEFAULT_SIGNATURE, LoadedModel
from serving.servables.registry import ModelRegistry

_STATUS = {status.value[0]: status for status in grpc.StatusCode}
_CLASSIFY, _REGRESS = "tensorflow/serving/classify", "tensorflow/serving/regress"


def make_server(
    registry: ModelRegistry,
    metrics: Metrics,
    pool: ThreadPoolExecutor,
    *,
    log: RequestLog | None,
    max_message_bytes: int,
    max_calls: int,
) -> Any:
    """Returns a server without a port.

    Args:
      pool: the threads that run models; questions about models have two of their own.
      max_message_bytes: larger requests are answered RESOURCE_EXHAUSTED.
      max_calls: under way at once; one more is answered RESOURCE_EXHAUSTED.
    """
    server = grpc.server(
        pool,
        maximum_concurrent_rpcs=max_calls,
        options=[
            ("grpc.max_receive_message_length", max_message_bytes),
            ("grpc.max_send_message_length", -1),
            ("grpc.so_reuseport", 0),
        ],
    )
    questions = ThreadPoolExecutor(2, thread_name_prefix="questions")
    prediction = _PredictionService(registry, metrics, log)
    models = _ModelService(registry, metrics)
    # What gRPC looks for on a method that is to run in threads of its own.
    behaviours: list[Any] = [
        _PredictionService.GetModelMetadata, _ModelService.GetModelStatus, _ModelService.HandleReloadConfigRequest,
    ]  # fmt: skip
    for behaviour in behaviours:
        behaviour.experimental_thread_pool = questions
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(prediction, server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(models, server)
    return server


class _Calls:
    """What every call shares: its model, its errors, its count."""

    def __init__(self, registry: ModelRegistry, metrics: Metrics) -> None:
        self.registry = registry
        self.metrics = metrics

    def answer(self, context: Any, name: str, api: str, work: Callable[[], Any]) -> Any:
        """Returns what `work` returns; its errors become the call's status."""
        started = time.perf_counter()
        try:
            response = work()
        except ServingError as error:
            refused = error
        except Exception as error:  # noqa: BLE001 - the edge: a client gets a status whatever happens.
            refused = ServingError(Code.INTERNAL, f"{type(error).__name__}: {error}")
        else:
            self.metrics.count(name, Code.OK.name)
            if api:
                labels = (("model_name", name), ("API", api), ("entrypoint", "GRPC"))
                self.metrics.observe(REQUEST_LATENCY, labels, (time.perf_counter() - started) * 1e6)
            return response
        self.metrics.count(name, refused.code.name, known=self.registry.is_configured(name))
        context.abort(_STATUS[int(refused.code)], str(refused)[:MAX_ERROR_LENGTH])

    @contextmanager
    def leased(self, spec: Any) -> Iterator[tuple[int, LoadedModel]]:
        """Holds the model that a `ModelSpec` names.

        Raises:
          ServingError: INVALID_ARGUMENT, NOT_FOUND.
        """
        if not spec.name:
            raise invalid("Missing ModelSpec")
        choice = spec.WhichOneof("version_choice")
        version = spec.version.value if choice == "version" else None
        label = spec.version_label if choice == "version_label" else None
        with self.registry.lease(spec.name, version, label) as found:
            yield found

    def timed(self, name: str, api: str, work: Callable[[], Any]) -> Any:
        """Runs `work` and records how long it took."""
        started = time.perf_counter()
        result = work()
        labels = (("model_name", name), ("API", api), ("runtime", "TF1"))
        self.metrics.observe(RUNTIME_LATENCY, labels, (time.perf_counter() - started) * 1e6)
        return result


class _PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):  # type: ignore[misc]
    def __init__(self, registry: ModelRegistry, metrics: Metrics, log: RequestLog | None) -> None:
        self._calls = _Calls(registry, metrics)
        self._log = log

    def Predict(self, request: Any, context: Any) -> Any:  # noqa: N802 - the service's name.
        return self._calls.answer(context, request.model_spec.name, "Predict", lambda: self._predict(request))

    def Classify(self, request: Any, context: Any) -> Any:  # noqa: N802
        return self._calls.answer(context, request.model_spec.name, "Classify", lambda: self._classify(request))

    def Regress(self, request: Any, context: Any) -> Any:  # noqa: N802
        return self._calls.answer(context, request.model_spec.name, "Regress", lambda: self._regress(request))

    def MultiInference(self, request: Any, context: Any) -> Any:  # noqa: N802
        name = request.tasks[0].model_spec.name if request.tasks else ""
        return self._calls.answer(context, name, "MultiInference", lambda: self._multi_inference(request))

    def GetModelMetadata(self, request: Any, context: Any) -> Any:  # noqa: N802
        return self._calls.answer(context, request.model_spec.name, "", lambda: self._metadata(request))

    def _predict(self, request: Any) -> Any:
        with self._calls.leased(request.model_spec) as (version, model):
            spec = _answered_by(request.model_spec, version)
            feeds = messages.tensors(request)
            outputs = self._calls.timed(
                spec.name,
                "predict",
                lambda: inference.predict(model, spec.signature_name, feeds, tuple(request.output_filter)),
            )
        response = messages.predict_response(spec, outputs)
        self._offer(lambda: (records.predict(spec, feeds, outputs), records.size_of(feeds, outputs)))
        return response

    def _classify(self, request: Any) -> Any:
        with self._calls.leased(request.model_spec) as (version, model):
            spec = _answered_by(request.model_spec, version)
            examples = messages.examples(request.input)
            answer = self._calls.timed(
                spec.name, "classify", lambda: inference.classify(model, spec.signature_name, examples)
            )
        result = messages.classification_result(answer)
        self._offer(lambda: (records.classify(spec, examples, answer), 2 * sum(map(len, examples))))
        return classification_pb2.ClassificationResponse(model_spec=spec, result=result)

    def _regress(self, request: Any) -> Any:
        with self._calls.leased(request.model_spec) as (version, model):
            spec = _answered_by(request.model_spec, version)
            examples = messages.examples(request.input)
            values = self._calls.timed(
                spec.name, "regress", lambda: inference.regress(model, spec.signature_name, examples)
            )
        self._offer(lambda: (records.regress(spec, examples, values), 2 * sum(map(len, examples))))
        return regression_pb2.RegressionResponse(model_spec=spec, result=messages.regression_result(values))

    def _multi_inference(self, request: Any) -> Any:
        specs = [task.model_spec for task in request.tasks]
        if not specs:
            raise invalid("Inference request must have at least one task")
        if len({(spec.name, spec.version.value, spec.version_label) for spec in specs}) > 1:
            raise invalid("All ModelSpecs in a MultiInferenceRequest must access the same model.")
        signatures = [spec.signature_name or DEFAULT_SIGNATURE for spec in specs]
        for signature in signatures:
            if signatures.count(signature) > 1:
                raise invalid(f"Duplicate evaluation of signature: {signature}")
        with self._calls.leased(specs[0]) as (version, model):
            examples = messages.examples(request.input)
            results = [self._task(model, version, task, examples) for task in request.tasks]
        response = inference_pb2.MultiInferenceResponse(results=results)
        spec = messages.model_spec(specs[0].name, version, "")
        self._offer(lambda: (records.multi_inference(spec, request, response), 2 * sum(map(len, examples))))
        return response

    def _task(self, model: LoadedModel, version: int, task: Any, examples: list[bytes]) -> Any:
        spec = _answered_by(task.model_spec, version)
        if task.method_name == _CLASSIFY:
            classified = inference.classify(model, spec.signature_name, examples)
            result = messages.classification_result(classified)
            return inference_pb2.InferenceResult(model_spec=spec, classification_result=result)
        if task.method_name == _REGRESS:
            values = inference.regress(model, spec.signature_name, examples)
            result = messages.regression_result(values)
            return inference_pb2.InferenceResult(model_spec=spec, regression_result=result)
        raise ServingError(Code.UNIMPLEMENTED, f"Unsupported signature method_name: {task.method_name}")

    def _metadata(self, request: Any) -> Any:
        if not request.metadata_field:
            raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
        for field in request.metadata_field:
            if field != "signature_def":
                raise invalid(f"Metadata field {field} is not supported")
        with self._calls.leased(request.model_spec) as (version, model):
            spec = messages.model_spec(request.model_spec.name, version, "")
            response = get_model_metadata_pb2.GetModelMetadataResponse(model_spec=spec)
            response.metadata["signature_def"].Pack(model.signature_map())
        return response

    def _offer(self, record: Callable[[], tuple[records.Build, int]]) -> None:
        if self._log is not None and self._log.sampled():
            self._log.offer(*record())


class _ModelService(model_service_pb2_grpc.ModelServiceServicer):  # type: ignore[misc]
    def __init__(self, registry: ModelRegistry, metrics: Metrics) -> None:
        self._calls = _Calls(registry, metrics)

    def GetModelStatus(self, request: Any, context: Any) -> Any:  # noqa: N802
        return self._calls.answer(context, request.model_spec.name, "", lambda: self._status(request.model_spec))

    def HandleReloadConfigRequest(self, request: Any, context: Any) -> Any:  # noqa: N802
        response = model_management_pb2.ReloadConfigResponse()
        try:
            configs = config.from_message(request.config)
            self._calls.registry.configure(configs, still_wanted=context.is_active)
        except ServingError as error:
            response.status.error_code = int(error.code)
            response.status.error_message = str(error)[:MAX_ERROR_LENGTH]
        return response

    def _status(self, spec: Any) -> Any:
        if not spec.name:
            raise invalid("Missing ModelSpec")
        choice = spec.WhichOneof("version_choice")
        version = spec.version.value if choice == "version" else None
        if choice == "version_label":
            version = self._calls.registry.labelled(spec.name, spec.version_label)
        response = get_model_status_pb2.GetModelStatusResponse()
        for entry in self._calls.registry.status(spec.name, version):
            described = response.model_version_status.add(version=entry.number, state=int(entry.state))
            described.status.error_code = int(entry.code)
            described.status.error_message = entry.error
        return response


def _answered_by(spec: Any, version: int) -> Any:
    return messages.model_spec(spec.name, version, spec.signature_name or DEFAULT_SIGNATURE)
