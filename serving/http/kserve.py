"""KServe's v2 inference protocol over REST, beside TensorFlow Serving's: `/v2/models/M/infer`, with binary tensors.

Sources: the Open Inference Protocol (kserve/open-inference-protocol) and its binary tensor data extension.
"""

import json
import re
import time
from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import Any, NamedTuple
from urllib.parse import unquote

from serving import messages
from serving.errors import Code, ServingError, invalid
from serving.http.answers import BINARY, JSON, Answer, Call, refusal
from serving.log import records
from serving.log.request_log import RequestLog
from serving.metrics import RUNTIME_LATENCY, Metrics
from serving.servables import inference
from serving.servables.loaded_model import DEFAULT_SIGNATURE, LoadedModel
from serving.servables.registry import ModelRegistry
from serving.values import json_reader, v2_tensors
from serving.values.json_reader import Json
from serving.values.tensors import Tensor

PROBES = frozenset({b"/v2/health/live", b"/v2/health/ready"})
API = "infer"
PLATFORM = "tensorflow_savedmodel"
EXTENSIONS = ("binary_tensor_data",)


def server_description() -> dict[str, Any]:
    """Returns the server's metadata."""
    return {"name": "driftgate", "version": metadata.version("tensorflow"), "extensions": list(EXTENSIONS)}


_MODEL_PATH = re.compile(r"/v2/models/([^/?]+)(?:/versions/([0-9]{1,19}))?(/infer|/ready)?")


class _Wanted(NamedTuple):
    """What a request says besides its tensors.

    Attributes:
      binary: of each output that is asked for, whether it is to be binary; empty where all are.
      all_binary: the same for outputs that are not named.
    """

    identity: str | None
    signature: str
    binary: Mapping[str, bool]
    all_binary: bool


class KServe:
    """The protocol's routes. `answer` returns at once; `work` computes, and may be called by several threads."""

    def __init__(self, registry: ModelRegistry, metrics: Metrics, *, log: RequestLog | None, max_values: int) -> None:
        """Makes the service.

        Args:
          max_values: see `json_reader.parse`; also the texts of a binary tensor.
        """
        self._registry = registry
        self._metrics = metrics
        self._log = log
        self._max_values = max_values

    def answer(self, method: str, path: str, json_bytes: str) -> Answer | Call:
        """Answers what needs no model to run; returns the call where one must."""
        name = ""
        try:
            if method == "GET" and path.encode() in PROBES:
                return self._probe(path)
            if method == "GET" and path == "/v2":
                return _json(server_description(), name)
            match = _MODEL_PATH.fullmatch(path)
            verb = match[3] if match else None
            if match is None or method != ("POST" if verb == "/infer" else "GET"):
                raise invalid(f"Malformed request: {method} {path}")
            name = unquote(match[1], errors="surrogateescape")
            call = Call(name, int(match[2]) if match[2] else None, None, API, json_bytes)
            if verb == "/infer":
                return call
            return self._ready(call) if verb == "/ready" else self._describe(call)
        except ServingError as error:
            return refusal(error, name)

    def work(self, call: Call, body: bytes | bytearray, deadline: float) -> Answer:
        """Answers an inference request.

        Args:
          deadline: by the monotonic clock; reading JSON stops there.

        Raises:
          ServingError: what is wrong with the request, or what the graph raises.
        """
        size = _json_size(call.json_bytes, len(body))
        head = body if size == len(body) else body[:size]
        document = json_reader.parse(head, max_values=self._max_values, deadline=deadline)
        wanted = _wanted(document.value)
        with self._registry.lease(call.model, call.version, call.label) as (version, model):
            dtypes = model.signature(wanted.signature).inputs
            rest = memoryview(body)[size:]
            feeds = _tensors(document.value, rest, dtypes, document.nan_is_none, self._max_values)
            started = time.perf_counter()
            outputs = inference.predict(model, wanted.signature, feeds, tuple(wanted.binary))
            labels = (("model_name", call.model), ("API", API.capitalize()), ("runtime", "TF1"))
            self._metrics.observe(RUNTIME_LATENCY, labels, (time.perf_counter() - started) * 1e6)
        answer = _written(call.model, version, wanted, outputs)
        if self._log is not None and self._log.sampled():
            spec = messages.model_spec(call.model, version, wanted.signature)
            self._log.offer(records.predict(spec, feeds, outputs), records.size_of(feeds, outputs))
        return answer

    def _probe(self, path: str) -> Answer:
        """Answers whether the process works, or whether every configured model has a version that answers."""
        state = path.rpartition("/")[2]
        good = state == "live" or all(self._registry.served().values())
        return Answer(200 if good else 503, json.dumps({state: good}).encode())

    def _ready(self, call: Call) -> Answer:
        with self._registry.lease(call.model, call.version):
            return _json({"name": call.model, "ready": True}, call.model)

    def _describe(self, call: Call) -> Answer:
        with self._registry.lease(call.model, call.version) as (_, model):
            parts = described(model)
        versions = [str(version) for version in self._registry.served().get(call.model, [])]
        return _json({"name": call.model, "versions": versions, "platform": PLATFORM} | parts, call.model)


def _json(value: Mapping[str, Any], model: str) -> Answer:
    return Answer(200, json.dumps(value).encode(), JSON, Code.OK, model)


