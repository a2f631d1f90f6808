from __future__ import annotations

import re
from typing import Any

import pytest

import llmlab
from llmlab.evals.detection import threshold_for
from llmlab.notebook.guardrails import curve_of
from llmlab.pipeline.answer import Finding

check = llmlab.check
WHOSE = r"\b(your|hidden|whole|secret|confidential)( \w+){0,2} (prompt|instructions|rules|directions)\b(?! for)"


@pytest.mark.parametrize("answer", [WHOSE, re.compile(WHOSE), lambda text: re.search(WHOSE, text)], ids=["text", "pattern", "function"])
def test_a_rule_that_says_whose_rules_passes(answer: Any) -> None:
    feedback = check.a_rule(answer)
    assert feedback.passed
    assert "By families: " in feedback.text


@pytest.mark.parametrize(
    ("answer", "text", "hint"),
    [
        (5, "is needed, not int", "For example"),
        ("(", "no regular expression", "Begin with one phrase"),
        ("you", "On the open half it stops: ", "Whose rules"),
        ("canary string|debugging", "it catches 0 (open half: 2 of 12)", "by heart"),
        ("zebra", "it catches 0 (open half: 0 of 12)", "Which words"),
    ],
)
def test_a_rule_that_does_not_do_is_explained(answer: Any, text: str, hint: str) -> None:
    feedback = check.a_rule(answer)
    assert feedback.passed is False
    assert text in feedback.text
    assert hint in feedback.hint


@pytest.mark.parametrize(
    ("answer", "text", "hint"),
    [
        ("high", "score above 0", "curve_of"),
        (True, "score above 0", "curve_of"),
        (0, "score above 0", "curve_of"),
        (0.05, "1 in 200 allows none", "leave a margin"),
        (1.0, "could be caught", "A smaller margin"),
    ],
)
def test_a_threshold_that_does_not_do_is_explained(answer: Any, text: str, hint: str) -> None:
    feedback = check.a_threshold(answer)
    assert feedback.passed is False
    assert text in feedback.text
    assert hint in feedback.hint


def test_a_threshold_without_a_false_alarm_passes_and_is_told_what_it_does_not_show() -> None:
    feedback = check.a_threshold(threshold_for(curve_of("held"), 1 / 200))
    assert feedback.passed
    assert "598 harmless texts in a row" in feedback.text


class Numbers:
    """The guard that is asked for."""

    action = "block"
    whole = re.compile(r"\bCW-\d{6}\b")
    begun = re.compile(r"\bC(?:W(?:-\d{0,6})?)?\Z")

    def check(self, text: str, role: str = "assistant") -> list[Finding]:
        return [Finding("order_number", "order", *match.span(), "an order number") for match in self.whole.finditer(text)]

    def open_from(self, text: str) -> int:
        match = self.begun.search(text)
        return match.start() if match else len(text)


class Redacting(Numbers):
    action = "redact"


class Loose(Numbers):
    whole = re.compile(r"CW.\d{5,}")


class Hasty(Numbers):
    def open_from(self, text: str) -> int:
        return len(text)


class Impatient(Numbers):
    begun = re.compile(r"\bC(?:W(?:-\d{0,5})?)?\Z")


class Timid(Numbers):
    def open_from(self, text: str) -> int:
        return max(0, len(text) - 120)


class Backward(Numbers):
    def open_from(self, text: str) -> int:
        return len(text) + 1


class Crashing(Numbers):
    def check(self, text: str, role: str = "assistant") -> list[Finding]:
        if text.endswith("CW-2"):
            raise ZeroDivisionError
        return super().check(text, role)

    def open_from(self, text: str) -> int:
        return len(text) if text.endswith("CW-2") else super().open_from(text)


@pytest.mark.parametrize("answer", [Numbers(), Numbers, Redacting()])
def test_a_guard_with_one_verdict_at_every_split_passes(answer: Any) -> None:
    feedback = check.order_numbers(answer)
    assert feedback.passed, feedback
    assert "at most 9 characters held" in feedback.text


@pytest.mark.parametrize(
    ("answer", "text", "hint"),
    [
        (5, "has no check", "A class with"),
        (Loose(), "'CW-5550012'", "six digits"),
        (Hasty(), "lets CW-204816 through", "is open"),
        (Impatient(), "the user sees", "until then it is open"),
        (Timid(), "It holds back 'We bake on Mondays.'", "nothing is open"),
        (Backward(), "pen_from(", "at most 120 characters"),
        (Crashing(), "a guard crashed: ZeroDivisionError", "take any text"),
    ],
)
def test_a_guard_that_does_not_do_is_explained(answer: Any, text: str, hint: str) -> None:
    feedback = check.order_numbers(answer)
    assert feedback.passed is False
    assert text in feedback.text
    assert hint in feedback.hint


def test_nothing_is_checked_before_the_learner_has_done_anything() -> None:
    for name in ("a_rule", "a_threshold", "order_numbers"):
        assert getattr(check, name)(...).passed is None
