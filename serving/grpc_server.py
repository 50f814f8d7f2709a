"""TensorFlow Serving's gRPC services: the same models, checks and numbers as REST, as messages."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    predict_pb2,
    regression_pb2,
)  # fmt: skip

from serving import grpc_kserve, messages
from serving.errors import Code, ServingError, invalid
from serving.grpc_calls import STATUS, Calls, Methods, add_service
from serving.health import SERVICE, Health
from serving.http.answers import MAX_ERROR_LENGTH
from serving.log import records
from serving.log.request_log import RequestLog
from serving.metrics import Metrics
from serving.servables import config, inference
from serving.servables.loaded_model import DEFAULT_SIGNATURE, LoadedModel
from serving.servables.registry import ModelRegistry
from serving.tls import Credentials
from serving.tokens import Tokens

_PACKAGE = "tensorflow.serving"


def make_server(
    registry: ModelRegistry,
    metrics: Metrics,
    pool: ThreadPoolExecutor,
    *,
    log: RequestLog | None,
    max_message_bytes: int,
    max_calls: int,
    reflection: bool = False,
    tokens: Tokens | None = None,
    channel_arguments: Sequence[tuple[str, int | str]] = (),
    tensor_content: bool = False,
    max_values: int,
) -> tuple[Any, Health]:
    """Returns a server without a port, and the health that it tells.

    Args:
      pool: the threads that run models; questions about models have two of their own.
      max_message_bytes: larger requests are answered RESOURCE_EXHAUSTED.
      max_calls: under way at once; one more is answered RESOURCE_EXHAUSTED.
      reflection: the server describes its services to clients that ask.
      tokens: what a client must show, but for probes.
      channel_arguments: settings of gRPC itself, which go before those here.
      tensor_content: see `tensor_proto.write`.
      max_values: texts in one tensor of the v2 protocol.
    """
    questions = ThreadPoolExecutor(2, thread_name_prefix="questions")
    options: dict[str, int | str] = {
        "grpc.max_receive_message_length": max_message_bytes,
        "grpc.max_send_message_length": -1,
        "grpc.so_reuseport": 0,
        **dict(channel_arguments),
    }
    server = grpc.server(
        pool,
        interceptors=[_Guard(tokens, questions)] if tokens is not None else [],
        maximum_concurrent_rpcs=max_calls,
        options=[*options.items()],
    )
    prediction = _PredictionService(registry, metrics, log, tensor_content)
    models = _ModelService(registry, metrics)
    services: dict[str, Methods] = {
        "PredictionService": {
            "Predict": (prediction.predict, predict_pb2.PredictRequest, None),
            "Classify": (prediction.classify, classification_pb2.ClassificationRequest, None),
            "Regress": (prediction.regress, regression_pb2.RegressionRequest, None),
            "MultiInference": (prediction.multi_inference, inference_pb2.MultiInferenceRequest, None),
            "GetModelMetadata": (prediction.metadata, get_model_metadata_pb2.GetModelMetadataRequest, questions),
        },
        "ModelService": {
            "GetModelStatus": (models.status, get_model_status_pb2.GetModelStatusRequest, questions),
            "HandleReloadConfigRequest": (models.reload, model_management_pb2.ReloadConfigRequest, questions),
        },
    }
    for name, methods in services.items():
        add_service(server, f"{_PACKAGE}.{name}", methods)
    add_service(server, grpc_kserve.SERVICE, grpc_kserve.methods(registry, metrics, log, max_values, questions))
    # By their short names too, as tensorflow_model_server has them in its answers to probes.
    health = Health(registry, [*services, *(f"{_PACKAGE}.{name}" for name in services)], questions)
    server.add_generic_rpc_handlers((health.handler(),))
    if reflection:
        from serving import reflection as descriptions

        requests = {name: {method: row[1] for method, row in methods.items()} for name, methods in services.items()}
        descriptions.enable(server, _PACKAGE, requests, SERVICE, grpc_kserve.SERVICE, pool=grpc_kserve.pool())
    return server, health


class _Guard(grpc.ServerInterceptor):
    def __init__(self, tokens: Tokens, pool: ThreadPoolExecutor) -> None:
        self._tokens = tokens
        # A handler of a stream is called before its message is received.
        self._refusal = grpc.stream_unary_rpc_method_handler(_refuse)
        _refuse.experimental_thread_pool = pool  # type: ignore[attr-defined] # What gRPC looks for.

    def intercept_service(self, continuation: Callable[[Any], Any], details: Any) -> Any:
        """Lets a call through, or has it answered UNAUTHENTICATED."""
        if not details.method.startswith(f"/{SERVICE}/"):
            shown = [value for key, value in details.invocation_metadata if key == "authorization"]
            try:
                self._tokens.check(shown[0] if len(shown) == 1 else "")
            except ServingError:
                return self._refusal
        return continuation(details)


def _refuse(_requests: Any, context: Any) -> Any:
    context.abort(grpc.StatusCode.UNAUTHENTICATED, "Expected a bearer token that this server knows")


def server_credentials(credentials: Credentials) -> Any:
    """Returns gRPC's credentials, which follow the files: gRPC asks anew at each handshake."""

    def configuration() -> Any:
        identity = credentials.current()
        pair = (identity.key, identity.certificate)
        return grpc.ssl_server_certificate_configuration([pair], root_certificates=identity.client_ca)

    verify = credentials.current().client_ca is not None
    return grpc.dynamic_ssl_server_credentials(configuration(), configuration, require_client_authentication=verify)


