from __future__ import annotations

import pytest

from llmlab.wire.finding import Document, find, sentences, stem, stems

SHIPPING = Document(
    "shipping",
    "What shipping costs",
    "Standard shipping is free from $60. Express shipping costs $18, whatever the value of the order. We do not ship to Puerto Rico.",
)
RETURNS = Document(
    "returns",
    "Returning a machine",
    "A machine can be returned within 45 days of delivery. The refund is made within 7 business days. Keep the foam.",
)
BOTH = (SHIPPING, RETURNS)


def best(question: str) -> str:
    return find(BOTH, question).ranked[0].text


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("How much is express shipping?", "Express shipping costs $18, whatever the value of the order."),
        ("do you ship to puerto rico", "We do not ship to Puerto Rico."),
        ("Until when can I return a machine?", "A machine can be returned within 45 days of delivery."),
        ("How long does a refund take?", "The refund is made within 7 business days."),
        ("price of expres shiping", "Express shipping costs $18, whatever the value of the order."),
    ],
)
def test_the_sentence_that_answers_is_found(question: str, answer: str) -> None:
    assert answer == best(question)


def test_a_question_in_two_parts_finds_both_answers() -> None:
    found = find(BOTH, "How much is express shipping, and how long does a refund take?")
    texts = [found.ranked[0].text, *(sentence.text for sentence, _ in found.also)]
    assert "Express shipping costs $18, whatever the value of the order." in texts[:2]
    assert "The refund is made within 7 business days." in texts[:3]
    assert [use for _, use in found.also] == sorted((use for _, use in found.also), reverse=True)


def test_it_is_surer_of_what_the_documents_hold() -> None:
    assert find(BOTH, "How much is express shipping?").sure > 0.5
    assert find(BOTH, "Which quantum computer should my grandmother buy?").sure < 0.33
    assert find(BOTH, "Which carrier does express shipping?").sure < find(BOTH, "Is there express shipping?").sure


def test_nothing_is_found_in_nothing() -> None:
    assert ((), (), 0.0) == (find((), "Why?").ranked, find((), "Why?").also, find((), "Why?").sure)
    assert () == find((Document("a", "b", ""),), "Why?").ranked


def test_a_question_without_a_word_is_no_reason_to_fail() -> None:
    assert find(BOTH, "???").ranked
    assert find(BOTH, "").ranked


def test_ties_go_to_the_earlier_sentence() -> None:
    same = (Document("a", "", "Alpha is here. Beta is here."), Document("b", "", "Alpha is here. Beta is here."))
    assert (0, 0) == find(same, "Alpha?").ranked[0][2:4]


def test_sentences_end_where_they_end() -> None:
    text = 'It costs $1.50, e.g. in Ohio. "Really?" No. 5 is free!\nA new line'
    assert ("It costs $1.50, e.g. in Ohio.", '"Really?"', "No. 5 is free!", "A new line") == sentences(text)
    assert () == sentences("")


def test_words_are_cut_to_a_crude_stem() -> None:
    assert stem("returned") == stem("returns") == stem("returning")
    assert stem("price") == stem("cost") == stem("fees")
    assert "starter" == stem("starter")
    assert frozenset() == stems("What is it that you have?")
    assert stems("It's 1.5 l") == {"1.5", "l"}
