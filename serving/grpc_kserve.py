"""KServe's v2 inference protocol over gRPC: `inference.GRPCInferenceService`, beside TensorFlow Serving's services.

The messages are described here, in a pool of their own: the packages that have them, such as tritonclient, are clients.

Source: the Open Inference Protocol, grpc_predict_v2.proto.
"""

import functools
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from serving import messages
from serving.errors import Code, ServingError, invalid
from serving.grpc_calls import Calls, Methods
from serving.http import kserve
from serving.log import records
from serving.log.request_log import RequestLog
from serving.metrics import Metrics
from serving.servables import inference
from serving.servables.loaded_model import DEFAULT_SIGNATURE
from serving.servables.registry import ModelRegistry
from serving.values import v2_tensors
from serving.values.tensors import (
    BOOL,
    DOUBLE,
    FLOAT,
    INT8,
    INT16,
    INT32,
    INT64,
    STRING,
    UINT8,
    UINT16,
    UINT32,
    UINT64,
    Tensor,
)  # fmt: skip

SERVICE = "inference.GRPCInferenceService"
_QUESTIONS = ("ServerLive", "ServerReady", "ModelReady", "ServerMetadata", "ModelMetadata")
_API = "ModelInfer"

_CONTENTS = {
    BOOL: "bool_contents", INT8: "int_contents", INT16: "int_contents", INT32: "int_contents", INT64: "int64_contents",
    UINT8: "uint_contents", UINT16: "uint_contents", UINT32: "uint_contents", UINT64: "uint64_contents",
    FLOAT: "fp32_contents", DOUBLE: "fp64_contents", STRING: "bytes_contents",
}  # fmt: skip

# Each message: its fields in the order of their numbers, from 1. `[]` is a list, `{}` a map from texts to parameters.
_MESSAGES = {
    "ServerLiveRequest": "", "ServerLiveResponse": "live:bool",
    "ServerReadyRequest": "", "ServerReadyResponse": "ready:bool",
    "ModelReadyRequest": "name:string version:string", "ModelReadyResponse": "ready:bool",
    "ServerMetadataRequest": "", "ServerMetadataResponse": "name:string version:string extensions:string[]",
    "ModelMetadataRequest": "name:string version:string",
    "TensorMetadata": "name:string datatype:string shape:int64[]",
    "ModelMetadataResponse": "name:string versions:string[] platform:string inputs:TensorMetadata[] "
    "outputs:TensorMetadata[]",
    "InferParameter": "bool_param:bool? int64_param:int64? string_param:string? double_param:double? "
    "uint64_param:uint64?",
    "InferTensorContents": "bool_contents:bool[] int_contents:int32[] int64_contents:int64[] uint_contents:uint32[] "
    "uint64_contents:uint64[] fp32_contents:float[] fp64_contents:double[] bytes_contents:bytes[]",
    "InferTensor": "name:string datatype:string shape:int64[] parameters:{} contents:InferTensorContents",
    "InferRequestedOutput": "name:string parameters:{}",
    "ModelInferRequest": "model_name:string model_version:string id:string parameters:{} inputs:InferTensor[] "
    "outputs:InferRequestedOutput[] raw_input_contents:bytes[]",
    "ModelInferResponse": "model_name:string model_version:string id:string parameters:{} outputs:InferTensor[] "
    "raw_output_contents:bytes[]",
}  # fmt: skip
_Field = descriptor_pb2.FieldDescriptorProto


@functools.cache
def message(name: str) -> Any:  # Any: a class made here.
    """Returns the class of a message."""
    return message_factory.GetMessageClass(pool().FindMessageTypeByName(f"inference.{name}"))


@functools.cache
def pool() -> descriptor_pool.DescriptorPool:
    file = descriptor_pb2.FileDescriptorProto(name="driftgate/inference.proto", package="inference", syntax="proto3")
    for name, fields in _MESSAGES.items():
        described = file.message_type.add(name=name)
        if "?" in fields:
            described.oneof_decl.add(name="parameter_choice")
        for number, (field, kind) in enumerate((part.split(":") for part in fields.split()), start=1):
            _add_field(described, number, field, kind)
    package, _, name = SERVICE.rpartition(".")
    service = file.service.add(name=name)
    for method in (*_QUESTIONS, _API):
        asked = f".{package}.{method}"
        service.method.add(name=method, input_type=f"{asked}Request", output_type=f"{asked}Response")
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return pool


def _add_field(described: descriptor_pb2.DescriptorProto, number: int, name: str, kind: str) -> None:
    if kind == "{}":
        entry = described.nested_type.add(name=f"{name.capitalize()}Entry")
        entry.options.map_entry = True
        _add_field(entry, 1, "key", "string")
        _add_field(entry, 2, "value", "InferParameter")
        kind = f"{described.name}.{entry.name}[]"
    field = described.field.add(name=name, number=number)
    field.label = _Field.LABEL_REPEATED if kind.endswith("[]") else _Field.LABEL_OPTIONAL
    if kind.endswith("?"):
        field.oneof_index = 0
    kind = kind.rstrip("[]?")
    if kind[0].isupper():
        field.type, field.type_name = _Field.TYPE_MESSAGE, f".inference.{kind}"
    else:
        field.type = _Field.Type.Value(f"TYPE_{kind.upper()}")


