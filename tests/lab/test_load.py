from __future__ import annotations

import math
from collections import Counter
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from llmlab.errors import BadInput, UnknownName
from llmlab.lab.load import Arrivals, Closed, Load, Open, Zipf

SEEDS = st.integers(0, 2**63)
RATES = st.floats(0.01, 1000)


def gaps(load: Load, n: int, seed: int = 7) -> np.ndarray:
    return np.diff([0.0, *islice(load.intended(seed), n)])


def trace(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "trace.csv"
    path.write_text(text, "utf-8")
    return path


def test_arrivals_of_an_open_load_are_a_poisson_process() -> None:
    assert stats.kstest(gaps(Open(per_second=5.0), 5000), "expon", args=(0, 0.2)).pvalue > 0.01


def test_poisson_arrivals_stay_what_they_were_before_there_was_burstiness() -> None:
    assert [0.039483, 0.09621, 0.101885, 0.407457, 0.468211] == list(islice(Open(per_second=5.0).intended(7), 5))


# Rates so low that whole microseconds, to which gaps are rounded, do not show.
@pytest.mark.parametrize("burstiness", [0.1, 0.5, 1.09, 2.0])
def test_bursty_gaps_are_gamma_with_that_coefficient_of_variation(burstiness: float) -> None:
    found = gaps(Open(per_second=1e-6, burstiness=burstiness), 4000)
    shape = burstiness**-2
    assert stats.kstest(found, "gamma", args=(shape, 0, 1e6 / shape)).pvalue > 0.01
    assert burstiness == pytest.approx(found.std() / found.mean(), rel=0.1)


def test_the_burstiest_load_that_was_measured_has_the_share_of_simultaneous_arrivals_that_scipy_gives() -> None:
    found = gaps(Open(per_second=2.57, burstiness=13.2), 20_000)
    shape = 13.2**-2
    expected = stats.gamma.cdf(0.5e-6, shape, scale=1 / 2.57 / shape)
    assert 0.9 == pytest.approx(expected, abs=0.005)
    assert stats.binomtest(int((found == 0).sum()), 20_000, expected).pvalue > 0.01
    assert 13.2 == pytest.approx(found.std() / found.mean(), rel=0.25)


@given(SEEDS, RATES, st.floats(0.01, 100))
def test_intended_times_of_open_loads_are_sorted_and_whole_microseconds(seed: int, rate: float, burstiness: float) -> None:
    times = list(islice(Open(per_second=rate, burstiness=burstiness).intended(seed), 100))
    assert times == sorted(times)
    assert times[0] >= 0
    assert times == [round(at, 6) for at in times]


@given(RATES)
def test_intended_times_of_a_schedule_are_evenly_spaced_from_the_start(rate: float) -> None:
    times = list(islice(Closed(per_second=rate).intended(7), 100))
    assert times == sorted(times)
    assert [number / rate for number in range(100)] == pytest.approx(times, abs=1e-6)


@given(st.lists(st.floats(0, 1e6), min_size=1))
def test_a_trace_gives_its_own_times_whatever_the_seed(times: list[float]) -> None:
    load = Arrivals(times=tuple(sorted(times)))
    assert [round(at, 6) for at in sorted(times)] == list(load.intended(1)) == list(load.intended(2))


@given(SEEDS, st.floats(0.1, 100), st.floats(0.1, 3))
def test_the_mean_rate_is_as_asked(seed: int, rate: float, burstiness: float) -> None:
    # The mean of n gaps has a standard error of burstiness / sqrt(n) of itself; whole microseconds move each by up to a half.
    n = 1000
    mean = gaps(Open(per_second=rate, burstiness=burstiness), n, seed).mean()
    assert 1 / rate == pytest.approx(mean, rel=4.5 * burstiness / math.sqrt(n), abs=1e-6)


def test_arrivals_depend_on_the_seed_alone() -> None:
    for load in (Open(), Open(burstiness=3.0)):
        assert list(islice(load.intended(1), 5)) == list(islice(load.intended(1), 5))
        assert list(islice(load.intended(1), 5)) != list(islice(load.intended(2), 5))


def test_a_closed_load_without_a_schedule_intends_no_time() -> None:
    assert [None, None] == list(islice(Closed().intended(7), 2))


@pytest.mark.parametrize(
    ("times", "why"),
    [
        ((), "there are no times"),
        ((0.0, 2.0, 1.5), r"times run backwards at times\[2\]: 1.5 after 2.0"),
        ((0.0, math.nan), r"times\[1\] is nan"),
        ((0.0, math.inf), r"times\[1\] is inf"),
        ((-0.5, 1.0), r"times\[0\] is -0.5"),
        (("soon",), "numbers of seconds .*soon"),
        (7.0, "numbers of seconds .*float"),
    ],
)
def test_a_trace_that_cannot_be_says_where(times: tuple[float, ...], why: str) -> None:
    with pytest.raises(BadInput, match=why):
        Arrivals(times=times)


def test_a_trace_may_have_arrivals_at_once_and_measures_itself() -> None:
    load = Arrivals(times=(1, 1, 3, 5))
    assert 0.75 == load.per_second
    assert math.sqrt(0.5) == pytest.approx(load.burstiness)
    assert "<Arrivals: 4 in 5.00 s, CV of gaps 0.707>" == repr(load)
    together = Arrivals(times=(1, 1))
    assert (math.inf, 0.0) == (together.per_second, together.burstiness)


@pytest.mark.parametrize("burstiness", [0.3, 1.0, 2.0])
def test_a_trace_of_an_open_load_has_its_rate_and_burstiness(burstiness: float) -> None:
    load = Arrivals(times=tuple(islice(Open(per_second=5.0, burstiness=burstiness).intended(7), 10_000)))
    assert 5.0 == pytest.approx(load.per_second, rel=0.06)
    assert burstiness == pytest.approx(load.burstiness, rel=0.06)


@pytest.mark.parametrize(
    ("text", "column"),
    [
        (
            "TIMESTAMP,Tokens\n2023-11-16 18:17:03.9799600,4808\n2023-11-16 18:17:04.0319600,3180\n\n2023-11-16 18:17:05.0000000,1",
            "TIMESTAMP",
        ),
        ("at\n2023-11-16T23:59:59.500Z\n2023-11-17T01:59:59.552+02:00\n2023-11-17T00:00:00.52004Z\n", None),
        ("n,at\n1,1700000000.5\n2, 1700000000.552\n3,1700000001.52004\n", "at"),
        ("100.5\n100.552\n101.52004\n", None),
        ("\ufeffat;x,y\n0,1\n0.052,1\n1.02004,1\n", None),
    ],
    ids=["Azure", "ISO", "epoch", "without names", "byte order mark"],
)
def test_a_file_of_arrivals_is_read_relative_to_its_first(tmp_path: Path, text: str, column: str | None) -> None:
    assert (0.0, 0.052, 1.02004) == Arrivals.read(trace(tmp_path, text), column).times


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "has no times"),
        ("at,n\n", "has no times"),
        ("at\n5\n7\n6.5\n", "line 4: times run backwards, '6.5' after '7'"),
        (
            "at\n2023-11-16 18:00:01\n2023-11-16 18:00:00\n",
            "line 3: times run backwards, '2023-11-16 18:00:00' after '2023-11-16 18:00:01'",
        ),
        ("at\n1\nnan\n", "line 3: 'nan' is no time"),
        ("n,at\n1\n", "line 2: '' is no time"),
        ("at\nyesterday\n", "line 2: 'yesterday' is no time; write seconds, or ISO 8601"),
    ],
)
def test_a_file_that_is_no_trace_says_which_line(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(BadInput, match=why):
        Arrivals.read(trace(tmp_path, text), "at" if text.startswith("n") else None)


def test_a_file_that_cannot_be_read_or_lacks_the_column_says_so(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"nothing\.csv cannot be read as CSV"):
        Arrivals.read(tmp_path / "nothing.csv")
    with pytest.raises(UnknownName, match="no column 'when'; there is: at, n"):
        Arrivals.read(trace(tmp_path, "at,n\n1,2\n"), "when")
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadInput, match="cannot be read as CSV"):
        Arrivals.read(tmp_path / "bytes.csv")


