"""Slots: why answers get slower when many ask.

A provider answers so many requests at once; who comes later waits for the earliest free slot, first come, first served. Nothing is
simulated step by step: a heap of the times at which slots come free says at once how long a new request waits.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Sequence

from llmlab.errors import BadInput

Closure = Callable[[int, int], tuple[float, float]]
"""When slot number k (from 0) of so many takes no new request: from, until (in seconds on the clock in use). It finishes what it has."""


class Slots:
    """The slots of one model: `slots` answers at once (at least 1).

    A request that its client gave up still occupies its slot to the end: the provider does not know. That turns timeouts into storms.
    """

    def __init__(self, slots: int) -> None:
        if isinstance(slots, bool) or not isinstance(slots, int) or slots < 1:
            raise BadInput(f"slots is a whole number of at least 1, or None for no limit, not {slots!r}")
        self.slots = slots
        self.reset()

    def reset(self) -> None:
        """Free all slots."""
        self._free_at = [(-math.inf, number) for number in range(self.slots)]
        self._closures: Sequence[Closure] = ()
        self._closed: list[list[tuple[float, float]]] = []

    def take(self, now: float, service_seconds: float, closures: Sequence[Closure] = ()) -> float:
        """Take the slot that comes free first and return how long to wait for it (in seconds).

        Args:
            now: Time of arrival (in seconds on the clock in use); arrivals are told in their order.
            service_seconds: How long the slot is needed (in seconds).
            closures: When slots are closed.
        """
        if closures:
            if closures is not self._closures:  # a storm comes with the same ones each time
                self._closures = closures
                self._closed = [sorted(closure(number, self.slots) for closure in closures) for number in range(self.slots)]
            start, number = min((self._open(max(now, free), number), number) for free, number in self._free_at)
            self._free_at = [(start + service_seconds if other == number else free, other) for free, other in self._free_at]
            heapq.heapify(self._free_at)
            return start - now
        free, number = self._free_at[0]
        start = max(now, free)
        heapq.heapreplace(self._free_at, (start + service_seconds, number))
        return start - now

    def _open(self, start: float, number: int) -> float:
        """Return when slot `number` takes a request that could begin at `start`."""
        for begins, ends in self._closed[number]:
            if begins <= start < ends:
                start = ends
        return start
