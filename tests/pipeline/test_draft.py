from __future__ import annotations

from typing import Any

import pytest
from scripted import Wire, ask, good

from llmlab.errors import BadInput
from llmlab.pipeline.answer import Finding
from llmlab.pipeline.draft import Draft
from llmlab.pipeline.trace import Trace


class Finds:
    def __init__(self, *rules: str) -> None:
        self.rules = rules

    def check(self, text: str, role: str = "user") -> list[Finding]:
        return [Finding("kind", rule, 0, 1, f"{rule} saw {text} by {role}") for rule in self.rules]


class Crashes:
    def __init__(self, error: Exception) -> None:
        self.error = error

    def check(self, text: str, role: str = "user") -> list[Finding]:
        raise self.error


def test_all_guards_look_and_the_first_finding_is_the_reason() -> None:
    draft = Draft(Trace(), "v", text="x")
    assert "blocked by a and b" == draft.guard([Finds(), Finds("a"), Finds("b", "a")], "text", "user")
    assert ("blocked", "a saw text by user", "") == (draft.status, draft.reason, draft.text)
    assert ["a", "b", "a"] == [finding.rule for finding in draft.findings]


@pytest.mark.parametrize(("guards", "note"), [([], "none"), ([Finds()], "passed")])
def test_a_text_passes_where_nothing_is_found(guards: list[Any], note: str) -> None:
    draft = Draft(Trace(), "v", text="x")
    assert note == draft.guard(guards, "text", "user")
    assert ("ok", "x") == (draft.status, draft.text)


def test_what_a_guard_could_not_look_at_does_not_pass() -> None:
    answer = ask(Wire(good()), guards_in=[Crashes(KeyError("oops"))])
    assert ("failed", "a guard crashed: KeyError: 'oops'", ()) == (answer.status, answer.reason, answer.attempts)
    answer = ask(Wire(good()), guards_out=[Crashes(KeyError("oops"))])
    assert ("failed", "", 1) == (answer.status, answer.text, len(answer.attempts))
    assert "crashed: KeyError" == answer.trace.stages[-1].note


def test_misuse_that_a_stage_finds_is_raised() -> None:
    with pytest.raises(BadInput, match="not like this"):
        ask(Wire(good()), guards_in=[Crashes(BadInput("not like this"))])
