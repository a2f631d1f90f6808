"""When to say "I don't know": risk against coverage, and a threshold that keeps a promise.

A score says how sure an answer is of itself; what scores at least a threshold is answered, the rest abstains. *Coverage* is the share that
is answered, *risk* the share of wrong ones among the answers. A case without an answer at all has the score -inf: no threshold answers it.
Answers to one question are no independent cases, so each function takes `clusters`: the question that each case asks.

Notebook: 04_hallucination.ipynb
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from itertools import accumulate, groupby
from typing import TYPE_CHECKING, Any, NamedTuple

from llmlab.errors import BadInput
from llmlab.evals.statistics import CONFIDENCE, Estimate, mean, proportion
from llmlab.protocol.draws import choice

if TYPE_CHECKING:
    import pandas as pd


class Area(NamedTuple):
    """The area under a risk-coverage curve."""

    area: Estimate
    """Mean risk over all coverages that can be reached (AURC): 0 where nothing is wrong."""
    best: float | None
    """What a score that knows every wrong answer would have."""
    excess: float | None
    """area - best (E-AURC): what the score itself costs."""


class Choice(NamedTuple):
    """A threshold, and what it does to the cases that it was chosen on."""

    threshold: float
    """The lowest score that is answered; infinity, which answers nothing, where no threshold can keep the promise at this n."""
    coverage: Estimate
    """Share of the cases that it answers."""
    risk: Estimate
    """Share of wrong answers; its interval knows nothing of the choice, so the promise is the target, not this."""
    tested: int
    """How many independent answers stand behind the promise."""


class Abstention(NamedTuple):
    """Two things that a pipeline must do at once; either alone is easy."""

    coverage: Estimate
    """Of the questions that can be answered, the share that was."""
    recall: Estimate
    """Of those that can't be, the share that was not answered."""


class _Case(NamedTuple):
    score: float
    wrong: bool
    cluster: Hashable


class _Share:
    """A share of cases that come in clusters, as they are counted.

    Its interval is Wilson's at the number of independent cases that these are worth. With A cases and a share R of hits in all, and a
    cases with h hits in a cluster, the ratio has the variance E(h - R a)^2 / A^2; it is largest where a cluster hits as a whole, which
    makes the worth A^2 R(1-R) / sum a (h (1-R)^2 + (a-h) R^2). Kish's A^2 / sum a^2 (1965) holds where all or nothing hit. The smaller
    of the two counts; with clusters of one size, both are the number of clusters. So the interval is never too narrow.
    """

    def __init__(self) -> None:
        self._clusters: dict[Hashable, tuple[int, int]] = defaultdict(lambda: (0, 0))
        self.size = self.hits = self._squares = self._products = 0

    def add(self, cluster: Hashable, *, size: int, hits: int) -> None:
        """Count more cases of a cluster, or more hits among them."""
        before, had = self._clusters[cluster]
        after, has = self._clusters[cluster] = before + size, had + hits
        self.size, self.hits = self.size + size, self.hits + hits
        self._squares += after * after - before * before
        self._products += after * has - before * had

    def estimate(self, confidence: float) -> Estimate:
        if not self.size:
            return proportion(0, 0, confidence)
        size, hits, worth = self.size, self.hits, self.size**2 / self._squares
        if 0 < hits < size:
            spread = self._products * size * (size - 2 * hits) + self._squares * hits * hits
            worth = min(worth, size * size * hits * (size - hits) / spread)
        return proportion(hits, size, confidence, worth=worth)


def risk_coverage(
    scores: Sequence[float], wrong: Sequence[bool], clusters: Sequence[Hashable] | None = None, confidence: float = CONFIDENCE
) -> pd.DataFrame:
    """Return coverage and risk at every threshold that makes a difference, strictest first; the first answers nothing.

    Args:
        scores: How sure each answer is, higher for surer; -inf: there is none. Answers of the same score stand or fall together.
        wrong: Whether each answer is wrong, in the same order. Any answer to a question that has none is.
        clusters: What each case belongs to, in the same order, as in the question's id; None: all are independent.
        confidence: Probability with which an interval covers the true share at one threshold, not at all of them at once.

    Returns:
        A row a threshold: `threshold`, `answered`, `wrong`, `coverage` and `risk` with `_low` and `_high`, and `n`, the independent
        answers behind the risk. Without an answer the risk is NaN.

    Raises:
        BadInput: The lists do not pair, or a score is NaN or plus infinity.
    """
    import pandas as pd

    lines = [
        (threshold, risk.size, risk.hits, *coverage.estimate(confidence)[:3], *risk.estimate(confidence))
        for threshold, coverage, risk in _thresholds(_sorted(scores, wrong, clusters))
    ]
    shares = [f"{name}{end}" for name in ("coverage", "risk") for end in ("", "_low", "_high")]
    frame = pd.DataFrame(lines, columns=["threshold", "answered", "wrong", *shares, "n"])
    return frame.astype(dict.fromkeys(shares, float))


