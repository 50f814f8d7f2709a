"""What a client may take of the server, and the answers where it takes more."""

from dataclasses import dataclass

from serving.errors import Code, ServingError
from serving.http.answers import Answer, refusal


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What clients may take.

    Attributes:
      body_bytes: a larger request body is answered 413.
      header_bytes: a longer request line with its headers is answered 431.
      buffered_bytes: bodies held at once, over all connections; beyond it 429.
      values: JSON values in one body; more are answered 413.
      timeout_s: a request that takes longer, from its first byte to its answer's last, is answered 504 or cut off.
      idle_s: a connection without a request is closed after this long.
      connections: open at once; one more is answered 503 and closed.
      executions: requests worked on at once; each holds a thread.
      waiting: requests that may wait for a thread; more are answered 429.
    """

    body_bytes: int = 100 * 2**20
    header_bytes: int = 64 * 2**10
    buffered_bytes: int = 2**29
    values: int = 8_000_000
    timeout_s: float = 30.0
    idle_s: float = 75.0
    connections: int = 1000
    executions: int = 4
    waiting: int = 256


def timed_out(seconds: float) -> Answer:
    """Returns the answer to a request that took too long."""
    return refusal(ServingError(Code.DEADLINE_EXCEEDED, f"Timed out after {seconds:g} s"))


def too_large(limit: int) -> ServingError:
    """Returns the refusal of a body beyond the limit."""
    return ServingError(
        Code.RESOURCE_EXHAUSTED, f"The request body is larger than the limit of {limit} bytes", http_status=413
    )


def headers_too_large(limit: int) -> ServingError:
    return ServingError(
        Code.RESOURCE_EXHAUSTED, f"The request's headers are larger than the limit of {limit} bytes", http_status=431
    )
