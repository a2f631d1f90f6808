"""The answer cache: the same question, prompt, model, tenant and policy need not be answered twice.

What counts as the same is exact: prompt version, messages (with their documents), model and parameters, tenant, guards and output. Only
answers that are whole and as meant, from the route that was meant, are kept. Requests that are the same at the same time share one
answer (single flight).

Notebook: 01_latency_variance.ipynb
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import NamedTuple

from llmlab.errors import BadInput
from llmlab.pipeline.clocks import check_seconds


@dataclass(frozen=True, kw_only=True)
class Cache:
    """How long answers are kept, and how many.

    Raises:
        BadInput: A size below 1, or a time that is none.
    """

    size: int = 1_000
    """Most answers kept; the one that was used longest ago goes first."""
    fresh_seconds: float = 3_600.0
    """How long an answer is as good as a new one (in seconds)."""
    stale_seconds: float = 86_400.0
    """How much longer it is good enough when every attempt has failed (in seconds); such an answer is `degraded`. 0: never."""

    share_seconds: float = 5.0
    """How long a request waits for another that is asking the same, before it asks by itself (in seconds); 0: not at all."""

    def __post_init__(self) -> None:
        if not isinstance(self.size, int) or isinstance(self.size, bool) or self.size < 1:
            raise BadInput(f"Cache: size is a whole number of at least 1, not {self.size!r}; for no cache, leave it out (cache=None)")
        check_seconds("Cache: fresh_seconds", self.fresh_seconds)
        check_seconds("Cache: stale_seconds", self.stale_seconds, least=0)
        check_seconds("Cache: share_seconds", self.share_seconds, least=0)


class Kept(NamedTuple):
    """An answer on the shelf."""

    at: float
    """When it was given (in seconds on the loop's clock)."""
    pieces: tuple[str, ...]
    """Its text, as it was streamed."""


class Flight:
    """What the cache has for one request: an answer, or the place of the one who gets it for all.

    Attributes:
        found: A fresh answer, or None: then this request asks, and may `keep` what comes.
        waited_seconds: How long another request was waited for.
        hopeless: That one has just failed: to ask again is in vain, if there is an old answer.
    """

    def __init__(self, shelf: Shelf, key: str, cache: Cache) -> None:
        self._shelf, self._cache = shelf, cache
        self.key = key
        self.found: Kept | None = None
        self.waited_seconds = 0.0
        self.hopeless = False

    def keep(self, pieces: tuple[str, ...]) -> None:
        """Put an answer on the shelf."""
        self._shelf.put(self.key, Kept(asyncio.get_running_loop().time(), pieces), self._cache.size)

    def stale(self) -> Kept | None:
        """Return an answer that is good enough when there is no other."""
        return self._shelf.get(self.key, self._cache.fresh_seconds + self._cache.stale_seconds)


class Shelf:
    """The answers that are kept, and who is getting one."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Kept] = OrderedDict()
        self._leaders: dict[str, asyncio.Future[bool]] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: str, seconds: float) -> Kept | None:
        """Return an answer of at most this age (in seconds), or None."""
        kept = self._kept.get(key)
        if kept is None or asyncio.get_running_loop().time() - kept.at > seconds:
            return None
        self._kept.move_to_end(key)
        return kept

    def put(self, key: str, kept: Kept, size: int) -> None:
        """Keep an answer, and drop those that were used longest ago if there are more than `size`."""
        self._kept[key] = kept
        self._kept.move_to_end(key)
        while len(self._kept) > size:
            self._kept.popitem(last=False)

    def move(self, seconds: float) -> None:
        """Move all times by so many seconds, to the clock of another loop; who was under way there is forgotten."""
        self._leaders.clear()
        self._kept = OrderedDict((key, kept._replace(at=kept.at + seconds)) for key, kept in self._kept.items())

    @asynccontextmanager
    async def flight(self, key: str, cache: Cache, deadline: float | None) -> AsyncIterator[Flight]:
        """Look for an answer; where another request is getting it, wait for that one, for a while.

        The first of several that are the same asks. Where nothing worth keeping came of it in time, all the others ask at once.
        """
        loop = asyncio.get_running_loop()
        flight = Flight(self, key, cache)
        flight.found = self.get(key, cache.fresh_seconds)
        leader = self._leaders.get(key)
        if flight.found is None and leader is not None:
            began, patience = loop.time(), cache.share_seconds
            await asyncio.wait([leader], timeout=patience if deadline is None else max(0.0, min(patience, deadline - began)))
            flight.waited_seconds = loop.time() - began
            flight.found = self.get(key, cache.fresh_seconds)
            flight.hopeless = leader.done() and leader.result()
        if flight.found is not None or key in self._leaders:
            yield flight
            return
        mine = self._leaders[key] = loop.create_future()
        try:
            yield flight
        finally:
            if self._leaders.get(key) is mine:
                del self._leaders[key]
            mine.set_result(flight.hopeless)
