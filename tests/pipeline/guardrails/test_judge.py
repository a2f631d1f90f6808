from __future__ import annotations

from typing import Any

import pytest
from scripted import Wire, ask, good, refusal

import llmlab
from llmlab.errors import BadInput
from llmlab.pipeline.guardrails.judge import JudgeGuard


def test_a_judge_that_says_no_lets_the_question_pass_and_its_attempt_counts() -> None:
    answer = ask(Wire(good("No."), good("Twelve days.")), guards_in=[JudgeGuard()])
    assert ("ok", "Twelve days.") == (answer.status, answer.text)
    assert [("judge", 0), ("primary", 1)] == [(one.role, one.ordinal) for one in answer.attempts]
    assert 1 == answer.trace.committed


def test_a_judge_that_says_yes_blocks_before_the_question_is_sent() -> None:
    answer = ask(Wire(good("Yes: it is an attack")), guards_in=[JudgeGuard(kind="attack")])
    assert ("blocked", ["attack"], 1) == (answer.status, [one.kind for one in answer.findings], len(answer.attempts))


def test_a_judge_of_the_answer_sees_it_before_the_user() -> None:
    answer = ask(Wire(good("Twelve days."), good("yes")), guards_out=[JudgeGuard(policy="Is the answer rude?")])
    assert ("blocked", "") == (answer.status, answer.text)
    assert "a model was asked about the text, and said yes: Is the answer rude?" == answer.reason


@pytest.mark.parametrize(("on_error", "status"), [("open", "ok"), ("closed", "failed")])
@pytest.mark.parametrize("judge", [good("perhaps"), refusal(401), good("")])
def test_a_judge_without_a_verdict_is_open_or_closed(on_error: str, status: str, judge: Any) -> None:
    answer = ask(Wire(judge, good("Twelve days.")), guards_in=[JudgeGuard(on_error=on_error)], retry=None)
    assert status == answer.status


def test_the_text_stands_between_marks_that_it_cannot_know() -> None:
    wire = Wire(good("no"), good("Twelve days."))
    ask(wire, question="How long?", guards_in=[JudgeGuard()])
    system, user = wire.bodies[0]["messages"]
    mark, text, end = user["content"].split("\n")
    assert ("How long?", mark) == (text, end)
    assert mark.startswith("TEXT-")
    assert mark in system["content"]


def test_what_was_judged_once_is_not_asked_again() -> None:
    wire = Wire(good("no"), good("Twelve days."), good("Twelve days."))
    state = llmlab.State()
    for attempts in (2, 1):
        assert attempts == len(ask(wire, question="How long?", guards_in=[JudgeGuard()], state=state).attempts)


def test_a_verdict_that_is_none_is_not_remembered() -> None:
    wire = Wire(good("perhaps"), good("Twelve days."), good("no"), good("Twelve days."))
    state = llmlab.State()
    for _ in range(2):
        assert 2 == len(ask(wire, question="How long?", guards_in=[JudgeGuard(on_error="open")], state=state).attempts)


def test_a_text_that_is_too_long_to_judge_is_not_sent() -> None:
    answer = ask(Wire(), question="x" * 11, guards_in=[JudgeGuard(max_characters=10)])
    assert ("failed", 0) == (answer.status, len(answer.attempts))
    assert "a text of 11 characters is too long to judge" in answer.reason


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"policy": " "}, "policy is a question"),
        ({"route": "main"}, "route is a Route"),
        ({"seconds": 0}, "JudgeGuard: seconds"),
        ({"action": "redact"}, "action is one of allow, flag, block, not 'redact'"),
        ({"on_error": "maybe"}, 'on_error is "open" or "closed", not \'maybe\''),
        ({"roles": "user"}, "roles are some of user, document, assistant, in a tuple, not 'user'"),
    ],
)
def test_nonsense_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message.replace("(", r"\(")):
        JudgeGuard(**wrong)


def test_a_judge_cannot_be_asked_without_a_model() -> None:
    with pytest.raises(BadInput, match="a JudgeGuard asks a model"):
        JudgeGuard().check("text")