def methods(
    registry: ModelRegistry, metrics: Metrics, log: RequestLog | None, max_values: int, questions: ThreadPoolExecutor
) -> Methods:
    """Returns the service's methods.

    Args:
      questions: the threads that answer what needs no model to run.
    """
    service = _Service(registry, metrics, log, max_values)
    answers = (service.live, service.ready, service.model_ready, service.metadata, service.model_metadata)
    asked = zip(_QUESTIONS, answers, strict=True)
    return {
        **{name: (method, message(f"{name}Request"), questions) for name, method in asked},
        _API: (service.infer, message("ModelInferRequest"), None),
    }


class _Service:
    def __init__(self, registry: ModelRegistry, metrics: Metrics, log: RequestLog | None, max_values: int) -> None:
        self._calls = Calls(registry, metrics)
        self._log = log
        self._max_values = max_values

    def live(self, _request: Any, _context: Any) -> Any:
        return message("ServerLiveResponse")(live=True)

    def ready(self, _request: Any, _context: Any) -> Any:
        return message("ServerReadyResponse")(ready=all(self._calls.registry.served().values()))

    def metadata(self, _request: Any, _context: Any) -> Any:
        return message("ServerMetadataResponse")(**kserve.server_description())

    def model_ready(self, request: Any, context: Any) -> Any:
        def answer() -> Any:
            try:
                with self._calls.registry.lease(request.name, _number(request.version)):
                    return message("ModelReadyResponse")(ready=True)
            except ServingError as error:
                if error.code is not Code.NOT_FOUND:
                    raise
                return message("ModelReadyResponse")(ready=False)

        return self._calls.answer(context, request.name, "", answer)

    def model_metadata(self, request: Any, context: Any) -> Any:
        def answer() -> Any:
            with self._calls.registry.lease(request.name, _number(request.version)) as (_, model):
                parts = kserve.described(model)
            versions = map(str, self._calls.registry.served().get(request.name, []))
            return message("ModelMetadataResponse")(
                name=request.name, versions=versions, platform=kserve.PLATFORM, **parts
            )

        return self._calls.answer(context, request.name, "", answer)

    def infer(self, request: Any, context: Any) -> Any:
        return self._calls.answer(context, request.model_name, _API, lambda: self._infer(request))

    def _infer(self, request: Any) -> Any:
        name = request.model_name
        signature = request.parameters["signature_name"].string_param if "signature_name" in request.parameters else ""
        signature = signature or DEFAULT_SIGNATURE
        with self._calls.registry.lease(name, _number(request.model_version)) as (version, model):
            feeds = _feeds(request, model.signature(signature).inputs, self._max_values)
            asked = tuple(output.name for output in request.outputs)
            outputs = self._calls.timed(name, _API, lambda: inference.predict(model, signature, feeds, asked))
        response = message("ModelInferResponse")(model_name=name, model_version=str(version), id=request.id)
        _write(response, outputs, raw=bool(request.raw_input_contents))
        if self._log is not None and self._log.sampled():
            spec = messages.model_spec(name, version, signature)
            self._log.offer(records.predict(spec, feeds, outputs), records.size_of(feeds, outputs))
        return response


def _number(version: str) -> int | None:
    if version and not (version.isascii() and version.isdigit() and len(version) < 20):
        raise invalid(f"A version is a whole number. Received: {version[:64]!r}")
    return int(version) if version else None


def _feeds(request: Any, dtypes: Mapping[str, int], max_values: int) -> dict[str, Tensor]:
    raw = request.raw_input_contents
    if raw and len(raw) != len(request.inputs):
        raise invalid(
            f"raw_input_contents must have one entry for each of the {len(request.inputs)} inputs. Received: {len(raw)}"
        )
    feeds: dict[str, Tensor] = {}
    for number, given in enumerate(request.inputs):
        declared = v2_tensors.declared(given.name, given.datatype, list(given.shape), number, dtypes, feeds.keys())
        if raw:
            feeds[given.name] = v2_tensors.from_bytes(memoryview(raw[number]), declared, max_values)
        elif declared.dtype not in _CONTENTS:
            raise invalid(f"The input {given.name!r} of the datatype {given.datatype} must come in raw_input_contents")
        elif declared.dtype == STRING:
            feeds[given.name] = v2_tensors.from_texts(list(given.contents.bytes_contents), declared)
        else:
            values = list(getattr(given.contents, _CONTENTS[declared.dtype]))
            feeds[given.name] = v2_tensors.from_json(values, declared, nan_is_none=False)
    return feeds


def _write(response: Any, outputs: Mapping[str, Tensor], *, raw: bool) -> None:
    """Adds the outputs: raw where the inputs came so, or where the other form has no place for a datatype."""
    raw = raw or any(tensor.dtype not in _CONTENTS for tensor in outputs.values())
    for name, (dtype, array) in outputs.items():
        written = response.outputs.add(name=name, datatype=v2_tensors.datatype(dtype), shape=array.shape)
        if raw:
            response.raw_output_contents.append(v2_tensors.to_bytes(Tensor(dtype, array), name))
        else:
            getattr(written.contents, _CONTENTS[dtype]).extend(array.ravel().tolist())
