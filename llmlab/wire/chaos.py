"""Chaos: weather before any transport.

It decides, attempt by attempt, which faults strike; the drivers carry that out on the loop's clock or on the real one. Where none strikes,
the answer of the transport behind it is passed through untouched.

Notebook: 00_start_here.ipynb
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import httpx2
from pydantic_core import to_json

from llmlab.errors import BadInput
from llmlab.protocol.identity import EXTENSION, Stamper
from llmlab.wire.faults.base import Fault
from llmlab.wire.faults.latency import Latency
from llmlab.wire.faults.plan import Plan, Sent, Spoil, Whole
from llmlab.wire.pacing import Paced, headers_due, whole_due
from llmlab.wire.spoiling import Spoiled
from llmlab.wire.transport import (
    CAPACITY,
    REAL_CLOCK,
    TIMED,
    Clock,
    Failure,
    Piece,
    Pieces,
    Planned,
    Reply,
    answer_of,
    at_once,
    loop_clock,
    read_timeout,
    refuse_in_simulation,
    shut,
    timeout_error,
)


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

    Attributes:
        journal: What was injected into which request, when.
        keeps: Of a longer journal, the oldest lines are dropped; at least so many of the newest stay. None: all. `serve` sets it.
        dropped: How many lines were.
        dated: Says what `date` is (in seconds since 1970). None: a fixed day, and the time since the first request. `serve` sets it.

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
        if not isinstance(seed, int) or isinstance(seed, bool):
            raise BadInput(f"Chaos: seed is a whole number, not {seed!r}")
        self.inner: Any = inner
        self.faults, self.seed = faults, seed
        self._armed = [fault for fault in faults if fault.probability > 0]
        self._timed = any(isinstance(fault, Latency) for fault in faults)
        self._stamper = Stamper()
        self.journal: list[Injection] = []
        self.keeps: int | None = None
        self.dropped = 0
        self.dated: Callable[[], float] | None = None
        self._memory: dict[str, Any] = {}
        self._began: float | None = None

    def reset(self) -> None:
        """Forget the journal and what was counted, charged and remembered; the next request is the first."""
        self.journal.clear()
        self.dropped = 0
        self._stamper.reset()
        self._memory.clear()
        self._began = None

    def _plan(self, request: httpx2.Request, now: float) -> Plan | None:
        """Return what the faults that strike ask for, or None where none does."""
        if self._began is None or now < self._began:  # the first request, or the first on another loop, whose clock began anew
            self._began = now
            self._memory.clear()
        stamp = self._stamper.stamp(request)
        sent = Sent(request, stamp, self.seed, now - self._began, now, self._memory, self.dated and self.dated())
        timed_outside = request.extensions.get(TIMED) not in (None, self)
        plan = None
        for fault in self._armed:
            if not fault.fires(sent) or (timed_outside and isinstance(fault, Latency)):
                continue
            plan = plan or Plan(stamp.body)
            plan.strikes(fault.name)
            effect = fault.strike(plan, sent)
            if effect:
                line = Injection(now, stamp.identity, stamp.ordinal, stamp.model, fault.name, effect)
                if plan.waits_for_reply:
                    plan.told[fault.name] = line
                else:
                    self._write(line)
        if self._timed and not timed_outside:
            times = plan is not None and plan.timed and plan.timing.first_at is not None
            request.extensions = {**request.extensions, TIMED: self if times else None}
        return plan

    def _struck(self, plan: Plan, name: str, now: float, effect: str = "") -> None:
        """Write into the journal that the fault `name` has changed the reply, once."""
        line = plan.told.pop(name, None)
        if line is not None:
            self._write(line._replace(at=now, effect=effect or line.effect))

    def _write(self, line: Injection) -> None:
        self.journal.append(line)
        if self.keeps is not None and len(self.journal) >= 2 * self.keeps:  # rarely, for all lines behind move up
            self.dropped += self.keeps
            del self.journal[: self.keeps]

    def _opened(self, plan: Plan, response: httpx2.Response, now: float) -> tuple[Whole, list[Spoil]]:
        """Return the head of a stream as it is delivered, and what acts on its pieces."""
        head = Whole(response.status_code, list(response.headers.raw))
        spoils = []
        for name, spoil in plan.streams if head.status == 200 else ():
            spoil.tell = partial(self._struck, plan, name, now)
            if isinstance(response.stream, Pieces):
                known = spoil.ahead(response.stream.pieces)
                if known is not None:
                    response.stream.pieces = known
                    continue
            if spoil.open(head):
                spoils.append(spoil)
                if not spoil.tells:
                    self._struck(plan, name, now)
        return head, spoils

    def _rewritten(self, plan: Plan, response: httpx2.Response, body: bytes, now: float) -> Whole:
        """Return a reply in one piece as it is delivered."""
        whole = Whole(response.status_code, list(response.headers.raw), body)
        for name, change in plan.rewrites:
            done = change(whole)
            if done:
                self._struck(plan, name, now, done if isinstance(done, str) else "")
        if whole.body is not body:
            whole.header("content-length", str(len(whole.body)))
        return whole

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Answer on the loop's clock."""
        await request.aread()
        return await self._answer(request, loop_clock())

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Answer on the real clock."""
        refuse_in_simulation()
        request.read()
        return at_once(self._answer(request, REAL_CLOCK))

    async def _answer(self, request: httpx2.Request, on: Clock) -> httpx2.Response:
        sent = on.now()
        plan = self._plan(request, sent)
        if plan is None:
            return await answer_of(self.inner, request, on)
        response = httpx2.Response(0)
        limit = read_timeout(request)
        stream: Any
        try:
            response = await answer_of(_behind(self.inner, plan), _inward(request, plan), on)
            if not plan.reaches_reply:
                return response
            if CAPACITY in response.extensions and plan.timed:
                plan.timing.stretch = 1.0
            if _streams(response):
                due, stream = on.now(), response.stream
                if plan.timed:
                    due = headers_due(plan.timing, sent, due)
                    stream = Paced(stream, plan.timing, sent, due, limit, request)
                head, spoils = self._opened(plan, response, on.now())
                if spoils or plan.afterwards:
                    stream = Spoiled(stream, spoils, limit, request, plan.over)
            else:
                stream = response.stream
                body = b"".join(stream if on is REAL_CLOCK else [part async for part in stream])
                due = _whole_due(plan, sent, on.now(), body)
                head = self._rewritten(plan, response, body, on.now())
                stream = httpx2.ByteStream(head.body) if head.error is None else Pieces(_broken(head), on.now(), limit, request)
                await shut(response, on)
            late = limit is not None and due - sent > limit
            wait = (sent + limit if late else due) - on.now()  # type: ignore[operator]
            if wait > 0:
                await on.wait(wait)
            if late:
                raise timeout_error(limit, "the response", request)  # type: ignore[arg-type]
        except BaseException:
            plan.over(on.now())
            await shut(response, on)
            raise
        if not _streams(response):
            plan.over(on.now())
        return httpx2.Response(head.status, headers=head.headers, stream=stream, extensions=response.extensions)

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


class _Instead(Planned):
    """Answers what a fault has decided."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply

    def plan(self, request: httpx2.Request, now: float) -> Reply:
        return self._reply


