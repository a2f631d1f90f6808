from __future__ import annotations

import pickle

import pytest

from llmlab import errors
from llmlab.errors import AttemptFailed, AttemptLimited, LlmlabError, UnknownName

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]


def test_an_unknown_name_lists_those_there_are() -> None:
    error = UnknownName("fault", "Spike", ["Jitter", "Stall"])
    assert "there is no fault 'Spike'; there is: Jitter, Stall" == str(error)
    assert ("fault", "Spike", ("Jitter", "Stall")) == (error.what, error.name, error.known)
    assert isinstance(error, ValueError)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_error_is_ours_and_stands_in_the_tree(kind: type[Exception]) -> None:
    assert issubclass(kind, LlmlabError)
    assert kind.__name__ in str(errors.__doc__).split()


@pytest.mark.parametrize("kind", [kind for kind in KINDS if issubclass(kind, AttemptFailed)], ids=lambda kind: kind.__name__)
def test_a_failed_attempt_survives_the_way_from_another_process(kind: type[AttemptFailed]) -> None:
    error = pickle.loads(pickle.dumps(kind("rate_limit", "slow down", retryable=True, retry_after_seconds=2.5, status_code=429)))
    assert type(error) is kind
    assert "rate_limit: slow down" == str(error)
    expected = {"reason": "rate_limit", "detail": "slow down", "retryable": True, "retry_after_seconds": 2.5, "status_code": 429}
    assert expected == vars(error)


def test_an_unknown_name_survives_the_way_from_another_process() -> None:
    error = UnknownName("model", "gpt-9", ["gpt-4o"])
    assert str(error) == str(pickle.loads(pickle.dumps(error)))


def test_what_was_not_said_is_none() -> None:
    error = AttemptLimited("insufficient_quota", "no quota", retryable=False)
    assert (None, None) == (error.retry_after_seconds, error.status_code)
