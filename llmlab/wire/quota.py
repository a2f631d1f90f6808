"""Quotas: so many requests and tokens a minute, as token buckets that refill all the time.

A bucket starts full, holds one minute's worth, and refills evenly. A request must find enough in both of its buckets, else it is refused
and takes nothing. The headers tell what is left, in the provider's own words and Go's notation of durations.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from llmlab.errors import BadInput

Header = tuple[bytes, bytes]


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

    __slots__ = ("_at", "_level", "capacity")

    def __init__(self, capacity: float, now: float) -> None:
        self.capacity = self._level = float(capacity)
        self._at = now

    def level(self, now: float) -> float:
        """Refill up to `now` and return what is there."""
        self._level = min(self.capacity, self._level + max(0.0, now - self._at) * self.capacity / 60)
        self._at = max(self._at, now)
        return self._level

    def take(self, amount: float) -> None:
        self._level -= amount

    def seconds_for(self, missing: float) -> float:
        return max(0.0, missing) * 60 / self.capacity

    def refusal(self, kind: str, amount: int, now: float) -> OverQuota | None:
        level = self.level(now)
        if amount <= level + 1e-9:
            return None
        limit = int(self.capacity)
        wait = self.seconds_for(amount - level) if amount <= self.capacity else None
        return OverQuota(kind, limit, limit - math.floor(level + 1e-9), amount, wait)


class Quota:
    """The two buckets of one key and model."""

    def __init__(self, limits: Limits, now: float) -> None:
        self._requests = _Bucket(limits.requests_per_minute, now)
        self._tokens = _Bucket(limits.tokens_per_minute, now)

    def charge(self, tokens: int, now: float) -> OverQuota | None:
        """Take one request and `tokens` tokens, or take nothing and return why.

        Args:
            tokens: The prompt's tokens and the most that the answer may have.
            now: Time of arrival (in seconds on the clock in use).
        """
        refusal = self._requests.refusal("requests", 1, now) or self._tokens.refusal("tokens", tokens, now)
        if refusal is None:
            self._requests.take(1)
            self._tokens.take(tokens)
        return refusal

    def headers(self, now: float) -> list[Header]:
        """Return x-ratelimit-{limit,remaining,reset}-{requests,tokens}; reset is the time until the bucket is full."""
        requests, tokens = self._requests.level(now), self._tokens.level(now)
        return [
            (b"x-ratelimit-limit-requests", b"%d" % self._requests.capacity),
            (b"x-ratelimit-limit-tokens", b"%d" % self._tokens.capacity),
            (b"x-ratelimit-remaining-requests", b"%d" % max(0, math.floor(requests + 1e-9))),
            (b"x-ratelimit-remaining-tokens", b"%d" % max(0, math.floor(tokens + 1e-9))),
            (b"x-ratelimit-reset-requests", _reset(self._requests, requests)),
            (b"x-ratelimit-reset-tokens", _reset(self._tokens, tokens)),
        ]


def _reset(bucket: _Bucket, level: float) -> bytes:
    return go_duration(bucket.seconds_for(bucket.capacity - level)).encode()


def go_duration(seconds: float) -> str:
    """Return `seconds` as Go prints a duration, in whole milliseconds: 12ms, 1.5s, 1m13.588s, 2h0m3s, 0s."""
    milliseconds = round(seconds * 1000)
    if milliseconds < 1000:
        return f"{milliseconds}ms" if milliseconds else "0s"
    minutes, rest = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    tail = f"{rest / 1000:.3f}".rstrip("0").rstrip(".") + "s"
    return (f"{hours}h" if hours else "") + (f"{minutes}m" if hours or minutes else "") + tail