def _behind(inner: Any, plan: Plan) -> Any:
    """Return who answers: the transport behind, or a fault instead of it."""
    return inner if plan.instead is None else _Instead(plan.instead)


def _inward(request: httpx2.Request, plan: Plan) -> httpx2.Request:
    """Return the request that goes in: `request` itself, unless a fault has changed it."""
    if plan.extensions:
        request.extensions = {**request.extensions, **plan.extensions}
    stamp = request.extensions[EXTENSION]
    if plan.body is stamp.body:
        return request
    headers = [(name, value) for name, value in request.headers.raw if name.lower() not in (b"content-length", b"transfer-encoding")]
    extensions = {**request.extensions, EXTENSION: stamp._replace(body=plan.body)}
    return httpx2.Request(request.method, request.url, headers=headers, content=to_json(plan.body), extensions=extensions)


def _whole_due(plan: Plan, sent: float, came: float, body: bytes) -> float:
    """Return when a reply in one piece is delivered. To one that a fault answers by itself, only a delay is added."""
    if not plan.timed:
        return came
    return whole_due(plan.timing, sent, came, body) if plan.instead is None else came + plan.timing.before_headers


def _broken(head: Whole) -> Reply:
    assert head.error is not None
    return Reply(head.status, pieces=[Piece(0.0, head.body)] if head.body else (), failure=Failure(0.0, *head.error))
