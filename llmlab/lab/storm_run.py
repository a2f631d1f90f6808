"""What one policy made of one storm: who was answered in time, how often was asked for it, and whether it ever ended.

Notebook: 03_retries_and_fallbacks.ipynb
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from llmlab.errors import BadInput
from llmlab.lab.runs import Row, Runs, Weather
from llmlab.lab.storm_provider import MAIN, Served, capacity
from llmlab.pipeline.answer import Tokens

if TYPE_CHECKING:
    import pandas as pd

    from llmlab.lab.storm import Storm

ANSWERED = ("ok", "degraded")
RECOVERED = 0.95
"""Share of requests within the objective at which a storm counts as over."""


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
    reason: str = ""
    """Why it is not ok, as in `Answer.reason`."""
    tokens: Tokens = Tokens()
    """Of all attempts; of those that were given up, estimated."""
    usd: float | None = None


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

    def after(self) -> Sequence[Asked]:
        """Return the requests of the `after_seconds` after the cause."""
        return self.within(self.storm.ends_at, self.storm.ends_at + self.storm.after_seconds)

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

        A window in which nobody asked stands as the one before it, the first as one that is not back.

        Args:
            window_seconds: Length of the windows in which goodput is counted, by the time of sending.
        """
        back, is_back = 0.0, False
        for number in range(round(self.storm.after_seconds / window_seconds)):
            start = self.storm.ends_at + number * window_seconds
            share = self.share(start, start + window_seconds)
            is_back = is_back if math.isnan(share) else share >= RECOVERED
            if not is_back:
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


def _moments(served: Sequence[Served]) -> tuple[list[tuple[Served, float]], list[tuple[Served, float]]]:
    return [(one, 0.0) for one in served], [(one, one.service) for one in served]


def storm_table(runs: Sequence[StormRun]) -> pd.DataFrame:
    """Return what each policy made of a storm, for people."""
    import pandas as pd

    lines = []
    for run in runs:
        back = run.recovery_seconds()
        after = run.after()
        worse = [one for one in after if run.good(one) and one.status == "degraded"]
        degraded, message = (100 * len(some) / max(1, len(after)) for some in (worse, [one for one in worse if one.route == "nobody"]))
        lines.append(
            {
                "policy": run.name,
                "seed": run.storm.seed,
                f"within {run.storm.objective_seconds:g} s (%)": f"{100 * run.share():.1f}",
                "of which degraded (%)": f"{degraded:.1f}",
                "of these a message (%)": f"{message:.1f}",
                "attempts a request": f"{run.amplification:.2f}",
                "wasted slot time (%)": f"{100 * run.wasted:.1f}",
                "back after (s)": "never" if back is None else f"{back:g}",
            }
        )
    return pd.DataFrame(lines)


def as_runs(storms: Sequence[StormRun], banner: str = "") -> Runs:
    """Return the requests of the time after the cause, a row each: an app is a policy, all in the same storm.

    Args:
        storms: Of several policies.
        banner: Who answered.
    """
    rows, weather = [], {}
    for run in storms:
        faults = (run.storm.brown_out,) if run.storm.brown_out else ()
        weather[run.name] = Weather(run.storm.seed, faults, "simulator", over_time=True, open_loop=True)
        for number, one in enumerate(run.after()):
            wait = one.seconds if one.status in ANSWERED else None
            rows.append(
                Row(
                    app=run.name,
                    number=number,
                    case=f"s{number}",
                    repetition=0,
                    status=one.status,
                    reason=one.reason,
                    intended_at=one.sent_at,
                    sent_at=one.sent_at,
                    wait_seconds=wait,
                    wait_from_intended_seconds=wait,
                    total_seconds=one.seconds,
                    first_content_seconds=None if one.route == "nobody" else one.seconds,
                    attempts=one.attempts,
                    prompt_tokens=one.tokens.prompt_tokens,
                    completion_tokens=one.tokens.completion_tokens,
                    usd=one.usd,
                    source="" if one.route == "nobody" else "simulator",
                    right=None,
                    text="",
                )
            )
    return Runs(rows, (), weather=weather, banner=banner)
