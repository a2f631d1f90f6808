from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmlab.errors import BadInput
from llmlab.wire.quota import Limits, OverQuota, Quota, go_duration


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "0s"),
        (0.0004, "0s"),
        (0.012, "12ms"),
        (0.9999, "1s"),
        (1.5, "1.5s"),
        (20, "20s"),
        (59.369, "59.369s"),
        (60, "1m0s"),
        (73.588, "1m13.588s"),
        (1252.666, "20m52.666s"),
        (3600, "1h0m0s"),
        (7384.25, "2h3m4.25s"),
        (86400, "24h0m0s"),
    ],
)
def test_durations_are_written_as_go_writes_them(seconds: float, expected: str) -> None:
    assert expected == go_duration(seconds)


def test_a_request_that_is_over_the_limit_is_refused_in_openais_words() -> None:
    quota = Quota(Limits(requests_per_minute=3), 0.0)
    assert [None, None, None] == [quota.charge(10, 0.0) for _ in range(3)]
    over = quota.charge(10, 0.0)
    assert over is not None
    expected = (
        "Rate limit reached for gpt-4o in organization org-llmlab on requests per min (RPM): Limit 3, Used 3, Requested 1. "
        "Please try again in 20s. Visit https://platform.openai.com/account/rate-limits to learn more."
    )
    assert expected == over.message("gpt-4o")
    assert [(b"retry-after-ms", b"20000"), (b"retry-after", b"20")] == over.headers()


def test_tokens_run_out_as_well() -> None:
    quota = Quota(Limits(tokens_per_minute=30_000), 0.0)
    assert quota.charge(14_567, 0.0) is None
    over = quota.charge(24_754, 0.0)
    assert over is not None
    assert "on tokens per min (TPM): Limit 30000, Used 14567, Requested 24754. Please try again in 18.642s." in over.message("gpt-4o")
    assert (b"retry-after", b"19") == over.headers()[1]


def test_a_request_that_never_fits_is_told_so_and_not_to_wait() -> None:
    over = Quota(Limits(tokens_per_minute=100), 0.0).charge(101, 0.0)
    assert over is not None
    assert over.wait_seconds is None
    assert over.message("gpt-4o").startswith(
        "Request too large for gpt-4o in organization org-llmlab on tokens per min (TPM): Limit 100, Requested 101."
    )
    assert [] == over.headers()


def test_what_is_refused_costs_nothing() -> None:
    quota = Quota(Limits(requests_per_minute=2, tokens_per_minute=100), 0.0)
    quota.charge(60, 0.0)
    assert quota.charge(60, 0.0) is not None
    assert quota.charge(40, 0.0) is None


def test_buckets_refill_evenly_and_never_run_over() -> None:
    quota = Quota(Limits(requests_per_minute=60, tokens_per_minute=6000), 0.0)
    for _ in range(60):
        assert quota.charge(100, 0.0) is None
    assert quota.charge(1, 0.5) is not None
    assert quota.charge(100, 1.0) is None
    assert quota.charge(1, 1.0) is not None
    assert b"60" == dict(quota.headers(10_000.0))[b"x-ratelimit-remaining-requests"]


def test_headers_say_what_is_left_and_when_it_is_full_again() -> None:
    quota = Quota(Limits(requests_per_minute=500, tokens_per_minute=200_000), 0.0)
    quota.charge(8, 0.0)
    expected = {
        b"x-ratelimit-limit-requests": b"500",
        b"x-ratelimit-limit-tokens": b"200000",
        b"x-ratelimit-remaining-requests": b"499",
        b"x-ratelimit-remaining-tokens": b"199992",
        b"x-ratelimit-reset-requests": b"120ms",
        b"x-ratelimit-reset-tokens": b"2ms",
    }
    assert expected == dict(quota.headers(0.0))


def test_the_shortest_wait_is_a_millisecond() -> None:
    assert [(b"retry-after-ms", b"1"), (b"retry-after", b"1")] == OverQuota("requests", 3, 3, 1, 0.0).headers()


@pytest.mark.parametrize("value", [0, -5, 0.5, float("inf"), float("nan"), "10", None, True])
@pytest.mark.parametrize("name", ["requests_per_minute", "tokens_per_minute"])
def test_limits_are_numbers_of_at_least_one(name: str, value: object) -> None:
    with pytest.raises(BadInput, match=f"Limits: {name} is a number of at least 1"):
        Limits(**{name: value})  # type: ignore[arg-type]


@given(st.integers(1, 50), st.lists(st.floats(0, 20), min_size=1, max_size=80))
def test_no_minute_lets_more_through_than_twice_the_limit(limit: int, gaps: list[float]) -> None:
    quota, now, passed = Quota(Limits(requests_per_minute=limit), 0.0), 0.0, []
    for gap in gaps:
        now += gap
        if quota.charge(1, now) is None:
            passed.append(now)
    assert all(2 * limit >= sum(start <= at <= start + 60 for at in passed) for start in passed)


@given(st.integers(1, 20), st.integers(0, 40))
def test_the_wait_that_is_told_is_the_wait_that_helps(limit: int, taken: int) -> None:
    quota = Quota(Limits(requests_per_minute=limit), 0.0)
    over = None
    for _ in range(taken):
        over = quota.charge(1, 0.0)
    if over is not None:
        assert over.wait_seconds is not None
        assert quota.charge(1, over.wait_seconds * 0.9) is not None
        assert quota.charge(1, over.wait_seconds) is None
