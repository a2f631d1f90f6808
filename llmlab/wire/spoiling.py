"""Carries out what faults ask of a stream: pieces are changed, dropped, repeated; it falls silent, breaks, or ends too early."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import httpx2

from llmlab.wire.faults.plan import Break, End, Silence, Spoil, Step
from llmlab.wire.transport import FAILURES, Body, shut, timeout_error

_EVENT_ENDS = re.compile(rb"\n\n|\r\n\r\n|\r\r")


def split_events(data: bytes) -> tuple[list[bytes], bytes]:
    """Return the whole events in `data`, each with the empty line that ends it, and what is left."""
    begun, events = 0, []
    for match in _EVENT_ENDS.finditer(data):
        events.append(data[begun : match.end()])
        begun = match.end()
    return events, data[begun:]


class _Layer:
    """One spoil, and what it must wait for to see whole events."""

    def __init__(self, spoil: Spoil) -> None:
        self._spoil, self._rest = spoil, b""

    def _pieces(self, chunk: bytes) -> Sequence[bytes]:
        if not self._spoil.whole_events or (not self._rest and 2 < len(chunk) == chunk.find(b"\n\n") + 2 and b"\r" not in chunk):
            return (chunk,)  # one whole event: nearly always
        pieces, self._rest = split_events(self._rest + chunk)
        return pieces

    def steps(self, steps: Sequence[Step]) -> list[Step]:
        """Return what becomes of `steps`; nothing follows an end or a break."""
        made: list[Step] = []
        for step in steps:
            if isinstance(step, bytes):
                for piece in self._pieces(step):
                    made += self._spoil.feed(piece)
                    if made and isinstance(made[-1], End | Break):
                        return made
                continue
            if isinstance(step, End):
                rest, self._rest = self._rest, b""
                made += self._spoil.feed(rest) if rest else ()
                if not (made and isinstance(made[-1], End | Break)):
                    made += self._spoil.end()
                if made and isinstance(made[-1], End | Break):
                    return made
            made.append(step)
        return made


class Spoiled(Body):
    """A stream that goes through `spoils`, in their order.

    Args:
        inner: The stream behind.
        spoils: What changes it.
        limit: The longest silence that the client bears (in seconds), or None.
        request: For errors.
        over: Called with the time when the stream is over, however it ends; it may be called again.
    """

    def __init__(
        self, inner: Any, spoils: Sequence[Spoil], limit: float | None, request: httpx2.Request, over: Callable[[float], None]
    ) -> None:
        self._inner, self._limit, self._request, self._over = inner, limit, request, over
        self._layers = [_Layer(spoil) for spoil in spoils]
        self._steps: deque[Step] = deque()

    def _feed(self, step: Step) -> None:
        steps: Sequence[Step] = (step,)
        for layer in self._layers:
            steps = layer.steps(steps)
        self._steps.extend(steps)

    def _error(self, step: Silence | Break) -> tuple[float, httpx2.TransportError | None]:
        """Return how long to wait, and what to raise then."""
        if isinstance(step, Break):
            return 0.0, FAILURES[step.name](step.message, request=self._request)
        if self._limit is not None and step.seconds > self._limit:
            return self._limit, timeout_error(self._limit, "the next chunk", self._request)
        return step.seconds, None

    def _end(self, now: float) -> None:
        self._over(now)

    async def _next(self) -> bytes | None:
        while True:
            while not self._steps:
                try:
                    data = await self._behind()
                    self._feed(End() if data is None else data)
                except BaseException:
                    self._steps.append(End())
                    self._over(self._on.now())
                    raise
            step = self._steps.popleft()
            if isinstance(step, bytes):
                return step
            if isinstance(step, End):
                self._steps.append(step)
                self._over(self._on.now())
                return None
            wait, error = self._error(step)
            if wait > 0:
                await self._on.wait(wait)
            if error is not None:
                self._steps = deque((End(),))
                await shut(self, self._on)
                raise error
