"""A connection to the port: uvicorn's own, with a limit on how long a request may take to arrive, and a way to cut it."""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from llmlab.wire.chat_errors import Refusal

LOG = logging.getLogger("llmlab.serve")
LOG.addHandler(logging.NullHandler())
_ARRIVING = (h11.IDLE, h11.SEND_BODY)


class Connection(H11Protocol):
    """One connection of a client.

    uvicorn waits forever for the rest of a request. Here its head and body must be there `request_seconds` after its first byte. The
    application finds the connection in `scope["state"]`: to cut it, and to be cancelled when the client leaves.
    """

    request_seconds: float
    task: asyncio.Task[Any] | None = None
    """What answers on this connection; cancelled when the client leaves."""
    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request."""
        super().connection_made(transport)
        # asyncio does this only for sockets that were made with a protocol number; without it the kernel holds chunks back for 40 ms.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.logger = LOG
        self.app_state = {"connection": self}
        self._watch(True)

    def data_received(self, data: bytes) -> None:
        """Take what came."""
        super().data_received(data)
        self._watch(self.conn.their_state in _ARRIVING)

    def on_response_complete(self) -> None:
        """Go on with the next request, of which the beginning may be there already."""
        super().on_response_complete()
        self._watch(self.conn.their_state is h11.SEND_BODY)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop what was answering."""
        self._watch(False)
        super().connection_lost(exc)
        if self.task is not None:
            self.task.cancel()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP."""
        self._refuse(b"400 Bad Request", msg)

    def cut(self) -> None:
        """Close the connection in the middle of whatever it was; what was written before still arrives."""
        self.task, self.cycle.disconnected = None, True  # so that uvicorn adds no answer of its own
        self.transport.close()

    def _watch(self, arriving: bool) -> None:
        if not arriving and self._late is not None:
            self._late.cancel()
            self._late = None
        elif arriving and self._late is None and not self.transport.is_closing():
            self._late = self.loop.call_later(self.request_seconds, self._too_late)

    def _too_late(self) -> None:
        self._refuse(b"408 Request Timeout", f"The request did not arrive within {self.request_seconds:g} seconds.")

    def _refuse(self, status: bytes, message: str) -> None:
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            body = Refusal(message).body()
            head = b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
            self.transport.write(head % (status, len(body)) + body)
        self.transport.close()
