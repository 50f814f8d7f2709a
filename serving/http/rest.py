"""From a method, a path and a body to an answer: the contract's URLs and checks, without a socket."""

import contextlib
import json
import math
import re
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from serving import messages
from serving.errors import Code, ServingError, invalid
from serving.http.answers import JSON, PLAIN, Answer, Call, html, refusal
from serving.http.kserve import PROBES, KServe
from serving.log import records
from serving.log.request_log import RequestLog
from serving.metrics import REQUEST_LATENCY, RUNTIME_LATENCY, Metrics
from serving.servables import inference
from serving.servables.loaded_model import DEFAULT_SIGNATURE, LoadedModel, Signature
from serving.servables.registry import ModelRegistry
from serving.servables.versions import Version
from serving.tokens import Tokens
from serving.values import example_json, json_reader, json_tensor, json_writer
from serving.values.json_reader import Document
from serving.values.tensors import FLOAT, Tensor

METRICS_PATH = "/monitoring/prometheus/metrics"

_SMALL_BODY = 2**13
_QUICK_S = 2e-3
_FADING = 0.97  # A slow answer is remembered for about a hundred quick ones.
_MAX_INT64 = 2**63 - 1
_INT64_DIGITS = 19
_VERB_PATH = re.compile(
    r"(?i:/v1/models/)([^/:]+)(?:(?i:/versions/)([0-9]+)|(?i:/labels/)([^/:]+))?:(predict|classify|regress)"
)
_MODEL_PATH = re.compile(r"(?i:/v1/models/)([^/:]+)(?:(?i:/versions/)([0-9]+)|(?i:/labels/)([^/:]+))?(/metadata)?")
_URI = re.compile(r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/?]|%[0-9A-Fa-f]{2})*")
_HTTP_METHODS = frozenset({"GET", "POST", "OPTIONS", "HEAD", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT"})


class RestService:
    """Answers REST requests. `answer` returns at once; `work` computes, and may be called by several threads."""

    def __init__(
        self,
        registry: ModelRegistry,
        metrics: Metrics,
        *,
        log: RequestLog | None = None,
        max_values: int,
        metrics_path: str = METRICS_PATH,
        tokens: Tokens | None = None,
    ) -> None:
        """Makes the service.

        Args:
          max_values: see `json_reader.parse`.
          tokens: what a client must show, but for probes.
        """
        self._registry = registry
        self._metrics = metrics
        self._log = log
        self._max_values = max_values
        self._seconds: dict[Call, float] = {}  # Of small requests, by what configured model they asked.
        self._metrics_path = metrics_path
        self._tokens = tokens
        self._kserve = KServe(registry, metrics, log=log, max_values=max_values)

    @property
    def asks(self) -> bool:
        """Whether clients must show a token."""
        return self._tokens is not None

    def refuses(self, method: str, target: bytes, authorization: str) -> ServingError | None:
        """Returns why a client may not ask, from the head of its request alone; None where it may."""
        if self._tokens is None or method == "OPTIONS" or target in PROBES:  # Browsers ask OPTIONS without a token.
            return None
        try:
            self._tokens.check(authorization)
        except ServingError as error:
            return error
        return None

    def answer(self, method: str, path: str, origin: str = "", json_bytes: str = "") -> Answer | Call:
        """Answers what needs no model to run; returns the call where one must.

        Args:
          json_bytes: the header of the v2 protocol that says how much of a body is JSON.
        """
        if method not in _HTTP_METHODS:
            return html(501, "Not Implemented")
        if not _URI.fullmatch(path):
            return html(400, "Bad Request")
        if path.partition("?")[0] == self._metrics_path:
            if "?" in path:
                return html(400, "Bad Request")
            return Answer(200, self._metrics.text(), PLAIN)
        if path == "/v2" or path.startswith("/v2/"):
            return self._kserve.answer(method, path, json_bytes)
        if not path.lower().startswith("/v1/"):
            return html(404, "Not Found")
        if method == "OPTIONS":
            has_origin = "http://" in origin or "https://" in origin
            return Answer(200 if has_origin else 400, b"", "")
        name = ""
        try:
            call, last = _match(method, path)
            if method == "POST":
                return call
            name = call.model
            body = self._metadata(call) if last else self._status(call)
        except ServingError as error:
            return refusal(error, name)
        return Answer(200, body, JSON, Code.OK, name)

    def work(self, call: Call, body: bytes | bytearray, deadline: float) -> Answer:
        """Answers a POST; never raises.

        Args:
          deadline: by the monotonic clock; what can stop stops there.
        """
        started = time.perf_counter()
        try:
            if call.api == "infer":
                return self._kserve.work(call, body, deadline)
            done = self._predict_rows(call, body) if call.api == "predict" else None
            answer, runs_at_once = done or self._work_on_document(call, body, deadline)
            if runs_at_once and len(body) <= _SMALL_BODY:
                self._seconds[call] = max(time.perf_counter() - started, _FADING * self._seconds.get(call, 0.0))
        except ServingError as error:
            return refusal(error, call.model, call.api)
        except MemoryError:
            return refusal(ServingError(Code.RESOURCE_EXHAUSTED, "Out of memory"), call.model, call.api)
        except Exception as error:  # noqa: BLE001 - the edge: a client gets the contract's form whatever happens.
            return refusal(ServingError(Code.INTERNAL, f"{type(error).__name__}: {error}"), call.model, call.api)
        return Answer(200, answer, JSON, Code.OK, call.model, call.api)

    def is_quick(self, call: Call, body_bytes: int) -> bool:
        """Tells whether handing the call to a thread would likely cost more than its work.

        By what small requests for the same have taken lately: the slowest counts, and fades.
        """
        return body_bytes <= _SMALL_BODY and self._seconds.get(call, math.inf) <= _QUICK_S

    def record(self, answer: Answer, seconds: float) -> None:
        """Counts an answer that went out."""
        if answer.code is None:
            return
        self._metrics.count(answer.model, answer.code.name, known=self._registry.is_configured(answer.model))
        if answer.code is Code.OK:
            labels = (("model_name", answer.model), ("API", answer.api), ("entrypoint", "REST"))
            self._metrics.observe(REQUEST_LATENCY, labels, seconds * 1e6)

    def _work_on_document(self, call: Call, body: bytes | bytearray, deadline: float) -> tuple[bytes, bool]:
        """Answers a body of any form; see `_run`."""
        document = json_reader.parse(body, max_values=self._max_values, deadline=deadline)
        name = document.value.get("signature_name", "")
        if not isinstance(name, str):
            raise invalid(f"'signature_name' must be a string. Received: {json_reader.quoted(name)}")
        if not name.isascii() and _is_no_unicode(name):
            raise invalid("'signature_name' must be UTF-8")
        if call.api != "predict":
            return self._from_examples(call, name, document), False
        with self._registry.lease(call.model, call.version, call.label) as (version, model):
            signature = model.signature(name or DEFAULT_SIGNATURE)
            return self._run(call, version, model, signature, json_tensor.decode(document, signature.inputs))

    def _predict_rows(self, call: Call, body: bytes | bytearray) -> tuple[bytes, bool] | None:
        """Answers a body of plain rows; None where it is another, or its model cannot be asked."""
        if json_reader.may_exceed(body, self._max_values):
            return None
        with contextlib.ExitStack() as held:
            try:
                version, model = held.enter_context(self._registry.lease(call.model, call.version, call.label))
                signature = model.signature(DEFAULT_SIGNATURE)
            except ServingError:  # A mistake in the body is told before this one.
                return None
            tensors = signature.rows.decode(body)
            if tensors is None:
                return None
            return self._run(call, version, model, signature, json_tensor.Decoded(tensors, "row"))

    def _run(
        self, call: Call, version: int, model: LoadedModel, signature: Signature, decoded: json_tensor.Decoded
    ) -> tuple[bytes, bool]:
        """Returns the answer, and whether runs of the model wait for nothing."""
        started = time.perf_counter()
        outputs = signature(decoded.tensors)
        self._observe_runtime(call, started)
        answer = json_writer.rows(outputs) if decoded.form == "row" else json_writer.columns(outputs)
        if self._log is not None and self._log.sampled():
            spec = messages.model_spec(call.model, version, signature.name)
            build = records.predict(spec, decoded.tensors, outputs)
            self._log.offer(build, records.size_of(decoded.tensors, outputs))
        return answer, model.runs_at_once

    def _from_examples(self, call: Call, signature_name: str, document: Document) -> bytes:
        examples = example_json.decode(document)
        with self._registry.lease(call.model, call.version, call.label) as (version, model):
            spec = messages.model_spec(call.model, version, signature_name or DEFAULT_SIGNATURE)
            started = time.perf_counter()
            if call.api == "classify":
                classified = inference.classify(model, signature_name, examples)
                answer = json_writer.results(_classifications(classified))
                build = records.classify(spec, examples, classified)
            else:
                values = inference.regress(model, signature_name, examples)
                answer = json_writer.results(json_writer.numbers(values, FLOAT))
                build = records.regress(spec, examples, values)
            self._observe_runtime(call, started)
        if self._log is not None and self._log.sampled():
            self._log.offer(build, 2 * sum(map(len, examples)))
        return answer

    def _observe_runtime(self, call: Call, started: float) -> None:
        labels = (("model_name", call.model), ("API", call.api.capitalize()), ("runtime", "TF1"))
        self._metrics.observe(RUNTIME_LATENCY, labels, (time.perf_counter() - started) * 1e6)

    def _metadata(self, call: Call) -> bytes:
        with self._registry.lease(call.model, call.version, call.label) as (version, model):
            spec = json.dumps({"name": call.model, "signature_name": "", "version": str(version)})
            return f'{{"model_spec": {spec}, "metadata": {model.described}}}'.encode()

    def _status(self, call: Call) -> bytes:
        versions = [_describe(entry) for entry in self._registry.status(call.model, call.version)]
        return json.dumps({"model_version_status": versions}).encode()


def _is_no_unicode(text: str) -> bool:
    """Tells whether a text holds bytes that are not UTF-8, as the reader leaves them."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _match(method: str, path: str) -> tuple[Call, bool]:
    """Returns what is asked for, and whether it is metadata.

    Raises:
      ServingError: the URL is none of the contract's.
    """
    if method == "GET" and path.lower() == "/v1/models":
        raise invalid("Missing model name in request.")
    pattern = {"POST": _VERB_PATH, "GET": _MODEL_PATH}.get(method)
    match = pattern.fullmatch(path) if pattern else None
    if match is None:
        raise invalid(f"Malformed request: {method} {path}")
    name, number, label, last = match.groups()
    digits = number.lstrip("0") or "0" if number else ""  # Python refuses to read thousands of digits.
    if len(digits) > _INT64_DIGITS or (digits and int(digits) > _MAX_INT64):
        raise invalid("")
    version = int(digits) if digits else None
    call = Call(_decoded(name), version, _decoded(label) if label else None, last if method == "POST" else "")
    return call, method == "GET" and last is not None


def _decoded(part: str) -> str:
    return unquote(part, errors="surrogateescape")


def _describe(version: Version) -> Mapping[str, Any]:  # Any: JSON.
    status = {"error_code": version.code.name, "error_message": version.error}
    return {"version": str(version.number), "state": version.state.name, "status": status}


def _classifications(answer: inference.Classified) -> list[str]:
    shape = next(array.shape for array in answer if array is not None)
    labels = (
        list(map(json_writer.string, answer.labels.ravel().tolist()))
        if answer.labels is not None
        else ['""'] * (shape[0] * shape[1])
    )
    scores = (
        json_writer.elements(Tensor(FLOAT, answer.scores.ravel()), "scores")
        if answer.scores is not None
        else ["0.0"] * (shape[0] * shape[1])
    )
    pairs = [f"[{label}, {score}]" for label, score in zip(labels, scores, strict=True)]
    return [f"[{', '.join(pairs[row * shape[1] : (row + 1) * shape[1]])}]" for row in range(shape[0])]
