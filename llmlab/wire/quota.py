"""Quotas: so many requests and tokens a minute, as token buckets that refill all the time.

A bucket starts full, holds one minute's worth, and refills evenly. A request must find enough in both of its buckets, else it is refused
and takes nothing. The headers tell what is left, in the provider's own words and Go's notation of durations.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

from llmlab.errors import BadInput

Header = tuple[bytes, bytes]
_HEADERS = [f"x-ratelimit-{word}-{kind}".encode() for word in ("limit", "remaining", "reset") for kind in ("requests", "tokens")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one key may ask of one model. The defaults are those of a large account: no small experiment meets them."""

    requests_per_minute: float = 10_000
    """Requests a minute (at least 1)."""
    tokens_per_minute: float = 30_000_000
    """Tokens a minute (at least 1): the prompt's, and as many as the request allows for the answer."""

    def __post_init__(self) -> None:
        for name in ("requests_per_minute", "tokens_per_minute"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 1 <= value < math.inf:
                raise BadInput(f"Limits: {name} is a number of at least 1, not {value!r}")


class OverQuota(NamedTuple):
    """Why a request was refused."""

    kind: str
    """requests or tokens."""
    limit: int
    """What a minute allows."""
    used: int
    """What is taken of it."""
    requested: int
    """What the request needs."""
    wait_seconds: float | None
    """Until the bucket holds enough (in seconds); None where it never will."""

    def message(self, model: str) -> str:
        """Return OpenAI's wording."""
        unit = "requests per min (RPM)" if self.kind == "requests" else "tokens per min (TPM)"
        more = "Visit https://platform.openai.com/account/rate-limits to learn more."
        if self.wait_seconds is None:
            return (
                f"Request too large for {model} in organization org-llmlab on {unit}: Limit {self.limit}, Requested {self.requested}. "
                f"The input or output tokens must be reduced in order to run successfully. {more}"
            )
        return (
            f"Rate limit reached for {model} in organization org-llmlab on {unit}: Limit {self.limit}, Used {self.used}, "
            f"Requested {self.requested}. Please try again in {go_duration(self.wait_seconds)}. {more}"
        )

    def headers(self) -> list[Header]:
        """Return retry-after in seconds (rounded up) and in milliseconds; nothing where waiting does not help."""
        if self.wait_seconds is None:
            return []
        milliseconds = max(1, math.ceil(self.wait_seconds * 1000 - 1e-6))
        return [(b"retry-after-ms", b"%d" % milliseconds), (b"retry-after", b"%d" % max(1, math.ceil(milliseconds / 1000)))]


class _Bucket:
    """Holds up to one minute's worth and refills evenly."""

    def __init__(self, kind: str, capacity: float, now: float) -> None:
        self.kind, self.capacity, self.level, self._at = kind, capacity, float(capacity), now

    def refill(self, now: float) -> None:
        self.level = min(self.capacity, self.level + max(0.0, now - self._at) * self.capacity / 60)
        self._at = max(self._at, now)

    def seconds_for(self, missing: float) -> float:
        return max(0.0, missing) * 60 / self.capacity

    def told(self, now: float) -> tuple[int, int, str]:
        self.refill(now)
        return int(self.capacity), max(0, math.floor(self.level + 1e-9)), go_duration(self.seconds_for(self.capacity - self.level))

    def refusal(self, amount: int, now: float) -> OverQuota | None:
        self.refill(now)
        if amount <= self.level + 1e-9:
            return None
        wait = self.seconds_for(amount - self.level) if amount <= self.capacity else None
        limit = int(self.capacity)
        return OverQuota(self.kind, limit, limit - math.floor(self.level + 1e-9), amount, wait)


class Quota:
    """The two buckets of one key and model."""

    def __init__(self, limits: Limits, now: float) -> None:
        self._buckets = (_Bucket("requests", limits.requests_per_minute, now), _Bucket("tokens", limits.tokens_per_minute, now))

    def charge(self, tokens: int, now: float) -> OverQuota | None:
        """Take one request and `tokens` tokens, or take nothing and return why.

        Args:
            tokens: The prompt's tokens and the most that the answer may have.
            now: Time of arrival (in seconds on the clock in use).
        """
        requests, pool = self._buckets
        refusal = requests.refusal(1, now) or pool.refusal(tokens, now)
        if refusal is None:
            requests.level -= 1
            pool.level -= tokens
        return refusal

    def credit(self, tokens: int, now: float) -> None:
        """Give back `tokens` tokens that were charged and not used; a negative number is charged on top."""
        pool = self._buckets[1]
        pool.refill(now)
        pool.level = min(pool.capacity, pool.level + tokens)

    def headers(self, now: float) -> list[Header]:
        """Return x-ratelimit-{limit,remaining,reset}-{requests,tokens}; reset is the time until the bucket is full."""
        told = zip(*(bucket.told(now) for bucket in self._buckets), strict=True)
        return [(name, str(value).encode()) for name, value in zip(_HEADERS, chain.from_iterable(told), strict=True)]


def go_duration(seconds: float) -> str:
    """Return `seconds` as Go prints a duration, in whole milliseconds: 12ms, 1.5s, 1m13.588s, 2h0m3s, 0s."""
    milliseconds = round(seconds * 1000)
    if milliseconds < 1000:
        return f"{milliseconds}ms" if milliseconds else "0s"
    minutes, rest = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    tail = f"{rest / 1000:.3f}".rstrip("0").rstrip(".") + "s"
    return (f"{hours}h" if hours else "") + (f"{minutes}m" if hours or minutes else "") + tail
