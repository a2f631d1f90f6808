"""Chaos: weather before any transport.

It decides, attempt by attempt, which faults strike; the drivers carry that out on the loop's clock or on the real one. Where none strikes, the
answer of the transport behind it is passed through untouched.

Notebook: 00_start_here.ipynb
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any, NamedTuple

import httpx2

from llmlab.errors import BadInput
from llmlab.protocol import chunks, sse
from llmlab.protocol.identity import Stamp, Stamper
from llmlab.wire.faults.base import Fault, Timing
from llmlab.wire.faults.latency import Latency
from llmlab.wire.transport import TIMED, read_timeout, refuse_in_simulation, timeout_error


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
    """What it did, in words."""


class Chaos(httpx2.AsyncBaseTransport, httpx2.BaseTransport):
    """A transport that lets `inner` answer, in the weather of `faults`.

    Args:
        inner: The transport that answers.
        faults: What may strike; several may strike the same attempt, in the order given.
        seed: The weather's seed. The same seed, request and attempt meet the same weather, at any concurrency.

    Raises:
        BadInput: Two faults share a name, or something is no fault.

    Notebook: 00_start_here.ipynb
    """

    def __init__(self, inner: httpx2.AsyncBaseTransport | httpx2.BaseTransport, *faults: Fault, seed: int = 0) -> None:
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
        stamp = self._stamper.stamp(request)
        if self._timed:
            request.extensions = {**request.extensions, TIMED: True}
        timing = None
        for fault in self.faults:
            if fault.fires(self.seed, stamp):
                timing = timing or Timing()
                effect = fault.delay(timing, self.seed, stamp)
                self.journal.append(Injection(now, *_who(stamp), fault.name, effect))
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
        if not _streams(response):
            body = b"".join([part async for part in _aiter(response.stream)])
            await response.aclose()
            due = _whole_due(timing, sent, clock(), body)
            stream: Any = httpx2.ByteStream(body)
        else:
            due = _headers_due(timing, sent, clock())
            stream = AsyncPaced(response.stream, timing, sent, due, limit, request)
        if limit is not None and due - sent > limit:
            await asyncio.sleep(max(0.0, sent + limit - clock()))
            raise timeout_error(limit, "the response", request)
        if due > clock():
            await asyncio.sleep(due - clock())
        return _rewrap(response, stream)

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Answer on the real clock."""
        refuse_in_simulation()
        request.read()
        sent = time.monotonic()
        timing = self._plan(request, sent)
        response: httpx2.Response = self.inner.handle_request(request)
        if timing is None:
            return response
        limit = read_timeout(request)
        if not _streams(response):
            body = b"".join(_iter(response.stream))
            response.close()
            due = _whole_due(timing, sent, time.monotonic(), body)
            stream: Any = httpx2.ByteStream(body)
        else:
            due = _headers_due(timing, sent, time.monotonic())
            stream = SyncPaced(response.stream, timing, sent, due, limit, request)
        if limit is not None and due - sent > limit:
            time.sleep(max(0.0, sent + limit - time.monotonic()))
            raise timeout_error(limit, "the response", request)
        time.sleep(max(0.0, due - time.monotonic()))
        return _rewrap(response, stream)

    async def aclose(self) -> None:
        """Close the transport behind."""
        await self.inner.aclose()

    def close(self) -> None:
        """Close the transport behind."""
        self.inner.close()

    def __repr__(self) -> str:
        return f"Chaos({', '.join([repr(self.inner), *map(repr, self.faults)])}, seed={self.seed})"


_NO_TOKEN = (b'"finish_reason":"', b'"choices":[]', b"[DONE]")
"""Marks of the events that bring no token: the last of a choice, the usage, the end."""


def _who(stamp: Stamp) -> tuple[str, int, str]:
    return stamp.identity, stamp.ordinal, stamp.model


def _streams(response: httpx2.Response) -> bool:
    return response.headers.get("content-type", "").startswith("text/event-stream")


def _aiter(stream: Any) -> AsyncIterator[bytes]:
    return stream.__aiter__()  # type: ignore[no-any-return]


def _iter(stream: Any) -> Iterator[bytes]:
    return stream.__iter__()  # type: ignore[no-any-return]


