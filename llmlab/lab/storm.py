"""The storm: a brown-out that is over after seconds, and an outage that is not, because the app keeps it up (a metastable failure).

An open load meets a provider with finite slots. While capacity is low, answers come after the timeout; each is given up and asked for
again, but its slot is taken to the end. So attempts multiply, and when capacity is back, the queue is too long for answers in time.
Bronson et al., Metastable Failures in Distributed Systems (HotOS 2021).

Notebook: 03_retries_and_fallbacks.ipynb
"""

from __future__ import annotations

import asyncio
import gc
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from llmlab.errors import BadInput
from llmlab.evals.statistics import Estimate, clustered_proportion
from llmlab.lab.load import Open
from llmlab.lab.storm_provider import FAST, MAIN, Provider, capacity
from llmlab.lab.storm_run import Asked, StormRun
from llmlab.pipeline.pipeline import Pipeline
from llmlab.pipeline.state import State
from llmlab.protocol import identity
from llmlab.protocol.clock import simulate
from llmlab.protocol.draws import microseconds
from llmlab.wire.faults import BrownOut

_COLLECT_AT = 50_000
"""Objects more than at the last look, at which Python looks for garbage."""
DEFAULT = BrownOut(start_seconds=60.0, duration_seconds=20.0, ramp_seconds=0.0, capacity=0.3)


@dataclass(frozen=True, kw_only=True)
class Storm:
    """What is put in: load, capacity, and when capacity is lost.

    Raises:
        BadInput: A load, a size or a time that cannot be.
    """

    per_second: float = 20.0
    """Requests a second (open load, Poisson)."""
    slots: int = 35
    """Answers at once of the main model, each 0.5 s + exponential 0.5 s; the fallback's has as many."""
    brown_out: BrownOut | None = DEFAULT
    """When the main model loses capacity, or None."""
    seconds: float = 300.0
    """How long requests come (in seconds)."""
    objective_seconds: float = 8.0
    """An answer that comes later has missed the objective (in seconds)."""
    after_seconds: float = 60.0
    """How long after the brown-out's end is looked whether it is over (in seconds)."""
    seed: int = 7

    def __post_init__(self) -> None:
        Open(per_second=self.per_second)
        for name in ("seconds", "objective_seconds", "after_seconds"):
            value = getattr(self, name)
            if not isinstance(value, int | float) or not 0 < value < math.inf:
                raise BadInput(f"Storm: {name} is a time above 0 seconds, not {value!r}")
        for name, least in (("slots", 1), ("seed", -math.inf)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise BadInput(f"Storm: {name} is a whole number{' of at least 1' if name == 'slots' else ''}, not {value!r}")
        if not isinstance(self.brown_out, BrownOut | None):
            raise BadInput(f"Storm: brown_out is a BrownOut(...) or None, not {self.brown_out!r}")

    @property
    def ends_at(self) -> float:
        """When the cause has ended (in seconds)."""
        return self.brown_out.start_seconds + self.brown_out.duration_seconds if self.brown_out else 0.0

    @property
    def utilization(self) -> float:
        """Load / capacity while all is well (no unit)."""
        return self.per_second / capacity(self.slots, None, 0.0)

    def __str__(self) -> str:
        lost = "no brown-out"
        if self.brown_out:
            lost = f"{self.brown_out.capacity:.0%} of capacity from {self.brown_out.start_seconds:g} to {self.ends_at:g} s"
        return (
            f"{self.per_second:g} requests/s, {self.slots} slots, utilization {self.utilization:.0%}, {lost}, "
            f"objective {self.objective_seconds:g} s"
        )

    def run(self, policy: Pipeline, name: str = "", *, sdk: bool = False, progress: Callable[[float], None] | None = None) -> StormRun:
        """Return what a policy makes of it, in virtual time.

        Args:
            policy: A pipeline with the routes main and, perhaps, fast; not streamed.
            name: For tables and pictures.
            sdk: Whether its attempts go through an unmodified openai client: the same rows, in three times the time.
            progress: Told the share that is done (0 to 1); what it raises ends the run.

        Raises:
            BadInput: Requests stop before the time after the brown-out that is looked at.
        """
        needed = self.ends_at + self.after_seconds
        if self.brown_out and self.seconds < needed:
            raise BadInput(f"Storm: requests come for {self.seconds:g} s, and are looked at until {needed:g} s: give seconds={needed:g}")
        provider = Provider({MAIN: self.slots, FAST: self.slots}, self.brown_out, self.seed)
        state = State()
        # What is asked is of no interest here, so nothing is looked up for it.
        pipeline = policy.replace(client=provider.client(sdk=sdk), state=state, retrieve=None)
        with _seldom_collected():
            asked = simulate(self._go(pipeline, progress or (lambda share: None)), seed=self.seed)
        changes = tuple(state.circuit("main").changes)
        breaks = policy.breaker is not None
        return StormRun(storm=self, name=name, asked=tuple(asked), served=tuple(provider.served), changes=changes, breaks=breaks)

    async def _go(self, pipeline: Pipeline, progress: Callable[[float], None]) -> list[Asked]:
        clock = asyncio.get_running_loop().time
        rows: dict[int, Asked] = {}

        async def one(number: int) -> None:
            with identity.request(f"s{number}"):
                sent = clock()
                answer = await pipeline.ask("Where is my parcel?")
                won = [attempt.route for attempt in answer.attempts if attempt.status == "ok"]
                rows[number] = Asked(
                    sent,
                    answer.status,
                    microseconds(clock() - sent),
                    len(answer.attempts),
                    won[0] if won else "nobody",
                    answer.reason,
                    answer.usage,
                    None if answer.cost_usd is None else float(answer.cost_usd),
                )

        under_way = []
        for number, at in enumerate(Open(per_second=self.per_second).intended(self.seed)):
            if at >= self.seconds:
                break
            await asyncio.sleep(max(0.0, at - clock()))
            under_way.append(asyncio.create_task(one(number)))
            if number % 100 == 0:
                progress(at / self.seconds)
        await asyncio.gather(*under_way)
        return [rows[number] for number in sorted(rows)]


@contextmanager
def _seldom_collected() -> Iterator[None]:
    """Let Python look for cyclic garbage less often: with thousands of tasks under way, looking takes longer than the storm."""
    before = gc.get_threshold()
    gc.set_threshold(_COLLECT_AT, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def shortened(storm: Storm, lead_seconds: float = 10.0) -> Storm:
    """Return the same storm with a short time before the brown-out, and none beyond `after_seconds` after it."""
    if storm.brown_out is None:
        return storm
    brown_out = replace(storm.brown_out, start_seconds=lead_seconds)
    return replace(storm, brown_out=brown_out, seconds=lead_seconds + brown_out.duration_seconds + storm.after_seconds)


def storm_seeds(policy: Pipeline, storm: Storm | None = None, seeds: int | Sequence[int] = 20) -> Estimate:
    """Return the share within the objective after the cause has ended, with its interval over seeds.

    All requests of a storm meet the same queue, so the unit of n is the seed, not the request.

    Args:
        policy: As for `Storm.run`.
        storm: Which; None: the default. It is shortened before the brown-out.
        seeds: How many, from 0, or which.
    """
    brief = shortened(storm or Storm(), lead_seconds=5.0)
    numbers = range(seeds) if isinstance(seeds, int) else seeds
    return clustered_proportion([replace(brief, seed=seed).run(policy).share() for seed in numbers])
