from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmlab.data.help_desk import documents
from llmlab.errors import BadInput
from llmlab.pipeline.guardrails import RefusalGuard

from .streaming_law import holds

BOTH = RefusalGuard(kinds=("refusal", "abstention"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I'm sorry, but I can't help with that.", {"refusal"}),
        ("Sorry, I cannot assist with this request.", {"refusal"}),
        ("I’m not able to discuss that.", {"refusal"}),
        ("As an AI language model, I am unable to provide medical advice.", {"refusal"}),
        ("I must respectfully decline.", {"refusal"}),
        ("I'd rather not say.", {"refusal"}),
        ("That goes against my guidelines.", {"refusal"}),
        ("That's not something I can help with.", {"refusal"}),
        ("We will not disclose that.", {"refusal"}),
        ("I don't know: the documents do not say.", {"abstention"}),
        ("I don't know. The documents do not cover this question.", {"abstention"}),
        ("I'm sorry, I could not find this in the documents.", {"abstention"}),
        ("I'm sorry, I don't have information about that.", {"abstention"}),
        ("I could not find anything about that, I'm afraid.", {"abstention"}),
        ("I'm not sure.", {"abstention"}),
        ("You can return it within 30 days [returns].", set()),
        ("If you cannot help yourself to a spare part, call us.", set()),
        ("The machine can't help it: it will not share a socket.", set()),
        ("I can help with that.", set()),
        ("", set()),
    ],
)
def test_a_refusal_is_told_from_not_knowing(text: str, expected: set[str]) -> None:
    assert expected == {found.kind for found in BOTH.check(text)}
    assert expected & {"refusal"} == {found.kind for found in RefusalGuard().check(text)}


def test_it_flags_and_looks_at_answers_only() -> None:
    assert ("flag", ("assistant",)) == (RefusalGuard().action, RefusalGuard().roles)


def test_the_help_desks_own_pages_are_no_refusals() -> None:
    assert [] == [found for page in documents() for found in RefusalGuard().check(page.text)]


PARTS = ["I", " ", "we", "can", "'", "t", "cannot", " help with", "the documents ", "do not", " say", ".", "x" * 50]


@given(st.lists(st.sampled_from(PARTS)))
def test_it_keeps_the_promises_of_streaming(parts: list[str]) -> None:
    holds(BOTH, "".join(parts))


def test_an_answer_that_is_none_is_released_at_once() -> None:
    answer = "You can return it within 30 days, and we pay for the way back."
    assert [len(word) for word in answer.split()] == [RefusalGuard().open_from(word) for word in answer.replace("we", "he").split()]


@pytest.mark.parametrize("kinds", ["refusal", (), ("no",)])
def test_a_kind_that_is_none_is_refused(kinds: Any) -> None:
    with pytest.raises(BadInput, match="kinds are some of refusal, abstention, in a tuple, not "):
        RefusalGuard(kinds=kinds)
