"""Numbers with their intervals. None of them assumes a distribution, and what cannot be measured at this n says so."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from statistics import NormalDist
from typing import NamedTuple

CONFIDENCE = 0.95


class Estimate(NamedTuple):
    """A number, its interval, and how many observations stand behind it."""

    value: float | None
    """The estimate; None where there is nothing to estimate from."""
    low: float | None
    """Lower end of the interval; None where none can be given at this n."""
    high: float | None
    """Upper end."""
    n: int

    @property
    def measurable(self) -> bool:
        """Whether the interval has two ends."""
        return self.low is not None and self.high is not None

    def text(self, digits: int = 2, unit: str = "", scale: float = 1.0) -> str:
        """Return it for people, as in "4.1 [2.6, 6.3] %", or "not measurable at n = 20"."""
        if self.value is None or self.low is None or self.high is None:
            return f"not measurable at n = {self.n}"
        value, low, high = (f"{part * scale:.{digits}f}" for part in (self.value, self.low, self.high))
        return f"{value} [{low}, {high}]{' ' + unit if unit else ''}"


def proportion(hits: int, n: int, confidence: float = CONFIDENCE) -> Estimate:
    """Return a share with Wilson's score interval.

    (p + z^2/2n +- z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n), with p = hits/n (Wilson 1927, JASA 22:209).

    Args:
        hits: Number of successes.
        n: Number of independent observations.
        confidence: Probability with which the interval covers the true share.
    """
    if not 0 <= hits <= n:
        raise ValueError(f"hits lie between 0 and n, not {hits} of {n}")
    if n == 0:
        return Estimate(None, None, None, 0)
    z, share = NormalDist().inv_cdf(0.5 + confidence / 2), hits / n
    center, spread = share + z * z / (2 * n), z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    return Estimate(
        share, max(0.0, (center - spread) / scale) if hits else 0.0, min(1.0, (center + spread) / scale) if hits < n else 1.0, n
    )


def quantile(values: Sequence[float], q: float, confidence: float = CONFIDENCE) -> Estimate:
    """Return a quantile with the interval between two order statistics, which holds for any distribution.

    The number of values below the true quantile is binomial(n, q), so x[l] and x[u] enclose it with probability F(u-1) - F(l-1)
    (David and Nagaraja, Order Statistics, 2003, section 7.1). Where no value lies far enough out, there is no interval.

    Args:
        values: Independent observations, in any order; infinities count as larger than all.
        q: Which quantile, 0 < q < 1.
        confidence: Least probability with which the interval covers the true quantile.
    """
    if not 0 < q < 1:
        raise ValueError(f"a quantile lies between 0 and 1, not at {q!r}")
    ordered, n = sorted(values), len(values)
    if n == 0:
        return Estimate(None, None, None, 0)
    value = ordered[max(0, math.ceil(n * q) - 1)]
    low, high = _ranks(n, q, confidence)
    return Estimate(value, ordered[low - 1] if low >= 1 else None, ordered[high - 1] if high <= n else None, n)


@lru_cache(maxsize=4096)
def _ranks(n: int, q: float, confidence: float) -> tuple[int, int]:
    """Return the ranks (from 1) of the two order statistics; 0 or n + 1 where there is none."""
    from scipy.stats import binom

    tail = (1 - confidence) / 2
    low = int(binom.ppf(tail, n, q))
    while low > 0 and binom.cdf(low - 1, n, q) > tail:
        low -= 1
    high = int(binom.ppf(1 - tail, n, q)) + 1
    while high <= n and binom.sf(high - 1, n, q) > tail:
        high += 1
    return low, high
