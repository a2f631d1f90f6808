from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from llmlab.protocol.attempt import Attempt, Usage


def test_times_are_reckoned_from_sending() -> None:
    attempt = Attempt(request="q017/0", ordinal=1, model="gpt-4o", status="ok", sent_at=10.0, first_content_at=10.5, ended_at=12.0)
    assert (2.0, 0.5, False) == (attempt.seconds, attempt.first_content_seconds, attempt.cancelled)


def test_what_never_came_is_none() -> None:
    attempt = Attempt(request="", ordinal=0, model="gpt-4o", status="cancelled", sent_at=0.0, ended_at=1.0)
    assert attempt.first_content_seconds is None
    assert attempt.cost_usd is None
    assert attempt.cancelled
    assert Usage.UNKNOWN == attempt.usage


def test_an_event_is_not_changed_afterwards() -> None:
    attempt = Attempt(request="", ordinal=0, model="gpt-4o", status="ok", sent_at=0.0, ended_at=1.0)
    with pytest.raises(FrozenInstanceError):
        attempt.status = "failed"