def _thresholds(cases: Sequence[_Case]) -> Iterator[tuple[float, _Share, _Share]]:
    """Yield the thresholds and what they do: coverage and risk, which go on counting."""
    coverage, risk = _Share(), _Share()
    for case in cases:
        coverage.add(case.cluster, size=1, hits=0)
    yield math.inf, coverage, risk
    for score, same in groupby(cases, key=lambda case: case.score):
        if score == -math.inf:
            return
        for case in same:
            coverage.add(case.cluster, size=0, hits=1)
            risk.add(case.cluster, size=1, hits=case.wrong)
        yield score, coverage, risk


def area(
    scores: Sequence[float], wrong: Sequence[bool], clusters: Sequence[Hashable] | None = None, confidence: float = CONFIDENCE
) -> Area:
    """Return the area under the risk-coverage curve, and how much of it is the fault of the score.

    AURC = 1/n sum_k risk of the k surest answers, k = 1 to n (Geifman and El-Yaniv 2017, arXiv:1705.08500; the excess: Geifman, Uziel and
    El-Yaniv 2019, arXiv:1805.08206). Among answers of the same score, every order is equally likely. It is the mean over answers of
    wrong * sum_{k >= rank} 1/k, and has the interval of a skewed `mean`, by clusters.

    Args:
        scores: How sure each answer is; those with -inf, which are none, are left out.
        wrong: Whether each answer is wrong.
        clusters: What each case belongs to; None: all are independent.
        confidence: Probability with which the interval covers the true area.

    Raises:
        BadInput: The lists do not pair, or a score is NaN or plus infinity.
    """
    cases = [case for case in _sorted(scores, wrong, clusters) if case.score > -math.inf]
    n, errors = len(cases), sum(case.wrong for case in cases)
    if not n:
        return Area(mean([], confidence=confidence), None, None)
    tails = list(accumulate(1 / k for k in range(n, 0, -1)))[::-1]  # of the sum of 1/k, from each rank on
    parts: dict[Hashable, list[float]] = defaultdict(list)
    rank = 0
    for _, group in groupby(cases, key=lambda case: case.score):
        same = list(group)
        weight = math.fsum(tails[rank : rank + len(same)]) / len(same)
        for case in same:
            parts[case.cluster].append(weight * case.wrong)
        rank += len(same)
    scale = len(parts) / n
    found = mean(
        [scale * math.fsum(values) for values in parts.values()], unseen=scale * max(map(len, parts.values())), confidence=confidence
    )
    found = found._replace(low=max(0.0, found.low or 0.0))  # a risk is never less
    best = math.fsum(tails[n - errors :]) / n
    return Area(found, best, max(0.0, (found.value or 0.0) - best))


def threshold_for(
    scores: Sequence[float],
    wrong: Sequence[bool],
    risk: float = 0.02,
    confidence: float = CONFIDENCE,
    clusters: Sequence[Hashable] | None = None,
) -> Choice:
    """Return the threshold that answers most and whose risk on new cases is at most `risk`, with this confidence.

    The k surest answers are tested, for every k from strict to lenient: p = P(Binomial(k, risk) <= wrong ones), which is Clopper and
    Pearson's bound. Many tests need a correction: fixed-sequence testing (Angelopoulos et al. 2021, "Learn then Test", arXiv:2110.01052)
    goes on while p <= 1 - confidence, but one early error ends it; SGR (Geifman and El-Yaniv 2017) shares the error out over log2(n) tests
    and asks much of a small n. So this is the fallback procedure (Wiens and Dmitrienko 2005), which holds both: the error is shared
    out over J starts, each twice as far as the one before, the first where an answer set without error is just enough, and J as large as
    n allows; a test that succeeds hands its share on to the next, one that fails loses it.

    It holds for new cases like these. It is proven where the risk never falls as more is answered, which is what a score is for.

    Args:
        scores: How sure each answer is, higher for surer; -inf: there is none.
        wrong: Whether each answer is wrong.
        risk: Largest share of wrong answers that may be delivered, 0 < risk < 1.
        confidence: Least probability that the promise is kept, over the cases that the threshold is chosen on, 0 < confidence < 1.
        clusters: What each case belongs to; one case of each is tested, drawn by chance, for only those are independent.

    Returns:
        The threshold, and the coverage and the risk that it has on all the cases given.

    Raises:
        BadInput: The lists do not pair, a score is NaN or plus infinity, or the risk or the confidence is no share.
    """
    least_answers(1 - risk, confidence)  # both are checked
    cases = _sorted(scores, wrong, clusters)
    threshold, tested = _tested(_independent(cases), risk, 1 - confidence)
    coverage, rate = next((covered, rate) for score, covered, rate in _thresholds(cases) if score <= threshold)
    return Choice(threshold, coverage.estimate(confidence), rate.estimate(confidence), tested)


