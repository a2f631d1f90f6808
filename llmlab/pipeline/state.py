"""What a pipeline remembers: times to first content, what was spent on extra attempts, routes that are given up, cached answers.

Notebook: 01_latency_variance.ipynb
"""

from __future__ import annotations

import asyncio
import math
from bisect import insort
from collections import deque
from typing import Any

from llmlab.errors import BadInput
from llmlab.pipeline.breaker import Circuit
from llmlab.pipeline.cache import Shelf


class Observed:
    """The latest times to first content on one route (in seconds).

    An attempt that lost to its hedge, or ran out of time, counts with the time it had lasted, though it would have taken longer; a hedge
    that lost does not count. So quantiles below the hedge's delay are right, and those above it are lower bounds.
    """

    KEPT = 200
    """Attempts that are remembered."""
    LEAST = 20
    """Attempts without which nothing is said."""

    def __init__(self) -> None:
        self._latest: deque[float] = deque()
        self._sorted: list[float] = []

    def __len__(self) -> int:
        return len(self._latest)

    def add(self, seconds: float) -> None:
        """Take note of one attempt."""
        if len(self._latest) == self.KEPT:
            self._sorted.remove(self._latest.popleft())
        self._latest.append(seconds)
        insort(self._sorted, seconds)

    def quantile(self, q: float) -> float | None:
        """Return the smallest time that at least a share `q` did not exceed (in seconds), or None where too few were seen."""
        count = len(self._sorted)
        return None if count < self.LEAST else self._sorted[max(1, math.ceil(round(count * q, 9))) - 1]

    @property
    def shortest(self) -> float:
        """The shortest time of all (in seconds); 0 where too few were seen."""
        return self._sorted[0] if len(self._sorted) >= self.LEAST else 0.0


class Allowance:
    """A token bucket for extra attempts: every request earns a share of one, an extra attempt spends a whole one.

    Over n requests at most `BURST` + share * n extra attempts are allowed, whatever happens. It begins full.
    """

    BURST = 10.0
    """Most that can be saved up."""

    def __init__(self) -> None:
        self.level = self.BURST

    def earn(self, share: float) -> None:
        """Add a request's share."""
        self.level = min(self.BURST, self.level + share)

    def spend(self) -> bool:
        """Take one if there is one; return whether there was."""
        if self.level < 1 - 1e-9:
            return False
        self.level -= 1
        return True


class State:
    """What a pipeline remembers. It lives on one event loop; on the next one its times go on where they stood.

    A `Lab` begins each run with a fresh state, unless the pipeline was given one: `Pipeline(state=State())`.
    """

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self._observed: dict[str, Observed] = {}
        self._circuits: dict[str, Circuit] = {}
        self._seen_at = 0.0
        self.hedges = Allowance()
        self.retries = Allowance()
        self.shelf = Shelf()
        self.verdicts = Shelf()

    def observed(self, route: str) -> Observed:
        """Return what was seen of a route's time to first content."""
        if route not in self._observed:
            self._observed[route] = Observed()
        return self._observed[route]

    def circuit(self, route: str) -> Circuit:
        """Return the circuit breaker of a route, as it stands."""
        if route not in self._circuits:
            self._circuits[route] = Circuit()
        return self._circuits[route]

    def touch(self) -> None:
        """Take note of the loop and the time.

        Raises:
            BadInput: Another loop, which still runs, uses this state.
        """
        loop = asyncio.get_running_loop()
        now = loop.time()
        if self._loop is not loop:
            if self._loop is not None:
                if self._loop.is_running():
                    raise BadInput(
                        "this pipeline's state is in use on another event loop; give each loop a state of its own: replace(state=State())"
                    )
                self.shelf.move(now - self._seen_at)
                self.verdicts.move(now - self._seen_at)
                self._circuits.clear()
            self._loop = loop
        self._seen_at = now

    def snapshot(self) -> dict[str, Any]:
        """Return what is remembered, for people."""
        return {
            "first_content_seconds": {
                name: {"n": len(seen), "p50": seen.quantile(0.5), "p95": seen.quantile(0.95)} for name, seen in self._observed.items()
            },
            "hedges_allowed": self.hedges.level,
            "retries_allowed": self.retries.level,
            "breakers": {name: circuit.state for name, circuit in self._circuits.items()},
            "cached_answers": len(self.shelf),
        }

    def __repr__(self) -> str:
        return f"<State: {sum(map(len, self._observed.values()))} attempts observed, {len(self.shelf)} answers cached>"
