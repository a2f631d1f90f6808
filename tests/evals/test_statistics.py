from __future__ import annotations

import math
import random
from collections.abc import Callable
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest, ttest_1samp

from llmlab.errors import BadInput
from llmlab.evals.statistics import Estimate, clustered_proportion, least_n, mean, proportion, quantile

ROUNDS = 500


# --- shares


@given(st.integers(1, 5_000), st.floats(0, 1), st.sampled_from([0.5, 0.8, 0.9, 0.95, 0.99, 0.999]))
def test_a_share_has_scipys_wilson_interval(n: int, part: float, confidence: float) -> None:
    hits = round(n * part)
    oracle = binomtest(hits, n).proportion_ci(confidence_level=confidence, method="wilson")
    found = proportion(hits, n, confidence)
    assert (hits / n, n) == (found.value, found.n)
    assert [oracle.low, oracle.high] == pytest.approx([found.low, found.high], abs=1e-12)


@pytest.mark.parametrize(("hits", "n"), [(0, 1), (1, 1), (0, 20), (20, 20), (0, 10_000), (10_000, 10_000)])
def test_a_share_of_none_or_all_has_an_interval_with_a_width(hits: int, n: int) -> None:
    found = proportion(hits, n)
    assert found.low is not None
    assert found.high is not None
    assert (0.0 if hits == 0 else 1.0) in (found.low, found.high)
    assert 0 <= found.low < found.high <= 1


def test_nothing_has_no_share() -> None:
    assert Estimate(None, None, None, 0) == proportion(0, 0)


@pytest.mark.parametrize("share", [0.02, 0.5, 0.9])
@pytest.mark.parametrize("n", [20, 100])
def test_the_interval_of_a_share_covers_it_as_promised(share: float, n: int) -> None:
    covered = math.fsum(
        binom.pmf(hits, n, share)
        for hits in range(n + 1)
        if (found := proportion(hits, n)).low <= share <= found.high  # type: ignore[operator]
    )
    assert 0.93 <= covered


@pytest.mark.parametrize(("hits", "n"), [(-1, 5), (6, 5), (0, -1), (1.0, 5), (1, 5.0), ("1", 5), (None, 5), (math.nan, 5)])
def test_counts_that_are_none_are_refused(hits: Any, n: Any) -> None:
    with pytest.raises(BadInput, match="a proportion is of whole numbers, with hits between 0 and n, not "):
        proportion(hits, n)


# --- quantiles


def exponential(u: float) -> float:
    return -math.log1p(-u)


def heavy(u: float) -> float:
    return (1 - u) ** -2.0


def two_modes(u: float) -> float:
    return 0.3 + u if u < 0.96 else 8.0 + u


def tied(u: float) -> float:
    return float(math.ceil(u * 4))


def broken(u: float) -> float:
    return u if u < 0.97 else math.inf


SHAPES = [exponential, heavy, two_modes, tied, broken, NormalDist().inv_cdf]


@pytest.mark.parametrize("q", [0.5, 0.9])
@pytest.mark.parametrize("n", [20, 60, 200, 500])
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: getattr(shape, "__name__", "shape"))
def test_the_interval_of_a_quantile_covers_it_as_promised(shape: Callable[[float], float], n: int, q: float) -> None:
    draws = random.Random(f"{n} {q}")
    true = shape(q)
    covered = 0
    for _ in range(ROUNDS):
        found = quantile([shape(draws.random() or 0.5) for _ in range(n)], q)
        low, high = -math.inf if found.low is None else found.low, math.inf if found.high is None else found.high
        covered += low <= true <= high
    assert 0.93 * ROUNDS <= covered


