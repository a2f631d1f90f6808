from __future__ import annotations

from typing import Any

import pytest

import llmlab
from llmlab.errors import BadInput
from llmlab.pipeline.answer import Finding
from llmlab.pipeline.guardrails.base import Guard


def test_a_length_guard_lets_pass_what_is_short_enough() -> None:
    assert [] == llmlab.LengthGuard(max_characters=5).check("Hello")


def test_a_length_guard_marks_what_is_too_much() -> None:
    reason = "the question has 6 characters, and 5 are allowed"
    assert [Finding("too_long", "length.max", 5, 6, reason)] == llmlab.LengthGuard(max_characters=5).check("Hello!")


@pytest.mark.parametrize(("role", "what"), [("user", "the question"), ("assistant", "the answer"), ("other", "the text")])
@pytest.mark.parametrize("text", ["", " \n\t "])
def test_what_is_no_text_does_not_pass(text: str, role: str, what: str) -> None:
    assert [Finding("empty", "length.empty", 0, len(text), f"{what} is empty")] == llmlab.LengthGuard().check(text, role=role)


def test_a_length_guard_counts_characters_and_no_bytes() -> None:
    assert [] == llmlab.LengthGuard(max_characters=2).check("東京")


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "9", None])
def test_a_length_is_a_whole_number_of_at_least_one(value: Any) -> None:
    with pytest.raises(BadInput, match="max_characters is a whole number of at least 1, not "):
        llmlab.LengthGuard(max_characters=value)


def test_anything_with_a_check_is_a_guard() -> None:
    class Mine:
        def check(self, text: str, role: str = "user") -> list[Finding]:
            return []

    assert isinstance(Mine(), Guard)
    assert not isinstance(object(), Guard)
