from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

import llmlab
from llmlab.errors import AttemptTimeout, BadInput
from llmlab.pipeline.answer import Finding
from llmlab.pipeline.draft import Draft
from llmlab.pipeline.guardrails.verdict import Verdict, look
from llmlab.pipeline.trace import Seen, Trace


class Finds:
    def __init__(self, *rules: str) -> None:
        self.rules = rules

    def check(self, text: str, role: str = "user") -> list[Finding]:
        return [Finding("kind", rule, 0, 1, f"{rule} saw {text} by {role}") for rule in self.rules]


class Does(Finds):
    def __init__(self, action: str, *rules: str, roles: tuple[str, ...] = ("user",)) -> None:
        super().__init__(*rules)
        self.action, self.roles = action, roles


class Breaks:
    def __init__(self, on_error: str, error: Exception) -> None:
        self.on_error, self.error = on_error, error

    def check(self, text: str, role: str = "user") -> list[Finding]:
        raise self.error


class Judges:
    def check(self, text: str, role: str = "user") -> list[Finding]:
        raise AssertionError("a judge is asked instead")

    async def judge(self, text: str, role: str, ask: Any) -> list[Finding]:
        return [Finding("judged", "judge", 0, len(text), await ask([{"role": "user", "content": text}], seconds=1, keep=bool))]


async def answers(messages: Sequence[dict[str, str]], **how: Any) -> str:
    return f"read: {messages[0]['content']}"


def looked(*guards: Any, role: str = "user") -> Verdict:
    return llmlab.simulate(look(guards, "text", role, Verdict("question"), answers))


def test_all_guards_look_and_the_first_finding_is_the_reason() -> None:
    draft = Draft(Trace(), "v", text="x")
    verdict = looked(Finds(), Finds("a"), Finds("b", "a"))
    assert "blocked by a and b" == verdict.note
    assert not draft.take(verdict)
    assert ("blocked", "a saw text by user", "") == (draft.status, draft.reason, draft.text)
    assert ["a", "b", "a"] == [finding.rule for finding in draft.findings]


@pytest.mark.parametrize(("guards", "note"), [([], "none"), ([Finds()], "passed"), ([Does("block", "a", roles=("document",))], "none")])
def test_a_text_passes_where_nothing_is_found(guards: list[Any], note: str) -> None:
    draft = Draft(Trace(), "v", text="x")
    verdict = looked(*guards)
    assert note == verdict.note
    assert draft.take(verdict)
    assert ("ok", "x") == (draft.status, draft.text)


def test_an_action_says_what_becomes_of_a_finding() -> None:
    verdict = looked(Does("allow", "a"), Does("flag", "b"), Does("redact", "c"))
    assert "noted by a, flagged by b, redacted by c" == verdict.note
    assert ("ok", ["b", "c"], ["c"]) == (
        verdict.status,
        [one.rule for one in verdict.findings],
        [one.rule for one in verdict.redactions],
    )


def test_the_trace_is_told_everything_but_what_was_said() -> None:
    assert [Seen("question", "Does", "allow", "kind", "a", 0, 1)] == looked(Does("allow", "a")).seen


def test_a_guard_that_breaks_lets_nothing_pass_unless_it_is_open() -> None:
    closed = looked(Breaks("closed", ValueError("oops")), Does("flag", "b"))
    assert ("failed", "a guard crashed: ValueError: oops", "flagged by b, crashed: ValueError") == (
        closed.status,
        closed.reason,
        closed.note,
    )
    opened = looked(Breaks("open", ValueError("oops")), Does("flag", "b"))
    assert ("ok", "flagged by b, Breaks crashed and lets pass: ValueError") == (opened.status, opened.note)


def test_a_model_that_does_not_answer_is_a_guard_that_broke_and_misuse_is_raised() -> None:
    late = AttemptTimeout("timeout_deadline", "too late", retryable=False)
    assert "ok" == looked(Breaks("open", late)).status
    with pytest.raises(BadInput, match="not like this"):
        looked(Breaks("open", BadInput("not like this")))


def test_a_judge_asks_a_model() -> None:
    assert [Finding("judged", "judge", 0, 4, "read: text")] == looked(Judges()).findings
