from __future__ import annotations

import pytest

from llmlab.pipeline.grounding.words import OPPOSITE, SYNONYMS, stem


@pytest.mark.parametrize(
    ("word", "other"), [("shipped", "shipping"), ("refunds", "refunded"), ("carries", "carry"), ("boxes", "box"), ("cost", "costs")]
)
def test_forms_of_a_word_have_one_stem(word: str, other: str) -> None:
    assert stem(word) == stem(other)


@pytest.mark.parametrize("word", ["gas", "köche", "e5", "保修"])
def test_short_words_and_those_of_other_languages_stay(word: str) -> None:
    assert word == stem(word)


@pytest.mark.parametrize("table", [OPPOSITE, SYNONYMS])
def test_what_is_the_opposite_or_the_same_is_so_in_both_directions(table: dict[str, tuple[str, ...]]) -> None:
    assert all(word in table[other] for word, others in table.items() for other in others)
    assert not any(word in others for word, others in table.items())
