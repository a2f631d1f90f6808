from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq, minimize_scalar
from scipy.stats import multinomial, norm
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.proportion import confint_proportions_2indep

from llmlab.errors import BadInput
from llmlab.evals.differences import (
    difference,
    mean_difference,
    paired_proportion_difference,
    paired_share_difference,
    proportion_difference,
    quantile_difference,
)
from llmlab.evals.statistics import Estimate, proportion, quantile

PROMISE = 0.93
"""Least coverage of a nominal 95 %."""
COUNTS = st.integers(0, 60)


def covers(found: Estimate, truth: float) -> bool:
    assert found.low is not None
    assert found.high is not None
    return found.low - 1e-9 <= truth <= found.high + 1e-9


def coverage(truth: float, one: Callable[[], Estimate], rounds: int) -> float:
    return sum(covers(one(), truth) for _ in range(rounds)) / rounds


# --- shares of the same requests


def tables(n: int) -> list[tuple[int, int]]:
    return [(lost, won) for lost in range(n + 1) for won in range(n + 1 - lost)]


@pytest.fixture(scope="module")
def tango() -> dict[int, dict[tuple[int, int], Estimate]]:
    """Every interval there is at n = 20 and n = 50, by (lost, won)."""
    return {n: {(lost, won): paired_proportion_difference(n - lost - won, lost, won, 0) for lost, won in tables(n)} for n in (20, 50)}


@pytest.mark.parametrize("n", [20, 50])
@pytest.mark.parametrize(("lost", "won"), [(0.02, 0.0), (0.04, 0.0), (0.065, 0.02), (0.05, 0.05), (0.1, 0.1), (0.3, 0.1), (0.45, 0.45)])
def test_the_paired_interval_covers_the_true_difference_as_promised(tango: Any, n: int, lost: float, won: float) -> None:
    places = tables(n)
    chances = multinomial.pmf([(a, b, n - a - b) for a, b in places], n, [lost, won, 1 - lost - won])
    covered = math.fsum(chance for chance, place in zip(chances, places, strict=True) if covers(tango[n][place], won - lost))
    assert PROMISE <= covered


def test_a_gate_at_20_does_not_ship_a_true_drop_and_no_interval_is_without_width(tango: Any) -> None:
    lost, won, margin = 0.065, 0.02, 0.02
    assert all(found.high - found.low > 0.1 for found in tango[20].values())
    shipped = [place for place, found in tango[20].items() if found.low >= -margin]
    assert 0.05 >= sum(multinomial.pmf((*place, 20 - sum(place)), 20, [lost, won, 1 - lost - won]) for place in shipped)


def profile(lost: int, won: int, n: int, d: float) -> float:
    """Tango's statistic with the nuisance share found by search, not by formula."""
    floor = max(0.0, -d)

    def unlikely(q: float) -> float:
        parts = ((lost, q), (won, q + d), (n - lost - won, 1 - 2 * q - d))
        return -sum(count * math.log(max(share, 1e-300)) for count, share in parts if count)

    q = minimize_scalar(unlikely, bounds=(floor, (1 - d) / 2), method="bounded", options={"xatol": 1e-13}).x
    return (won - lost - n * d) / math.sqrt(n * (2 * q + d * (1 - d)))


@pytest.mark.parametrize(("lost", "won", "n"), [(5, 9, 40), (1, 12, 50), (86, 150, 1600), (3, 1, 20)])
def test_the_paired_interval_is_where_the_score_test_turns(lost: int, won: int, n: int) -> None:
    found = paired_proportion_difference(n - lost - won, lost, won, 0)
    for end, sign in ((found.low, 1), (found.high, -1)):
        assert profile(lost, won, n, end) == pytest.approx(sign * norm.ppf(0.975), abs=1e-4)  # type: ignore[arg-type]


def test_the_paired_interval_is_the_one_in_the_books() -> None:
    found = paired_proportion_difference(794, 86, 150, 570)  # Agresti, Categorical Data Analysis, table 10.1
    assert (0.04, 0.02, 0.06) == tuple(round(part, 2) for part in found[:3] if part is not None)


@pytest.mark.parametrize("n", [1, 20, 500])
def test_without_a_disagreement_the_paired_interval_is_wilsons_of_none_on_both_sides(n: int) -> None:
    bound = proportion(0, n).high
    found = paired_proportion_difference(n, 0, 0, 0)
    assert found == paired_proportion_difference(0, 0, 0, n)
    assert [0.0, -bound, bound] == pytest.approx(list(found[:3]))  # type: ignore[operator]


