"""The budgets, measured: each figure beside its reference in the same run, the two in turn, so that the machine's mood cancels out.

Texts as in the help desk: a question of 20 words, three documents of 150, an answer of 60 words (80 tokens).
"""

from __future__ import annotations

import asyncio
import gc
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from llmlab.errors import UnknownName

ROUNDS = 7
Work = Callable[[], Awaitable[object]]


class Figure(NamedTuple):
    """One budget, as measured."""

    name: str
    value: float
    unit: str
    reference: float | None
    """The same work without us, in the same unit; None where the budget is absolute."""
    ratio: float | None
    """Median over the rounds of value / reference."""
    n: int
    """Measurements in each round."""
    against: str = ""
    """What the reference is."""
    budget: str = ""

    def row(self) -> dict[str, str]:
        """Return it for a table."""
        reference = "" if self.reference is None else f"{self.reference:.3g} ({self.against})"
        return {
            "name": self.name,
            "value": f"{self.value:.3g} {self.unit}",
            "reference": reference,
            "ratio": "" if self.ratio is None else f"{self.ratio:.2f}",
            "budget": self.budget,
            "n": str(self.n),
        }


MEASURES: dict[str, Callable[[], Figure]] = {}


def measures(name: str) -> Callable[[Callable[[], Figure]], Callable[[], Figure]]:
    """Register what measures the budget `name`."""

    def register(function: Callable[[], Figure]) -> Callable[[], Figure]:
        MEASURES[name] = function
        return function

    return register


async def each(work: Work, times: int) -> float:
    """Return the mean time of `work` (in seconds)."""
    gc.collect()
    started = time.perf_counter()
    for _ in range(times):
        await work()
    return (time.perf_counter() - started) / times


def beside(ours: Work, theirs: Work, times: int, rounds: int = ROUNDS) -> tuple[float, float, float]:
    """Return the medians (in seconds) of both, and of their ratio; they take turns."""

    async def go() -> tuple[float, float, float]:
        await each(ours, max(1, times // 10))
        await each(theirs, max(1, times // 10))
        return medians([(await each(ours, times), await each(theirs, times)) for _ in range(rounds)])

    return asyncio.run(go())


def medians(pairs: Sequence[tuple[float, float]]) -> tuple[float, float, float]:
    """Return the medians (in seconds) of what was measured in turn, and of the ratio."""
    ours, theirs = zip(*pairs, strict=True)
    return statistics.median(ours), statistics.median(theirs), statistics.median(one / other for one, other in pairs)


def measure(names: Sequence[str] = (), *, say: Callable[[str], None] = print) -> list[Figure]:
    """Measure the budgets.

    Args:
        names: Which; none means all.
        say: Told what is being measured.

    Raises:
        UnknownName: There is no such budget.
    """
    import llmlab.lab.budgets
    import llmlab.lab.budgets_text  # noqa: F401  (they register themselves)

    for name in names:
        if name not in MEASURES:
            raise UnknownName("budget", name, MEASURES)
    figures = []
    for name in names or MEASURES:
        say(f"measuring {name} ...")
        figures.append(MEASURES[name]())
    return figures
