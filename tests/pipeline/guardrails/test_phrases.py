from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmlab.data.help_desk import cases, documents
from llmlab.errors import BadInput
from llmlab.pipeline.answer import Finding
from llmlab.pipeline.guardrails import PhraseGuard, Streaming

from .streaming_law import holds

GUARD = PhraseGuard(phrases=("bad", "bad dog", "don't bother", "Straße", "!!!", "a a"))


def said(text: str, guard: PhraseGuard = GUARD) -> list[str]:
    return [text[found.start : found.end] for found in guard.check(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A bad idea", ["bad"]),
        ("BAD", ["BAD"]),
        ("badly, embad, bad_1, 7bad", []),
        ("bad-tempered (bad)", ["bad", "bad"]),
        ("a bad \n\t dog", ["bad \n\t dog"]),
        ("bad" + " " * 113 + "dog", ["bad" + " " * 113 + "dog"]),
        ("bad" + " " * 115 + "dog", ["bad"]),
        ("Don’t bother", ["Don’t bother"]),
        ("STRASSE, ßtraße, straße", ["STRASSE", "straße"]),
        ("ßß bad ß", ["bad"]),
        ("wow!!! no!!", ["!!!"]),
        ("a a a", ["a a", "a a"]),
        ("\ud800 bad", ["bad"]),
        ("", []),
    ],
)
def test_phrases_are_whole_words_in_any_case_with_any_space_between(text: str, expected: list[str]) -> None:
    assert expected == said(text)


def test_a_finding_says_which_phrase_it_is() -> None:
    assert [Finding("blocked_phrase", "blocked_phrase.bad-dog", 2, 9, "it says 'bad dog'")] == GUARD.check("A Bad Dog")


@given(st.lists(st.sampled_from(["bad", "dog", " ", "don", "'", "t", "bother", "ba", "!", "ß", "STRASSE", "a", "x" * 60, "\n", "İ"])))
def test_phrases_keep_the_promises_of_streaming(parts: list[str]) -> None:
    holds(GUARD, "".join(parts))


def test_words_that_begin_no_phrase_are_released_at_once() -> None:
    assert isinstance(GUARD, Streaming)
    assert [3, 0, 0, 0, 4] == [GUARD.open_from(text) for text in ("xyz", "ba", "bad", "bad ", "bad ")[:4]] + [GUARD.open_from("bad,")]


@pytest.mark.parametrize("text", ["bad " * 50_000, "x" * 200_000, "a " * 100_000, "!" * 200_000, "bad" + " " * 200_000])
def test_a_long_text_is_no_trouble(text: str) -> None:
    assert GUARD.open_from(text) >= len(text) - 120
    GUARD.check(text)


def test_off_brand_words_are_found_and_the_help_desks_own_are_not() -> None:
    rude = "Ugh, seriously? It's all in the manual, which you obviously didn't bother to read. LOL!!!"
    assert ["tone.ugh", "tone.seriously?", "tone.you-obviously", "tone.didn't-bother", "tone.lol", "tone.!!!"] == [
        found.rule for found in PhraseGuard.tone().check(rude)
    ]
    assert ["policy.we-guarantee"] == [found.rule for found in PhraseGuard.promises().check("We guarantee it.")]
    for guard in (PhraseGuard.tone(), PhraseGuard.promises()):
        assert ("assistant",) == guard.roles
        assert [] == [found for page in documents() for found in guard.check(page.text)]
        assert [] == [found for case in cases() for found in guard.check(case.question)]


def test_a_ready_list_takes_more_phrases_and_other_fields() -> None:
    guard = PhraseGuard.tone("dude", action="flag")
    assert ("flag", ["dude"]) == (guard.action, said("Hey dude", guard))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"phrases": "bad"}, "phrases are several texts, as in a tuple, not 'bad'"),
        ({"phrases": ()}, "phrases are several texts"),
        ({"phrases": 7}, "phrases are several texts"),
        ({"phrases": ("bad", " ")}, "phrases are texts, and ' ' is none"),
        ({"phrases": ("bad", 7)}, "phrases are texts, and 7 is none"),
        ({"phrases": ("x" * 121,)}, "a phrase has at most 120 characters"),
        ({"phrases": ("bad",), "kind": ""}, "kind is a text"),
    ],
)
def test_a_list_that_is_none_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        PhraseGuard(**fields)