@given(COUNTS, COUNTS, COUNTS, COUNTS)
def test_the_paired_interval_excludes_0_when_mcnemar_does(both: int, lost: int, won: int, neither: int) -> None:
    if lost == won:
        return
    found = paired_proportion_difference(both, lost, won, neither)
    significant = mcnemar([[both, lost], [won, neither]], exact=False, correction=False).pvalue < 0.05
    assert significant == (not found.low <= 0 <= found.high)  # type: ignore[operator]


@given(COUNTS, COUNTS, COUNTS)
def test_the_paired_interval_holds_the_difference_and_turns_round_with_it(rest: int, lost: int, won: int) -> None:
    found, turned = paired_proportion_difference(rest, lost, won, 0), paired_proportion_difference(0, won, lost, rest)
    if rest + lost + won == 0:
        assert Estimate(None, None, None, 0) == found
        return
    assert -1 <= found.low <= found.value <= found.high <= 1  # type: ignore[operator]
    assert [found.value, found.low, found.high] == pytest.approx([-turned.value, -turned.high, -turned.low], abs=1e-12)  # type: ignore[operator]


@pytest.mark.parametrize("counts", [(1, 2, 3, -1), (1.0, 2, 3, 4), ("1", 2, 3, 4)])
def test_pairs_that_are_no_counts_are_refused(counts: Any) -> None:
    with pytest.raises(BadInput, match="pairs are counted in whole numbers"):
        paired_proportion_difference(*counts)
    with pytest.raises(BadInput, match="a confidence lies between 0 and 1"):
        paired_proportion_difference(1, 2, 3, 4, confidence=95)


# --- shares of questions that are asked several times


def test_questions_asked_once_are_pairs() -> None:
    before, after = [1.0, 1.0, 0.0, 0.0, 1.0], [1.0, 0.0, 1.0, 0.0, 1.0]
    assert paired_proportion_difference(2, 1, 1, 1) == paired_share_difference(before, after)
    assert paired_share_difference(before, after) != paired_share_difference(before * 2, after * 2)


@pytest.mark.parametrize("repetitions", [1, 5])
@pytest.mark.parametrize("n", [20, 100])
def test_the_interval_of_questions_covers_the_mean_gain(n: int, repetitions: int) -> None:
    generator = np.random.default_rng(n + repetitions)
    easy, lift = 0.75, 0.1

    def one() -> Estimate:
        rates = generator.beta(1.5, 0.5, size=n)
        better = rates + lift * 4 * (1 - rates)  # a mean lift of 0.1, most where there is most to gain
        shares = (generator.binomial(repetitions, np.clip(part, 0, 1)) / repetitions for part in (rates, better))
        return paired_share_difference(*(part.tolist() for part in shares))

    assert PROMISE <= coverage(lift * 4 * (1 - easy), one, 300)


# --- shares of different requests


@given(st.integers(1, 400), st.floats(0, 1), st.integers(1, 400), st.floats(0, 1))
def test_the_unpaired_interval_is_newcombes(n_before: int, part_before: float, n_after: int, part_after: float) -> None:
    before, after = round(n_before * part_before), round(n_after * part_after)
    low, high = confint_proportions_2indep(after, n_after, before, n_before, method="newcomb", compare="diff")
    found = proportion_difference(before, n_before, after, n_after)
    assert (after / n_after - before / n_before, min(n_before, n_after)) == (found.value, found.n)
    assert [low, high] == pytest.approx([found.low, found.high], abs=1e-12)


@pytest.mark.parametrize(("n_before", "n_after"), [(20, 20), (50, 200), (500, 500)])
@pytest.mark.parametrize(("before", "after"), [(0.04, 0.002), (0.04, 0.04), (0.9, 0.8), (0.5, 0.5)])
def test_the_unpaired_interval_covers_the_true_difference_as_promised(n_before: int, n_after: int, before: float, after: float) -> None:
    generator = np.random.default_rng(n_before)
    draws = zip(generator.binomial(n_before, before, 2000).tolist(), generator.binomial(n_after, after, 2000).tolist(), strict=True)
    found = [covers(proportion_difference(hits, n_before, others, n_after), after - before) for hits, others in draws]
    assert PROMISE <= sum(found) / len(found)


