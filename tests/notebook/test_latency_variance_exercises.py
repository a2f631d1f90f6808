from __future__ import annotations

from typing import Any

import pytest

import llmlab
from llmlab.lab.fixes import fixed

check = llmlab.check


@pytest.mark.parametrize(
    ("answer", "text", "hint"),
    [
        ("hedge", "a pipeline is needed, not str", "Begin with fixed"),
        (fixed(["stream"]), "too many still wait", "what could come third"),
        (fixed(["stream", "hedge"], 1.0), "too many attempts", "Look at the ECDF"),
        (fixed(["cache", "stream"]), "no measure of the weather", "Leave the cache out"),
        (fixed(["stream", "hedge"], 0.25), "too slow, and too many attempts", "a hedge's cap leaves none"),
    ],
)
def test_a_pipeline_that_does_not_calm_it_down_is_explained(answer: Any, text: str, hint: str) -> None:
    feedback = check.calm_down(answer)
    assert feedback.passed is False
    assert text.lower() in feedback.text.lower()
    assert hint in feedback.hint


@pytest.mark.parametrize(
    ("answer", "text", "hint"),
    [
        ("soon", "a time in seconds is needed", "2.5"),
        (True, "a time in seconds is needed", "2.5"),
        (3.9, "three quarters should be gone", "hedge earlier"),
        (0.5, "more than two attempts for each that was struck", "Wait a little longer"),
        (llmlab.Hedge(after_seconds=9.0, at_quantile=0.99), "three quarters should be gone", "Which quantile does not?"),
    ],
)
def test_a_hedge_that_comes_too_late_or_too_soon_is_explained(answer: Any, text: str, hint: str) -> None:
    feedback = check.patient_hedge(answer)
    assert feedback.passed is False
    assert text.lower() in feedback.text.lower()
    assert hint in feedback.hint


def test_a_hedge_may_be_given_whole() -> None:
    assert check.patient_hedge(llmlab.Hedge(after_seconds=2.0)).passed


@pytest.mark.parametrize(
    ("answer", "passed", "text"),
    [
        (74, True, "73 would not do"),
        (73, False, "94.9 %"),
        (75, False, "more than it takes"),
        ("many", False, "number is needed"),
        (-1, False, "0.0 %"),
    ],
)
def test_clicks_are_counted(answer: Any, passed: bool, text: str) -> None:
    feedback = check.clicks_needed(answer)
    assert passed == feedback.passed
    assert text in feedback.text


def test_nothing_is_checked_before_the_learner_has_done_anything() -> None:
    for name in ("calm_down", "patient_hedge", "clicks_needed"):
        assert getattr(check, name)(...).passed is None
