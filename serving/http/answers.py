"""What goes back to a client, and what is to be worked on: the words that the protocols and the connections share."""

import json
from typing import NamedTuple

from serving.errors import Code, ServingError

MAX_ERROR_LENGTH = 1024
JSON = "application/json"
HTML = "text/html"
PLAIN = "text/plain"
BINARY = "application/octet-stream"


class Answer(NamedTuple):
    """What goes back over the wire, and what is counted.

    Attributes:
      code: `None` for answers that are not counted as requests.
      model: the name in the URL; empty where the URL did not match.
      api: `predict`, `classify`, `regress`, `infer`, or empty.
      json_bytes: of a body whose rest is binary, how many bytes of JSON come first.
    """

    status: int
    body: bytes
    content_type: str = JSON
    code: Code | None = None
    model: str = ""
    api: str = ""
    json_bytes: int | None = None


class Call(NamedTuple):
    """A POST whose URL matched.

    Attributes:
      json_bytes: of the v2 protocol, the header that says how much of the body is JSON; "" where there is none.
    """

    model: str
    version: int | None
    label: str | None
    api: str
    json_bytes: str = ""


def refusal(error: ServingError, model: str = "", api: str = "") -> Answer:
    """Returns an error in the contract's form, its text cut as gRPC cuts it."""
    text = str(error)[:MAX_ERROR_LENGTH]
    return Answer(error.http_status, json.dumps({"error": text}).encode(), JSON, error.code, model, api)


def html(status: int, reason: str) -> Answer:
    """Returns an answer to what is no request of the contract's."""
    return Answer(status, f"<html><body><h1>{reason}</h1></body></html>".encode(), HTML)
