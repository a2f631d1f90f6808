from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmlab.protocol.draws import uniform
from llmlab.wire import phrasing

SENTENCES = ("Express shipping costs $18.", "The refund takes 7 days.", "We do not ship to Guam.", "Keep the foam.")


def draw(seed: int) -> Callable[..., float]:
    return partial(uniform, seed)


def test_sentences_are_joined_to_as_few_as_asked_for() -> None:
    assert " ".join(SENTENCES) == phrasing.joined(SENTENCES, None) == phrasing.joined(SENTENCES, 4)
    assert "Express shipping costs $18; the refund takes 7 days. We do not ship to Guam; Keep the foam." == phrasing.joined(SENTENCES, 2)
    assert "Express shipping costs $18; the refund takes 7 days; we do not ship to Guam; keep the foam." == phrasing.joined(
        SENTENCES, 1, "please keep the foam"
    )


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("The fee is $5.", "the fee is $5."),
        ("Flour Club is free.", "Flour Club is free."),
        ("Flour is free.", "flour is free."),
        ("Hearth is free.", "Hearth is free."),
        ("It's free.", "it's free."),
        ("Free!", "Free!"),
        ("We", "we"),
    ],
)
def test_names_keep_their_capitals(sentence: str, expected: str) -> None:
    assert expected == phrasing.lowered(sentence, "we sell flour here")


def test_a_text_is_cut_at_a_clause_where_there_is_one() -> None:
    text = "Express shipping costs $18, whatever the value of the order is."
    assert text == phrasing.shortened(text, 11)
    assert "Express shipping costs $18." == phrasing.shortened(text, 6)
    assert "Express shipping costs." == phrasing.shortened(text, 3)


def test_citations_stand_before_the_full_stop() -> None:
    assert "It is free [fees]." == phrasing.cited("It is free.", "fees")
    assert "Is it? [fees]" == phrasing.cited("Is it?", "fees")


def test_the_words_of_the_prompt_are_said_if_it_has_any() -> None:
    assert "No idea." == phrasing.admission("No idea.", draw(0))
    asked = {phrasing.admission("", draw(seed)) for seed in range(40)}
    unasked = {phrasing.admission(None, draw(seed)) for seed in range(40)}
    assert (3, 2, 0) == (len(asked), len(unasked), len(asked & unasked))


@given(
    st.integers(0, 10_000),
    st.sampled_from([*SENTENCES, "The Hearth is never too hot.", "Ask Maria about it.", "Nice bread.", "It takes 1,450 W or 2.4 GHz."]),
)
def test_a_changed_fact_is_another_fact(seed: int, sentence: str) -> None:
    changed = phrasing.changed_fact(sentence, SENTENCES, draw(seed))
    assert sentence != changed
    assert changed == phrasing.changed_fact(sentence, SENTENCES, draw(seed))


@pytest.mark.parametrize(
    ("sentence", "others", "expected"),
    [
        ("We do not ship it.", (), {"We do ship it."}),
        ("It can ship.", (), {"It cannot ship."}),
        ("Ask our Maria now.", ("Ask the Carrier now.",), {"Ask our Carrier now."}),
        ("Nice bread.", (), {"Nice bread, at no extra cost."}),
    ],
)
def test_without_a_number_a_meaning_or_a_name_changes(sentence: str, others: tuple[str, ...], expected: set[str]) -> None:
    assert expected == {phrasing.changed_fact(sentence, others, draw(seed)) for seed in range(20)}


def test_a_changed_number_looks_like_a_number() -> None:
    changed = {phrasing.changed_fact("It costs $1,450 or 2.50.", (), draw(seed)) for seed in range(60)}
    assert {"It costs $2,900 or 2.50.", "It costs $1,450 or 5.00."} <= changed
    assert "It costs 7 now." in {phrasing.changed_fact("It costs 5 now.", ("Or 7.",), draw(seed)) for seed in range(20)}
    assert {phrasing.changed_fact("It is 1 now.", (), draw(seed)) for seed in range(60)} >= {"It is 2 now.", "It is 6 now."}
    assert "It is 10,000 now." != phrasing.changed_fact("It is 10,000 now.", (), draw(1))


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("How much does the blue lamp cost?", "$"),
        ("How long does delivery take?", "days"),
        ("How many people fit in?", "people fit"),
        ("Where is the switch?", " "),
        ("Who delivers the lamp?", " "),
        ("Why does E12 blink?", "blink"),
        ("How do I clean it?", "clean"),
        ("Is the lamp waterproof?", "Yes"),
        ("?", "Yes"),
    ],
)
def test_an_invention_is_confident_and_fits_the_question(question: str, expected: str) -> None:
    assert any(expected in phrasing.invention(question, draw(seed)) for seed in range(20))
    assert not any("{" in phrasing.invention(question, draw(seed)) for seed in range(20))


def test_json_is_spoiled_in_the_ways_of_models() -> None:
    text = json.dumps({"answer": 'It\'s "free"', "known": True, "citations": ["fees"]})
    spoiled = {phrasing.broken_json(text, draw(seed)) for seed in range(200)}

    def loads(value: str) -> bool:
        try:
            return json.loads(value) is not None
        except ValueError:
            return False

    assert not any(loads(value) for value in spoiled)
    assert any(value.startswith("```json\n") for value in spoiled)
    assert any(value.startswith("Here is the JSON") for value in spoiled)
    assert any(value.endswith(",}") for value in spoiled)
    assert any("'known': True" in value for value in spoiled)
    assert any("// the answer" in value for value in spoiled)
    assert any(text.startswith(value) for value in spoiled)


def test_openers_and_closers_vary() -> None:
    assert 6 == len({phrasing.pick(phrasing.OPENERS, draw(seed), "opener") for seed in range(100)})
    assert 3 == len({phrasing.pick(phrasing.CLOSERS, draw(seed), "closer") for seed in range(50)})
