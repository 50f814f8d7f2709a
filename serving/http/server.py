"""HTTP/1.1 over asyncio: opens the port, hands work to threads, and ends in order.

The event loop only moves bytes; models run in threads.
"""

import asyncio
import collections
import email.utils
import socket
import time
import zlib
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from http import HTTPStatus
from typing import Any

from serving.errors import Code, ServingError
from serving.http.answers import Answer, Call
from serving.http.connection import Connection
from serving.http.limits import Limits, timed_out
from serving.http.rest import RestService
from serving.tls import Credentials, Identity

MAX_GUNZIPPED_BYTES = 100 * 2**20
_GUNZIP_PIECE = 2**20
_BACKLOG = 1024
_HANDSHAKE_S = 10.0
_REASONS = {status.value: status.phrase for status in HTTPStatus} | {499: "Client Closed Request"}


class HttpServer:
    """The connections of one REST port."""

    def __init__(self, service: RestService, pool: Executor, limits: Limits, *, cors: bool = False) -> None:
        self.service = service
        self.limits = limits
        self.cors = cors
        self.connections: set[Connection] = set()
        self.buffered_bytes = 0
        self.closing = False
        self._pool = pool
        self._pending = 0
        self._finished: collections.deque[tuple[Callable[[Answer], None], Answer]] = collections.deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._servers: list[asyncio.Server] = []
        self._credentials: Credentials | None = None
        self._identity: Identity | None = None  # What new connections are shown.
        self._date = (0, "")

    async def start(self, host: str, port: int, credentials: Credentials | None = None) -> int:
        """Opens the port; returns its number, which the system chooses where `port` is 0.

        Args:
          credentials: for HTTPS.

        Raises:
          OSError: the address is taken, or not this machine's.
        """
        self._loop = asyncio.get_running_loop()
        self._credentials = credentials
        self._identity = credentials.current() if credentials is not None else None
        self._servers = [
            await self._loop.create_server(
                lambda: Connection(self), host, port, backlog=_BACKLOG, **_tls(self._identity, self.limits)
            )
        ]
        number: int = self._servers[0].sockets[0].getsockname()[1]
        return number

    async def renew(self) -> None:
        """Takes up a new certificate where there is one; open connections keep the old one.

        What listens is the same socket before and after, so that no client is refused meanwhile.
        """
        if self._credentials is None or self._loop is None or self._credentials.current() == self._identity:
            return
        self._identity = self._credentials.current()
        old = self._servers
        self._servers = [
            await self._loop.create_server(
                lambda: Connection(self),
                sock=socket.fromfd(each.fileno(), each.family, each.type),
                backlog=_BACKLOG,
                **_tls(self._identity, self.limits),
            )
            for server in old
            for each in server.sockets
        ]
        for server in old:
            server.close()

    async def stop(self, drain_s: float) -> None:
        """Takes no more connections, waits for the requests under way, and closes."""
        self.closing = True
        for server in self._servers:
            server.close()
        for connection in list(self.connections):
            connection.close_if_idle()
        deadline = time.monotonic() + drain_s
        while self.connections and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
        for connection in list(self.connections):
            connection.abort()

    def submit(self, call: Call, body: bytearray, gzip: bool, deadline: float, then: Callable[[Answer], None]) -> None:
        """Works on a call in a thread; `then` gets the answer on the event loop.

        Raises:
          ServingError: too much is waiting.
        """
        if self._pending >= self.limits.executions + self.limits.waiting:
            raise ServingError(Code.RESOURCE_EXHAUSTED, "Too many requests are waiting; try again later")
        self._pending += 1
        self._pool.submit(self._work, call, body, gzip, deadline, then)

    def _work(self, call: Call, body: bytearray, gzip: bool, deadline: float, then: Callable[[Answer], None]) -> None:
        if time.monotonic() >= deadline:  # Its client has been told so already.
            answer = timed_out(self.limits.timeout_s)
        else:
            answer = self.service.work(call, gunzip(body) if gzip else body, deadline)
        self._finished.append((then, answer))
        assert self._loop is not None, "requests come after the start"
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        while self._finished:
            then, answer = self._finished.popleft()
            # Here and not when the client was answered: after a timeout the thread was still busy.
            self._pending -= 1
            then(answer)

    def head(self, answer: Answer, keep_alive: bool, *, says_keep_alive: bool = False) -> bytes:
        """Returns the status line and the headers of an answer.

        Args:
          says_keep_alive: HTTP/1.0's clients have to be told what HTTP/1.1 takes for granted.
        """
        now = int(time.time())
        if self._date[0] != now:
            self._date = now, email.utils.formatdate(now, usegmt=True)
        lines = [f"HTTP/1.1 {answer.status} {_REASONS.get(answer.status, 'Unknown')}", f"Date: {self._date[1]}"]
        if answer.content_type:
            lines.append(f"Content-Type: {answer.content_type}")
        if self.cors:
            lines.append("Access-Control-Allow-Origin: *")
            lines.append("Access-Control-Allow-Methods: POST, GET")
            lines.append(f"Access-Control-Allow-Headers: Content-Type{', Authorization' if self.service.asks else ''}")
        if answer.json_bytes is not None:
            lines.append(f"Inference-Header-Content-Length: {answer.json_bytes}")
        if answer.status == HTTPStatus.UNAUTHORIZED:
            lines.append("WWW-Authenticate: Bearer")
        if not keep_alive:
            lines.append("Connection: close")
        elif says_keep_alive:
            lines.append("Connection: keep-alive")
        lines.append(f"Content-Length: {len(answer.body)}\r\n\r\n")
        return "\r\n".join(lines).encode()


def _tls(identity: Identity | None, limits: Limits) -> Mapping[str, Any]:  # Any: arguments of create_server.
    if identity is None:
        return {}
    # A client that does not finish its handshake is no connection yet, so no other limit ends it.
    return {"ssl": identity.context(), "ssl_handshake_timeout": min(_HANDSHAKE_S, limits.timeout_s)}


def gunzip(body: bytes | bytearray) -> bytes:
    """Returns the decompressed body; what fails to decompress, or grows beyond 100 MiB, counts as empty."""
    decompressor = zlib.decompressobj(wbits=31)
    parts, size = [], 0
    try:
        while not decompressor.eof and body:
            parts.append(decompressor.decompress(body, _GUNZIP_PIECE))
            size += len(parts[-1])
            body = decompressor.unconsumed_tail
            if size > MAX_GUNZIPPED_BYTES or (not parts[-1] and not body):
                break
    except zlib.error:
        return b""
    return b"".join(parts) if decompressor.eof and size <= MAX_GUNZIPPED_BYTES else b""