@given(st.integers(1, 400), st.floats(0.01, 0.99), st.sampled_from([0.8, 0.95, 0.99]))
def test_the_interval_is_the_narrowest_that_leaves_half_the_risk_on_each_side(n: int, q: float, confidence: float) -> None:
    found = quantile(range(1, n + 1), q, confidence)
    tail = (1 - confidence) / 2
    low, high = int(found.low or 0), int(n + 1 if found.high is None else found.high)
    ranks = np.arange(1, n + 1)
    assert low == max(ranks[binom.cdf(ranks - 1, n, q) <= tail], default=0)
    assert high == min(ranks[binom.sf(ranks - 1, n, q) <= tail], default=n + 1)


def test_a_p99_is_not_measurable_at_200() -> None:
    found = quantile(range(1, 201), 0.99)
    assert (198, 200, False) == (found.value, found.n, found.measurable)
    assert found.low is not None
    assert found.high is None
    assert "not measurable at n = 200" == found.text()


def test_a_p99_is_measurable_from_368_on() -> None:
    assert [False, True] == [quantile(range(n), 0.99).measurable for n in (367, 368)]


@pytest.mark.parametrize(
    ("n", "q", "expected"),
    [(1, 0.5, 1), (2, 0.5, 1), (3, 0.5, 2), (100, 0.07, 7), (100, 0.29, 29), (10, 0.9, 9), (10, 0.99, 10), (5, 1e-12, 1)],
)
def test_a_quantile_is_the_smallest_value_that_enough_do_not_exceed(n: int, q: float, expected: int) -> None:
    assert expected == quantile(range(n, 0, -1), q).value


@given(st.lists(st.floats(allow_nan=False), min_size=1, max_size=60), st.floats(0.01, 0.99))
def test_a_quantile_is_one_of_the_values_within_its_interval(values: list[float], q: float) -> None:
    found = quantile(values, q)
    assert found.value in values
    assert found == quantile(sorted(values, reverse=True), q)
    assert found.low is None or found.low <= found.value
    assert found.high is None or found.value <= found.high


def test_an_infinite_wait_is_the_longest() -> None:
    found = quantile([1.0] * 50 + [math.inf] * 50, 0.9)
    assert (math.inf, math.inf) == (found.value, found.high)


def test_nothing_has_no_quantile() -> None:
    assert Estimate(None, None, None, 0) == quantile([], 0.5)


@pytest.mark.parametrize("q", [0, 1, -0.5, 99, math.nan])
def test_a_quantile_that_is_none_is_refused(q: float) -> None:
    with pytest.raises(BadInput, match="a quantile lies between 0 and 1, not at "):
        quantile([1.0], q)


def test_a_quantile_of_what_is_no_number_is_refused() -> None:
    with pytest.raises(BadInput, match="NaN"):
        quantile([1.0, math.nan], 0.5)


@pytest.mark.parametrize("confidence", [0, 1, 95, -0.1, math.nan])
def test_a_confidence_that_is_none_is_refused(confidence: float) -> None:
    with pytest.raises(BadInput, match=r"a confidence lies between 0 and 1, as in 0.95, not "):
        proportion(1, 2, confidence)
    with pytest.raises(BadInput, match=r"a confidence lies between 0 and 1, as in 0.95, not "):
        quantile([1.0], 0.5, confidence)


# --- for people


def test_an_estimate_is_told_with_its_interval() -> None:
    assert "4.1 [2.6, 6.3] %" == Estimate(0.041, 0.026, 0.063, 500).text(1, "%", 100)
    assert "1.23 [0.50, 2.00]" == Estimate(1.234, 0.5, 2.0, 50).text()


@pytest.mark.parametrize("estimate", [Estimate(None, None, None, 20), Estimate(1.0, None, 2.0, 20), Estimate(1.0, 0.5, None, 20)])
def test_what_has_no_interval_is_not_measurable(estimate: Estimate) -> None:
    assert "not measurable at n = 20" == estimate.text(1, "s")
    assert not estimate.measurable


