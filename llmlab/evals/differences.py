"""Differences of two numbers with their intervals: after - before, of the same requests (paired) or of others.

None assumes a distribution of the values. All assume that requests (or cases, or pairs of them) are independent of each other.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from functools import lru_cache
from statistics import NormalDist

from llmlab.errors import BadInput
from llmlab.evals.statistics import CONFIDENCE, Estimate, mean, proportion, quantile

_HALVINGS = 60
_ANGLES = 36


def difference(before: Estimate, after: Estimate, correlation: float = 0.0) -> Estimate:
    """Return after - before, from two estimates and their intervals (MOVER; Zou and Donner 2008, Stat. Med. 27:1693).

    With a = after and b = before, the lower end is a - b - sqrt((a - a.low)^2 + (b.high - b)^2 - 2 r (a - a.low)(b.high - b)); the upper
    end mirrors it. Never minus never is 0. Beside something infinite an end is a.low - b.high, which is never too near.

    Args:
        before: The number before, with its interval.
        after: The number after.
        correlation: Correlation r of the two estimates; 0 where they come from independent requests.

    Returns:
        The difference; an end is None where one that it needs is None. Its n is the smaller of the two.
    """
    n = min(before.n, after.n)
    if before.value is None or after.value is None:
        return Estimate(None, None, None, n)
    value = _minus(after.value, before.value)

    def end(mine: float | None, other: float | None, sign: int) -> float | None:
        if mine is None or other is None or before.value is None or after.value is None:
            return None
        far, near = abs(_minus(mine, after.value)), abs(_minus(other, before.value))
        if not math.isfinite(value + far + near) or math.isinf(mine):
            return _minus(mine, other)
        return value + sign * math.sqrt(max(0.0, far * far + near * near - 2 * correlation * far * near))

    return Estimate(value, end(after.low, before.high, -1), end(after.high, before.low, 1), n)


def proportion_difference(hits_before: int, n_before: int, hits_after: int, n_after: int, confidence: float = CONFIDENCE) -> Estimate:
    """Return the difference of two shares of different requests, with Newcombe's hybrid score interval.

    Newcombe 1998, Stat. Med. 17:873, method 10: MOVER of two Wilson intervals.

    Args:
        hits_before: Successes before ...
        n_before: ... of so many independent observations.
        hits_after: Successes after ...
        n_after: ... of so many others.
        confidence: Probability with which the interval covers the true difference, 0 < confidence < 1.
    """
    return difference(proportion(hits_before, n_before, confidence), proportion(hits_after, n_after, confidence))


def paired_proportion_difference(both: int, only_before: int, only_after: int, neither: int, confidence: float = CONFIDENCE) -> Estimate:
    """Return the difference of two shares of the same requests, with Tango's score interval.

    All d with |only_after - only_before - n d| <= z sqrt(n (2 q + d (1 - d))), where q is the most likely share of `only_before` given d
    (Tango 1998, Stat. Med. 17:891). It has a width also where the two never disagree.

    Args:
        both: Requests that succeeded before and after.
        only_before: Requests that succeeded before only.
        only_after: Requests that succeeded after only.
        neither: Requests that succeeded neither time.
        confidence: Probability with which the interval covers the true difference, 0 < confidence < 1.

    Raises:
        BadInput: The counts are no counts, or the confidence is none.
    """
    counts = (both, only_before, only_after, neither)
    if not all(isinstance(count, int) and count >= 0 for count in counts):
        raise BadInput(f"pairs are counted in whole numbers of at least 0, not {counts!r}")
    return _tango(only_before, only_after, sum(counts), confidence)


def paired_share_difference(before: Sequence[float], after: Sequence[float], confidence: float = CONFIDENCE) -> Estimate:
    """Return the mean difference of shares of the same clusters (questions asked several times), with Tango's interval.

    Gains and losses of a cluster count as parts of a discordant pair. A difference of shares varies at most as much as one of single
    observations with the same mean gain and loss, so the interval is never too narrow.

    Args:
        before: The share of successes in each cluster (0 to 1).
        after: The same clusters' shares after, in the same order.
        confidence: Least probability with which the interval covers the true mean difference, 0 < confidence < 1.
    """
    _check_pairs(before, after)
    gains = [one - other for one, other in zip(after, before, strict=True)]
    lost, won = (math.fsum(max(0.0, sign * gain) for gain in gains) for sign in (-1, 1))
    return _tango(lost, won, len(gains), confidence)


def _tango(lost: float, won: float, n: int, confidence: float) -> Estimate:
    if not 0 < confidence < 1:
        raise BadInput(f"a confidence lies between 0 and 1, as in 0.95, not {confidence!r}")
    if n == 0:
        return Estimate(None, None, None, 0)
    z, value = NormalDist().inv_cdf(0.5 + confidence / 2), (won - lost) / n

    def accepted(d: float) -> bool:
        linear, constant = (2 * n - won + lost) * d - won - lost, -lost * d * (1 - d)
        q = (math.sqrt(max(0.0, linear * linear - 8 * n * constant)) - linear) / (4 * n)
        return abs(won - lost - n * d) <= z * math.sqrt(max(0.0, n * (2 * q + d * (1 - d))))

    def end(bound: float) -> float:
        inside, outside = value, bound
        if accepted(bound):
            return bound
        for _ in range(_HALVINGS):
            middle = (inside + outside) / 2
            inside, outside = (middle, outside) if accepted(middle) else (inside, middle)
        return inside

    return Estimate(value, end(-1.0), end(1.0), n)


def quantile_difference(
    before: Sequence[float], after: Sequence[float], q: float, *, paired: bool, confidence: float = CONFIDENCE
) -> Estimate:
    """Return the difference of two quantiles, with an interval that holds for any distribution, also with ties and gaps.

    The number of values below a true quantile is binomial; let x (after) and y (before) be its normal scores. The ends are the extremes of
    after[x] - before[y], where [.] takes the order statistic at a score, over the ellipse x^2 - 2 r x y + y^2 = (1 - r^2) z^2. On each
    axis that is the interval of `quantile`; where quantiles are linear in their ranks, it is `difference`. For pairs, r is the correlation
    of the indicators "at most the quantile" (Bahadur 1966): phi, with Newcombe's correction for continuity (1998, Stat. Med. 17:2635,
    method 10). Bonferroni, the alternative, is 1.5 times (unpaired) to several times (paired) as wide; `difference` fails at ties.

    Args:
        before: Values before; infinities count as larger than all.
        after: Values after; of the same requests in the same order if paired.
        q: Which quantile, 0 < q < 1.
        paired: Whether they are of the same requests.
        confidence: Probability with which the interval covers the true difference, 0 < confidence < 1.

    Returns:
        The difference of the quantiles (not the quantile of differences); without ends where n is too small.
    """
    old, new, correlation = quantile(before, q, confidence), quantile(after, q, confidence), 0.0
    if paired:
        _check_pairs(before, after)
    if old.value is None or new.value is None or not (old.measurable and new.measurable):
        return difference(old, new)
    if paired:
        correlation = _phi([one <= old.value for one in before], [one <= new.value for one in after])
    z, across = NormalDist().inv_cdf(0.5 + confidence / 2), math.sqrt(1 - correlation * correlation)
    low = high = value = _minus(new.value, old.value)
    olds, news = sorted(before), sorted(after)
    old_scores, new_scores = _scores(old.n, q), _scores(new.n, q)
    for number in range(_ANGLES):
        x, turned = (z * turn(2 * math.pi * number / _ANGLES) for turn in (math.cos, math.sin))
        i, j = bisect_left(new_scores, x), bisect_left(old_scores, correlation * x + across * turned)
        low = min(low, _minus(news[max(i, 1) - 1], olds[min(j, old.n - 1)]))
        high = max(high, _minus(news[min(i, new.n - 1)], olds[max(j, 1) - 1]))
    return Estimate(value, low, high, min(old.n, new.n))


@lru_cache(maxsize=64)
def _scores(n: int, q: float) -> list[float]:
    """Return the normal score of "at most k of n lie below the quantile", for k from 0 to n."""
    import numpy as np
    from scipy.stats import binom

    chances = np.clip(binom.cdf(np.arange(n + 1), n, q), 1e-12, 1 - 1e-12)
    return [NormalDist().inv_cdf(chance) for chance in chances.tolist()]


def _phi(one: Sequence[bool], other: Sequence[bool]) -> float:
    """Return the correlation of two indicators, a positive one drawn towards 0 by half a pair."""
    n, ones, others = len(one), sum(one), sum(other)
    surplus = n * sum(a and b for a, b in zip(one, other, strict=True)) - ones * others
    spread = math.sqrt(ones * (n - ones) * others * (n - others))
    return 0.0 if spread == 0 else (max(0.0, surplus - n / 2) if surplus > 0 else surplus) / spread


def mean_difference(
    before: Sequence[float | None], after: Sequence[float | None], *, paired: bool, confidence: float = CONFIDENCE
) -> Estimate:
    """Return the difference of two means of skewed values, such as attempts and prices (see `mean`).

    An event that was not seen may be as large as the mean before: one more request.

    Args:
        before: Values before; where one is None (unknown), so is the difference.
        after: Values after; of the same requests in the same order if paired.
        paired: Whether they are of the same requests.
        confidence: Probability with which the interval covers the true difference, 0 < confidence < 1.
    """
    old = mean(before, confidence=confidence)
    if not paired:
        return difference(old, mean(after, confidence=confidence))
    _check_pairs(before, after)
    gains = [None if one is None or other is None else one - other for one, other in zip(after, before, strict=True)]
    return mean(gains, None if old.value is None else abs(old.value), confidence)


def _check_pairs(before: Sequence[float | None], after: Sequence[float | None]) -> None:
    if len(before) != len(after):
        raise BadInput(f"pairs need as many values before as after, not {len(before)} and {len(after)}")


def _minus(one: float, other: float) -> float:
    return 0.0 if one == other else one - other