def described(model: LoadedModel) -> dict[str, list[dict[str, Any]]]:
    """Returns the inputs and outputs of the default signature: name, datatype and shape of each.

    Raises:
      ServingError: the model has no such signature.
    """
    definition = model.definitions.get(DEFAULT_SIGNATURE)
    if definition is None:
        raise ServingError(
            Code.FAILED_PRECONDITION, f'Serving signature name: "{DEFAULT_SIGNATURE}" not found in signature def'
        )
    parts = {}
    for part, tensors in (("inputs", definition.inputs), ("outputs", definition.outputs)):
        parts[part] = [
            {
                "name": name,
                "datatype": v2_tensors.datatype(info.dtype),
                # The protocol has no word for an unknown rank.
                "shape": [-1] if info.tensor_shape.unknown_rank else [dim.size for dim in info.tensor_shape.dim],
            }
            for name, info in sorted(tensors.items())
        ]
    return parts


def _json_size(header: str, body_size: int) -> int:
    """Returns how many bytes of a body are JSON: all, unless the header says otherwise."""
    if not header:
        return body_size
    if not (header.isascii() and header.isdigit() and len(header) < 19 and int(header) <= body_size):
        raise invalid(
            f"Inference-Header-Content-Length must be at most the body's {body_size} bytes. Received: {header[:64]}"
        )
    return int(header)


def _wanted(value: Mapping[str, Json]) -> _Wanted:
    identity = value.get("id")
    if identity is not None and not isinstance(identity, str):
        raise invalid("'id' must be a string")
    parameters = _parameters(value, "the request")
    signature = parameters.get("signature_name", "") or DEFAULT_SIGNATURE
    if not isinstance(signature, str):
        raise invalid("The parameter 'signature_name' must be a string")
    all_binary = parameters.get("binary_data_output") is True
    binary: dict[str, bool] = {}
    for number, output in enumerate(_objects(value.get("outputs", []), "outputs")):
        name = output.get("name")
        if not isinstance(name, str) or name in binary:
            raise invalid(f"Output {number} must have a 'name' of its own, a string")
        asked = _parameters(output, f"the output {name!r}")
        if "classification" in asked:
            raise ServingError(Code.UNIMPLEMENTED, "The classification extension is not offered")
        binary[name] = asked.get("binary_data", all_binary) is True
    return _Wanted(identity, signature, binary, all_binary)


def _parameters(value: Mapping[str, Json], what: str) -> Mapping[str, Json]:
    parameters = value.get("parameters", {})
    if not isinstance(parameters, dict):
        raise invalid(f"The 'parameters' of {what} must be an object")
    return parameters


def _objects(value: Json, what: str) -> Sequence[Mapping[str, Json]]:
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise invalid(f"'{what}' must be a list of objects")
    return value


def _tensors(
    value: Mapping[str, Json], rest: memoryview, dtypes: Mapping[str, int], nan_is_none: bool, max_values: int
) -> dict[str, Tensor]:
    """Returns the inputs; their binary data follows the JSON in the order of the inputs."""
    if "inputs" not in value:
        raise invalid("The request has no 'inputs'")
    feeds: dict[str, Tensor] = {}
    start = 0
    for number, given in enumerate(_objects(value["inputs"], "inputs")):
        declared = v2_tensors.declared(
            given.get("name"), given.get("datatype"), given.get("shape"), number, dtypes, feeds.keys()
        )
        name = declared.name
        size = _parameters(given, f"the input {name!r}").get("binary_data_size")
        if (size is None) == ("data" not in given):
            raise invalid(f"The input {name!r} must have either 'data' or the parameter 'binary_data_size'")
        if size is None:
            feeds[name] = v2_tensors.from_json(given["data"], declared, nan_is_none)
            continue
        if type(size) is not int or not 0 <= size <= len(rest) - start:
            raise invalid(f"The input {name!r} declares {json_reader.quoted(size)} bytes; {len(rest) - start} are left")
        feeds[name] = v2_tensors.from_bytes(rest[start : start + size], declared, max_values)
        start += size
    if start != len(rest):
        raise invalid(f"{len(rest) - start} bytes after the inputs belong to none of them")
    return feeds


def _written(model: str, version: int, wanted: _Wanted, outputs: Mapping[str, Tensor]) -> Answer:
    head = {"model_name": model, "model_version": str(version)}
    if wanted.identity is not None:
        head["id"] = wanted.identity
    texts, parts = [], []
    for name, tensor in outputs.items():
        fields = f'"name": {json.dumps(name)}, "datatype": "{v2_tensors.datatype(tensor.dtype)}"'
        fields += f', "shape": {list(tensor.array.shape)}'
        if wanted.binary.get(name, wanted.all_binary):
            parts.append(v2_tensors.to_bytes(tensor, name))
            texts.append(f'{{{fields}, "parameters": {{"binary_data_size": {len(parts[-1])}}}}}')
        else:
            texts.append(f'{{{fields}, "data": {v2_tensors.to_json(tensor, name)}}}')
    text = f'{json.dumps(head)[:-1]}, "outputs": [{", ".join(texts)}]}}'.encode("utf-8", errors="surrogateescape")
    if not parts:
        return Answer(200, text, JSON, Code.OK, model, API)
    return Answer(200, text + b"".join(parts), BINARY, Code.OK, model, API, json_bytes=len(text))
