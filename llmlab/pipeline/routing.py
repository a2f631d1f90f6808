"""Routing: which attempts are made for a request, when, and which of them the user sees.

Until content has been delivered, any failure is mended unseen: by a retry, by a hedge that was sent meanwhile, or by the next route. The attempt
whose content comes first wins; the others are cancelled. One deadline stands over all of it, and no attempt starts that cannot finish.

Notebook: 00_start_here.ipynb
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import openai

from llmlab.errors import AttemptFailed, AttemptTimeout, BadInput
from llmlab.pipeline.call import Call, Clocks
from llmlab.pipeline.trace import Trace
from llmlab.protocol import identity
from llmlab.protocol.draws import uniform
from llmlab.protocol.models import resolve

SHORTEST_ATTEMPT_SECONDS = 0.2
"""An attempt is not started when less time than this is left."""


@dataclass(frozen=True, kw_only=True)
class Retry:
    """Tries again what may be mended: `min(longest, base * 2**n)` seconds later, of which a random half is waited; or what the provider asks.

    The wait is the "equal jitter" of AWS's article on back-off: half of it fixed, half random. A provider's retry-after is honored instead where
    it leaves time for the attempt.
    """

    attempts: int = 2
    """Attempts on one route, the first included."""
    base_seconds: float = 0.25
    longest_seconds: float = 4.0

    def __post_init__(self) -> None:
        if not isinstance(self.attempts, int) or self.attempts < 1:
            raise BadInput(f"Retry: attempts is a whole number of at least 1 (1: no retry), not {self.attempts!r}")
        if not 0 <= self.base_seconds <= self.longest_seconds < math.inf:
            raise BadInput(f"Retry: 0 <= base_seconds <= longest_seconds, not {self.base_seconds!r} and {self.longest_seconds!r}")

    def wait_seconds(self, failed: int, error: AttemptFailed) -> float:
        """Return how long to wait after the `failed`-th failure (from 1) in a row."""
        if error.retry_after_seconds is not None:
            return error.retry_after_seconds
        most = min(self.longest_seconds, self.base_seconds * 2 ** (failed - 1))
        return most * (0.5 + 0.5 * uniform("Retry", identity.current(), failed))


@dataclass(frozen=True, kw_only=True)
class Hedge:
    """Sends a second attempt when the first has shown nothing after a while; the first content wins."""

    after_seconds: float = 1.5
    """How long the first attempt may be silent (in seconds)."""
    route: str | None = None
    """Name of the route for the second attempt; None: the same."""

    def __post_init__(self) -> None:
        if not 0 <= self.after_seconds < math.inf:
            raise BadInput(f"Hedge: after_seconds is a time of 0 seconds or more, not {self.after_seconds!r}")


@dataclass(frozen=True)
class Route:
    """A way to a model.

    Args:
        name: Its name, in traces and tables.
        model: The model, or an alias (fast, main, strong).
        client: Who sends; None: the pipeline's or the lab's.
        stream: Whether the attempt is streamed on the wire.
        clocks: What an attempt may take.
        max_output_tokens: Longest answer (in tokens), or None.
        parameters: Further fields of the request's body.

    Notebook: 00_start_here.ipynb
    """

    name: str
    model: str = field(kw_only=True)
    client: openai.AsyncOpenAI | None = field(default=None, kw_only=True, repr=False, compare=False)
    stream: bool = field(default=True, kw_only=True)
    clocks: Clocks = field(default=Clocks(), kw_only=True)
    max_output_tokens: int | None = field(default=None, kw_only=True)
    parameters: dict[str, Any] = field(default_factory=dict, kw_only=True)

    def __post_init__(self) -> None:
        if not self.name or not isinstance(self.name, str):
            raise BadInput(f"a route needs a name for tables and traces, not {self.name!r}")
        if self.max_output_tokens is not None and self.max_output_tokens < 1:
            raise BadInput(f"Route {self.name!r}: max_output_tokens is at least 1, or None, not {self.max_output_tokens!r}")

    def body(self, messages: list[dict[str, str]]) -> dict[str, Any]:
        """Return the JSON of a chat completion."""
        body: dict[str, Any] = {"model": resolve(self.model), "messages": messages, **self.parameters}
        if self.max_output_tokens is not None:
            body["max_completion_tokens"] = self.max_output_tokens
        if self.stream:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        return body


@dataclass(slots=True)
class Request:
    """What the router needs to know of one request."""

    messages: list[dict[str, str]]
    prompt_version: str
    trace: Trace
    deadline: float | None
    client: openai.AsyncOpenAI | None


@dataclass(slots=True)
class _Lane:
    """One chain of attempts: retries on a route, then the next route. A hedge is a lane of its own, one attempt long."""

    routes: Sequence[Route]
    role: str
    failed: int = 0


class Router:
    """Makes the attempts of a request.

    Args:
        routes: The first is taken; the others, in turn, are its fallbacks.
        retry: What is tried again.
        hedge: A second attempt in time, or None.
        before_attempt: Called before each attempt with its route, its role and its number; what it raises ends the request.
    """

    def __init__(
        self, routes: Sequence[Route], retry: Retry, hedge: Hedge | None, before_attempt: Callable[[Route, str, int], None] | None
    ) -> None:
        self._routes, self._retry, self._hedge, self._before = routes, retry, hedge, before_attempt

    async def run(self, request: Request, *, deliver: bool) -> AsyncIterator[str]:
        """Yield the pieces of the answer.

        Args:
            request: What is asked.
            deliver: Whether pieces are shown as they come. Otherwise all of the answer is one piece, and what breaks in its middle can be mended.

        Raises:
            AttemptFailed: No attempt gave an answer; or the winning one broke after content was delivered, for two models are never spliced.
        """
        race = _Race(self, request)
        try:
            while True:
                call = await race.winner()
                delivered = False
                try:
                    async for piece in call:
                        if deliver:
                            delivered = True
                            yield piece
                except AttemptFailed as error:
                    await race.lost(call, error)
                    if delivered or not race.may_go_on:
                        raise
                    continue
                await race.won(call)
                if not deliver:
                    yield call.text
                return
        finally:
            await race.close()


class _Race:
    """The attempts of one request that are under way."""

    def __init__(self, router: Router, request: Request) -> None:
        self._router, self._request = router, request
        self._now = asyncio.get_running_loop().time
        self._open: dict[asyncio.Task[None], tuple[Call, _Lane]] = {}
        self._due: list[tuple[float, _Lane]] = []
        self._lanes: dict[Call, _Lane] = {}
        self._count = 0
        self._last_error: AttemptFailed | None = None
        self._start(_Lane(router._routes, "primary"))
        if router._hedge is not None:
            hedge = router._hedge
            route = next(route for route in router._routes if hedge.route in (None, route.name))
            self._due.append((self._now() + hedge.after_seconds, _Lane([route], "hedge")))

    @property
    def may_go_on(self) -> bool:
        """Whether anything is under way or planned."""
        return bool(self._open or self._due)

    def _left(self) -> float:
        return math.inf if self._request.deadline is None else self._request.deadline - self._now()

    def _start(self, lane: _Lane) -> None:
        route, request = lane.routes[0], self._request
        client = route.client or request.client
        if client is None:
            raise BadInput(f"route {route.name!r} has no client; give it one (client=llmlab.client(...)), or run the pipeline in a Lab")
        if self._router._before is not None:
            self._router._before(route, lane.role, self._count)
        call = Call(
            client,
            route.body(request.messages),
            route.clocks,
            request.deadline,
            request=identity.current(),
            ordinal=self._count,
            role=lane.role,
            route=route.name,
            prompt_version=request.prompt_version,
        )
        self._count += 1
        self._open[asyncio.ensure_future(call.open())] = (call, lane)
        self._lanes[call] = lane

    async def winner(self) -> Call:
        """Return the attempt whose content came first; the others are cancelled."""
        while True:
            now = self._now()
            for due, lane in sorted((one for one in self._due if one[0] <= now), key=lambda one: one[0]):
                self._due.remove((due, lane))
                self._start(lane)
            if not self.may_go_on:
                raise self._last_error or AttemptTimeout("timeout_deadline", "no time was left for an attempt", retryable=False)
            wait = max(0.0, min(due for due, _ in self._due) - now) if self._due else None
            if not self._open:
                await asyncio.sleep(wait or 0.0)
                continue
            finished, _ = await asyncio.wait(self._open, timeout=wait, return_when=asyncio.FIRST_COMPLETED)
            winners = []
            for task, (call, lane) in list(self._open.items()):  # in the order of sending, so that ties are settled alike everywhere
                if task not in finished:
                    continue
                del self._open[task]
                error = task.exception()
                if error is None:
                    winners.append(call)
                elif isinstance(error, AttemptFailed):
                    await self._record(call, "failed", error.reason)
                    self._plan_next(lane, error)
                else:
                    await self._record(call, "failed", type(error).__name__)
                    raise error
            if winners:
                self._due.clear()
                await self._cancel_open()
                for late in winners[1:]:
                    await self._record(late, "cancelled", "lost the race")
                trace = self._request.trace
                trace.committed = winners[0]._labels["ordinal"]
                first = winners[0].first_content_at
                trace.committed_at = None if first is None else first - trace.began
                return winners[0]

    def _plan_next(self, lane: _Lane, error: AttemptFailed) -> None:
        """Plan what follows a failure: the same route again, the next route, or nothing."""
        self._last_error = error
        if lane.role == "hedge":
            return
        lane.failed += 1
        if error.retryable and lane.failed < self._router._retry.attempts:
            wait = self._router._retry.wait_seconds(lane.failed, error)
            if wait + SHORTEST_ATTEMPT_SECONDS <= self._left() and (wait <= self._router._retry.longest_seconds or len(lane.routes) == 1):
                lane.role = "retry" if lane.role in ("primary", "retry") else lane.role
                self._due.append((self._now() + wait, lane))
                return
        if len(lane.routes) > 1 and self._left() >= SHORTEST_ATTEMPT_SECONDS:
            self._due.append((self._now(), _Lane(lane.routes[1:], "fallback")))
        elif not error.retryable:  # what the first attempt may not have, a hedge may not have either
            self._due = [(due, other) for due, other in self._due if other.role != "hedge"]

    async def lost(self, call: Call, error: AttemptFailed) -> None:
        """Record that the winner broke off, and plan what follows."""
        lane = self._lanes[call]
        await self._record(call, "failed", error.reason)
        self._request.trace.committed = self._request.trace.committed_at = None
        self._plan_next(lane, error)

    async def won(self, call: Call) -> None:
        """Record that the winner came to its end."""
        await self._record(call, "ok", "")

    async def _record(self, call: Call, status: str, reason: str) -> None:
        del self._lanes[call]
        self._request.trace.attempts.append(await call.close(status, reason))

    async def _cancel_open(self) -> None:
        for task, (call, _) in list(self._open.items()):
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled():
                task.exception()
            await self._record(call, "cancelled", "lost the race")
        self._open.clear()

    async def close(self) -> None:
        """Cancel what is under way, also when the request itself is cancelled."""
        await self._cancel_open()
        for call in list(self._lanes):
            await self._record(call, "cancelled", "abandoned")