def _rewrap(response: httpx2.Response, stream: Any) -> httpx2.Response:
    return httpx2.Response(response.status_code, headers=response.headers.raw, stream=stream, extensions=response.extensions)


def _headers_due(timing: Timing, sent: float, came: float) -> float:
    """Return when the headers of a stream are delivered: a provider sends them when the first token is ready."""
    return max(came, sent + (timing.first_at or 0.0)) + timing.before_headers


def _whole_due(timing: Timing, sent: float, came: float, body: bytes) -> float:
    """Return when a reply in one piece is delivered: after all of its tokens."""
    usage = chunks.usage_of(chunks.parsed(body))
    tokens = usage["completion_tokens"] if usage else 0
    base = came if timing.first_at is None else max(came, sent + timing.first_at + tokens * timing.per_token)
    gaps = sum(timing.gap(token) for token in range(1, tokens)) if timing.gaps else 0.0
    return base + timing.before_headers + timing.before_content + gaps + timing.wobble(0)


class _Paced:
    """Says when each chunk of a stream is delivered."""

    def __init__(self, inner: Any, timing: Timing, sent: float, headers_due: float, limit: float | None, request: httpx2.Request) -> None:
        self._inner, self._timing, self._sent, self._limit, self._request = inner, timing, sent, limit, request
        self._events: sse.Events | None = sse.Events()
        self._extra, self._token, self._chunk = timing.before_headers, -1, 0
        self.due = headers_due

    def _due(self, data: bytes, came: float) -> float:
        """Return when `data`, which came at `came`, is delivered."""
        timing = self._timing
        natural = getattr(self._inner, "due", came)
        new = self._content_in(data)
        for _ in range(new):
            self._token += 1
            self._extra += timing.before_content if self._token == 0 else timing.gap(self._token) if timing.gaps else 0.0
        if timing.first_at is not None:
            natural = max(natural, self._sent + timing.first_at + max(self._token, 0) * timing.per_token)
        due = natural + self._extra
        if timing.wobbles:
            due += timing.wobble(self._chunk)
        self._chunk += 1
        self.due = max(self.due, due)
        return self.due

    def _content_in(self, data: bytes) -> int:
        """Return how many tokens `data` brings: an event is a token, once content has begun."""
        if self._events is None:
            return max(0, data.count(b"\n\n") - sum(mark in data for mark in _NO_TOKEN))
        found = 0
        for field in self._events.feed(data):
            chunk = chunks.parsed(field)
            if found or (chunk and chunks.has_content(chunk)):
                found += 1
        if found:
            self._events = None
        return found

    def _late(self, began: float, due: float) -> bool:
        return self._limit is not None and due - began > self._limit


class AsyncPaced(_Paced, httpx2.AsyncByteStream):
    """A stream whose chunks are delivered when they are due, on the loop's clock."""

    def __aiter__(self) -> AsyncPaced:
        self._chunks = self._inner.__aiter__()
        return self

    async def __anext__(self) -> bytes:
        clock = asyncio.get_running_loop().time
        began = clock()
        data: bytes = await self._chunks.__anext__()
        due = self._due(data, clock())
        if self._late(began, due):
            assert self._limit is not None
            await asyncio.sleep(max(0.0, began + self._limit - clock()))
            raise timeout_error(self._limit, "the next chunk", self._request)
        if due > clock():
            await asyncio.sleep(due - clock())
        return data

    async def aclose(self) -> None:
        """Close the stream behind."""
        await self._inner.aclose()


class SyncPaced(_Paced, httpx2.SyncByteStream):
    """A stream whose chunks are delivered when they are due, on the real clock."""

    def __iter__(self) -> Iterator[bytes]:
        began = time.monotonic()
        for data in self._inner:
            due = self._due(data, time.monotonic())
            if self._late(began, due):
                assert self._limit is not None
                time.sleep(max(0.0, began + self._limit - time.monotonic()))
                raise timeout_error(self._limit, "the next chunk", self._request)
            time.sleep(max(0.0, due - time.monotonic()))
            yield data
            began = time.monotonic()

    def close(self) -> None:
        """Close the stream behind."""
        self._inner.close()
