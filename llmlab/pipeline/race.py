"""The race of one request's attempts: what starts when, and whose content comes first.

There is one *chain* of attempts, each of which starts when the one before it has failed (primary, retries, then the fallbacks and theirs),
and beside it at most one *hedge*. Time alone decides, and attempts that show content at the same moment are taken in the order of sending.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from llmlab.errors import AttemptFailed, AttemptTimeout, AttemptUnavailable
from llmlab.pipeline.breaker import Breaker
from llmlab.pipeline.call import Call
from llmlab.pipeline.route import Route, fallback_of
from llmlab.pipeline.taxonomy import OTHER_ROUTE, SHRINK, STOP, action
from llmlab.protocol import identity

if TYPE_CHECKING:
    from llmlab.pipeline.routing import Hedge, Request, Retry

SHORTEST_ATTEMPT_SECONDS = 0.2
"""A retry, a hedge or a fallback is not started when less time than this is left: it could not finish."""
LONGEST_RETRY_AFTER_SECONDS = 120.0
"""A provider that asks for a longer wait is not waited for, as the client has it."""


class Race:
    """The attempts of one request.

    Args:
        routes: The first is taken; the others, in turn, are its fallbacks.
        retry: What is tried again.
        hedge: A second attempt in time, or None.
        before: Called before each attempt; see `Router`.
        request: What is asked. Its trace gets the event of each attempt.
        breaker: When a route is given up for a while; None: never.
    """

    def __init__(
        self,
        routes: Sequence[Route],
        retry: Retry,
        hedge: Hedge | None,
        before: Callable[[Route, str, int], None] | None,
        request: Request,
        breaker: Breaker | None = None,
    ) -> None:
        self._routes, self._retry, self._hedge, self._before, self._request = routes, retry, hedge, before, request
        self._now = asyncio.get_running_loop().time
        self._identity = identity.current()
        self._running: dict[asyncio.Task[None], tuple[Call, Route]] = {}
        self._winner: Call | None = None
        self._count = len(request.trace.attempts)
        self._route, self._failed = routes[0], 0
        self._whole = request.messages
        self._next: tuple[float, str] | None = (self._now(), "primary")
        self._hedge_at: float | None = None
        self._leaving: list[asyncio.Task[None]] = []
        self._losers: list[Call] = []
        self._state, self._breaker = request.state, breaker
        if retry.max_extra is not None and retry.attempts > 1:
            self._state.retries.earn(retry.max_extra)
        if hedge is not None:
            self._state.hedges.earn(hedge.max_extra)
            self._hedge_at = self._now() + hedge.delay(self._state.observed(routes[0].name))
            if request.deadline is not None and self._hedge_at >= request.deadline:
                request.notes.append("no hedge: the deadline comes first")
                self._hedge_at = None
        self._error: AttemptFailed | None = None

    async def winner(self) -> Call:
        """Return the attempt whose content comes first; the others are cancelled.

        Raises:
            AttemptFailed: All have failed, and no further one may start; this is what the last of them said.
        """
        while True:
            self._start_due()
            if not self._running and self._next is None:
                raise self._error or AttemptTimeout("timeout_deadline", "the deadline left no time for an attempt", retryable=False)
            await self._wait()
            if winners := self._sort_out():
                return await self._take(winners)

    async def won(self, call: Call) -> None:
        """Record that the winner came to its end."""
        self._record(call, "ok")
        await call.release()

    async def broke(self, call: Call, error: AttemptFailed, *, final: bool) -> None:
        """Record that the winner broke off, and plan what follows unless this is the end."""
        self._record(call, "failed", error.reason, error)
        if not final:
            self._request.winner = None
            if self._request.role != "judge":
                self._request.trace.committed = self._request.trace.committed_at = None
            self._plan(error)
        await call.release()

    async def close(self) -> None:
        """End what is under way, also when the request itself was cancelled, and give the connections back."""
        dropped = self._drop("abandoned")
        winner = self._winner
        if winner is not None:
            self._record(winner, "cancelled", "abandoned")
        await _ended([*self._leaving, *dropped])
        for call in (*self._losers, *([winner] if winner is not None else [])):
            await call.release()

    def _fits(self, route: Route, wait: float = 0.0, least: float = SHORTEST_ATTEMPT_SECONDS) -> bool:
        """Whether an attempt on `route` that starts after `wait` could show something before the deadline."""
        if self._request.deadline is None:
            return True
        left = self._request.deadline - self._now() - wait
        return left > 0 and left >= max(least, self._state.observed(route.name).shortest)

    def _start_due(self) -> None:
        """Start what is due now."""
        while self._next is not None and self._next[0] <= self._now():
            role, self._next = self._next[1], None
            if self._fits(self._route, least=0.0):
                self._start(self._route, role if self._request.role == "primary" else self._request.role)
        if self._hedge is not None and self._hedge_at is not None and self._hedge_at <= self._now():
            self._hedge_at = None
            route = next((route for route in self._routes if route.name == self._hedge.route), self._route)
            if not self._fits(route):
                self._request.notes.append("no hedge: it could not finish")
            elif not self._state.hedges.spend():
                self._request.notes.append(f"no hedge: {self._hedge.max_extra:.0%} of requests have had one")
            else:
                self._start(route, "hedge")

    def _start(self, route: Route, role: str) -> None:
        request, client = self._request, route.client or self._request.client
        assert client is not None
        if self._before is not None:
            try:
                self._before(route, role, self._count)
            except AttemptFailed as veto:
                failed = self._error
                self._plan(veto)
                self._error = failed or veto  # what a retry was for says more than why there is none
                return
        call = Call(
            client,
            route.body(request.messages, request.output, request.tools),
            route.clocks,
            request.deadline,
            request=self._identity,
            ordinal=self._count,
            role=role,
            route=route.name,
            prompt_version=request.prompt_version,
        )
        if self._breaker is not None:
            circuit = self._state.circuit(route.name)
            if not circuit.allows(self._breaker, self._now(), call):
                request.notes.append(f"breaker of {route.name} open")
                if role != "hedge":
                    detail = f"route {route.name!r} has failed too often lately, and is left alone for a while"
                    self._plan(AttemptUnavailable("breaker_open", detail, retryable=False))
                return
            if circuit.probe is call:
                request.notes.append(f"probe of {route.name}")
        task = asyncio.create_task(call.open(), name=f"attempt {self._count} ({role}, {route.name})")
        task.add_done_callback(_seen)
        self._count += 1
        self._running[task] = (call, route)

    async def _wait(self) -> None:
        """Wait until something comes, or is due."""
        due = [at for at in (self._next[0] if self._next else None, self._hedge_at) if at is not None]
        wait = max(0.0, min(due) - self._now()) if due else None
        if self._running:
            await asyncio.wait(self._running, timeout=wait, return_when=asyncio.FIRST_COMPLETED)
        else:
            assert wait is not None
            await asyncio.sleep(wait)

    def _sort_out(self) -> list[tuple[Call, Route]]:
        """Take out the attempts that have ended, plan what follows on the failed ones, and return the others."""
        winners = []
        for task, (call, route) in list(self._running.items()):
            if not task.done():
                continue
            error = task.exception()
            if error is None:
                winners.append((call, route))
                del self._running[task]
            elif isinstance(error, AttemptFailed):
                del self._running[task]
                self._record(call, "failed", error.reason, error)
                if error.reason == "timeout_first_content":
                    self._observe(call)
                self._plan(error)
            else:
                raise error
        return sorted(winners, key=lambda one: (one[0].first_content_at or math.inf, one[0].ordinal))

    async def _take(self, winners: list[tuple[Call, Route]]) -> Call:
        (call, route), *late = winners
        self._winner, self._request.winner = call, (route, call)
        self._next = self._hedge_at = None
        trace = self._request.trace
        if self._request.role != "judge":
            trace.committed = call.ordinal
            trace.committed_at = None if call.first_content_at is None else call.first_content_at - trace.began
        for one in (call, *(loser for loser, _ in late), *(loser for loser, _ in self._running.values())):
            if one is call or one.role != "hedge":  # a hedge that lost was cut off young: that says nothing
                self._observe(one)
        self._leaving = self._drop("lost the race")  # nobody waits for them before the first word is out
        for loser, _ in late:
            self._record(loser, "cancelled", "lost the race")
            self._losers.append(loser)
        return call

    def _plan(self, error: AttemptFailed) -> None:
        """Plan what follows a failure: the same route again, perhaps with less, the next route, or nothing."""
        self._error = error
        if self._next is not None or any(call.role != "hedge" for call, _ in self._running.values()):
            return  # the hedge has failed, and the chain goes on without it
        self._failed += 1
        route, other, asked_for = self._route, fallback_of(self._routes, self._route), action(error)
        again = "retry" if route is self._routes[0] else "fallback"
        if asked_for == SHRINK and self._failed < self._retry.attempts and self._fits(route) and self._may_retry():
            shorter = self._request.shrink()
            if shorter is not None:
                self._request.messages = shorter
                self._request.notes.append(f"documents left out for {route.name}: {error.reason}")
                self._next = (self._now(), again)
                return
            self._state.retries.earn(1.0)  # there is nothing to leave out, so nothing was spent
        # Who was too slow, or will not get better, is not waited for where somebody else could answer.
        here = error.retryable and not (asked_for == OTHER_ROUTE and other is not None)
        if here and self._failed < self._retry.attempts:
            # Without an identity the time of the question stands for it, or all requests would wait alike.
            key = self._identity or f"at {self._request.trace.began:.6f}"
            wait = self._retry.wait_seconds(self._failed, error, key, route.name)
            longest = LONGEST_RETRY_AFTER_SECONDS if other is None else self._retry.longest_seconds
            if wait <= longest and self._fits(route, wait) and self._may_retry():
                self._next = (self._now() + wait, again)
                return
        if asked_for != STOP and other is not None and self._fits(other):
            self._route, self._failed = other, 0
            self._request.messages = self._whole  # what one route could not take, another may
            self._next = (self._now(), "fallback")
        else:
            self._failed = self._retry.attempts  # the chain has ended: a hedge that fails later does not wake it

    def _may_retry(self) -> bool:
        """Take one attempt from the budget for retries, and return whether there was one."""
        if self._retry.max_extra is None or self._state.retries.spend():
            return True
        self._request.notes.append(f"no retry: {self._retry.max_extra:.0%} of requests have had one")
        return False

    def _observe(self, call: Call) -> None:
        """Take note of how long an attempt took to its first content, or for how long it has shown none."""
        at = call.first_content_at
        self._state.observed(call.route).add((self._now() if at is None else at) - call.sent_at)

    def _record(self, call: Call, status: str, reason: str = "", error: AttemptFailed | None = None) -> None:
        if call is self._winner:
            self._winner = None
        if self._breaker is not None:
            circuit = self._state.circuit(call.route)
            if status == "cancelled":  # we ended it: that says nothing of the route
                circuit.drop(call)
            else:
                first, before = call.first_content_at, circuit.state
                circuit.report(self._breaker, self._now(), call, error, None if first is None else first - call.sent_at)
                if circuit.state != before:
                    self._request.notes.append(f"breaker of {call.route} {'closed' if circuit.state == 'closed' else 'opened'}")
        self._request.trace.attempts.append(call.end(status, reason))

    def _drop(self, reason: str) -> list[asyncio.Task[None]]:
        """Cancel the attempts under way and record them, without waiting; return the tasks to wait for."""
        dropped = list(self._running)
        for task, (call, _) in self._running.items():
            error = task.exception() if task.done() and not task.cancelled() else None
            if error is not None:
                ours = error if isinstance(error, AttemptFailed) else None
                self._record(call, "failed", ours.reason if ours else type(error).__name__, ours)
            else:
                task.cancel()
                self._record(call, "cancelled", reason)
        self._running.clear()
        return dropped


def _seen(task: asyncio.Task[None]) -> None:
    """Look at the error of an attempt, so that the loop does not complain that nobody did."""
    if not task.cancelled():
        task.exception()


async def _ended(tasks: list[asyncio.Task[None]]) -> None:
    if tasks:
        await asyncio.wait(tasks)
