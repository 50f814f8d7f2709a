"""`grpc.health.v1.Health`, which Kubernetes' gRPC probes ask: whether the server, a service or a model answers.

Source: github.com/grpc/grpc/blob/master/doc/health-checking.md.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2

from serving.servables.registry import ModelRegistry

SERVICE = "grpc.health.v1.Health"
_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
_UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN


class Health:
    """The states of the models, as probes see them.

    The empty name is the server: it serves where every configured model has a version that answers. So do the
    services; a model is asked for by its name.
    """

    def __init__(self, registry: ModelRegistry, services: Sequence[str], pool: ThreadPoolExecutor) -> None:
        """Makes a service that says nothing yet.

        Args:
          services: names of the gRPC services that the models answer through.
          pool: answers probes; not the threads of models, which may all be at work.
        """
        self._registry = registry
        self._services = ("", *services)
        self._pool = pool
        self._said: dict[str, int] = {}
        self._stopped = False
        self._servicer = health.HealthServicer(experimental_non_blocking=True, experimental_thread_pool=pool)
        self.update()

    def handler(self) -> Any:
        """Returns the service for `Server.add_generic_rpc_handlers`."""

        def check(request: Any, context: Any) -> Any:
            return self._servicer.Check(request, context)

        check.experimental_thread_pool = self._pool  # type: ignore[attr-defined] # What gRPC looks for.
        kinds = {
            "request_deserializer": health_pb2.HealthCheckRequest.FromString,
            "response_serializer": health_pb2.HealthCheckResponse.SerializeToString,
        }
        return grpc.method_handlers_generic_handler(SERVICE, {
            "Check": grpc.unary_unary_rpc_method_handler(check, **kinds),
            "Watch": grpc.unary_stream_rpc_method_handler(self._servicer.Watch, **kinds),
        })  # fmt: skip

    def update(self) -> None:
        """Tells those who watch what has changed since the last call."""
        if self._stopped:
            return
        models = {name: _SERVING if versions else _NOT_SERVING for name, versions in self._registry.served().items()}
        whole = _NOT_SERVING if _NOT_SERVING in models.values() else _SERVING
        states = dict.fromkeys(self._said, _UNKNOWN) | models | dict.fromkeys(self._services, whole)
        for name, state in states.items():
            if self._said.get(name) != state:
                self._servicer.set(name, state)
        self._said = states

    def stop(self) -> None:
        """Says that nothing serves any more, so that nobody new comes while the last requests are answered."""
        self._stopped = True
        self._servicer.enter_graceful_shutdown()
