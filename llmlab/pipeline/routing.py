"""Routing: which attempts are made for a request, when, and which of them the user sees.

Until content has been delivered, any failure is mended unseen: by a retry, by a hedge that was sent meanwhile, or by the next route. The
attempt whose content comes first wins; the others are cancelled. One deadline stands over all of it.

Notebook: 00_start_here.ipynb
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import openai

from llmlab.errors import AttemptFailed, BadInput
from llmlab.pipeline.call import Call, Clocks
from llmlab.pipeline.clocks import check_seconds
from llmlab.pipeline.race import Race
from llmlab.pipeline.trace import Trace
from llmlab.protocol import canonical
from llmlab.protocol.draws import microseconds, uniform
from llmlab.protocol.models import resolve

_OWN = ("messages", "model", "n", "stream", "stream_options")
_Before = Callable[["Route", str, int], None]


@dataclass(frozen=True, kw_only=True)
class Retry:
    """Tries again what may be mended.

    The wait before retry n (from 1) is w * (1 + u) / 2 with w = min(longest, base * 2**(n - 1)) and u uniform in (0, 1): half of it fixed,
    half random, the "equal jitter" of AWS's article on back-off. Where the provider says how long (retry-after), that is waited instead.

    A retry that would have to wait longer than `longest_seconds` gives way to the next route if there is one; one that would not fit before
    the deadline is not made.
    """

    attempts: int = 2
    """Attempts on one route, the first included."""
    base_seconds: float = 0.25
    """Longest wait before the first retry."""
    longest_seconds: float = 4.0
    """Longest wait before any."""

    def __post_init__(self) -> None:
        if not isinstance(self.attempts, int) or isinstance(self.attempts, bool) or self.attempts < 1:
            raise BadInput(f"Retry: attempts is a whole number of at least 1 (1: no retry), not {self.attempts!r}")
        check_seconds("Retry: base_seconds", self.base_seconds, least=0)
        check_seconds("Retry: longest_seconds", self.longest_seconds, least=self.base_seconds)

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
        return microseconds(most * (0.5 + 0.5 * uniform("Retry", "wait", *key, failed)))


@dataclass(frozen=True, kw_only=True)
class Hedge:
    """Sends a second attempt when the first has shown nothing after a while; the first content wins.

    It is there for slowness, not for failures: when all routes have failed before its time, it is not sent.
    """

    after_seconds: float = 1.5
    """How long there may be silence (in seconds)."""
    route: str | None = None
    """Name of the route for the second attempt; None: the one that is silent."""

    def __post_init__(self) -> None:
        check_seconds("Hedge: after_seconds", self.after_seconds, least=0)


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
        parameters: Further fields of the request's body, as in {"temperature": 0}.

    Raises:
        BadInput: One of them cannot be used; the message says what is allowed.

    Notebook: 00_start_here.ipynb
    """

    name: str
    model: str = field(kw_only=True)
    client: openai.AsyncOpenAI | None = field(default=None, kw_only=True, repr=False, compare=False)
    stream: bool = field(default=True, kw_only=True)
    clocks: Clocks = field(default_factory=Clocks, kw_only=True)
    max_output_tokens: int | None = field(default=None, kw_only=True)
    parameters: dict[str, Any] = field(default_factory=dict, kw_only=True, hash=False)

    def __post_init__(self) -> None:
        if not self.name or not isinstance(self.name, str):
            raise BadInput(f"a route needs a name for tables and traces, not {self.name!r}")
        if not self.model or not isinstance(self.model, str):
            raise BadInput(f"Route {self.name!r}: model is the name of a model or an alias (fast, main, strong), not {self.model!r}")
        if not isinstance(self.clocks, Clocks):
            raise BadInput(f"Route {self.name!r}: clocks is a Clocks(...), not {self.clocks!r}")
        tokens = self.max_output_tokens
        if tokens is not None and (not isinstance(tokens, int) or isinstance(tokens, bool) or tokens < 1):
            raise BadInput(f"Route {self.name!r}: max_output_tokens is a whole number of at least 1, or None, not {tokens!r}")
        check_client(f"route {self.name!r}", self.client)
        self._check_parameters()
        object.__setattr__(self, "parameters", dict(self.parameters))

    def _check_parameters(self) -> None:
        if not isinstance(self.parameters, dict):
            raise BadInput(f"Route {self.name!r}: parameters is a dictionary, as in {{'temperature': 0}}, not {self.parameters!r}")
        for name in _OWN:
            if name in self.parameters:
                raise BadInput(f"Route {self.name!r}: {name!r} is no parameter of a route; the pipeline sets it itself")
        try:
            canonical.dumps(self.parameters)
        except (TypeError, ValueError) as error:
            raise BadInput(f"Route {self.name!r}: the parameters cannot be written as JSON: {error}") from error

    def body(self, messages: list[dict[str, str]]) -> dict[str, Any]:
        """Return the JSON of a chat completion."""
        body: dict[str, Any] = {"model": resolve(self.model), "messages": messages, **self.parameters}
        if self.max_output_tokens is not None:
            body["max_completion_tokens"] = self.max_output_tokens
        if self.stream:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        return body


def check_client(whose: str, client: object) -> None:
    """Raise `BadInput` for a client that cannot be used here."""
    if client is not None and not isinstance(client, openai.AsyncOpenAI):
        advice = "; the synchronous client would stop the loop" if isinstance(client, openai.OpenAI) else ""
        raise BadInput(f"the client of {whose} is an openai.AsyncOpenAI, not {type(client).__name__}{advice}: use llmlab.client(...)")


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
    extra: dict[str, Any] = field(default_factory=dict)
    """Further fields of the body of each attempt."""
    winner: tuple[Route, Call] | None = None
    """Whose content was taken; set by the router."""


class Router:
    """Makes the attempts of a request.

    Args:
        routes: The first is taken; the others, in turn, are its fallbacks.
        retry: What is tried again; None: nothing.
        hedge: A second attempt in time, or None.
        before_attempt: Called before each attempt with its route, its role and its number. An `AttemptFailed` that it raises is a veto: the
            attempt is not made, as if it had failed; anything else ends the request and reaches the caller.
    """

    def __init__(
        self, routes: Sequence[Route], retry: Retry | None = None, hedge: Hedge | None = None, before_attempt: _Before | None = None
    ) -> None:
        self._routes, self._retry, self._hedge, self._before = routes, retry or Retry(attempts=1), hedge, before_attempt

    async def run(self, request: Request, *, deliver: bool) -> AsyncGenerator[str, None]:
        """Yield the pieces of the answer.

        Args:
            request: What is asked.
            deliver: Whether pieces are shown as they come. Otherwise the answer is one piece, and what breaks in its middle is mended.

        Raises:
            AttemptFailed: No attempt gave an answer; or the winning one broke off after content was delivered, for two models are never
                spliced.
        """
        for route in self._routes:
            if route.client is None and request.client is None:
                raise BadInput(f"route {route.name!r} has no client; give it one (client=llmlab.client(...)), or run the pipeline in a Lab")
        race = Race(self._routes, self._retry, self._hedge, self._before, request)
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
