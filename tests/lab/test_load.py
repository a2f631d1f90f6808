from __future__ import annotations

from itertools import islice, pairwise

from scipy import stats

from llmlab.lab.load import Closed, Open


def test_arrivals_of_an_open_load_are_a_poisson_process() -> None:
    times = list(islice(Open(per_second=5.0).intended(7), 5000))
    gaps = [later - earlier for earlier, later in pairwise([0.0, *times])]
    assert times == sorted(times)
    assert stats.kstest(gaps, "expon", args=(0, 0.2)).pvalue > 0.01


def test_arrivals_depend_on_the_seed_alone() -> None:
    assert list(islice(Open().intended(1), 5)) == list(islice(Open().intended(1), 5))
    assert list(islice(Open().intended(1), 5)) != list(islice(Open().intended(2), 5))


def test_a_closed_load_would_like_to_ask_at_once() -> None:
    assert [0.0, 0.0] == list(islice(Closed().intended(7), 2))
