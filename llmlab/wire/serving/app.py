"""The application on the port: an HTTP request goes to a transport, and what comes back goes to the socket as it comes."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2

from llmlab.errors import LlmlabError
from llmlab.wire.chat_errors import Refusal
from llmlab.wire.client import BASE_URL, DUMMY_KEY
from llmlab.wire.serving.connection import LOG, Connection
from llmlab.wire.transport import SOURCE

SOURCE_HEADER = b"x-llmlab-source"
_HOPS = {b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade"}
"""Headers that are about one connection, not about the message."""
_ASKED = _HOPS | {b"expect", b"host"}
_ANSWERED = _HOPS | {SOURCE_HEADER}
_HOME = httpx2.URL(BASE_URL)

_Receive = Callable[[], Awaitable[dict[str, Any]]]
_Send = Callable[[dict[str, Any]], Awaitable[None]]


class App:
    """An ASGI application that lets `transport` answer.

    Args:
        transport: An asynchronous httpx2 transport.
        token: What clients must show as their API key; None: nothing. It goes no further than here.
        max_body_bytes: The longest request body.
        max_requests: Requests at once.
    """

    def __init__(self, transport: httpx2.AsyncBaseTransport, *, token: str | None, max_body_bytes: int, max_requests: int) -> None:
        self._transport, self._max_body_bytes, self._max_requests = transport, max_body_bytes, max_requests
        self._key = None if token is None else f"Bearer {token}".encode()
        self._open = 0

    async def __call__(self, scope: dict[str, Any], receive: _Receive, send: _Send) -> None:
        """Answer one request; whatever goes wrong, nothing is raised."""
        connection: Connection = scope["state"]["connection"]
        connection.task = asyncio.current_task()
        self._open += 1
        try:
            await self._go(connection, scope, receive, send)
        except asyncio.CancelledError:  # the client left, or the server stops
            connection.cut()
        finally:
            connection.task = None
            self._open -= 1

    async def _go(self, connection: Connection, scope: dict[str, Any], receive: _Receive, send: _Send) -> None:
        started = False
        try:
            response = await self._answer(scope, receive)
            try:
                source = response.extensions.get(SOURCE)
                headers = [(name, value) for name, value in response.headers.raw if name.lower() not in _ANSWERED]
                if source is not None:
                    headers.append((SOURCE_HEADER, str(source).encode()))
                started = True
                await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
                async for data in response.stream:  # type: ignore[union-attr]
                    await send({"type": "http.response.body", "body": data, "more_body": True})
                await send({"type": "http.response.body", "body": b""})
            finally:
                await response.aclose()
        except Refusal as refusal:
            await self._refuse(send, refusal)
        except httpx2.TransportError:
            connection.cut()
        except Exception as error:
            LOG.exception("%s %s could not be answered", scope["method"], scope["path"])
            if started:
                connection.cut()
            else:
                await self._refuse(send, Refusal(f"{type(error).__name__}: {error}", status=500, kind="server_error"))

    async def _answer(self, scope: dict[str, Any], receive: _Receive) -> httpx2.Response:
        given = dict(scope["headers"])
        if self._key is not None and not hmac.compare_digest(given.get(b"authorization", b""), self._key):
            raise Refusal("Incorrect API key provided: this server wants its token.", None, "invalid_api_key", status=401)
        if self._key is None and b"origin" in given:
            raise Refusal("Web pages may not use a server without a token.", None, "origin_not_allowed", status=403)
        if self._open > self._max_requests:
            words = f"This server answers {self._max_requests} requests at once. Please try again later."
            raise Refusal(words, None, "server_overloaded", status=503, kind="server_error", headers=[(b"retry-after", b"1")])
        body = await self._body(given, receive)
        headers = [(name, value) for name, value in scope["headers"] if name not in _ASKED]
        if self._key is not None:
            headers = [(name, value) for name, value in headers if name != b"authorization"]
            headers.append((b"authorization", f"Bearer {DUMMY_KEY}".encode()))
        query = scope["query_string"]
        try:
            url = _HOME.copy_with(raw_path=scope["raw_path"] + (b"?" + query if query else b""))
            request = httpx2.Request(scope["method"], url, headers=headers, content=body)
        except (httpx2.InvalidURL, ValueError):
            raise Refusal(f"Invalid URL ({scope['method']} {scope['path']})", status=404) from None
        try:
            return await self._transport.handle_async_request(request)
        except LlmlabError as error:  # a cap was reached, or no cassette holds it; no repetition helps
            raise Refusal(str(error), None, type(error).__name__, status=400) from None

    async def _body(self, given: dict[bytes, bytes], receive: _Receive) -> bytes:
        """Return the request's body. What follows after a refusal is thrown away by the connection, so that the client sees the answer."""
        parts, read, size = [], 0, int(given.get(b"content-length", b"0"))
        more = size <= self._max_body_bytes
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise asyncio.CancelledError
            parts.append(message["body"])
            read += len(message["body"])
            more = message["more_body"] and read <= self._max_body_bytes
        if max(size, read) > self._max_body_bytes:
            raise Refusal(f"The request is longer than {self._max_body_bytes:,} bytes.", None, "request_too_large", status=413)
        return b"".join(parts)

    async def _refuse(self, send: _Send, refusal: Refusal) -> None:
        body = refusal.body()
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)), *refusal.headers]
        await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
