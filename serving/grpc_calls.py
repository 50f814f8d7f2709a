"""What every gRPC call shares, whatever its service: how it is parsed, refused, counted and timed."""

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from serving.errors import Code, ServingError, invalid
from serving.http.answers import MAX_ERROR_LENGTH
from serving.metrics import REQUEST_LATENCY, RUNTIME_LATENCY, Metrics
from serving.servables.loaded_model import LoadedModel
from serving.servables.registry import ModelRegistry

Method = Callable[[Any, Any], Any]  # Any: a request, gRPC's context, an answer; both libraries are untyped.
Methods = Mapping[str, tuple[Method, Any, ThreadPoolExecutor | None]]  # The class of the requests, and the threads.

STATUS = {status.value[0]: status for status in grpc.StatusCode}


def add_service(server: Any, service: str, methods: Methods) -> None:
    """Adds a service, by its full name, whose requests are parsed here.

    gRPC's own parsing writes a traceback for each message that is none, and keeps what the traceback refers to.
    """
    handlers = {
        name: grpc.unary_unary_rpc_method_handler(
            _parsing(method, kind, pool), response_serializer=lambda response: response.SerializeToString()
        )
        for name, (method, kind, pool) in methods.items()
    }
    handler = grpc.method_handlers_generic_handler(service, handlers)
    server.add_generic_rpc_handlers((handler,))


def _parsing(method: Method, kind: Any, pool: ThreadPoolExecutor | None) -> Callable[[bytes, Any], Any]:
    """Returns a behaviour for gRPC: from a request's bytes to the answer.

    Args:
      pool: the threads that it runs in; None for the server's own.
    """

    def behaviour(content: bytes, context: Any) -> Any:
        if not context.is_active():  # It has waited longer than its client did.
            context.abort(grpc.StatusCode.CANCELLED, "The client has gone")
        try:
            request = kind.FromString(content)
        except DecodeError:
            context.abort(grpc.StatusCode.INTERNAL, f"The request is no {kind.DESCRIPTOR.full_name}")
        return method(request, context)

    if pool is not None:
        behaviour.experimental_thread_pool = pool  # type: ignore[attr-defined] # What gRPC looks for.
    return behaviour


class Calls:
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
        context.abort(STATUS[int(refused.code)], str(refused)[:MAX_ERROR_LENGTH])

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
        with self.registry.lease(spec.name, version, label) as model:
            yield model

    def timed(self, name: str, api: str, work: Callable[[], Any]) -> Any:
        """Runs `work` and records how long it took."""
        started = time.perf_counter()
        result = work()
        labels = (("model_name", name), ("API", api), ("runtime", "TF1"))
        self.metrics.observe(RUNTIME_LATENCY, labels, (time.perf_counter() - started) * 1e6)
        return result
