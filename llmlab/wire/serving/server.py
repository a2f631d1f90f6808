"""serve: a transport behind a real port, for clients in any language."""

from __future__ import annotations

import asyncio
import atexit
import errno
import ipaddress
import socket
import threading
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Self

import httpx2

from llmlab.errors import BadInput
from llmlab.wire.chaos import Chaos

JOURNAL_LINES = 10_000
"""What weather behind a port remembers of what it did, for it may run for days."""


def serve(
    transport: httpx2.AsyncBaseTransport,
    host: str = "127.0.0.1",
    port: int = 0,
    token: str | None = None,
    *,
    max_body_bytes: int = 10_000_000,
    max_requests: int = 1_000,
    request_seconds: float = 10.0,
    grace_seconds: float = 2.0,
) -> Served:
    """Put `transport` behind a port, on the real clock, in a thread of its own.

    ```python
    with llmlab.wire.serve(Chaos(Simulator(), LatencySpike(probability=0.3))) as server:
        print(server.url)  # give this to any OpenAI client as its base URL
    ```

    A transport error closes the connection, without an answer or in the middle of one. `X-Llmlab-Request` names the request that an attempt
    belongs to; `X-Llmlab-Source` says who answered.

    Args:
        transport: Simulator, Cassette, Chaos, Live, or any other asynchronous httpx2 transport; used by no other loop meanwhile.
        host: Where to listen. Anything but this machine needs a token.
        port: 0 takes a free one.
        token: What clients must send as their API key; None: anybody on this machine may use it.
        max_body_bytes: The longest request body (in bytes); a longer one is refused with 413.
        max_requests: Requests at once; one more is refused with 503.
        request_seconds: How long a request may take to arrive (in seconds), from its first byte to its last.
        grace_seconds: How long open answers may go on when it is stopped (in seconds); then they are cut.

    Returns:
        The running server, a context manager that stops it. It also stops with the interpreter.

    Raises:
        BadInput: uvicorn is not installed, the port is taken, another host than this machine without a token, or a
            limit that is none.
    """
    return Served(transport, host, port, token, max_body_bytes, max_requests, request_seconds, grace_seconds)


class Served:
    """A running server; `serve` makes it."""

    url: str
    """The base URL for clients, as in "http://127.0.0.1:8765/v1"."""
    port: int
    """The port it listens on."""

    def __init__(
        self,
        transport: httpx2.AsyncBaseTransport,
        host: str,
        port: int,
        token: str | None,
        max_body_bytes: int,
        max_requests: int,
        request_seconds: float,
        grace_seconds: float,
    ) -> None:
        if not hasattr(transport, "handle_async_request"):
            raise BadInput(f"serve takes a transport, as in serve(Simulator()); {transport!r} is none")
        if not isinstance(port, int) or not 0 <= port <= 65535:
            raise BadInput(f"a port is a number from 0 (any free one) to 65535, not {port!r}")
        limits = {"max_body_bytes": max_body_bytes, "max_requests": max_requests, "request_seconds": request_seconds}
        for name, limit in limits.items():
            if not limit > 0:
                raise BadInput(f"serve: {name} is more than 0, not {limit!r}")
        if not grace_seconds >= 0:
            raise BadInput(f"serve: grace_seconds is a time of 0 seconds or more, not {grace_seconds!r}")
        if token is not None and (not token or not token.isascii() or not token.isprintable() or " " in token):
            raise BadInput("a token is one word of ASCII characters")
        if token is None and not _is_here(host):
            raise BadInput(
                f"{host!r} can be reached by others: give a token that clients must send as their API key, or listen on 127.0.0.1"
            )
        try:
            import uvicorn

            from llmlab.wire.serving.app import App
            from llmlab.wire.serving.connection import Connection
        except ModuleNotFoundError as error:
            raise BadInput(f"serve needs {error.name}; run: pip install 'llmlab[serve]'") from None
        self._transport, self._grace_seconds = transport, grace_seconds
        layer: Any = transport
        while layer is not None:
            if isinstance(layer, Chaos):
                layer.keeps = layer.keeps or JOURNAL_LINES
                layer.dated = layer.dated or (lambda: datetime.now(UTC).timestamp())
            layer = getattr(layer, "inner", None)
        self._socket = _listen(host, port)
        self.port = self._socket.getsockname()[1]
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{self.port}/v1"
        app: Any = App(transport, token=token, max_body_bytes=max_body_bytes, max_requests=max_requests)
        kind = type("Connection", (Connection,), {"request_seconds": request_seconds})
        quiet: dict[str, Any] = {
            "log_config": None,
            "access_log": False,
            "server_header": False,
            "date_header": False,
            "proxy_headers": False,
        }
        self._server = uvicorn.Server(uvicorn.Config(app, http=kind, ws="none", lifespan="off", loop="asyncio", **quiet))
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name=f"llmlab-serve-{self.port}", daemon=True)
        self._thread.start()
        atexit.register(self.stop)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        try:
            await self._server.serve(sockets=[self._socket])
        finally:
            await self._transport.aclose()

    def stop(self) -> None:
        """Take no more requests, let open answers end within the grace time, and cut the rest. Twice is as good as once."""
        atexit.unregister(self.stop)
        self._server.should_exit = True
        with suppress(RuntimeError):  # the loop is closed already
            self._loop.call_soon_threadsafe(self._loop.call_later, self._grace_seconds, self._cut)
        self._thread.join()

    def _cut(self) -> None:
        for connection in list(self._server.server_state.connections):
            connection.transport.abort()

    def wait(self) -> None:
        """Block until it is stopped, or interrupted."""
        while self._thread.is_alive():
            self._thread.join(0.5)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self.stop)

    def __repr__(self) -> str:
        return f"<{self._transport!r} at {self.url}{'' if self._thread.is_alive() else ', stopped'}>"


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _listen(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=2048)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise BadInput(
                f"port {port} is in use; choose another, as in port={port + 1 if port < 65535 else 8765}, or 0 for a free one"
            ) from None
        raise BadInput(f"cannot listen on {host!r}, port {port}: {error.strerror or error}") from None
