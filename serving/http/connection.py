"""One HTTP client. httptools parses its requests, limits bound them, and a client that does not read is cut off.

A connection has one request under way; what the client sends ahead waits unread.
"""

import asyncio
import collections
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import httptools

from serving.errors import Code, ServingError
from serving.http.answers import Answer, Call, html, refusal
from serving.http.limits import Limits, headers_too_large, timed_out, too_large
from serving.http.rest import RestService

_LINGER_S = 2.0


class ConnectionServer(Protocol):
    """What a connection needs of its server."""

    service: RestService
    limits: Limits
    connections: "set[Connection]"
    buffered_bytes: int
    closing: bool

    def submit(self, call: Call, body: bytearray, gzip: bool, deadline: float, then: Callable[[Answer], None]) -> None:
        """Works on a call in a thread; `then` gets the answer on the event loop."""

    def head(self, answer: Answer, keep_alive: bool, *, says_keep_alive: bool = False) -> bytes:
        """Returns the status line and the headers of an answer."""


@dataclass
class _Request:
    method: str = ""
    target: bytes = b""
    origin: str = ""
    authorization: str = ""
    json_bytes: str = ""
    gzip: bool = False
    expects_continue: bool = False
    declared_bytes: int = 0
    header_bytes: int = 0
    body: bytearray = field(default_factory=bytearray)  # Not a list of pieces: a client may send a byte in each.
    held_bytes: int = 0  # Of the server's budget.
    started: float = 0.0
    keep_alive: bool = True
    says_keep_alive: bool = False  # A client of HTTP/1.0 waits for the end of the connection unless it is told.
    framing: list[bytes] = field(default_factory=list)  # The headers that say where the body ends.
    done: bool = False  # It has been answered, whatever its work says later.