def test_answers_to_one_question_are_one_observation() -> None:
    assert proportion(3, 4) == clustered_proportion([1.0, 1.0, 1.0, 0.0])
    assert 4 == clustered_proportion([0.5, 0.5, 1.0, 1.0]).n
    assert Estimate(None, None, None, 0) == clustered_proportion([])


def test_the_clustered_interval_covers_the_mean_of_unequal_cases() -> None:
    generator = np.random.default_rng(7)
    truth, covered, trials = 0.75, 0, 400
    for _ in range(trials):
        rates = generator.beta(1.5, 0.5, size=60)
        shares = generator.binomial(5, rates) / 5
        found = clustered_proportion(list(shares))
        covered += found.low <= truth <= found.high
    assert 0.93 <= covered / trials


# --- means


@pytest.mark.parametrize("n", [20, 50, 200])
@pytest.mark.parametrize("rate", [0.01, 0.04, 0.1, 0.5])
def test_the_interval_of_a_mean_covers_rare_events_as_promised(n: int, rate: float) -> None:
    hits = np.arange(n + 1)
    found = [mean([1] * int(n - hit) + [2] * int(hit)) for hit in hits]
    covered = [one.low <= 1 + rate <= one.high for one in found]  # type: ignore[operator]
    assert 0.93 <= binom.pmf(hits[covered], n, rate).sum()


@pytest.mark.parametrize(("sigma", "n"), [(0.3, 20), (0.5, 20), (0.5, 100), (1.0, 100)])
def test_the_interval_of_a_mean_covers_a_skewed_one_as_promised(sigma: float, n: int) -> None:
    draws = np.exp(sigma * np.random.default_rng(7).standard_normal((1000, n))).tolist()
    truth = math.exp(sigma**2 / 2)
    assert 0.93 <= sum(found.low <= truth <= found.high for found in map(mean, draws)) / len(draws)  # type: ignore[operator]


def test_the_interval_of_a_mean_is_students_where_there_is_much_to_go_by() -> None:
    values = np.random.default_rng(7).normal(5.0, 3.0, size=20_000)
    oracle = ttest_1samp(values, 0).confidence_interval()
    found = mean(values.tolist())
    assert [values.mean(), oracle.low, oracle.high] == pytest.approx(list(found[:3]), abs=2e-3)


def test_events_that_were_not_seen_may_be_as_large_as_is_said() -> None:
    small, large = mean([1.0] * 50), mean([1.0] * 50, unseen=10.0)
    assert [1.0, 1.0] == [small.value, large.value]
    assert 10 * (small.high - 1) == pytest.approx(large.high - 1)  # type: ignore[operator]


@pytest.mark.parametrize(("values", "n"), [([], 0), ([1.0, None], 2)])
def test_a_mean_of_what_is_unknown_is_unknown(values: list[float | None], n: int) -> None:
    assert Estimate(None, None, None, n) == mean(values)


@given(st.floats(0.01, 0.99), st.sampled_from([0.8, 0.95, 0.99]))
def test_the_least_n_is_where_an_interval_begins(q: float, confidence: float) -> None:
    least = least_n(q, confidence)
    assert [False, True] == [quantile(range(n), q, confidence).measurable for n in (least - 1, least)]


def test_a_p99_takes_368() -> None:
    assert 368 == least_n(0.99)


@given(st.integers(0, 50), st.integers(1, 50), st.integers(1, 6))
def test_observations_that_are_worth_fewer_have_the_interval_of_fewer(hits: int, n: int, times: int) -> None:
    hits = min(hits, n)
    assert proportion(hits, n)[1:] == pytest.approx(proportion(hits * times, n * times, worth=n)[1:])


@pytest.mark.parametrize("worth", [0, -1, 10.5, math.nan])
def test_observations_are_worth_at_most_themselves(worth: float) -> None:
    with pytest.raises(BadInput, match="10 observations are worth more than 0 and at most 10 independent ones, not "):
        proportion(5, 10, worth=worth)
