"""The seam of the wire: a transport decides without I/O what comes back and when, and a driver carries it out.

`Planned` is the base of what answers by itself (simulator, cassette). What waits is written once, as a coroutine; for the synchronous
client it waits on the real clock, and is done at once. Both enforce the client's timeouts, which httpx2 leaves to the transport.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self, TypeVar, cast

import httpx2

from llmlab.errors import NotInVirtualTime
from llmlab.protocol.clock import simulating

T = TypeVar("T")

SOURCE = "llmlab.source"
"""Response extension: who answered ("cassette", "simulator", "live")."""
TIMED = "llmlab.timed"
"""Request extension: the weather outside sets the times of the whole answer, so whoever answers adds none."""
CAPACITY = "llmlab.capacity"
"""Request extension: the `queueing.Closure`s of the weather outside, for who has slots. Response extension: it has heeded them."""

_FAILURES = "ConnectError ConnectTimeout PoolTimeout ReadError ReadTimeout RemoteProtocolError WriteError WriteTimeout"
FAILURES: dict[str, type[httpx2.TransportError]] = {name: getattr(httpx2, name) for name in _FAILURES.split()}
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
        return await self._carry_out(request, loop_clock())

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Carry out the plan on the real clock."""
        refuse_in_simulation()
        request.read()
        return at_once(self._carry_out(request, REAL_CLOCK))

    async def _carry_out(self, request: httpx2.Request, on: Clock) -> httpx2.Response:
        sent = on.now()
        reply = self.plan(request, sent)
        limit = read_timeout(request)
        wait, error = _until_headers(reply, limit, request)
        if wait > 0:
            await on.wait(wait)
        if error:
            raise error
        stream = _whole(reply) or Pieces(reply, sent, limit, request)
        return httpx2.Response(reply.status, headers=reply.headers, stream=stream, extensions=reply.extensions)


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """Return the result of a coroutine that no loop runs, for it waits on the real clock alone."""
    try:
        work.send(None)
    except StopIteration as end:
        return cast(T, end.value)
    raise RuntimeError("it waits for a loop")  # pragma: no cover


async def answer_of(transport: Any, request: httpx2.Request, on: Clock) -> httpx2.Response:
    """Return what `transport` answers to either client."""
    answer = transport.handle_request(request) if on is REAL_CLOCK else await transport.handle_async_request(request)
    return cast(httpx2.Response, answer)


async def shut(what: Any, on: Clock) -> None:
    """Close a response or a body as either client does."""
    if on is REAL_CLOCK:
        what.close()
    else:
        await what.aclose()


class Body(httpx2.AsyncByteStream, httpx2.SyncByteStream):
    """A body for both clients: what comes next is written once, in `_next`. A class and no generator: the client stops at `[DONE]`."""

    _inner: Any = None
    """The stream behind, if there is one."""
    _chunks: Any = None
    _on: Clock
    """The clock on which it is read."""

    async def _next(self) -> bytes | None:
        """Return the next chunk, or None at the end."""
        raise NotImplementedError

    def _end(self, now: float) -> None:
        """Nobody reads on."""

    async def _behind(self) -> bytes | None:
        """Return the next chunk of the stream behind, or None at its end."""
        if self._on is REAL_CLOCK:
            return next(self._chunks, None)
        try:
            data: bytes = await self._chunks.__anext__()
        except StopAsyncIteration:
            return None
        return data

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if self._chunks is None:
            self._on, self._chunks = loop_clock(), aiter(self._inner) if self._inner is not None else ()
        data = await self._next()
        if data is None:
            raise StopAsyncIteration
        return data

    def __iter__(self) -> Iterator[bytes]:
        self._on, self._chunks = REAL_CLOCK, iter(self._inner if self._inner is not None else ())
        while (data := at_once(self._next())) is not None:
            yield data

    async def aclose(self) -> None:
        """Drop what was not read, and close the stream behind."""
        self._end(asyncio.get_running_loop().time())
        if self._inner is not None:
            await self._inner.aclose()

    def close(self) -> None:
        """Drop what was not read, and close the stream behind."""
        self._end(real_time())
        if self._inner is not None:
            self._inner.close()


def real_time() -> float:
    """Return the real clock's time (in seconds), for the synchronous drivers."""
    return time.monotonic()


def pause(seconds: float) -> None:
    """Let real time pass, for the synchronous drivers; a time that has passed already is none."""
    if seconds > 0:
        time.sleep(seconds)


class Clock(NamedTuple):
    """What a driver waits on."""

    now: Callable[[], float]
    """The time (in seconds)."""
    wait: Callable[[float], Awaitable[None]]
    """Lets so many seconds pass."""


def loop_clock() -> Clock:
    """Return the clock of the running loop, real or virtual."""
    return Clock(asyncio.get_running_loop().time, asyncio.sleep)


async def _pause(seconds: float) -> None:
    pause(seconds)


REAL_CLOCK = Clock(real_time, _pause)
"""The real clock, for the synchronous client: a coroutine that waits on it alone never stops, and `at_once` has its result."""


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


def _whole(reply: Reply) -> httpx2.ByteStream | None:
    """Return the body where it comes with the headers; None where it must be waited for, or comes in more than one chunk."""
    if reply.failure is not None or len(reply.pieces) > 1 or any(piece.at > reply.headers_at for piece in reply.pieces):
        return None
    return httpx2.ByteStream(b"".join(piece.data for piece in reply.pieces))


class Pieces(Body):
    """A reply's body: each piece at its time."""

    pieces: Sequence[Piece]
    """Those of the reply; may be exchanged before the first is read."""
    due: float
    """When the last piece arrived, or would have if nobody had read late (on the clock in use)."""

    def __init__(self, reply: Reply, sent: float, limit: float | None, request: httpx2.Request) -> None:
        self.pieces, self._failure = reply.pieces, reply.failure
        self._sent, self._limit, self._request = sent, limit, request
        self._read = 0
        self.due = sent + reply.headers_at

    async def _next(self) -> bytes | None:
        data: bytes | None = None
        error: httpx2.TransportError | None = None
        if self._read < len(self.pieces):
            at, data = self.pieces[self._read]
        elif self._failure is not None:
            at, error = self._failure.at, failure_error(self._failure, self._request)
        else:
            return None
        self.due = self._sent + at
        wait = self.due - self._on.now()
        if self._limit is not None and wait > self._limit:
            wait, error = self._limit, timeout_error(self._limit, "the next chunk", self._request)
        if wait > 0:
            await self._on.wait(wait)
        if error is not None:
            self._end(self._on.now())
            raise error
        self._read += 1  # not before: a read that is cancelled loses nothing
        return data

    def _end(self, now: float) -> None:
        self.pieces, self._failure = (), None