def _tested(cases: Sequence[_Case], risk: float, error: float) -> tuple[float, int]:
    """Return the lowest threshold whose risk is at most `risk` with probability 1 - error, and how many answers it was tested on."""
    from scipy.special import bdtr

    n, starts = sum(case.score > -math.inf for case in cases), 1
    while least_answers(1 - risk, 1 - error / (starts + 1)) << starts <= n:
        starts += 1
    first, share = least_answers(1 - risk, 1 - error / starts), error / starts
    waiting = [first << number for number in range(starts)]
    found, level = (math.inf, 0), 0.0
    for threshold, _, answers in _thresholds(cases):
        while waiting and waiting[0] <= answers.size:
            level += share
            waiting.pop(0)
        if level and bdtr(answers.hits, answers.size, risk) <= level * (1 + 1e-9):
            found = threshold, answers.size
        else:
            level = 0.0
    return found


def _independent(cases: Sequence[_Case]) -> list[_Case]:
    """Return one case of each cluster; which one, depends on nothing but how many there are."""
    clusters: dict[Hashable, list[_Case]] = defaultdict(list)
    for case in cases:
        clusters[case.cluster].append(case)
    return sorted((choice(same, "one of a cluster", name) for name, same in clusters.items()), key=lambda case: -case.score)


def least_answers(accuracy: float = 0.99, confidence: float = CONFIDENCE) -> int:
    """Return how many answers without an error it takes to claim an accuracy: 299 for 99 % at 95 % confidence.

    The smallest n with accuracy^n <= 1 - confidence; at 95 % about 3 / (1 - accuracy), the rule of three.

    Args:
        accuracy: The least share of right answers that is claimed, 0 < accuracy < 1.
        confidence: Probability that the claim is not made where it is false, 0 < confidence < 1.
    """
    if not (0 < accuracy < 1 and 0 < confidence < 1):
        raise BadInput(f"accuracy (or 1 - risk) and confidence lie between 0 and 1, not at {accuracy!r} and {confidence!r}")
    return math.ceil(round(math.log(1 - confidence) / math.log(accuracy), 9))


def abstention(
    answerable: Sequence[bool], answered: Sequence[bool], clusters: Sequence[Hashable] | None = None, confidence: float = CONFIDENCE
) -> Abstention:
    """Return whether those questions are answered that can be.

    Args:
        answerable: Whether there is an answer to each question.
        answered: Whether it was answered, rightly or not.
        clusters: What each case belongs to; None: all are independent.
        confidence: Probability with which each interval covers its share.

    Raises:
        BadInput: The lists do not pair.
    """
    coverage, recall = _Share(), _Share()
    for can, did, cluster in _paired(answerable, answered, clusters):
        if can:
            coverage.add(cluster, size=1, hits=bool(did))
        else:
            recall.add(cluster, size=1, hits=not did)
    return Abstention(coverage.estimate(confidence), recall.estimate(confidence))


def _sorted(scores: Sequence[float], wrong: Sequence[bool], clusters: Sequence[Hashable] | None) -> list[_Case]:
    """Return the cases, surest first."""
    cases = [_Case(float(score), bool(error), cluster) for score, error, cluster in _paired(scores, wrong, clusters)]
    if bad := [case.score for case in cases if not case.score < math.inf]:
        raise BadInput(f"a score is a finite number, or -inf for a case without an answer, not {bad[0]!r}")
    return sorted(cases, key=lambda case: -case.score)


def _paired(*lists: Sequence[Any] | None) -> Iterator[tuple[Any, ...]]:
    """Return the lists side by side; the last are the clusters, and None puts each case into its own."""
    *given, clusters = lists
    sizes = {len(one) for one in lists if one is not None}
    if len(sizes) > 1:
        raise BadInput(f"there is one of each for every case, not {', '.join(str(len(one)) for one in lists if one is not None)}")
    return zip(*(one for one in given if one is not None), range(sizes.pop()) if clusters is None else clusters, strict=True)
