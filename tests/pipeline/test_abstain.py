from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmlab.data.help_desk import cases, documents, retrieve, says_dont_know
from llmlab.errors import BadInput
from llmlab.pipeline.abstain import LONGEST_ADMISSION, Abstain, says_unknown
from llmlab.pipeline.prompt import as_documents
from llmlab.wire import phrasing

SENTENCES = [sentence for page in documents() for sentence in re.split(r"(?<=[.!?])\s", page.text)]
MORE = "If you tell me more, I will gladly try to help."


@pytest.mark.parametrize(
    "text",
    [
        "I don't know.",
        "I don’t know—the documents do not say.",
        "Sorry, but I could not find this in the documents.",
        "I'm sorry, but I don't have enough information to answer that.",
        "I do not know whether the Hearth, when used with the Cricket, is covered.",
        "I'm not sure if it is 2 years or 3 years.",
        "Unfortunately, the documents don't say what error E12 means. Please contact support.",
        "There is no information about this in the provided documents.",
        "Thanks for asking! I'm afraid I cannot answer that from the documents. Let me know if you need anything else.",
        "That is not covered by the documents. I can hand this to a colleague.",
        "The price of a filter is not specified in the documents.",
        "I could not find an answer to that [warranty]. You may want to contact us.",
        "This is not mentioned in the sources, so I can't say whether it is possible.",
        "I was not able to find that. Could you rephrase your question?",
        "The documents do not say when it ships, how long it takes, or what it costs.",
        "Based on the documents, I cannot determine the temperature.",
        "I can't say because the documents say nothing about it.",
    ],
)
def test_an_admission_says_that_it_does_not_know(text: str) -> None:
    assert says_unknown(text)


@pytest.mark.parametrize(
    "text",
    [
        "I don't know if you knew, but it is 2 years.",
        "I don't know if you are aware: returns are free.",
        "I do not know whether you noticed.",
        "I'm not sure, but I think it is 2 years.",
        "The warranty is 2 years. I don't know about the Cricket.",
        "The warranty is long, I'm not sure about the Cricket.",
        "The warranty is long and we do not know more.",
        "I do not know more and the warranty is long.",
        "I don't know the exact price; shipping costs $14.",
        "I don't know the price because it is different for each machine.",
        "Yes. I don't know more.",
        "I don't know. Call 555-0100.",
        "The documents do not say so (shipping is free).",
        "I could not find the fee, it is probably low.",
        "I don't know\nThe price is low",
        "I don't know - press the button.",
        "I don't know, hold the button.",
        "The documents do not say how, though you can return it.",
        "It takes 5 days.",
        "I can't help with that.",
        "Sorry!",
        "Please contact us.",
        "",
    ],
)
def test_an_answer_with_a_claim_or_without_an_admission_does_not(text: str) -> None:
    assert not says_unknown(text)


@pytest.mark.parametrize("words", [*phrasing._UNKNOWN, *phrasing._UNASKED])
def test_all_admissions_of_the_simulator_are_seen_whatever_stands_around_them(words: str) -> None:
    around = [f"{opener}{words} {closer}" for opener in phrasing.OPENERS for closer in ("", *phrasing.CLOSERS, MORE)]
    assert [] == [text for text in around if not says_unknown(text)]


@pytest.mark.parametrize(
    "joint", ["{}", "I don't know the rest. {}", "I'm not sure, but {}", "I'm not sure, {}", "I don't know: {}", "{} I'm not sure."]
)
def test_no_sentence_of_the_help_desk_is_lost_beside_an_admission(joint: str) -> None:
    assert [] == [text for sentence in SENTENCES if says_unknown(text := joint.format(sentence))]


def test_no_gold_answer_is_an_admission() -> None:
    assert [] == [case.answer for case in cases() if case.answer and says_unknown(case.answer)]


def test_what_is_long_says_more_than_that() -> None:
    assert says_unknown("I don't know. " * 70)
    assert not says_unknown("I don't know. " * 72)
    assert 70 * 14 <= LONGEST_ADMISSION < 72 * 14


@given(st.text(), st.lists(st.text(), max_size=3))
def test_its_own_words_are_an_admission_on_one_line_whatever_was_asked(question: str, titles: list[str]) -> None:
    given_ = as_documents([{"id": f"d{number}", "title": title, "text": "x"} for number, title in enumerate(titles)])
    text = Abstain().words(question, given_)
    assert says_unknown(text)
    assert says_dont_know(text)
    assert 1 == len(text.splitlines())


def test_its_own_words_are_an_admission_for_every_question_of_the_help_desk() -> None:
    said = [Abstain().words(case.question, as_documents(retrieve(case.question))) for case in cases()]
    assert [] == [text for text in said if not says_unknown(text)]


@pytest.mark.parametrize(
    ("fields", "titles", "expected"),
    [
        ({}, "", 'No. I had no pages to look at. Ask a person: "How much?"'),
        ({}, "A", 'No. I looked at "A". Ask a person: "How much?"'),
        ({}, "ABC", 'No. I looked at "A", "B". Ask a person: "How much?"'),
        ({"pages": 9}, "ABC", 'No. I looked at "A", "B", "C". Ask a person: "How much?"'),
        ({"pages": 0}, "AB", 'No. Ask a person: "How much?"'),
        ({"offer": ""}, "A", 'No. I looked at "A".'),
        ({"message": "{question}? No.", "offer": "", "pages": 0}, "A", "How much?? No."),
    ],
)
def test_it_says_what_was_looked_at_and_what_is_offered(fields: dict[str, Any], titles: str, expected: str) -> None:
    given_ = as_documents([{"id": f"d{number}", "title": title, "text": "x"} for number, title in enumerate(titles)])
    assert expected == Abstain(**{"message": "No.", "offer": 'Ask a person: "{question}"', **fields}).words("How much?", given_)


def test_a_document_without_a_title_goes_by_its_id() -> None:
    assert '"returns"' in Abstain().words("?", as_documents([{"id": "returns", "title": "", "text": "x"}]))


def test_a_question_is_quoted_on_one_line_and_cut() -> None:
    text = Abstain(offer="<{question}>").words('a\n "b" {question} ' + "c" * 500, ())
    assert f"<a 'b' {{question}} {'c' * 180}...>" == text[text.index("<") :]


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({"message": " "}, "message is a text that is not empty, and offer a text, not ' '"),
        ({"message": None}, "not None and"),
        ({"offer": None}, "and None"),
        ({"offer": "{answer}"}, r"may use \{question\}, not \{answer\}"),
        ({"pages": -1}, "pages is a whole number of at least 0, not -1"),
        ({"pages": True}, "not True"),
        ({"pages": 1.5}, "not 1.5"),
    ],
)
def test_what_is_no_wording_is_refused(fields: dict[str, Any], match: str) -> None:
    with pytest.raises(BadInput, match=match):
        Abstain(**fields)
