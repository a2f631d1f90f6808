"""The seam of the wire: a transport decides without I/O what comes back and when, and two thin drivers carry it out.

`Planned` is the base of what answers by itself (simulator, cassette). The asynchronous driver waits on the loop's clock, real or virtual;
the synchronous one on the real clock. Both enforce the client's timeouts, which httpx2 leaves to the transport.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import httpx2

from llmlab.errors import NotInVirtualTime
from llmlab.protocol.clock import simulating

SOURCE = "llmlab.source"
"""Response extension: who answered ("cassette", "simulator", "live")."""
TIMED = "llmlab.timed"
"""Request extension: the weather outside sets the times of the whole answer, so whoever answers adds none."""
CAPACITY = "llmlab.capacity"
"""Request extension: the `queueing.Closure`s of the weather outside, for who has slots. Response extension: it has heeded them."""

FAILURES: dict[str, type[httpx2.TransportError]] = {
    name: getattr(httpx2, name)
    for name in (
        "ConnectError",
        "ConnectTimeout",
        "PoolTimeout",
        "ReadError",
        "ReadTimeout",
        "RemoteProtocolError",
        "WriteError",
        "WriteTimeout",
    )
}
"""Transport errors by name, so that they can be written down and raised again."""


class Piece(NamedTuple):
    """One chunk of a reply's body."""

    at: float
    """When it arrives (in seconds after the request was sent)."""
    data: bytes


class Failure(NamedTuple):
    """A transport error at the end of a reply, or instead of one."""

    at: float
    """When it strikes (in seconds after the request was sent)."""
    name: str
    """A key of `FAILURES`."""
    message: str


@dataclass(slots=True)
class Reply:
    """What comes back for one request, and when. All times are seconds after the request was sent."""

    status: int = 200
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    headers_at: float = 0.0
    pieces: Sequence[Piece] = ()
    failure: Failure | None = None
    """Raised after the last piece; instead of the headers where `status` is 0."""
    extensions: dict[str, Any] = field(default_factory=dict)


_CLOCKS = {
    "ConnectError": ("connect", httpx2.ConnectTimeout),
    "ConnectTimeout": ("connect", httpx2.ConnectTimeout),
    "PoolTimeout": ("pool", httpx2.PoolTimeout),
    "WriteError": ("write", httpx2.WriteTimeout),
    "WriteTimeout": ("write", httpx2.WriteTimeout),
}
"""Failures that come before there is anything to read: the client's clock that runs meanwhile, and what it raises."""


class Planned(httpx2.AsyncBaseTransport, httpx2.BaseTransport):
    """A transport that answers by itself. Subclasses say what and when in `plan`."""

    def plan(self, request: httpx2.Request, now: float) -> Reply:
        """Return the reply to `request`, whose body was read.

        Args:
            request: The request as the client sent it.
            now: The time of sending on the clock in use (in seconds), for what remembers: queues, quotas.
        """
        raise NotImplementedError

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Carry out the plan on the loop's clock."""
        await request.aread()
        sent = asyncio.get_running_loop().time()
        reply = self.plan(request, sent)
        limit = read_timeout(request)
        wait, error = _until_headers(reply, limit, request)
        if wait > 0:
            await asyncio.sleep(wait)
        if error:
            raise error
        stream = AsyncPieces(reply, sent, limit, request) if _takes_time(reply, limit) else httpx2.ByteStream(_whole(reply))
        return httpx2.Response(reply.status, headers=reply.headers, stream=stream, extensions=reply.extensions)

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Carry out the plan on the real clock."""
        refuse_in_simulation()
        request.read()
        sent = real_time()
        reply = self.plan(request, sent)
        limit = read_timeout(request)
        wait, error = _until_headers(reply, limit, request)
        pause(wait)
        if error:
            raise error
        stream = SyncPieces(reply, sent, limit, request) if _takes_time(reply, limit) else httpx2.ByteStream(_whole(reply))
        return httpx2.Response(reply.status, headers=reply.headers, stream=stream, extensions=reply.extensions)


def real_time() -> float:
    """Return the real clock's time (in seconds), for the synchronous drivers."""
    return time.monotonic()


def pause(seconds: float) -> None:
    """Let real time pass, for the synchronous drivers; a time that has passed already is none."""
    if seconds > 0:
        time.sleep(seconds)


def refuse_in_simulation() -> None:
    """Raise `NotInVirtualTime` inside a simulation: the synchronous client would stop the clock."""
    if simulating():
        raise NotInVirtualTime(
            "the synchronous client cannot wait in virtual time. Use llmlab.client (AsyncOpenAI) inside llmlab.simulate, "
            "or run the synchronous client outside of it, on the real clock."
        )


