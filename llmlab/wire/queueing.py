"""Slots: why answers get slower when many ask.

A provider answers so many requests at once; who comes later waits for the earliest free slot, first come, first served. Nothing is
simulated step by step: a heap of the times at which slots come free says at once how long a new request waits.
"""

from __future__ import annotations

import heapq

from llmlab.errors import BadInput


class Slots:
    """The slots of one model: `slots` answers at once (at least 1).

    A request that its client gave up still occupies its slot to the end: the provider does not know. That turns timeouts into storms.
    """

    def __init__(self, slots: int) -> None:
        if isinstance(slots, bool) or not isinstance(slots, int) or slots < 1:
            raise BadInput(f"slots is a whole number of at least 1, or None for no limit, not {slots!r}")
        self.slots = slots
        self._free_at: list[float] = []

    def reset(self) -> None:
        """Free all slots."""
        self._free_at.clear()

    def take(self, now: float, service_seconds: float) -> float:
        """Take the slot that comes free first and return how long to wait for it (in seconds).

        Args:
            now: Time of arrival (in seconds on the clock in use); arrivals are told in their order.
            service_seconds: How long the slot is needed (in seconds).
        """
        if len(self._free_at) < self.slots:
            heapq.heappush(self._free_at, now + service_seconds)
            return 0.0
        start = max(now, self._free_at[0])
        heapq.heapreplace(self._free_at, start + service_seconds)
        return start - now
