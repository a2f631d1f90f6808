"""How well a score tells two classes apart, whatever the threshold: the area under the ROC curve, with its interval.

Notebook: 04_hallucination.ipynb
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Hashable, Sequence
from statistics import NormalDist

from llmlab.errors import BadInput
from llmlab.evals.statistics import CONFIDENCE, Estimate, proportion


def auroc(
    scores: Sequence[float],
    labels: Sequence[bool],
    clusters: Sequence[Hashable] | None = None,
    confidence: float = CONFIDENCE,
) -> Estimate:
    """Return the probability that a positive scores higher than a negative, ties counting half.

    The variance is that of the placements, (1/M) var V10 + (1/N) var V01 (DeLong 1988, Biometrics 44:837); with clusters, of their sums in
    each cluster (Obuchowski 1997, Biometrics 53:567). The interval is symmetric on the logit scale. Where the classes are told apart
    without a mistake there is no variance, and the interval is Wilson's at the smaller number of clusters.

    Args:
        scores: Higher means positive.
        labels: Which are positive.
        clusters: What belongs together, as answers to one question do; None: all are independent.
        confidence: Probability with which the interval covers the true area, 0 < confidence < 1.

    Returns:
        The area and its interval, with the number of clusters as n; no value where one class is missing.

    Raises:
        BadInput: The lengths differ, a score is no number, or the confidence is none.
    """
    groups = range(len(scores)) if clusters is None else clusters
    if not len(scores) == len(labels) == len(groups):
        raise BadInput(f"there must be as many scores as labels and clusters, not {len(scores)}, {len(labels)} and {len(groups)}")
    if any(score != score for score in scores):
        raise BadInput("a score that is no number (NaN) cannot be ranked")
    if not 0 < confidence < 1:
        raise BadInput(f"confidence lies between 0 and 1, not at {confidence!r}")
    high = sorted(score for score, label in zip(scores, labels, strict=True) if label)
    low = sorted(score for score, label in zip(scores, labels, strict=True) if not label)
    n = len(set(groups))
    if not high or not low:
        return Estimate(None, None, None, n)
    # The placement of a positive is the share of negatives below it, that of a negative the share of positives above it.
    placed = [_below(low, score) if label else 1 - _below(high, score) for score, label in zip(scores, labels, strict=True)]
    area = math.fsum(place for place, label in zip(placed, labels, strict=True) if label) / len(high)
    sums: dict[Hashable, list[float]] = {}
    sides: tuple[set[Hashable], set[Hashable]] = (set(), set())
    for group, place, label in zip(groups, placed, labels, strict=True):
        sums.setdefault(group, [0.0, 0.0])[not label] += place - area
        sides[not label].add(group)
    if min(map(len, sides)) < 2:
        return Estimate(area, None, None, n)
    variance = (
        _scaled(len(sides[0])) * math.fsum(up * up for up, _ in sums.values()) / len(high) ** 2
        + _scaled(len(sides[1])) * math.fsum(down * down for _, down in sums.values()) / len(low) ** 2
        + _scaled(n) * 2 * math.fsum(up * down for up, down in sums.values()) / (len(high) * len(low))
    )
    if area in (0, 1):
        fewest = min(map(len, sides))
        return proportion(int(area) * fewest, fewest, confidence)._replace(n=n)
    if variance <= 1e-12:
        # Every cluster is balanced to the last observation. That is no certainty: take them for independent, which is wider here.
        return Estimate(area, None, None, n) if clusters is None else auroc(scores, labels, None, confidence)._replace(n=n)
    spread = NormalDist().inv_cdf(0.5 + confidence / 2) * math.sqrt(variance) / (area * (1 - area))
    center = math.log(area / (1 - area))
    return Estimate(area, _logistic(center - spread), _logistic(center + spread), n)


def _below(ordered: Sequence[float], score: float) -> float:
    return (bisect_left(ordered, score) + bisect_right(ordered, score)) / (2 * len(ordered))


def _scaled(n: int) -> float:
    return n / (n - 1)


def _logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x > 0 else math.exp(x) / (1 + math.exp(x))