def read_timeout(request: httpx2.Request) -> float | None:
    """Return the longest silence that the client bears (in seconds), or None."""
    return _limit(request, "read")


def _limit(request: httpx2.Request, clock: str) -> float | None:
    limit = (request.extensions.get("timeout") or {}).get(clock)
    return None if limit is None else float(limit)


def failure_error(failure: Failure, request: httpx2.Request) -> httpx2.TransportError:
    """Return the httpx2 error that `failure` names."""
    return FAILURES[failure.name](failure.message, request=request)


def timeout_error(limit: float, where: str, request: httpx2.Request) -> httpx2.ReadTimeout:
    """Return the error of a client that waited for `limit` seconds in vain."""
    return httpx2.ReadTimeout(f"no data for {limit:g} s while waiting for {where}", request=request)


def _until_headers(reply: Reply, limit: float | None, request: httpx2.Request) -> tuple[float, httpx2.TransportError | None]:
    """Return how long to wait for the headers, and what to raise then."""
    error: httpx2.TransportError | None = None
    at = reply.headers_at
    if reply.status == 0:
        assert reply.failure is not None, "a reply without a status is a failure"
        at, error = reply.failure.at, failure_error(reply.failure, request)
        if reply.failure.name in _CLOCKS:
            clock, kind = _CLOCKS[reply.failure.name]
            limit = _limit(request, clock)
            if limit is not None and at > limit:
                return limit, kind(f"{clock} took longer than {limit:g} s", request=request)
            return at, error
    if limit is not None and at > limit:
        return limit, timeout_error(limit, "the response", request)
    return at, error


def _takes_time(reply: Reply, limit: float | None) -> bool:
    """Whether the body must be waited for, or comes in more than one chunk."""
    return reply.failure is not None or len(reply.pieces) > 1 or (len(reply.pieces) == 1 and reply.pieces[0].at > reply.headers_at)


def _whole(reply: Reply) -> bytes:
    return reply.pieces[0].data if reply.pieces else b""


class _Pieces:
    """Goes through a reply's pieces: says how long to wait for the next one, and what comes then."""

    due: float
    """When the last piece arrived, or would have if nobody had read late (on the clock in use)."""

    def __init__(self, reply: Reply, sent: float, limit: float | None, request: httpx2.Request) -> None:
        self._pieces, self._failure = reply.pieces, reply.failure
        self._sent, self._limit, self._request = sent, limit, request
        self._read = 0
        self.due = sent + reply.headers_at

    def _next(self, now: float) -> tuple[float, bytes | httpx2.TransportError | None]:
        """Return how long to wait, and what comes then: bytes, an error, or None at the end. It is not taken before `_take`."""
        outcome: bytes | httpx2.TransportError | None
        if self._read < len(self._pieces):
            at, outcome = self._pieces[self._read]
        elif self._failure is not None:
            at, outcome = self._failure.at, failure_error(self._failure, self._request)
        else:
            return 0.0, None
        self.due = self._sent + at
        wait = self.due - now
        if self._limit is not None and wait > self._limit:
            return self._limit, timeout_error(self._limit, "the next chunk", self._request)
        return wait, outcome

    def _take(self, outcome: bytes | httpx2.TransportError | None) -> bytes | None:
        """Return the bytes, or None at the end, or raise the error: after it, nothing comes."""
        if isinstance(outcome, httpx2.TransportError):
            self._drop()
            raise outcome
        self._read += 1
        return outcome

    def _drop(self) -> None:
        self._pieces, self._failure = (), None


class AsyncPieces(_Pieces, httpx2.AsyncByteStream):
    """A reply's body on the loop's clock. A class and no generator: the client stops reading at `[DONE]`."""

    def __aiter__(self) -> AsyncPieces:
        return self

    async def __anext__(self) -> bytes:
        wait, outcome = self._next(asyncio.get_running_loop().time())
        if wait > 0:
            await asyncio.sleep(wait)
        data = self._take(outcome)
        if data is None:
            raise StopAsyncIteration
        return data

    async def aclose(self) -> None:
        """Drop what was not read."""
        self._drop()


class SyncPieces(_Pieces, httpx2.SyncByteStream):
    """A reply's body on the real clock."""

    def __iter__(self) -> Iterator[bytes]:
        while True:
            wait, outcome = self._next(real_time())
            pause(wait)
            data = self._take(outcome)
            if data is None:
                return
            yield data

    def close(self) -> None:
        """Drop what was not read."""
        self._drop()
