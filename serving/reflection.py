"""Descriptions of the gRPC services for clients that ask for them, such as `grpcurl`."""

import contextlib
from collections.abc import Callable, Mapping
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool
from grpc_reflection.v1alpha import reflection

Services = Mapping[str, Mapping[str, Any]]  # Any: the class of a method's requests, by service and method.


class _Pools:
    """Several pools of descriptions, each of names of its own, asked like one."""

    def __init__(self, *pools: descriptor_pool.DescriptorPool) -> None:
        self._pools = pools

    def __getattr__(self, find: str) -> Callable[..., Any]:  # Any: what protobuf's pool finds.
        def ask(*arguments: Any) -> Any:
            for pool in self._pools[:-1]:
                with contextlib.suppress(KeyError):
                    return getattr(pool, find)(*arguments)
            return getattr(self._pools[-1], find)(*arguments)

        return ask


def enable(server: Any, package: str, services: Services, *further: str, pool: descriptor_pool.DescriptorPool) -> None:
    """Lets a server describe itself.

    The modules of tensorflow-serving-api that hold these services write to what protobuf has made read-only since. So
    the services are described here: `XRequest` is answered by `XResponse`, in all of them.

    Args:
      further: full names of services that are described already, here or in `pool`.
      pool: of messages that are kept apart from protobuf's own.
    """
    for service, methods in services.items():
        file = descriptor_pb2.FileDescriptorProto(
            name=f"driftgate/{service}.proto",
            package=package,
            syntax="proto3",
            dependency=sorted({request.DESCRIPTOR.file.name for request in methods.values()}),
        )
        described = file.service.add(name=service).method
        for name, request in methods.items():
            asked = f".{request.DESCRIPTOR.full_name}"
            described.add(name=name, input_type=asked, output_type=f"{asked.removesuffix('Request')}Response")
        descriptor_pool.Default().AddSerializedFile(file.SerializeToString())
    names = [f"{package}.{service}" for service in services]
    pools = _Pools(pool, descriptor_pool.Default())
    reflection.enable_server_reflection([*names, *further, reflection.SERVICE_NAME], server, pool=pools)
