"""Holds an answer back until it is due: its headers, and each chunk of its stream.

What arrives from the transport behind has a time of its own. A `Timing` says what is added to it: once for the whole answer, once for its
content, and token by token; or it sets the times of all tokens, and what arrives earlier waits.
"""

from __future__ import annotations

import math
from typing import Any

import httpx2

from llmlab.protocol.chunks import parsed, usage_of
from llmlab.protocol.sse import Events
from llmlab.wire.faults.plan import Timing, choice_of
from llmlab.wire.transport import Body, shut, timeout_error


def headers_due(timing: Timing, sent: float, came: float) -> float:
    """Return when the headers of a stream are delivered: a provider sends them when the first token is ready.

    Args:
        timing: What was asked for.
        sent: When the request was sent (in seconds on the clock in use).
        came: When the headers came from behind.
    """
    return stretched(timing, sent, max(came, sent + (timing.first_at or 0.0))) + timing.before_headers


def stretched(timing: Timing, sent: float, came: float) -> float:
    """Return when what came at `came` comes from one who takes `timing.stretch` times as long."""
    return came if timing.stretch == 1 else sent + (came - sent) * timing.stretch


def whole_due(timing: Timing, sent: float, came: float, body: bytes) -> float:
    """Return when a reply in one piece is delivered: after all of its tokens.

    Args:
        timing: What was asked for.
        sent: When the request was sent (in seconds on the clock in use).
        came: When the last byte came from behind.
        body: The reply; its usage says how many tokens it has.
    """
    tokens = _tokens_of_longest(body) if timing.counts_tokens else 0
    if timing.first_at is not None:
        came = max(came, sent + timing.first_at + tokens * timing.per_token)
    came = stretched(timing, sent, came)
    gaps = math.fsum(map(timing.gap, range(1, tokens))) if timing.gaps else 0.0
    return came + timing.before_headers + timing.before_content + gaps + timing.wobble(0)


def _tokens_of_longest(body: bytes) -> int:
    """Return the tokens of a reply's longest choice, as if all were equally long; 0 where it has no usage."""
    reply = parsed(body)
    usage = usage_of(reply)
    if reply is None or usage is None:
        return 0
    choices = reply.get("choices")
    return math.ceil(usage["completion_tokens"] / (len(choices) if isinstance(choices, list) and choices else 1))


class Paced(Body):
    """A stream whose chunks are delivered when they are due.

    Args:
        inner: The stream behind. Its `due`, where it has one, says when its last chunk arrived, however late it was read.
        timing: What was asked for.
        sent: When the request was sent (in seconds on the clock in use).
        due: When the headers are delivered.
        limit: The longest silence that the client bears (in seconds), or None.
        request: For the error where it is longer.
    """

    def __init__(self, inner: Any, timing: Timing, sent: float, due: float, limit: float | None, request: httpx2.Request) -> None:
        self._inner, self._timing, self._limit, self._request = inner, timing, limit, request
        self._has_due = hasattr(inner, "due")
        self._sent, self._stretches = sent, timing.stretch != 1 and (self._has_due or timing.first_at is not None)
        self._first_due = None if timing.first_at is None else sent + timing.first_at
        self._per_token, self._gaps, self._wobbles = timing.per_token, timing.gaps, timing.wobbles
        self._events = Events() if timing.counts_tokens else None
        self._added, self._token, self._chunk = timing.before_headers, -1, 0
        self._tokens: dict[int, int] = {}
        self.due = due

    async def _next(self) -> bytes | None:
        began = self._on.now()
        data: bytes | None = b""
        failure: httpx2.TransportError | None = None
        try:
            data = await self._behind()
        except httpx2.TransportError as error:
            failure, due, now = error, self._failure_due(error), self._on.now()
        else:
            if data is None:
                return None
            now = self._on.now()
            due = self._due(data, now)
        if due > now:
            if self._limit is not None and due - began > self._limit:
                due, failure = began + self._limit, timeout_error(self._limit, "the next chunk", self._request)
            await self._on.wait(due - now)
        if failure is not None:
            await shut(self, self._on)
            raise failure
        return data

    def _due(self, data: bytes, came: float) -> float:
        """Return when `data`, which came at `came`, is delivered: never before the chunk before it."""
        before = self._added
        if self._events is not None:
            for field in self._events.feed(data):
                choice = choice_of(field)
                if choice is None:
                    continue
                token = self._tokens[choice] = self._tokens.get(choice, -1) + 1
                if token <= self._token:  # several choices are made side by side
                    continue
                self._token = token
                if token == 0:
                    self._added += self._timing.before_content
                elif self._gaps:
                    self._added += self._timing.gap(token)
        # Without a due time of its own, a chunk that was read late has come late already: only what is new is added.
        due: float = self._inner.due + self._added if self._has_due else came + (self._added - before)
        if self._first_due is not None:
            timed = self._first_due + self._added
            if self._token > 0:
                timed += self._token * self._per_token
            if timed > due:
                due = timed
        if self._stretches:
            due += (due - self._added - self._sent) * (self._timing.stretch - 1)
        if self._wobbles:
            due += self._timing.wobble(self._chunk)
            self._chunk += 1
        if due > self.due:
            self.due = due
        return self.due

    def _failure_due(self, error: httpx2.TransportError) -> float:
        """Return when a failure of the stream behind is delivered; the client's own clocks are not put off."""
        if self._has_due and not isinstance(error, httpx2.TimeoutException):
            self.due = max(self.due, stretched(self._timing, self._sent, self._inner.due) + self._added)
        return self.due
