"""The service behind HTTP: an ASGI application whose event loop never runs a model."""

import asyncio
import functools
import json
import zlib
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from serving.errors import Code, ServingError
from serving.service import Answer, Service

Message = MutableMapping[str, Any]  # ASGI's own types.
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

MAX_GUNZIPPED_BYTES = 100 * 2**20


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one client may take.

    Attributes:
      body_bytes: a larger request body is answered 413.
      timeout_s: a request that takes longer, its body included, is answered 504.
      executions: requests worked on at once; each holds a thread.
      waiting: requests that may wait for a thread; more are answered 429.
    """

    body_bytes: int = 100 * 2**20
    timeout_s: float = 30.0
    executions: int = 4
    waiting: int = 256


class Application:
    """An ASGI application over a `Service`."""

    def __init__(self, service: Service, limits: Limits) -> None:
        self._service = service
        self._limits = limits
        self._pool = ThreadPoolExecutor(limits.executions, thread_name_prefix="model")
        self._pending = 0

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answers one connection's request. Only `http` scopes come here: the lifespan protocol is off."""
        headers = dict(scope["headers"])
        try:
            async with asyncio.timeout(self._limits.timeout_s):
                body = await self._read(headers, receive)
                answer = await self._work(scope, headers, body)
        except TimeoutError:
            answer = refusal(ServingError(Code.DEADLINE_EXCEEDED, f"Timed out after {self._limits.timeout_s:g} s"))
        except ServingError as error:
            answer = refusal(error)
        sent = [(b"content-type", answer.content_type.encode()), (b"content-length", str(len(answer.body)).encode())]
        await send({"type": "http.response.start", "status": answer.status, "headers": sent})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else answer.body})

    async def _read(self, headers: MutableMapping[bytes, bytes], receive: Receive) -> bytes:
        limit = self._limits.body_bytes
        declared = headers.get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > limit:
            raise too_large(limit)
        parts, size, more = [], 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ServingError(Code.CANCELLED, "The client has gone")
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > limit:
                raise too_large(limit)
            more = message.get("more_body", False)
        body = b"".join(parts)
        return gunzip(body) if b"gzip" in headers.get(b"content-encoding", b"") else body

    async def _work(self, scope: Message, headers: MutableMapping[bytes, bytes], body: bytes) -> Answer:
        if self._pending >= self._limits.executions + self._limits.waiting:
            raise ServingError(Code.RESOURCE_EXHAUSTED, "Too many requests are waiting; try again later")
        path = scope["raw_path"].decode("latin-1")
        if scope["query_string"]:
            path += "?" + scope["query_string"].decode("latin-1")
        origin = headers.get(b"origin", b"").decode("latin-1")
        self._pending += 1
        work = functools.partial(self._service.handle, scope["method"], path, body, origin)
        loop = asyncio.get_running_loop()
        future = self._pool.submit(work)
        # When the work ends, not when its client is answered: after a timeout the thread is still busy.
        future.add_done_callback(lambda _: loop.call_soon_threadsafe(self._release))
        return await asyncio.wrap_future(future)

    def _release(self) -> None:
        self._pending -= 1


def gunzip(body: bytes) -> bytes:
    """Returns the decompressed body; what fails to decompress, or grows beyond 100 MiB, counts as empty."""
    decompressor = zlib.decompressobj(wbits=31)
    try:
        plain = decompressor.decompress(body, MAX_GUNZIPPED_BYTES)
    except zlib.error:
        return b""
    return plain if decompressor.eof else b""


def too_large(limit: int) -> ServingError:
    """Returns the refusal of a body beyond the limit."""
    return ServingError(
        Code.RESOURCE_EXHAUSTED, f"The request body is larger than the limit of {limit} bytes", http_status=413
    )


def refusal(error: ServingError) -> Answer:
    """Returns an error in the contract's form."""
    return Answer(error.http_status, json.dumps({"error": str(error)}).encode())
