from __future__ import annotations

import math
import random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import stats

from llmlab.protocol.draws import choice, exponential, lognormal, microseconds, uniform

KEYS = st.lists(st.one_of(st.integers(), st.text(), st.floats()), max_size=5)
U = st.floats(0, 1, exclude_min=True, exclude_max=True)


def test_draws_are_uniform() -> None:
    draws = [uniform(7, "LatencySpike", "fires", f"q{number}/0", "chat", "gpt-4o", 0) for number in range(20_000)]
    assert 0.01 < stats.kstest(draws, "uniform").pvalue


@pytest.mark.parametrize("keys", [[(7, "a", n) for n in range(5000)], [(seed, "a", 3) for seed in range(5000)]], ids=["ordinal", "seed"])
def test_neighboring_keys_give_independent_draws(keys: list[tuple[object, ...]]) -> None:
    draws = [uniform(*key) for key in keys]
    assert 0.05 > abs(stats.pearsonr(draws[:-1], draws[1:]).statistic)


@given(KEYS)
def test_a_draw_is_never_0_or_1(key: list[object]) -> None:
    assert 0 < uniform(*key) < 1


def test_the_extreme_hashes_are_never_0_or_1() -> None:
    assert 0 < 0.5 / 2**52
    assert 1 > (2**52 - 1 + 0.5) / 2**52


@given(st.lists(KEYS, min_size=2, max_size=6), st.randoms())
def test_draws_do_not_depend_on_order(keys: list[list[object]], shuffler: random.Random) -> None:
    first = {repr(key): uniform(*key) for key in keys}
    shuffler.shuffle(keys)
    assert first == {repr(key): uniform(*key) for key in keys}


def test_draws_are_the_same_everywhere() -> None:
    assert 0.9456435255953323 == uniform(7, "LatencySpike", "fires", "q017/0", "chat", "gpt-4o", 0)
    assert 0.2579417374386034 == uniform("\ud800")


def test_parts_of_a_key_do_not_run_into_each_other() -> None:
    assert uniform("ab", "c") != uniform("a", "bc")


@given(st.lists(st.integers(), min_size=1, max_size=50), KEYS)
def test_a_choice_is_one_of_the_options(options: list[int], key: list[object]) -> None:
    assert choice(options, *key) in options


def test_choices_are_equally_likely() -> None:
    counts = [0] * 5
    for number in range(5000):
        counts[choice(range(5), "take", number)] += 1
    assert 0.01 < stats.chisquare(counts).pvalue


@given(st.floats(0, 1e6))
def test_times_are_whole_microseconds(seconds: float) -> None:
    rounded = microseconds(seconds)
    assert rounded == round(round(rounded * 1e6) / 1e6, 6)
    assert abs(rounded - seconds) <= 0.5000001e-6


@given(U)
@example(0.5 / 2**52)
@example(1 - 2**-53)
def test_quantiles_are_those_of_scipy(u: float) -> None:
    assert lognormal(u, median=0.3, sigma=0.7) == pytest.approx(stats.lognorm(s=0.7, scale=0.3).ppf(u), rel=1e-9)
    assert exponential(u, mean=2.0) == pytest.approx(stats.expon(scale=2.0).ppf(u), rel=1e-9)
    assert math.isfinite(exponential(u, mean=1.0))
