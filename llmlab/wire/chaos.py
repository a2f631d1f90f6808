"""Chaos: weather before any transport.

It decides, attempt by attempt, which faults strike; the drivers carry that out on the loop's clock or on the real one. Where none strikes,
the answer of the transport behind it is passed through untouched.

Notebook: 00_start_here.ipynb
"""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple

import httpx2

from llmlab.errors import BadInput
from llmlab.protocol.identity import Stamper
from llmlab.wire.faults.base import Fault, Timing
from llmlab.wire.faults.latency import Latency
from llmlab.wire.pacing import AsyncPaced, SyncPaced, headers_due, whole_due
from llmlab.wire.transport import TIMED, pause, read_timeout, real_time, refuse_in_simulation, timeout_error


class Injection(NamedTuple):
    """One line of the journal."""

    at: float
    """When (in seconds on the clock in use)."""
    identity: str
    """Into which request; empty where nobody said."""
    ordinal: int
    """Into which of its attempts."""
    model: str
    """The model that was asked for."""
    fault: str
    """The fault's name."""
    effect: str
    """What was asked of it, in words; a stall after 5 tokens spares an answer of 4."""


class Chaos(httpx2.AsyncBaseTransport, httpx2.BaseTransport):
    """A transport that lets `inner` answer, in the weather of `faults`.

    Args:
        inner: The transport that answers.
        faults: What may strike; several may strike the same attempt, in the order given.
        seed: The weather's seed. The same seed, request and attempt meet the same weather, at any concurrency.

    Raises:
        BadInput: Two faults share a name, or something is no fault, or `inner` no transport.

    Notebook: 00_start_here.ipynb
    """

    def __init__(self, inner: httpx2.AsyncBaseTransport | httpx2.BaseTransport, *faults: Fault, seed: int = 0) -> None:
        if not hasattr(inner, "handle_async_request") and not hasattr(inner, "handle_request"):
            raise BadInput(f"Chaos stands before a transport, as in Chaos(Simulator(), LatencySpike()); {inner!r} is none")
        for fault in faults:
            if not isinstance(fault, Fault):
                raise BadInput(f"{fault!r} is no fault; faults are objects such as llmlab.faults.LatencySpike(probability=0.04)")
        names = [fault.name for fault in faults]
        for name in names:
            if names.count(name) > 1:
                raise BadInput(f"two faults are named {name!r}; give one of them a name of its own, as in {name}(name='second', ...)")
        self.inner: Any = inner
        self.faults, self.seed = faults, seed
        self._timed = any(isinstance(fault, Latency) for fault in faults)
        self._stamper = Stamper()
        self.journal: list[Injection] = []

    def reset(self) -> None:
        """Forget the journal and what was counted."""
        self.journal.clear()
        self._stamper.reset()

    def _plan(self, request: httpx2.Request, now: float) -> Timing | None:
        """Return what the faults that strike ask for, or None where none does; write it into the journal."""
        stamp = self._stamper.stamp(request)
        timed_outside = request.extensions.get(TIMED) not in (None, self)
        timing = None
        for fault in self.faults:
            if timed_outside and isinstance(fault, Latency):
                continue
            if fault.fires(self.seed, stamp):
                timing = timing or Timing()
                effect = fault.delay(timing, self.seed, stamp)
                self.journal.append(Injection(now, stamp.identity, stamp.ordinal, stamp.model, fault.name, effect))
        if self._timed and not timed_outside:
            request.extensions = {**request.extensions, TIMED: self if timing is not None and timing.first_at is not None else None}
        return timing

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Answer on the loop's clock."""
        await request.aread()
        clock = asyncio.get_running_loop().time
        sent = clock()
        timing = self._plan(request, sent)
        response: httpx2.Response = await self.inner.handle_async_request(request)
        if timing is None:
            return response
        limit = read_timeout(request)
        stream: Any
        try:
            if _streams(response):
                due = headers_due(timing, sent, clock())
                stream = AsyncPaced(response.stream, timing, sent, due, limit, request)
            else:
                body = b"".join([part async for part in response.stream])  # type: ignore[union-attr]
                due = whole_due(timing, sent, clock(), body)
                stream = httpx2.ByteStream(body)
                await response.aclose()
            late = limit is not None and due - sent > limit
            wait = (sent + limit if late else due) - clock()  # type: ignore[operator]
            if wait > 0:
                await asyncio.sleep(wait)
            if late:
                raise timeout_error(limit, "the response", request)  # type: ignore[arg-type]
        except BaseException:
            await response.aclose()
            raise
        return _rewrap(response, stream)

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Answer on the real clock."""
        refuse_in_simulation()
        request.read()
        sent = real_time()
        timing = self._plan(request, sent)
        response: httpx2.Response = self.inner.handle_request(request)
        if timing is None:
            return response
        limit = read_timeout(request)
        stream: Any
        try:
            if _streams(response):
                due = headers_due(timing, sent, real_time())
                stream = SyncPaced(response.stream, timing, sent, due, limit, request)
            else:
                body = b"".join(response.stream)  # type: ignore[arg-type]
                due = whole_due(timing, sent, real_time(), body)
                stream = httpx2.ByteStream(body)
                response.close()
            late = limit is not None and due - sent > limit
            wait = (sent + limit if late else due) - real_time()  # type: ignore[operator]
            pause(wait)
            if late:
                raise timeout_error(limit, "the response", request)  # type: ignore[arg-type]
        except BaseException:
            response.close()
            raise
        return _rewrap(response, stream)

    async def aclose(self) -> None:
        """Close the transport behind."""
        await self.inner.aclose()

    def close(self) -> None:
        """Close the transport behind."""
        self.inner.close()

    def __repr__(self) -> str:
        return f"Chaos({', '.join([repr(self.inner), *map(repr, self.faults)])}, seed={self.seed})"


def _streams(response: httpx2.Response) -> bool:
    return response.headers.get("content-type", "").startswith("text/event-stream")


def _rewrap(response: httpx2.Response, stream: Any) -> httpx2.Response:
    return httpx2.Response(response.status_code, headers=response.headers.raw, stream=stream, extensions=response.extensions)