@pytest.mark.parametrize(
    ("make", "value", "why"),
    [
        (lambda value: Open(per_second=value), 0, "rate above 0, not 0"),
        (lambda value: Open(per_second=value), math.inf, "rate above 0, not inf"),
        (lambda value: Open(burstiness=value), 0, "0.01 to 100, not 0"),
        (lambda value: Open(burstiness=value), math.nan, "0.01 to 100, not nan"),
        (lambda value: Open(burstiness=value), "high", "0.01 to 100, not 'high'"),
        (lambda value: Closed(per_second=value), -1, "rate above 0, not -1"),
        (lambda value: Closed(concurrency=value), 0, "at least 1, not 0"),
        (lambda value: Zipf(exponent=value), -0.1, "0 or more, not -0.1"),
        (lambda value: Zipf(exponent=value), math.nan, "0 or more, not nan"),
        (lambda value: Zipf(exponent=value), None, "0 or more, not None"),
    ],
)
def test_what_is_no_load_is_refused_with_its_value(make, value: object, why: str) -> None:
    with pytest.raises(BadInput, match=why):
        make(value)


@pytest.mark.parametrize("exponent", [0, 0.5, 1.0, 1.1, 2.5])
def test_questions_are_asked_as_often_as_zipf_says(exponent: float) -> None:
    n, cases = 20_000, 30
    counts = Counter(islice(Zipf(exponent=exponent).ranks(cases, 7), n))
    shares = np.arange(1, cases + 1.0) ** -exponent
    expected = n * shares / shares.sum()
    assert stats.chisquare([counts[rank] for rank in range(cases)], expected).pvalue > 0.01


@given(SEEDS, st.floats(0, 1e6), st.integers(1, 200))
def test_a_rank_is_one_of_the_cases_and_more_requests_change_none(seed: int, exponent: float, cases: int) -> None:
    ranks = list(islice(Zipf(exponent=exponent).ranks(cases, seed), 50))
    assert set(ranks) <= set(range(cases))
    assert ranks[:20] == list(islice(Zipf(exponent=exponent).ranks(cases, seed), 20))
