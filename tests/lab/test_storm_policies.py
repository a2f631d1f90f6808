from __future__ import annotations

import pytest

from llmlab.errors import AttemptUnavailable, UnknownName
from llmlab.lab.storm_policies import REMEDIES, ClientBackOff, policies, policy
from llmlab.pipeline.routing import Retry

LOST = AttemptUnavailable("http_503", "busy", retryable=True)
ASKED = AttemptUnavailable("http_503", "busy", retryable=True, retry_after_seconds=3.0)


def test_without_a_remedy_it_is_the_careful_client() -> None:
    plain = policy()
    assert (4, None, 4.0) == (plain.retry.attempts, plain.retry.max_extra, plain.routes[0].clocks.first_content_seconds)
    assert (None, None, 1, False) == (plain.breaker, plain.last_resort, len(plain.routes), plain.routes[0].stream)
    assert isinstance(plain.retry, ClientBackOff)


@pytest.mark.parametrize("name", REMEDIES)
def test_each_remedy_changes_the_pipeline(name: str) -> None:
    assert policy() != policy([name])


def test_jitter_waits_anything_up_to_the_most() -> None:
    assert type(policy(["jitter"]).retry) is Retry


def test_an_unknown_remedy_names_those_there_are() -> None:
    with pytest.raises(UnknownName, match="jitter, budget, breaker, fallback"):
        policy(["prayer"])


@pytest.mark.parametrize(("failed", "most"), [(1, 0.5), (2, 1.0), (3, 2.0), (9, 8.0)])
def test_the_client_backs_off_by_powers_of_two_less_a_quarter(failed: int, most: float) -> None:
    waits = [ClientBackOff().wait_seconds(failed, LOST, number) for number in range(200)]
    assert 0.75 * most <= min(waits) < 0.8 * most
    assert 0.95 * most < max(waits) <= most


def test_who_is_told_how_long_waits_so_long() -> None:
    assert 3.0 == ClientBackOff().wait_seconds(1, ASKED)


def test_the_lesson_compares_six() -> None:
    assert ["careful", "jitter", "no retry", "budget", "breaker", "stack"] == list(policies())
