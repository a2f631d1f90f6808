"""Weather over time: what strikes one attempt strikes its neighbors too.

It is a function of the seed and the time since the first request (a quota also of what was asked before), so the unit of n is a run, not a
request: at least 20 seeds. Retries of an unmodified openai client, a few seconds apart, meet the same weather again.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from llmlab.protocol.draws import exponential, microseconds, uniform
from llmlab.wire.faults.base import Fault, is_number
from llmlab.wire.faults.latency import Latency
from llmlab.wire.faults.plan import Plan, Sent
from llmlab.wire.faults.refusals import ServerError
from llmlab.wire.queueing import Closure
from llmlab.wire.transport import CAPACITY

_UNAVAILABLE = ServerError(status=503)


class _While(Fault):
    """A fault that lets another one strike at certain times."""

    over_time: ClassVar[bool] = True
    what: Fault = _UNAVAILABLE
    """What strikes meanwhile: a fault of one attempt, without a probability or a script of its own."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.what, Fault) or self.what.over_time or isinstance(self.what, Latency):
            raise self._bad(f"what is a fault of one attempt, as in what=ServerError(status=503), not {self.what!r}")
        if self.what.probability < 1:
            raise self._bad(f"what strikes all that is sent meanwhile: give it probability=1, not what={self.what!r}")
        if None not in (self.stream, self.what.strikes_streams) and self.stream != self.what.strikes_streams:
            raise self._bad(f"with stream={self.stream}, what={self.what!r} never strikes")
        if self.what.script():
            raise self._bad(f"which attempts it strikes is said of itself, not of what={self.what!r}")

    def strike(self, plan: Plan, sent: Sent) -> str:
        """Strike as `what` does, with draws of its own."""
        return replace(self.what, name=self.name).strike(plan, sent)


class Outage(_While):
    """For a while, every attempt fails."""

    start_seconds: float = 60.0
    """When it begins (in seconds after the first request)."""
    duration_seconds: float = 30.0
    """How long it lasts (more than 0 seconds)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        start, end = self.start_seconds, self.start_seconds + self.duration_seconds
        self._check_window((start, end))
        if self.window is not None and not (self.window[0] < end and start < self.window[1]):
            raise self._bad(f"it is over, or not yet begun, in window={self.window!r}, so that it never strikes")

    @property
    def ends_at(self) -> float:
        """When it is over (in seconds after the first request)."""
        return min(self.start_seconds + self.duration_seconds, super().ends_at or math.inf)

    def applies(self, sent: Sent) -> bool:
        """Whether it may strike this attempt, whatever the draw says."""
        on = self.start_seconds <= sent.at < self.start_seconds + self.duration_seconds
        return on and super().applies(sent) and self.what.applies(sent)


class Bursts(_While):
    """Failures come in bursts: good and bad times take turns, each of a random length (Gilbert-Elliott, in continuous time).

    Lengths are exponential; the share of bad time is mean_bad / (mean_good + mean_bad), from the first request on.
    """

    mean_good_seconds: float = 60.0
    """Mean length of a good time (in seconds, at least 0.001)."""
    mean_bad_seconds: float = 5.0
    """Mean length of a bad time (in seconds, at least 0.001)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for label in ("mean_good_seconds", "mean_bad_seconds"):
            if getattr(self, label) < 0.001:
                raise self._bad(f"{label} is at least 0.001 s, not {getattr(self, label)!r}")

    def applies(self, sent: Sent) -> bool:
        """Whether it may strike this attempt, whatever the draw says."""
        return super().applies(sent) and self.what.applies(sent) and self.bad(sent)

    def bad(self, sent: Sent) -> bool:
        """Whether the attempt is sent in a bad time: a function of seed and time, in whatever order times are asked for."""
        ends: list[float] = sent.memory.setdefault(self.name, [0.0])
        means = (self.mean_good_seconds, self.mean_bad_seconds)
        first = int(uniform(sent.seed, self.name, "begins") < means[1] / sum(means))
        while ends[-1] <= sent.at:
            number = len(ends)
            lasts = exponential(uniform(sent.seed, self.name, "lasts", number), mean=means[(first + number - 1) % 2])
            ends.append(ends[-1] + max(1e-6, microseconds(lasts)))
        return (first + bisect_right(ends, sent.at) - 1) % 2 == 1


class BrownOut(Fault):
    """For a while, the provider has less capacity: it falls, stays low, and comes back.

    A simulator with slots closes some of them, so that a queue grows; one slot stays. Any other transport takes 1 / capacity times as long.
    Of a live provider's stream, that is the headers alone.
    """

    over_time: ClassVar[bool] = True
    start_seconds: float = 60.0
    """When it begins (in seconds after the first request)."""
    duration_seconds: float = 60.0
    """How long it lasts, ramps included (more than 0 seconds)."""
    ramp_seconds: float = 10.0
    """How long capacity falls evenly at the beginning, and rises at the end (in seconds, at most half of the duration)."""
    capacity: float = 0.3
    """What is left in between (a share, above 0 and below 1)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_window((self.start_seconds, self.start_seconds + self.duration_seconds))
        if self.ramp_seconds > self.duration_seconds / 2:
            raise self._bad(f"ramp_seconds is at most half of duration_seconds={self.duration_seconds:g}, not {self.ramp_seconds!r}")
        if not is_number(self.capacity) or not 0 < self.capacity < 1:
            raise self._bad(f"capacity is a share above 0 and below 1, not {self.capacity!r}")
        if self.window is not None and self.window[0] >= self.start_seconds + self.duration_seconds:
            raise self._bad(f"it is over in window={self.window!r}, so that it never strikes")

    @property
    def ends_at(self) -> float:
        """When it is over (in seconds after the first request)."""
        return min(self.start_seconds + self.duration_seconds, super().ends_at or math.inf)

    def applies(self, sent: Sent) -> bool:
        """Whether it may strike this attempt: one from before may still wait in the queue when it begins."""
        return sent.at < self.start_seconds + self.duration_seconds and super().applies(sent)

    def capacity_at(self, seconds: float) -> float:
        """Return the share of capacity that is left, `seconds` after the first request."""
        inside = min(seconds - self.start_seconds, self.start_seconds + self.duration_seconds - seconds)
        if inside < 0:
            return 1.0
        fallen = min(1.0, inside / self.ramp_seconds) if self.ramp_seconds else 1.0
        return 1 - (1 - self.capacity) * fallen

    def closure(self, began: float) -> Closure:
        """Return when slots are closed, if the first request was sent at `began`: number k of n while capacity is at most k / n."""
        start, end = began + self.start_seconds, began + self.start_seconds + self.duration_seconds

        def closed(number: int, slots: int) -> tuple[float, float]:
            share = number / slots
            if share < self.capacity:
                return end, end
            fallen = self.ramp_seconds * (1 - share) / (1 - self.capacity)
            return start + fallen, end - fallen

        return closed

    def strike(self, plan: Plan, sent: Sent) -> str:
        """Close slots; where there are none, take longer."""
        others: Sequence[Closure] = plan.extensions.get(CAPACITY) or sent.request.extensions.get(CAPACITY, ())
        plan.extensions[CAPACITY] = (*others, self.closure(sent.now - sent.at))
        capacity = self.capacity_at(sent.at)
        if capacity == 1:
            return ""
        plan.timing.stretch /= capacity
        return f"{capacity:.0%} of capacity"
