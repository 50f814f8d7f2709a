"""Errors as the contract has them: a canonical status code, and the HTTP status that REST answers with.

ServingError            what a request, a configuration or a load is refused with
  TensorFlowError       the same, said by TensorFlow itself (serving/servables/session.py)
OptionsError            wrong usage of the command line or of a configuration file
  TensorFlowMissingError  TensorFlow is not installed (serving/protos.py)
"""

import enum


class Code(enum.IntEnum):
    """The canonical status codes; TensorFlow and gRPC number them alike."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16

    @property
    def http_status(self) -> int:
        """The status of a REST answer."""
        return _HTTP_STATUS.get(self, 500)


_HTTP_STATUS = {
    Code.OK: 200,
    Code.INVALID_ARGUMENT: 400,
    Code.FAILED_PRECONDITION: 400,
    Code.OUT_OF_RANGE: 400,
    Code.UNAUTHENTICATED: 401,
    Code.PERMISSION_DENIED: 403,
    Code.NOT_FOUND: 404,
    Code.ALREADY_EXISTS: 409,
    Code.ABORTED: 409,
    Code.RESOURCE_EXHAUSTED: 429,
    Code.CANCELLED: 499,
    Code.UNIMPLEMENTED: 501,
    Code.UNAVAILABLE: 503,
    Code.DEADLINE_EXCEEDED: 504,
}


class ServingError(Exception):
    """What a request is refused with; the message is the `error` of the answer.

    Attributes:
      code: the canonical code; gRPC answers with it, and metrics count by its name.
      http_status: where it differs from the code's own, such as 413.
    """

    def __init__(self, code: Code, message: str, *, http_status: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.http_status = http_status or code.http_status


class TensorFlowError(ServingError):
    """An error that TensorFlow reports, with TensorFlow's own code and text."""


class OptionsError(Exception):
    """Wrong usage: the message names the option or the file, what was expected and what was received."""


def invalid(message: str) -> ServingError:
    """Returns an INVALID_ARGUMENT error."""
    return ServingError(Code.INVALID_ARGUMENT, message)
