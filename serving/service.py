"""From a method, a path and a body to an answer: the contract's URLs and checks, without a socket."""

import json
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from serving import json_reader, json_tensor, json_writer
from serving.errors import Code, ServingError, invalid
from serving.loaded_model import DEFAULT_SIGNATURE
from serving.metrics import Metrics
from serving.versions import Version, VersionManager

METRICS_PATH = "/monitoring/prometheus/metrics"
JSON = "application/json"
HTML = "text/html"
PLAIN = "text/plain"

_MAX_INT64 = 2**63 - 1
_INT64_DIGITS = 19
# Names may hold percent signs, decoded after matching; fixed parts match in any letter case, the verb does not.
_VERB_PATH = re.compile(r"/v1/models/([^/:]+)(?:/versions/(\d+)|/labels/([^/:]+))?:(predict|classify|regress)")
_MODEL_PATH = re.compile(r"/v1/models/([^/:]+)(?:/versions/(\d+)|/labels/([^/:]+))?(/metadata)?")


@dataclass(frozen=True)
class Answer:
    """What goes back over the wire."""

    status: int
    body: bytes
    content_type: str = JSON


class Service:
    """Answers requests with the models' newest versions. `handle` blocks, and may be called by several threads."""

    def __init__(self, models: Mapping[str, VersionManager], metrics: Metrics) -> None:
        self._models = models
        self._metrics = metrics
        self._clock: Callable[[], float] = time.perf_counter

    def handle(self, method: str, path: str, body: bytes, origin: str = "") -> Answer:
        """Answers one request; never raises."""
        if not path.lower().startswith("/v1/") and path != "/v1":
            return self._outside(path)
        if method == "OPTIONS":
            known = "http://" in origin or "https://" in origin
            return Answer(200 if known else 400, b"")
        started = self._clock()
        name, verb = "", ""
        try:
            name, version, verb = self._match(method, path)
            answer = self._answer(name, version, verb, body)
        except ServingError as error:
            self._metrics.count(name, error.code.name)
            return Answer(error.http_status, json.dumps({"error": str(error)}).encode())
        except Exception as error:  # noqa: BLE001 - the edge: a client gets the contract's form whatever happens.
            self._metrics.count(name, Code.INTERNAL.name)
            return Answer(500, json.dumps({"error": f"{type(error).__name__}: {error}"[:1024]}).encode())
        self._metrics.count(name, "OK")
        api = verb if verb in ("predict", "classify", "regress") else ""
        self._metrics.observe(name, api, (self._clock() - started) * 1e6)
        return answer

    def _outside(self, path: str) -> Answer:
        if path == METRICS_PATH:
            return Answer(200, self._metrics.text(), PLAIN)
        return Answer(404, b"<html><body><h1>Not Found</h1></body></html>", HTML)

    def _match(self, method: str, path: str) -> tuple[str, int | None, str]:
        """Returns the model, the version asked for, and `predict`, `status`, `metadata` and so on."""
        if method == "GET" and path.lower() in ("/v1/models", "/v1/models/"):
            raise invalid("Missing model name in request.")
        pattern = {"POST": _VERB_PATH, "GET": _MODEL_PATH}.get(method)
        match = pattern.fullmatch(path) if pattern else None
        if match is None:
            raise invalid(f"Malformed request: {method} {path}")
        name, number, label, last = (unquote(part) if part else "" for part in match.groups())
        number = number.lstrip("0") or "0" if number else ""  # Python refuses to read thousands of digits.
        if len(number) > _INT64_DIGITS or (number and int(number) > _MAX_INT64):
            raise invalid("")
        if label and (method == "POST" or last):
            raise invalid(f"Unrecognized servable version label: {label}")
        verb = last if method == "POST" else "metadata" if last else "status"
        return name, int(number) if number else None, verb

    def _answer(self, name: str, version: int | None, verb: str, body: bytes) -> Answer:
        if verb == "status":
            return self._status(name, version)
        if verb == "metadata":
            number, model = self._manager(name, version).get(version)
            return Answer(200, model.metadata(name, number))
        if verb == "predict":
            return self._predict(name, version, body)
        raise ServingError(Code.UNIMPLEMENTED, f"This server does not offer {verb}; ask the signature with predict.")

    def _predict(self, name: str, version: int | None, body: bytes) -> Answer:
        parsed = json_reader.parse(body)
        signature = parsed.get("signature_name", "")
        if not isinstance(signature, str):
            raise invalid("'signature_name' must be a string")
        signature = signature or DEFAULT_SIGNATURE
        _, model = self._manager(name, version).get(version)
        with model:
            request = json_tensor.decode(parsed, model.inputs(signature))
            outputs = model.run(signature, request.arrays)
        write = json_writer.rows if request.form == "row" else json_writer.columns
        return Answer(200, write(outputs))

    def _manager(self, name: str, version: int | None) -> VersionManager:
        if name not in self._models:
            which = f"Latest({name})" if version is None else f"Specific({name}, {version})"
            raise ServingError(Code.NOT_FOUND, f"Servable not found for request: {which}")
        return self._models[name]

    def _status(self, name: str, version: int | None) -> Answer:
        if name not in self._models:
            what = "any versions" if version is None else f"version {version}"
            raise ServingError(Code.NOT_FOUND, f"Could not find {what} of model {name}")
        versions = [_describe(entry) for entry in self._models[name].status(version)]
        return Answer(200, json.dumps({"model_version_status": versions}).encode())


def _describe(version: Version) -> dict[str, Any]:  # Any: JSON.
    code = "UNKNOWN" if version.error else "OK"
    return {
        "version": str(version.number),
        "state": version.state.value,
        "status": {"error_code": code, "error_message": version.error},
    }


def poll_forever(models: Mapping[str, VersionManager], interval_s: float, stop: threading.Event) -> None:
    """Polls every model's base path until `stop` is set."""
    while not stop.wait(interval_s):
        for manager in models.values():
            manager.poll()
