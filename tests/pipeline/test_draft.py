from __future__ import annotations

import pytest
from scripted import Wire, ask, good

from llmlab.errors import BadInput
from llmlab.pipeline.answer import Finding


class Crashes:
    def __init__(self, error: Exception) -> None:
        self.error = error

    def check(self, text: str, role: str = "user") -> list[Finding]:
        raise self.error


def test_what_a_guard_could_not_look_at_does_not_pass() -> None:
    answer = ask(Wire(good()), guards_in=[Crashes(KeyError("oops"))])
    assert ("failed", "a guard crashed: KeyError: 'oops'", ()) == (answer.status, answer.reason, answer.attempts)
    answer = ask(Wire(good()), guards_out=[Crashes(KeyError("oops"))])
    assert ("failed", "", 1) == (answer.status, answer.text, len(answer.attempts))
    assert "crashed: KeyError" == answer.trace.stages[-1].note


def test_misuse_that_a_stage_finds_is_raised() -> None:
    with pytest.raises(BadInput, match="not like this"):
        ask(Wire(good()), guards_in=[Crashes(BadInput("not like this"))])