def test_nothing_differs_from_nothing_by_nothing_that_is_known() -> None:
    assert Estimate(None, None, None, 0) == proportion_difference(0, 0, 3, 5)
    assert Estimate(None, None, None, 0) == paired_share_difference([], [])
    assert Estimate(None, None, None, 0) == quantile_difference([], [], 0.5, paired=True)


# --- quantiles

SIGMA, SPIKES, SECONDS = 0.5, 0.04, 4.0


def calm(q: float) -> float:
    return float(np.exp(SIGMA * norm.ppf(q)))


def spiked(q: float) -> float:
    def below(x: float) -> float:
        return (1 - SPIKES) * norm.cdf(math.log(x) / SIGMA) + SPIKES * norm.cdf(math.log(max(x - SECONDS, 1e-9)) / SIGMA)

    return float(brentq(lambda x: below(x) - q, 1e-3, 100.0))


def tied(q: float) -> float:
    return math.ceil(2 * calm(q)) / 2  # the median lies on the edge of a step


Weather = Callable[[np.random.Generator, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
SCENES: dict[str, tuple[Weather, Callable[[float], float], Callable[[float], float]]] = {
    "log-normal": (lambda _, x, y: (x, 0.8 * y), calm, lambda q: 0.8 * calm(q)),
    "spikes removed": (lambda rng, x, y: (x + SECONDS * (rng.random(x.size) < SPIKES), y), spiked, calm),
    "spikes kept": (lambda rng, x, y: (s := SECONDS * (rng.random(x.size) < SPIKES), (x + s, y + s))[1], spiked, spiked),
    "tied": (lambda _, x, y: (np.ceil(2 * x) / 2, np.ceil(2 * y) / 2), tied, tied),
}
"""What befalls a log-normal before and after, and the true quantiles."""


@pytest.mark.parametrize("correlation", [0.0, 0.9])
@pytest.mark.parametrize(("q", "n"), [*itertools.product((0.5, 0.9), (50, 200, 500)), (0.99, 500), (0.99, 1000)])
@pytest.mark.parametrize("scene", SCENES)
def test_the_interval_of_a_difference_of_quantiles_covers_it_as_promised(scene: str, q: float, n: int, correlation: float) -> None:
    weather, before, after = SCENES[scene]
    generator = np.random.default_rng([n, round(100 * q), round(10 * correlation)])

    def one() -> Estimate:
        first, second = generator.standard_normal((2, n))
        x, y = np.exp(SIGMA * first), np.exp(SIGMA * (correlation * first + math.sqrt(1 - correlation**2) * second))
        old, new = weather(generator, x, y)
        return quantile_difference(old.tolist(), new.tolist(), q, paired=correlation > 0)

    assert PROMISE <= coverage(after(q) - before(q), one, 120)


def test_pairs_that_go_together_are_measured_more_closely() -> None:
    generator = np.random.default_rng(1)
    old = np.exp(generator.standard_normal(400))
    new = 0.7 * old * np.exp(0.1 * generator.standard_normal(400))
    paired, apart = (quantile_difference(old.tolist(), new.tolist(), 0.5, paired=paired) for paired in (True, False))
    assert paired.value == apart.value
    assert (paired.high - paired.low) < 0.6 * (apart.high - apart.low)  # type: ignore[operator]


def test_pairs_that_go_apart_are_measured_less_closely() -> None:
    values = [float(number) for number in range(100)]
    paired, apart = (quantile_difference(values, values[::-1], 0.5, paired=paired) for paired in (True, False))
    assert (paired.high - paired.low) > 1.3 * (apart.high - apart.low)  # type: ignore[operator]


def test_runs_that_agree_in_all_pairs_still_have_an_interval_with_a_width() -> None:
    values = np.random.default_rng(1).exponential(size=100).tolist()
    found = quantile_difference(values, values, 0.9, paired=True)
    assert found.value == 0
    assert found.low < 0 < found.high  # type: ignore[operator]


@pytest.mark.parametrize("paired", [True, False])
def test_a_difference_of_p99_is_not_measurable_at_200(paired: bool) -> None:
    values = [float(number) for number in range(200)]
    found = quantile_difference(values, values[::-1], 0.99, paired=paired)
    assert Estimate(0.0, None, None, 200) == found
    assert quantile_difference(values * 2, values * 2, 0.99, paired=paired).measurable


WAITS = st.floats(0, 50) | st.just(math.inf)


@given(st.lists(st.tuples(WAITS, WAITS), min_size=1, max_size=80), st.sampled_from([0.3, 0.5, 0.9]), st.booleans())
def test_waits_that_never_end_make_no_nonsense(pairs: list[tuple[float, float]], q: float, paired: bool) -> None:
    old, new = ([pair[side] for pair in pairs] for side in (0, 1))
    found, turned = quantile_difference(old, new, q, paired=paired), quantile_difference(new, old, q, paired=paired)
    one, other = quantile(old, q), quantile(new, q)
    assert not any(math.isnan(part) for part in found if part is not None)
    assert found.value == -turned.value  # type: ignore[operator]
    assert found.measurable == (one.measurable and other.measurable)
    if found.measurable:
        assert found.low <= found.value <= found.high  # type: ignore[operator]
        assert [found.low, found.high] == pytest.approx([-turned.high, -turned.low])  # type: ignore[operator]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (Estimate(math.inf, 4.0, math.inf, 9), Estimate(2.0, 1.0, 3.0, 9), (-math.inf, -math.inf, -1.0)),
        (Estimate(2.0, 1.0, 3.0, 9), Estimate(math.inf, 4.0, math.inf, 9), (math.inf, 1.0, math.inf)),
        (Estimate(math.inf, 4.0, math.inf, 9), Estimate(math.inf, 5.0, math.inf, 9), (0.0, -math.inf, math.inf)),
        (Estimate(math.inf, math.inf, math.inf, 9), Estimate(math.inf, math.inf, math.inf, 9), (0.0, 0.0, 0.0)),
        (Estimate(2.0, 1.0, math.inf, 9), Estimate(3.0, 3.0, 3.0, 9), (1.0, -math.inf, 2.0)),
        (Estimate(2.0, 1.0, None, 9), Estimate(3.0, 3.0, 3.0, 9), (1.0, None, 2.0)),
        (Estimate(2.0, None, 3.0, 9), Estimate(None, None, None, 9), (None, None, None)),
    ],
)
def test_what_is_infinite_or_unknown_stays_so(before: Estimate, after: Estimate, expected: tuple[Any, ...]) -> None:
    assert Estimate(*expected, 9) == difference(before, after)