class Connection(asyncio.Protocol):
    """One client. Its methods without underscore are asyncio's and httptools' callbacks."""

    def __init__(self, server: ConnectionServer) -> None:
        self._server = server
        self._limits = server.limits
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._transport: Any = None  # asyncio.Transport; uvloop's has the same methods.
        self._timer: asyncio.TimerHandle | None = None
        self._request: _Request | None = None  # Being received.
        self._received: collections.deque[_Request] = collections.deque()  # Whole, sent ahead of an answer.
        self._active: _Request | None = None
        self._in_head = True
        self._skipping_head = False
        self._fed_bytes = 0  # Of the message being received.
        self._discarding = False
        self._write_paused = False
        self._is_tls = False  # TLS has no half closed connections.
        self._reading_paused = False
        self._at_end = False
        self._may_work = False  # Here, on the event loop: once for what is received at once, then others have a turn.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._is_tls = transport.get_extra_info("ssl_object") is not None
        if len(self._server.connections) >= self._limits.connections or self._server.closing:
            self._refuse(ServingError(Code.UNAVAILABLE, "Too many connections; try again later"))
        self._server.connections.add(self)
        if not self._discarding:
            self._set_timer(self._limits.idle_s, self.abort)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature.
        self._server.connections.discard(self)
        self._cancel_timer()
        for request in (self._request, *self._received):
            if request is not None:
                self._release(request)
        self._request = None
        self._received.clear()
        if self._active is not None:
            self._active.done = True

    def data_received(self, data: bytes) -> None:
        if self._discarding:
            return
        self._may_work = True
        self._fed_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if self._request is None:
                self._at_end = True  # CONNECT: it is answered; what follows is another protocol.
            else:
                self._stay(data[upgrade.args[0] :])
        except httptools.HttpParserInvalidMethodError:
            self._finish_with(html(501, "Not Implemented"))
        except httptools.HttpParserError:
            self._finish_with(html(400, "Bad Request"))
        if self._discarding or self._request is None:
            return
        if self._in_head and self._fed_bytes > self._limits.header_bytes:
            self._refuse(headers_too_large(self._limits.header_bytes))
        elif self._fed_bytes > self._limits.header_bytes + 3 * (len(self._request.body) + 2**16):
            self._finish_with(html(400, "Bad Request"))  # Chunks of next to nothing, or trailers without end.

    def _stay(self, rest: bytes) -> None:
        """Reads on as if the client had not asked for another protocol (RFC 9110, 7.8: a server may ignore that).

        The parser takes every such request for one without a body, so a new one is told where the body ends.
        """
        assert self._request is not None, "its head has been read"
        self._parser = httptools.HttpRequestParser(self)
        self._skipping_head = True
        head = b"\r\n".join([f"{self._request.method} / HTTP/1.1".encode(), *self._request.framing])
        self._parser.feed_data(head + b"\r\n\r\n")
        if rest:
            self.data_received(rest)

    def eof_received(self) -> bool:
        self._at_end = True
        return self._active is not None and not self._is_tls  # Half closed: the answer still goes out.

    def pause_writing(self) -> None:
        self._write_paused = True
        self._set_timer(self._limits.timeout_s, self.abort)

    def resume_writing(self) -> None:
        self._write_paused = False
        self._wait_for_client()
        self._next()

    # What httptools calls while it parses.

    def on_message_begin(self) -> None:
        if self._skipping_head:
            return
        self._request = _Request(started=time.monotonic())
        self._in_head = True
        if self._active is None and not self._write_paused:
            self._set_timer(self._limits.timeout_s, self._time_out)

    def on_url(self, url: bytes) -> None:
        assert self._request is not None, "a message has begun"
        if self._skipping_head:
            return
        self._request.target += url
        self._request.header_bytes += len(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        request = self._request
        assert request is not None, "a message has begun"
        if self._skipping_head:
            return
        request.header_bytes += len(name) + len(value)
        name = name.lower()
        if name == b"content-encoding":
            request.gzip = b"gzip" in value
        elif name == b"origin":
            request.origin = value.decode("latin-1")
        elif name == b"authorization":
            request.authorization = value.decode("latin-1")
        elif name == b"inference-header-content-length":
            request.json_bytes = value.decode("latin-1")
        elif name == b"expect":
            request.expects_continue = value.lower() == b"100-continue"
        elif name == b"content-length":
            request.declared_bytes = int(value) if value.isdigit() and len(value) < 20 else 2**63
            request.framing.append(name + b": " + value)
        elif name == b"transfer-encoding" or (name == b"connection" and b"close" in value.lower()):
            request.framing.append(name + b": " + (b"close" if name == b"connection" else value))

    def on_headers_complete(self) -> None:
        request = self._request
        assert request is not None, "a message has begun"
        if self._skipping_head:
            self._skipping_head = False
            return
        self._in_head = False
        request.method = self._parser.get_method().decode("latin-1")
        if self._discarding:
            return
        if request.header_bytes > self._limits.header_bytes:
            self._refuse(headers_too_large(self._limits.header_bytes))
        elif request.declared_bytes > self._limits.body_bytes:
            self._refuse(too_large(self._limits.body_bytes))
        elif (
            stranger := self._server.service.refuses(request.method, request.target, request.authorization)
        ) is not None:
            self._refuse(stranger)  # Before its body is received.
        elif request.expects_continue and self._active is None and not self._received:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        request = self._request
        if request is None or self._discarding:
            return
        request.body += body
        request.held_bytes += len(body)
        self._server.buffered_bytes += len(body)
        if len(request.body) > self._limits.body_bytes:
            self._refuse(too_large(self._limits.body_bytes))
        elif self._server.buffered_bytes > self._limits.buffered_bytes:
            self._refuse(ServingError(Code.RESOURCE_EXHAUSTED, "Too many bytes are being received; try again later"))

    def on_message_complete(self) -> None:
        request = self._request
        if request is None or self._discarding:
            return
        if self._parser.should_upgrade() and request.method != "CONNECT":
            return  # The body is still to come: `_stay`.
        request.keep_alive = self._parser.should_keep_alive()
        request.says_keep_alive = request.keep_alive and self._parser.get_http_version() == "1.0"
        self._request = None
        self._fed_bytes = 0
        self._received.append(request)
        self._next()

    # Answering.

    def _next(self) -> None:
        """Takes up the next whole request, where none is under way."""
        while self._received and self._active is None and not self._write_paused and not self._discarding:
            self._start(self._received.popleft())
        if self._discarding or self._transport is None or self._transport.is_closing():
            return
        if bool(self._received) != self._reading_paused:
            self._reading_paused = not self._reading_paused
            (self._transport.pause_reading if self._reading_paused else self._transport.resume_reading)()

    def _start(self, request: _Request) -> None:
        self._active = request
        service = self._server.service
        answer = service.answer(request.method, _path(request.target), request.origin, request.json_bytes)
        if isinstance(answer, Call):
            deadline = request.started + self._limits.timeout_s
            if self._may_work and not request.gzip and service.is_quick(answer, len(request.body)):
                self._may_work = False
                self._worked(request, service.work(answer, request.body, deadline))
                return
            self._set_timer(max(0.0, deadline - time.monotonic()), self._time_out)
            try:
                self._server.submit(
                    answer, request.body, request.gzip, deadline, lambda done: self._worked(request, done)
                )
            except ServingError as error:
                self._release(request)
                self._send(request, refusal(error, answer.model, answer.api))
        else:
            self._release(request)
            self._send(request, answer)

    def _worked(self, request: _Request, answer: Answer) -> None:
        self._release(request)
        if not request.done:
            self._send(request, answer)

    def _send(self, request: _Request, answer: Answer) -> None:
        request.done = True
        self._active = None
        keep_alive = request.keep_alive and not self._server.closing and not (self._at_end and not self._received)
        head = self._server.head(answer, keep_alive, says_keep_alive=keep_alive and request.says_keep_alive)
        self._server.service.record(answer, time.monotonic() - request.started)
        self._wait_for_client()
        self._transport.write(head if request.method == "HEAD" else head + answer.body)
        if not keep_alive:
            self._at_end = self._at_end or self._is_tls  # Its request is whole: nothing more has to come.
            self._linger()
        elif not self._write_paused:
            self._next()

    def _time_out(self) -> None:
        """Answers 504: to the request being worked on, whose work goes on for nobody, or being received."""
        if self._active is not None:
            self._send(self._active, timed_out(self._limits.timeout_s))
        else:
            self._finish_with(timed_out(self._limits.timeout_s))

    def _refuse(self, error: ServingError) -> None:
        self._finish_with(refusal(error))

    def _finish_with(self, answer: Answer) -> None:
        """Answers whatever is being received, and ends the connection."""
        if self._discarding:
            return
        if self._request is not None:
            self._release(self._request)
        started = self._request.started if self._request is not None else time.monotonic()
        self._request = None
        self._server.service.record(answer, time.monotonic() - started)
        if self._active is not None:  # The answer before this one is not out yet: it would be taken for that.
            self._discarding = True
            self.abort()
            return
        self._transport.write(self._server.head(answer, keep_alive=False) + answer.body)
        self._linger()

    def _linger(self) -> None:
        """Closes once the client has had time to read the answer, though it may still be sending."""
        self._discarding = True
        if self._transport.can_write_eof():
            self._transport.write_eof()
        if self._reading_paused:
            self._reading_paused = False
            self._transport.resume_reading()
        if self._at_end:
            self._transport.close()
        elif not self._write_paused:
            self._set_timer(_LINGER_S, self.abort)

    def _release(self, request: _Request) -> None:
        self._server.buffered_bytes -= request.held_bytes
        request.held_bytes = 0
        request.body = bytearray()

    def close_if_idle(self) -> None:
        """Closes a connection on which nothing is under way."""
        if self._active is None and self._request is None and not self._write_paused:
            self._transport.close()

    def abort(self) -> None:
        """Closes at once, whatever the client does."""
        if self._transport is not None:
            self._transport.abort()

    def _wait_for_client(self) -> None:
        if self._request is not None:
            left = self._request.started + self._limits.timeout_s - time.monotonic()
            self._set_timer(max(0.0, left), self._time_out)
        else:
            self._set_timer(_LINGER_S if self._discarding else self._limits.idle_s, self.abort)

    def _set_timer(self, seconds: float, callback: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(seconds, callback)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()


def _path(target: bytes) -> str:
    """Returns the path and query of a request target, also of one in absolute form."""
    text = target.decode("latin-1")
    if text.startswith(("http://", "https://")):
        slash = text.find("/", text.index("://") + 3)
        return text[slash:] if slash >= 0 else "/"
    return text
