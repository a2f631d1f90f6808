"""Load: when requests are meant to be sent."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import repeat
from typing import Protocol

from llmlab.errors import BadInput
from llmlab.protocol.draws import exponential, microseconds, uniform


class Load(Protocol):
    """Anything that says when requests are sent, and how many at once."""

    @property
    def concurrency(self) -> int | None:
        """Requests at once at most; None: as many as come."""
        ...

    def intended(self, seed: int) -> Iterator[float]:
        """Yield the intended send times (in seconds after the start)."""
        ...


@dataclass(frozen=True, kw_only=True)
class Closed:
    """A number of users, each of whom asks again as soon as the answer is there. Slow answers slow it down: it hides what waits outside."""

    concurrency: int | None = 10
    """Users at once."""

    def __post_init__(self) -> None:
        if not isinstance(self.concurrency, int) or self.concurrency < 1:
            raise BadInput(f"Closed: concurrency is a whole number of at least 1, not {self.concurrency!r}")

    def intended(self, seed: int) -> Iterator[float]:
        """Yield zeros: everybody would like to ask at once."""
        return repeat(0.0)


@dataclass(frozen=True, kw_only=True)
class Open:
    """Requests come when they come, as a Poisson process, whether or not the earlier ones are answered."""

    per_second: float = 5.0
    """Mean arrivals a second."""

    def __post_init__(self) -> None:
        if not isinstance(self.per_second, int | float) or not 0 < self.per_second < math.inf:
            raise BadInput(f"Open: per_second is a rate above 0, not {self.per_second!r}")

    @property
    def concurrency(self) -> None:
        """As many at once as come."""
        return None

    def intended(self, seed: int) -> Iterator[float]:
        """Yield times with exponential gaps, each gap a keyed draw."""
        at, number = 0.0, 0
        while True:
            at = microseconds(at + exponential(uniform(seed, "Open", number), mean=1 / self.per_second))
            yield at
            number += 1