def test_pairs_have_two_sides() -> None:
    for call in (lambda: quantile_difference([1.0], [1.0, 2.0], 0.5, paired=True), lambda: paired_share_difference([1.0], [])):
        with pytest.raises(BadInput, match="as many values before as after"):
            call()
    with pytest.raises(BadInput, match="not 1 and 2"):
        mean_difference([1.0], [1.0, 2.0], paired=True)


# --- means


@pytest.mark.parametrize("n", [20, 50, 200, 500])
@pytest.mark.parametrize(("before", "after"), [(0.0, 0.04), (0.04, 0.1), (0.3, 0.3)])
@pytest.mark.parametrize("paired", [True, False])
def test_the_interval_of_a_difference_of_attempts_covers_it_as_promised(n: int, before: float, after: float, paired: bool) -> None:
    generator = np.random.default_rng(n)

    def one() -> Estimate:
        luck = generator.random((2, n))
        more = generator.geometric(0.9, n)  # a retry is often followed by another
        sides = (1 + more * (luck[number] < rate) for number, rate in enumerate((before, after)))
        return mean_difference(*(side.tolist() for side in sides), paired=paired)

    assert PROMISE <= coverage((after - before) / 0.9, one, 200)


@pytest.mark.parametrize("n", [20, 50, 200])
@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("hedged", [0.0, 0.04])
def test_the_interval_of_a_difference_of_prices_covers_it_as_promised(n: int, paired: bool, hedged: float) -> None:
    generator = np.random.default_rng(n)

    def one() -> Estimate:
        length, other = np.exp(0.5 * generator.standard_normal((2, n)))
        twice = 1.2 + (generator.random(n) < hedged)
        return mean_difference(length.tolist(), (twice * (length if paired else other)).tolist(), paired=paired)

    assert PROMISE <= coverage((0.2 + hedged) * math.exp(0.125), one, 250)


def test_a_price_that_is_unknown_makes_the_difference_unknown() -> None:
    for paired in (True, False):
        assert Estimate(None, None, None, 2) == mean_difference([1.0, None], [1.0, 2.0], paired=paired)
        assert Estimate(None, None, None, 2) == mean_difference([1.0, 1.0], [None, 2.0], paired=paired)


def test_a_retry_that_was_not_seen_may_be_there() -> None:
    found = mean_difference([1] * 20, [1] * 20, paired=True)
    assert found.value == 0
    assert proportion(0, 20).high < found.high < 0.28  # type: ignore[operator]
