"""A client of TensorFlow Serving's REST interface: what a model takes, and what it answers."""

import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.errors import ConfigError, PipelineError
from pipeline.predict.credentials import Credentials

Instance = Mapping[str, Any]  # Any: JSON.

_VERBS = (":predict", ":classify", ":regress", "/metadata")


class RefusedError(Exception):
    """The server refused a request for what is in it (400); the message is the server's."""


class NoAnswerError(PipelineError):
    """No server answers at the address."""


@dataclass(frozen=True)
class Signature:
    """What a signature takes and gives.

    Attributes:
      version: the version that was asked.
      inputs: dtype by name, in TensorFlow's terms such as `DT_FLOAT`.
      outputs: names.
    """

    version: int
    inputs: Mapping[str, str]
    outputs: tuple[str, ...]


_NONE = Credentials()


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Another address would get the token, and a redirected POST would lose its rows."""

    def redirect_request(self, *_: Any) -> None:
        """Leaves the answer as it is: an error."""


class Endpoint:
    """One model at one server: `http://HOST:PORT/v1/models/NAME`, with `/versions/N` or `/labels/LABEL` if wanted."""

    def __init__(self, url: str, timeout_s: float, credentials: Credentials = _NONE) -> None:
        """Takes the URL with or without `:predict`.

        Raises:
          ConfigError: it is no URL of a model.
        """
        for verb in _VERBS:
            url = url.removesuffix(verb)
        if "://" not in url:
            url = f"http://{url}"
        if not url.startswith(("http://", "https://")) or "/v1/models/" not in url:
            raise ConfigError(f"--url: expected http[s]://HOST:PORT/v1/models/NAME. Received: {url}.")
        if credentials.tls is not None and not url.startswith("https://"):
            raise ConfigError(f"--url: certificates are for https://. Received: {url}.")
        self.url = url
        self._timeout_s = timeout_s
        self._token = credentials.token
        handlers = [urllib.request.HTTPSHandler(context=credentials.tls)] if credentials.tls is not None else []
        self._open = urllib.request.build_opener(_NoRedirects, *handlers).open

    def signature(self, name: str) -> Signature:
        """Asks what a signature takes.

        Raises:
          ConfigError: the model has no such signature.
          PipelineError: no server answers, or it has no such model.
        """
        try:
            found = self._ask("/metadata", None)
        except RefusedError as error:
            raise PipelineError(f"{self.url} answered: {error}") from error
        signatures = found["metadata"]["signature_def"]["signature_def"]
        if name not in signatures:
            offered = ", ".join(sorted(key for key in signatures if not key.startswith("__")))
            raise ConfigError(f"--signature: the model has no {name!r}. It has: {offered}.")
        return Signature(
            version=int(found["model_spec"]["version"]),
            inputs={key: value["dtype"] for key, value in sorted(signatures[name]["inputs"].items())},
            outputs=tuple(sorted(signatures[name]["outputs"])),
        )

    def predict(self, signature: str, instances: Sequence[Instance]) -> list[Any]:
        """Returns one prediction for each instance.

        Raises:
          RefusedError: some instance is not what the signature takes.
          PipelineError: no server answers, it is overloaded, or it does not have the model any more.
        """
        answer = self._ask(":predict", {"signature_name": signature, "instances": list(instances)})
        predictions: list[Any] = answer["predictions"]
        if len(predictions) != len(instances):
            raise PipelineError(
                f"{self.url} answered {len(predictions)} predictions for {len(instances)} instances. "
                "This signature does not work row by row."
            )
        return predictions

    def _ask(self, path: str, body: Mapping[str, Any] | None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        request = urllib.request.Request(self.url + path, data=data, headers=headers)
        try:
            with self._open(request, timeout=self._timeout_s) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            text = _error_text(error.read())
            if error.code == 400:
                raise RefusedError(text) from error
            if error.code == 401:
                hint = "Show a token that it knows: --auth-token-file FILE or --auth-token-env NAME."
                raise PipelineError(f"{self.url} answered 401: {text}. {hint}") from error
            raise PipelineError(f"{self.url} answered {error.code}: {text}") from error
        except OSError as error:  # urllib's own error is one, and what TLS raises in the middle of an answer.
            reason = getattr(error, "reason", error) if isinstance(error, urllib.error.URLError) else error
            if isinstance(reason, ssl.SSLCertVerificationError):
                text = f"its certificate is not trusted: {reason.verify_message}. Name its authority: --tls-ca FILE"
                raise PipelineError(f"{self.url}: {text}.") from error
            if isinstance(reason, ssl.SSLError):
                text = f"TLS failed: {reason.reason}. Does it ask for a certificate (--tls-certificate)?"
                raise PipelineError(f"{self.url}: {text}") from error
            raise NoAnswerError(
                f"No answer from {self.url}: {reason}. Start a server, or name another (--url)."
            ) from error
        except ValueError as error:
            raise PipelineError(
                f"{self.url} answered no JSON: {error}. Is it a TensorFlow Serving REST port?"
            ) from error


def _error_text(body: bytes) -> str:
    try:
        return str(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError):
        return body[:200].decode(errors="replace")
