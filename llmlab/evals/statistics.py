"""Numbers with their intervals. None of them assumes a distribution, and what cannot be measured at this n says so."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from functools import lru_cache
from statistics import NormalDist, median
from typing import NamedTuple

from llmlab.errors import BadInput

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
        value, low, high = ("never" if math.isinf(part) else f"{part * scale:.{digits}f}" for part in (self.value, self.low, self.high))
        return f"{value} [{low}, {high}]{' ' + unit if unit else ''}"


def proportion(hits: int, n: int, confidence: float = CONFIDENCE, *, worth: float | None = None) -> Estimate:
    """Return a share with Wilson's score interval.

    (p + z^2/2n +- z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n), with p = hits/n (Wilson 1927, JASA 22:209).

    Args:
        hits: Number of successes.
        n: Number of observations.
        confidence: Probability with which the interval covers the true share, 0 < confidence < 1.
        worth: How many independent observations the n are worth, 0 < worth <= n; None: all are independent.

    Returns:
        The share and its interval, with `worth`, rounded down, for its n; no value where n is 0.

    Raises:
        BadInput: The counts are no counts, or the confidence or the worth is none.
    """
    if not (isinstance(hits, int) and isinstance(n, int) and 0 <= hits <= n):
        raise BadInput(f"a proportion is of whole numbers, with hits between 0 and n, not {hits!r} of {n!r}")
    _check_confidence(confidence)
    if worth is not None and not 0 < worth <= n:
        raise BadInput(f"{n} observations are worth more than 0 and at most {n} independent ones, not {worth!r}")
    return _wilson(hits / n, n if worth is None else worth, confidence) if n else Estimate(None, None, None, 0)


def clustered_proportion(shares: Sequence[float], confidence: float = CONFIDENCE) -> Estimate:
    """Return the mean of the clusters' shares, with Wilson's interval at n = the number of clusters.

    Answers to one question are no independent observations, however often it is asked. The variance of shares between clusters is at most
    p(1-p), that of single observations, so the interval is never too narrow.

    Args:
        shares: The share of hits in each cluster (0 to 1).
        confidence: Probability with which the interval covers the true mean, 0 < confidence < 1.
    """
    _check_confidence(confidence)
    return _wilson(math.fsum(shares) / len(shares), len(shares), confidence) if shares else Estimate(None, None, None, 0)


def _wilson(share: float, n: float, confidence: float) -> Estimate:
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    center, spread = share + z * z / (2 * n), z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    low = max(0.0, (center - spread) / scale) if share > 0 else 0.0
    return Estimate(share, low, min(1.0, (center + spread) / scale) if share < 1 else 1.0, int(n))


def quantile(values: Sequence[float], q: float, confidence: float = CONFIDENCE) -> Estimate:
    """Return a quantile with the interval between two order statistics, which holds for any distribution.

    The number of values below the true quantile is binomial(n, q), so x[l] and x[u] enclose it with probability F(u-1) - F(l-1)
    (David and Nagaraja, Order Statistics, 2003, section 7.1). Where no value lies far enough out, there is no interval.

    Args:
        values: Independent observations, in any order; infinities count as larger than all.
        q: Which quantile, 0 < q < 1.
        confidence: Least probability with which the interval covers the true quantile, 0 < confidence < 1.

    Returns:
        The smallest value that at least q of all do not exceed, and its interval; an end that this n cannot give is None.

    Raises:
        BadInput: q or the confidence lies outside 0 to 1, or a value is no number.
    """
    if not 0 < q < 1:
        raise BadInput(f"a quantile lies between 0 and 1, not at {q!r}")
    _check_confidence(confidence)
    if any(value != value for value in values):
        raise BadInput("a quantile of values that are no numbers (NaN) does not exist; leave them out, or count them as infinite")
    ordered, n = sorted(values), len(values)
    if n == 0:
        return Estimate(None, None, None, 0)
    value = ordered[max(1, math.ceil(round(n * q, 9))) - 1]  # 100 * 0.07 is a little more than 7
    low, high = _ranks(n, q, confidence)
    return Estimate(value, ordered[low - 1] if low >= 1 else None, ordered[high - 1] if high <= n else None, n)


def least_n(q: float, confidence: float = CONFIDENCE) -> int:
    """Return the smallest n at which a quantile has an interval: 368 for the 0.99 quantile at 95 %."""
    return math.ceil(math.log((1 - confidence) / 2) / math.log(max(q, 1 - q)))


def mean(values: Sequence[float | None], unseen: float | None = None, confidence: float = CONFIDENCE) -> Estimate:
    """Return a mean with an interval for skewed values in which rare large ones matter, such as attempts and prices.

    The t interval of a mean in which no rare event was seen has no width. So the deviations above and below the median are each taken for a
    compound Poisson sum with total T and sum of squares S, whose score interval is T + z^2 u/2 +- z sqrt(S + z^2 u^2/4) with u = S/T, or
    `unseen` if that is larger; MOVER joins the two (Zou and Donner 2008). Where n is large, it is the t interval. By simulation it covers
    at least 93 % at n = 20 for counts and for prices with a tail like a log-normal of sigma 0.5; a tail of sigma 1 takes n = 100.

    Args:
        values: Independent observations; one that is None is unknown, and so is the mean then.
        unseen: The size of an event that may exist although it was not seen; None: as large as the mean itself.
        confidence: Probability with which the interval covers the true mean, 0 < confidence < 1.
    """
    _check_confidence(confidence)
    known, n = [value for value in values if value is not None], len(values)
    if not known or len(known) < n:
        return Estimate(None, None, None, n)
    value, middle = math.fsum(known) / n, median(known)
    unseen = abs(value) if unseen is None else unseen
    above = _deviation([max(one - middle, 0.0) for one in known], unseen, confidence)
    below = _deviation([max(middle - one, 0.0) for one in known], unseen, confidence)
    low, high = (math.sqrt(one * one + other * other) for one, other in ((above[0], below[1]), (above[1], below[0])))
    return Estimate(value, value - low, value + high, n)


def _deviation(parts: Sequence[float], unseen: float, confidence: float) -> tuple[float, float]:
    """Return how far below and above the mean of `parts` (none negative) the ends of its score interval lie."""
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    total, squares = math.fsum(parts), math.fsum(part * part for part in parts)
    shift = z * z * max(squares / total if total else 0.0, unseen) / 2
    spread = math.sqrt(z * z * squares + shift * shift)
    return min(total, spread - shift) / len(parts), (spread + shift) / len(parts)


def _check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise BadInput(f"a confidence lies between 0 and 1, as in 0.95, not {confidence!r}")


@lru_cache(maxsize=4096)
def _ranks(n: int, q: float, confidence: float) -> tuple[int, int]:
    """Return the ranks (from 1) of the two order statistics; 0 or n + 1 where there is none."""
    from scipy.special import bdtr  # scipy.stats has it, too, and takes half a second to load

    tail = (1 - confidence) / 2
    low, high = (bisect_left(range(n), part, key=lambda k: float(bdtr(k, n, q))) for part in (tail, 1 - tail))
    return low, high + 1
