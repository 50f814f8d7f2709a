"""Errors as the contract has them: a TensorFlow status code, its name, and the HTTP status that REST answers with."""

import enum


class Code(enum.Enum):
    """TensorFlow's status codes that a client can meet, with their HTTP status."""

    INVALID_ARGUMENT = 400
    FAILED_PRECONDITION = 400.1
    OUT_OF_RANGE = 400.2
    UNAUTHENTICATED = 401
    PERMISSION_DENIED = 403
    NOT_FOUND = 404
    ALREADY_EXISTS = 409
    ABORTED = 409.1
    RESOURCE_EXHAUSTED = 429
    CANCELLED = 499
    INTERNAL = 500
    UNIMPLEMENTED = 501
    UNAVAILABLE = 503
    DEADLINE_EXCEEDED = 504

    @property
    def http_status(self) -> int:
        """The status of the answer; several codes share one, so the enum's values carry a fraction."""
        return int(self.value)


class ServingError(Exception):
    """What a request is refused with; the message is the `error` of the answer.

    Attributes:
      http_status: where it differs from the code's own, such as 413.
    """

    def __init__(self, code: Code, message: str, *, http_status: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.http_status = http_status or code.http_status


def invalid(message: str) -> ServingError:
    """Returns an INVALID_ARGUMENT error."""
    return ServingError(Code.INVALID_ARGUMENT, message)
