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
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from llmlab.errors import BadInput
from llmlab.evals.statistics import Estimate, clustered_proportion
from llmlab.lab.load import Open
from llmlab.lab.storm_provider import FAST, MAIN, Provider, Served, capacity
from llmlab.pipeline.pipeline import Pipeline
from llmlab.pipeline.state import State
from llmlab.protocol import identity
from llmlab.protocol.clock import simulate
from llmlab.protocol.draws import microseconds
from llmlab.wire.faults import BrownOut

if TYPE_CHECKING:
    import pandas as pd

ANSWERED = ("ok", "degraded")
RECOVERED = 0.95
"""Share of requests within the objective at which a storm counts as over."""
_COLLECT_AT = 50_000
"""Objects more than at the last look, at which Python looks for garbage."""
DEFAULT = BrownOut(start_seconds=60.0, duration_seconds=20.0, ramp_seconds=0.0, capacity=0.3)


class Asked(NamedTuple):
    """One request of one user, and what became of it."""

    sent_at: float
    """Seconds since the storm's start."""
    status: str
    """As in `Answer.status`."""
    seconds: float
    """Until the whole answer, or the failure, was there (in seconds)."""
    attempts: int
    route: str
    """Who answered: main, fast, or nobody (the last resort, or a failure)."""


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
        """
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
                rows[number] = Asked(sent, answer.status, microseconds(clock() - sent), len(answer.attempts), won[0] if won else "nobody")

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


@dataclass(frozen=True, kw_only=True, repr=False)
class StormRun:
    """What one policy made of one storm."""

    storm: Storm
    name: str
    asked: Sequence[Asked]
    """The requests, in the order of sending."""
    served: Sequence[Served]
    """The attempts, as the provider saw them, in the order of sending."""
    changes: Sequence[tuple[float, str]] = field(default=())
    """When the breaker of the main route became what."""
    breaks: bool = False
    """Whether there is a breaker."""

    def __repr__(self) -> str:
        return (
            f"<{self.name or 'storm'}: {100 * self.share():.1f} % within {self.storm.objective_seconds:g} s after the cause, "
            f"{self.amplification:.2f} attempts a request>"
        )

    def good(self, one: Asked) -> bool:
        """Whether a request met the objective: answered (ok or degraded) in time."""
        return one.status in ANSWERED and one.seconds <= self.storm.objective_seconds

    def within(self, start: float, end: float) -> Sequence[Asked]:
        """Return the requests sent from `start` until before `end` (in seconds)."""
        low, high = (bisect_right(self.asked, at, key=lambda one: one.sent_at) for at in (start - 1e-9, end - 1e-9))
        return self.asked[low:high]

    def share(self, start: float | None = None, end: float | None = None) -> float:
        """Return the share of requests within the objective; by default of those sent in `after_seconds` after the cause."""
        start = self.storm.ends_at if start is None else start
        some = self.within(start, start + self.storm.after_seconds if end is None else end)
        return sum(map(self.good, some)) / len(some) if some else math.nan

    @property
    def amplification(self) -> float:
        """Attempts a request, over the brown-out and `after_seconds` after it, on all routes."""
        start = self.storm.brown_out.start_seconds if self.storm.brown_out else 0.0
        some = self.within(start, self.storm.ends_at + self.storm.after_seconds)
        return sum(one.attempts for one in some) / len(some) if some else math.nan

    @property
    def wasted(self) -> float:
        """Share of the main model's slot time that went into answers which nobody took (0 to 1)."""
        took = math.fsum(one.service for one in self.served if one.model == MAIN)
        answered = {}
        for one in self.served:  # the last attempt is the one that was taken, if any was
            answered[one.request] = one
        taken = math.fsum(answered[f"s{number}/0"].service for number, asked in enumerate(self.asked) if asked.route == "main")
        return 1 - taken / took if took else 0.0

    def recovery_seconds(self, window_seconds: float = 5.0) -> float | None:
        """Return how long after the cause's end goodput is back at 95 % and stays there; None: not within `after_seconds`.

        Args:
            window_seconds: Length of the windows in which goodput is counted, by the time of sending.
        """
        back = 0.0
        for number in range(round(self.storm.after_seconds / window_seconds)):
            start = self.storm.ends_at + number * window_seconds
            if self.share(start, start + window_seconds) < RECOVERED:
                back = (number + 1) * window_seconds
        return back if back < self.storm.after_seconds else None

    @property
    def recovered(self) -> bool:
        """Whether goodput returns to 95 % within `after_seconds` after the cause has ended."""
        return self.recovery_seconds() is not None

    def breaker_at(self, seconds: float) -> str:
        """Return the state of the main route's breaker at a time (in seconds): closed, open or half-open."""
        place = bisect_right(self.changes, seconds, key=lambda change: change[0])
        return self.changes[place - 1][1] if place else "closed"

    def queue_at(self, times: Sequence[float]) -> Iterator[tuple[int, int]]:
        """Yield for each time (in seconds, ascending) how many attempts wait at the main model, and how many slots are busy."""
        mine = [one for one in self.served if one.model == MAIN]
        sent = [one.sent_at for one in mine]
        begun, ended = (sorted(one.sent_at + one.wait + part for one, part in parts) for parts in _moments(mine))
        for at in times:
            started = bisect_right(begun, at)
            yield bisect_right(sent, at) - started, started - bisect_right(ended, at)

    def frame(self, window_seconds: float = 5.0) -> pd.DataFrame:
        """Return a row a window of time.

        Columns: start, end (seconds); offered, attempts, capacity (a second, at the main model); goodput (share of the requests sent in the
        window that met the objective); waiting, busy (attempts at the window's end); breaker (its state then).

        Args:
            window_seconds: Length of a window.
        """
        import pandas as pd

        if not window_seconds > 0:
            raise BadInput(f"a window lasts longer than 0 s, not {window_seconds!r}")
        edges = [number * window_seconds for number in range(round(self.storm.seconds / window_seconds) + 1)]
        sent = [one.sent_at for one in self.served if one.model == MAIN]
        lines = []
        for start, end, (waiting, busy) in zip(edges[:-1], edges[1:], self.queue_at(edges[1:]), strict=True):
            lines.append(
                {
                    "start": start,
                    "end": end,
                    "offered": len(self.within(start, end)) / window_seconds,
                    "attempts": (bisect_right(sent, end - 1e-9) - bisect_right(sent, start - 1e-9)) / window_seconds,
                    "capacity": capacity(self.storm.slots, self.storm.brown_out, (start + end) / 2),
                    "goodput": self.share(start, end),
                    "waiting": waiting,
                    "busy": busy,
                    "breaker": self.breaker_at(end),
                }
            )
        return pd.DataFrame(lines)