class _PredictionService:
    def __init__(self, registry: ModelRegistry, metrics: Metrics, log: RequestLog | None, tensor_content: bool) -> None:
        self._calls = Calls(registry, metrics)
        self._log = log
        self._tensor_content = tensor_content

    def predict(self, request: Any, context: Any) -> Any:
        return self._calls.answer(context, request.model_spec.name, "Predict", lambda: self._answer_predict(request))

    def classify(self, request: Any, context: Any) -> Any:
        return self._calls.answer(context, request.model_spec.name, "Classify", lambda: self._answer_classify(request))

    def regress(self, request: Any, context: Any) -> Any:
        return self._calls.answer(context, request.model_spec.name, "Regress", lambda: self._answer_regress(request))

    def multi_inference(self, request: Any, context: Any) -> Any:
        name = request.tasks[0].model_spec.name if request.tasks else ""
        return self._calls.answer(context, name, "MultiInference", lambda: self._answer_multi_inference(request))

    def metadata(self, request: Any, context: Any) -> Any:
        return self._calls.answer(context, request.model_spec.name, "", lambda: self._answer_metadata(request))

    def _answer_predict(self, request: Any) -> Any:
        with self._calls.leased(request.model_spec) as (version, model):
            spec = _answered_by(request.model_spec, version)
            feeds = messages.tensors(request)
            outputs = self._calls.timed(
                spec.name,
                "Predict",
                lambda: inference.predict(model, spec.signature_name, feeds, tuple(request.output_filter)),
            )
        response = messages.predict_response(spec, outputs, as_content=self._tensor_content)
        self._offer(lambda: (records.predict(spec, feeds, outputs), records.size_of(feeds, outputs)))
        return response

    def _answer_classify(self, request: Any) -> Any:
        with self._calls.leased(request.model_spec) as (version, model):
            spec = _answered_by(request.model_spec, version)
            examples = messages.examples(request.input)
            answer = self._calls.timed(
                spec.name, "Classify", lambda: inference.classify(model, spec.signature_name, examples)
            )
        result = messages.classification_result(answer)
        self._offer(lambda: (records.classify(spec, examples, answer), 2 * sum(map(len, examples))))
        return classification_pb2.ClassificationResponse(model_spec=spec, result=result)

    def _answer_regress(self, request: Any) -> Any:
        with self._calls.leased(request.model_spec) as (version, model):
            spec = _answered_by(request.model_spec, version)
            examples = messages.examples(request.input)
            values = self._calls.timed(
                spec.name, "Regress", lambda: inference.regress(model, spec.signature_name, examples)
            )
        self._offer(lambda: (records.regress(spec, examples, values), 2 * sum(map(len, examples))))
        return regression_pb2.RegressionResponse(model_spec=spec, result=messages.regression_result(values))

    def _answer_multi_inference(self, request: Any) -> Any:
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
        if task.method_name == inference.CLASSIFY:
            classified = inference.classify(model, spec.signature_name, examples)
            result = messages.classification_result(classified)
            return inference_pb2.InferenceResult(model_spec=spec, classification_result=result)
        if task.method_name == inference.REGRESS:
            values = inference.regress(model, spec.signature_name, examples)
            result = messages.regression_result(values)
            return inference_pb2.InferenceResult(model_spec=spec, regression_result=result)
        raise ServingError(Code.UNIMPLEMENTED, f"Unsupported signature method_name: {task.method_name}")

    def _answer_metadata(self, request: Any) -> Any:
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


class _ModelService:
    def __init__(self, registry: ModelRegistry, metrics: Metrics) -> None:
        self._calls = Calls(registry, metrics)

    def status(self, request: Any, context: Any) -> Any:
        return self._calls.answer(context, request.model_spec.name, "", lambda: self._answer_status(request.model_spec))

    def reload(self, request: Any, context: Any) -> Any:
        try:
            configs = config.from_message(request.config)
            self._calls.registry.configure(configs, still_wanted=context.is_active)
        except ServingError as error:
            # The call itself fails, as TensorFlow Serving's does.
            context.abort(STATUS[int(error.code)], str(error)[:MAX_ERROR_LENGTH])
        return model_management_pb2.ReloadConfigResponse()

    def _answer_status(self, spec: Any) -> Any:
        if not spec.name:
            raise invalid("Missing ModelSpec")
        # A label is not looked at: TensorFlow Serving answers with all versions.
        version = spec.version.value if spec.WhichOneof("version_choice") == "version" else None
        response = get_model_status_pb2.GetModelStatusResponse()
        for entry in self._calls.registry.status(spec.name, version):
            described = response.model_version_status.add(version=entry.number, state=int(entry.state))
            described.status.error_code = int(entry.code)
            described.status.error_message = entry.error
        return response


def _answered_by(spec: Any, version: int) -> Any:
    return messages.model_spec(spec.name, version, spec.signature_name or DEFAULT_SIGNATURE)
