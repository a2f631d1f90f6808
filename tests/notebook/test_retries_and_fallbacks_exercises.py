from __future__ import annotations

from typing import Any

import pytest

import llmlab
from llmlab.lab.fixes import fixed
from llmlab.lab.storm_policies import policy
from llmlab.notebook.retries_and_fallbacks_exercises import EIGHT
from llmlab.pipeline.taxonomy import TAXONOMY

check = llmlab.check
RIGHT = {advice.reason: advice.action for advice in TAXONOMY if advice.reason in EIGHT}


@pytest.mark.parametrize(
    ("answer", "text", "hint"),
    [
        ("retry", "a pipeline is needed, not str", "Begin with policy"),
        (fixed(["stream"]), "models main and fast, not streamed", "Take policy"),
        (policy().replace(cache=llmlab.Cache()), "no measure of it", "Leave the cache out"),
        (policy(attempts=1), "too few are ok", "comes again after a moment"),
        (policy(), "0.0 % in time after the brown-out, for 3.", "Limit the retries first"),
        (policy(["budget"]), "in time after the brown-out, for 1.0", "And who answers meanwhile?"),
    ],
)
def test_a_pipeline_that_does_not_weather_both_is_explained(answer: Any, text: str, hint: str) -> None:
    feedback = check.weather_both(answer)
    assert feedback.passed is False
    assert text.lower() in feedback.text.lower()
    assert hint in feedback.hint


def test_too_many_attempts_are_told() -> None:
    eager = policy(["budget", "fallback"]).replace(hedge=llmlab.Hedge(after_seconds=0.0, max_extra=0.5))
    feedback = check.weather_both(eager)
    assert feedback.passed is False
    assert "too many attempts" in feedback.text


@pytest.mark.parametrize(
    ("answer", "passed", "text"),
    [
        ("long", False, "a time above 1 s is needed"),
        (True, False, "a time above 1 s is needed"),
        (3, False, "even 4 s recovers"),
        (15.0, False, "14 s is too long already"),
        (9.6, True, "chance decides"),
    ],
)
def test_the_tipping_point_is_found_to_a_second(answer: Any, passed: bool, text: str) -> None:
    feedback = check.tipping_point(answer)
    assert passed == feedback.passed
    assert text.lower() in feedback.text.lower()


def test_eight_failures_are_sorted() -> None:
    assert len(EIGHT) == len(RIGHT)
    assert check.sort_failures(RIGHT).passed


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ("retry all", "a dictionary is needed"),
        ({}, "rate_limit is missing"),
        ({**RIGHT, "http_503": "pray"}, "http_503 is 'pray'"),
        ({**RIGHT, "insufficient_quota": "retry", "http_400": "retry"}, "6 of 8 are right; look again at insufficient_quota"),
    ],
)
def test_a_failure_in_the_wrong_place_is_explained(answer: Any, text: str) -> None:
    feedback = check.sort_failures(answer)
    assert feedback.passed is False
    assert text.lower() in feedback.text.lower()
    assert feedback.hint


def test_nothing_is_checked_before_the_learner_has_done_anything() -> None:
    for name in ("weather_both", "tipping_point", "sort_failures"):
        assert getattr(check, name)(...).passed is None