@contextmanager
def _seldom_collected() -> Iterator[None]:
    """Let Python look for cyclic garbage less often: with thousands of tasks under way, looking takes longer than the storm."""
    before = gc.get_threshold()
    gc.set_threshold(_COLLECT_AT, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _moments(served: Sequence[Served]) -> tuple[list[tuple[Served, float]], list[tuple[Served, float]]]:
    return [(one, 0.0) for one in served], [(one, one.service) for one in served]


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


def storm_table(runs: Sequence[StormRun]) -> pd.DataFrame:
    """Return what each policy made of a storm, for people."""
    import pandas as pd

    lines = []
    for run in runs:
        back = run.recovery_seconds()
        after = run.within(run.storm.ends_at, run.storm.ends_at + run.storm.after_seconds)
        degraded = sum(run.good(one) and one.status == "degraded" for one in after) / max(1, len(after))
        lines.append(
            {
                "policy": run.name,
                "seed": run.storm.seed,
                f"within {run.storm.objective_seconds:g} s (%)": f"{100 * run.share():.1f}",
                "of which degraded (%)": f"{100 * degraded:.1f}",
                "attempts a request": f"{run.amplification:.2f}",
                "wasted slot time (%)": f"{100 * run.wasted:.1f}",
                "back after (s)": "never" if back is None else f"{back:g}",
            }
        )
    return pd.DataFrame(lines)
