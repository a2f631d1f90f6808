"""Routing: which attempts are made for a request, when, and which of them the user sees.

Until content has been delivered, any failure is mended unseen: by a retry, by a hedge that was sent meanwhile, or by the next route. The
attempt whose content comes first wins; the others are cancelled. One deadline stands over all of it.

Notebook: 00_start_here.ipynb
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import openai

from llmlab.errors import AttemptFailed, BadInput
from llmlab.pipeline.breaker import Breaker
from llmlab.pipeline.call import Call
from llmlab.pipeline.clocks import check_seconds
from llmlab.pipeline.race import Race
from llmlab.pipeline.route import Route
from llmlab.pipeline.state import Observed, State
from llmlab.pipeline.trace import Trace
from llmlab.protocol.draws import microseconds, uniform

_Before = Callable[[Route, str, int], None]


@dataclass(frozen=True, kw_only=True)
class Retry:
    """Tries again what may be mended.

    The wait before retry n (from 1) is u * min(longest, base * 2**(n - 1)) with u uniform in (0, 1): the "full jitter" of AWS's article on
    back-off. Where the provider says how long (retry-after), that is waited instead.

    A retry that would have to wait longer than `longest_seconds` gives way to the next route if there is one; one that would not fit before
    the deadline is not made.
    """

    attempts: int = 2
    """Attempts on one route, the first included."""
    base_seconds: float = 0.25
    """Longest wait before the first retry."""
    longest_seconds: float = 4.0
    """Longest wait before any."""
    max_extra: float | None = 0.2
    """Retry budget: most retries, as a share of requests; ten may come at once. None: no limit, which makes storms."""

    def __post_init__(self) -> None:
        if not isinstance(self.attempts, int) or isinstance(self.attempts, bool) or self.attempts < 1:
            raise BadInput(f"Retry: attempts is a whole number of at least 1 (1: no retry), not {self.attempts!r}")
        check_seconds("Retry: base_seconds", self.base_seconds, least=0)
        check_seconds("Retry: longest_seconds", self.longest_seconds, least=self.base_seconds)
        if self.max_extra is not None:
            _check_extra("Retry", "for no retry, give attempts=1", self.max_extra)

    def wait_seconds(self, failed: int, error: AttemptFailed, *key: object) -> float:
        """Return how long to wait after a failure (in seconds).

        Args:
            failed: How many attempts on the route have failed, this one included.
            error: The failure.
            key: What the jitter is keyed with: whose request, which route.
        """
        if error.retry_after_seconds is not None:
            return error.retry_after_seconds
        most = min(self.longest_seconds, self.base_seconds * 2.0 ** min(failed - 1, 60))
        return microseconds(most * uniform("Retry", "wait", *key, failed))


@dataclass(frozen=True, kw_only=True)
class Hedge:
    """Sends a second attempt when the first has shown nothing after a while; the first content wins.

    It is there for slowness, not for failures: when all routes have failed before its time, it is not sent. The loser is cancelled, and
    what it has cost counts. "Hedged requests" of Dean and Barroso, The Tail at Scale (CACM 56:2, 2013), with a cap.

    Notebook: 01_latency_variance.ipynb
    """

    after_seconds: float = 1.5
    """How long the user may wait for the first content before a second attempt is sent (in seconds after the question)."""
    at_quantile: float | None = None
    """Wait for this quantile of the observed times to first content instead, as in 0.95; until enough were seen, `after_seconds`."""
    route: str | None = None
    """Name of the route for the second attempt; None: the one that is silent."""
    max_extra: float = 0.2
    """Cap on the extra load: most hedges, as a share of requests; ten may come at once."""

    def __post_init__(self) -> None:
        check_seconds("Hedge: after_seconds", self.after_seconds, least=0)
        if self.at_quantile is not None and not (_is_number(self.at_quantile) and 0 < self.at_quantile < 1):
            raise BadInput(f"Hedge: at_quantile lies between 0 and 1, as in 0.95, or is None, not {self.at_quantile!r}")
        _check_extra("Hedge", "for no hedge, leave it out (hedge=None)", self.max_extra)

    def delay(self, observed: Observed) -> float:
        """Return how long there may be silence on a route of which `observed` is known (in seconds)."""
        seen = None if self.at_quantile is None else observed.quantile(self.at_quantile)
        return self.after_seconds if seen is None else seen


def _check_extra(whose: str, instead: str, share: object) -> None:
    if not (_is_number(share) and 0 < share <= 1):  # type: ignore[operator]
        advice = f"; {instead}" if share == 0 else ""
        raise BadInput(f"{whose}: max_extra is a share of requests, above 0 and at most 1, not {share!r}{advice}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


@dataclass(slots=True)
class Request:
    """What the router needs to know of one request, and what it tells."""

    messages: list[dict[str, str]]
    prompt_version: str
    trace: Trace
    deadline: float | None = None
    """When it must have ended (in seconds on the loop's clock)."""
    client: openai.AsyncOpenAI | None = None
    """For routes without their own."""
    state: State = field(default_factory=State)
    """What earlier requests have taught."""
    output: Any = None
    """What the answer is JSON of; None: it is plain text."""
    tools: Sequence[dict[str, Any]] = ()
    """What the model is told of the tools that it may ask for."""
    shrink: Callable[[], list[dict[str, str]] | None] = lambda: None
    """Called where the request is too long: gives shorter messages, or None where there is nothing to leave out."""
    notes: list[str] = field(default_factory=list)
    """What the trace should say of the routing; added to by the router."""
    role: str = "primary"
    """What its attempts are for: "primary" for the user's answer, "reask" for another one, "judge" for a verdict."""
    winner: tuple[Route, Call] | None = None
    """Whose content was taken; set by the router."""


class Router:
    """Makes the attempts of a request.

    Args:
        routes: The first is taken; the others are its fallbacks: in turn, or as each route's `fallback` says.
        retry: What is tried again; None: nothing.
        hedge: A second attempt in time, or None.
        breaker: When a route is given up for a while; None: never.
        before_attempt: Called before each attempt with its route, its role and its number. An `AttemptFailed` that it raises is a veto: the
            attempt is not made, as if it had failed; anything else ends the request and reaches the caller.
    """

    def __init__(
        self,
        routes: Sequence[Route],
        retry: Retry | None = None,
        hedge: Hedge | None = None,
        before_attempt: _Before | None = None,
        breaker: Breaker | None = None,
    ) -> None:
        self.routes = routes
        self._retry, self._hedge, self._before, self._breaker = retry or Retry(attempts=1), hedge, before_attempt, breaker

    def only(self, route: Route) -> Router:
        """Return a router with this route alone, and no hedge."""
        return Router([replace(route, fallback=None)], self._retry, None, self._before, self._breaker)

    def earn(self, state: State) -> None:
        """Add a request's share to the budget for asking again, where it is not added for retries."""
        if self._retry.max_extra is not None and self._retry.attempts == 1:
            state.retries.earn(self._retry.max_extra)

    def may_ask_again(self, state: State) -> bool:
        """Take a share of the budget for retries, and return whether there was one."""
        return self._retry.max_extra is None or state.retries.spend()

    async def run(self, request: Request, *, deliver: bool) -> AsyncGenerator[str, None]:
        """Yield the pieces of the answer.

        Args:
            request: What is asked.
            deliver: Whether pieces are shown as they come. Otherwise the answer is one piece, and what breaks in its middle is mended.

        Raises:
            AttemptFailed: No attempt gave an answer; or the winning one broke off after content was delivered, for two models are never
                spliced.
        """
        for route in self.routes:
            if route.client is None and request.client is None:
                raise BadInput(f"route {route.name!r} has no client; give it one (client=llmlab.client(...)), or run the pipeline in a Lab")
        race = Race(self.routes, self._retry, self._hedge, self._before, request, self._breaker)
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
                    await race.broke(call, error, final=delivered)
                    if delivered:
                        raise
                    continue
                await race.won(call)
                if not deliver and call.text:
                    yield call.text
                return
        finally:
            await race.close()
