"""The circuit breaker of a route: where most attempts fail, the next ones are not sent there for a while.

Closed, all attempts pass. Open, none does. After a while one probe may pass (half open): it closes the breaker, or opens it again. States
and names as in Nygard, Release It! (2007).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from llmlab.errors import AttemptFailed, AttemptRefused, BadInput
from llmlab.pipeline.clocks import check_seconds

_THE_CALLERS = frozenset({"timeout_deadline", "length"})
"""Reasons beside refusals that lie with the caller: too little time, or too few tokens for the answer."""


@dataclass(frozen=True, kw_only=True)
class Breaker:
    """When a route is given up, and for how long.

    Raises:
        BadInput: A share that is none, or a time that is none.
    """

    failure_rate: float = 0.5
    """Opens when this share of the attempts in the window has failed (above 0, to 1)."""
    slow_rate: float | None = None
    """Opens when this share has shown its first content later than `slow_seconds`; None: slowness does not count."""
    slow_seconds: float = 4.0
    """What is slow (in seconds)."""
    window_seconds: float = 20.0
    """How far back it looks (in seconds)."""
    least: int = 10
    """Attempts in the window without which it stays closed."""
    open_seconds: float = 5.0
    """How long it stays open before a probe (in seconds)."""

    def __post_init__(self) -> None:
        for name in ("failure_rate", "slow_rate"):
            share = getattr(self, name)
            if not (name == "slow_rate" and share is None) and not (type(share) in (int, float) and 0 < share <= 1):
                raise BadInput(f"Breaker: {name} is a share above 0 and at most 1, not {share!r}")
        if not isinstance(self.least, int) or isinstance(self.least, bool) or self.least < 1:
            raise BadInput(f"Breaker: least is a whole number of at least 1, not {self.least!r}")
        for name in ("slow_seconds", "window_seconds", "open_seconds"):
            check_seconds(f"Breaker: {name}", getattr(self, name))


@dataclass(slots=True)
class Circuit:
    """The breaker of one route, as it stands."""

    state: str = "closed"
    """closed, open or half-open."""
    opened_at: float = 0.0
    """When it opened (in seconds on the loop's clock)."""
    probe: object = None
    """The attempt that is the probe; None where none is under way."""
    changes: list[tuple[float, str]] = field(default_factory=list)
    """When it became what."""
    _seen: deque[tuple[float, bool, bool]] = field(default_factory=deque)

    def reset(self) -> None:
        """Forget all of it: it is closed, and has seen nothing."""
        self.state, self.opened_at, self.probe = "closed", 0.0, None
        self.changes.clear()
        self._seen.clear()

    def allows(self, breaker: Breaker, now: float, who: object) -> bool:
        """Whether an attempt may pass; the first after a while becomes the probe."""
        if self.state == "closed":
            return True
        if self.probe is not None or (self.state == "open" and now - self.opened_at < breaker.open_seconds):
            return False
        self._become("half-open", now)
        self.probe = who
        return True

    def report(self, breaker: Breaker, now: float, who: object, error: AttemptFailed | None, first_content_seconds: float | None) -> None:
        """Take note of how an attempt ended.

        Args:
            breaker: The rules.
            now: The time (in seconds on the loop's clock).
            who: The attempt.
            error: Why it failed, or None. What the caller did wrong says nothing about the route.
            first_content_seconds: How long its first content took (in seconds), or None.
        """
        if error is not None and (isinstance(error, AttemptRefused) or error.reason in _THE_CALLERS):
            self.drop(who)
            return
        failed = error is not None
        slow = not failed and breaker.slow_rate is not None and (first_content_seconds or 0.0) > breaker.slow_seconds
        if who is self.probe:
            self.probe = None
            self._open(now) if failed or slow else self._close(now)
            return
        if self.state != "closed":
            return
        self._seen.append((now, failed, slow))
        while self._seen[0][0] < now - breaker.window_seconds:
            self._seen.popleft()
        count = len(self._seen)
        if count < breaker.least:
            return
        too_slow = breaker.slow_rate is not None and sum(slow for _, _, slow in self._seen) >= breaker.slow_rate * count
        if too_slow or sum(failed for _, failed, _ in self._seen) >= breaker.failure_rate * count:
            self._open(now)

    def drop(self, who: object) -> None:
        """Take note that an attempt ended without saying anything of the route: another may probe."""
        if who is self.probe:
            self.probe = None

    def _open(self, now: float) -> None:
        self.opened_at = now
        self._become("open", now)

    def _close(self, now: float) -> None:
        self._seen.clear()
        self._become("closed", now)

    def _become(self, state: str, now: float) -> None:
        if state != self.state:
            self.state = state
            self.changes.append((now, state))
