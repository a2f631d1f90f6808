from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import llmlab
from llmlab.data import grounding_probes, help_desk
from llmlab.errors import BadInput
from llmlab.pipeline.grounding import RELEVANT, Relevance, check, relevance
from llmlab.pipeline.grounding.relevance import MAX_QUESTION
from llmlab.pipeline.prompt import Document

SHIPPING = Document(
    "shipping",
    "Shipping",
    "Deliveries to Canada take 6 to 10 business days. Shipping a machine to Canada costs $40. Nothing is shipped on weekends."
    " Express shipping costs $18. Express shipping takes 2 business days and is offered for flour, but not for machines.",
)
RETURNS = Document(
    "returns",
    "Returns",
    "A machine can be returned within 45 days of delivery. Refurbished machines can be returned within 14 days of delivery."
    " A return label is not included with a gift; it costs $30. The box weighs 9 kg and is 16 inches tall. The oven heats to 400 °F."
    " The fan makes a noise of 48 dB. Your phone must be within 30 feet. Engraving is limited to 20 letters. Keep the receipt.",
)
TWO = "How long do deliveries to Canada take, and how much is shipping a machine to Canada?"
TIME, MONEY = "Deliveries to Canada take 6 to 10 business days.", "Shipping a machine to Canada costs $40."


def fit(question: str, answer: str, **more: Any) -> Relevance:
    return relevance(question, answer, sources=[SHIPPING, RETURNS], **more)


def test_users_call_it_by_its_short_name() -> None:
    assert relevance is llmlab.grounding.relevance


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("How long do deliveries to Canada take?", TIME),
        ("shipping a machine to canada, what is the price", MONEY),
        (TWO, f"{TIME} {MONEY}"),
        (TWO, "To Canada deliveries take 6 to 10 business days, and a machine costs $40."),
        ("Can you send a machine by express shipping?", "No, express shipping is offered for flour, but not for machines."),
        (
            "I'm unhappy with it. How long after delivery can a machine be returned?",
            "A machine can be returned within 45 days of delivery.",
        ),
        ("What does a return label cost?", "A return label is not included with a gift; it costs $30."),
        ("Where do I keep the receipt?", "Keep the receipt."),
    ],
)
def test_what_answers_the_question_and_all_of_it_has_nothing_against_it(question: str, answer: str) -> None:
    assert Relevance(score=1.0) == fit(question, answer)


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Can you send a machine by express shipping?", "Express shipping costs $18."),
        ("How long after delivery can a machine be returned?", "Express shipping takes 2 business days and is offered for flour."),
        ("Do you ship on weekends?", "Your phone must be within 30 feet."),
    ],
)
def test_a_true_sentence_about_something_else_does_not_answer(question: str, answer: str) -> None:
    found = fit(question, answer)
    assert found.score < RELEVANT
    assert "another sentence fits better" in found.reason
    assert (question.lower(),) == found.missing


@pytest.mark.parametrize(
    ("answer", "missing"),
    [(TIME, "how much is shipping a machine to canada?"), (MONEY, "how long do deliveries to canada take")],
)
def test_half_an_answer_leaves_the_other_half_missing(answer: str, missing: str) -> None:
    found = fit(TWO, answer)
    assert (True, (missing,)) == (found.score < RELEVANT, found.missing)
    assert missing in found.reason


@pytest.mark.parametrize(
    ("question", "kind", "answer"),
    [
        ("How long is the engraving?", "a length of time", "Engraving is limited to 20 letters."),
        ("How hot is the oven?", "a temperature", "The oven heats to 400 °F."),
        ("How loud is the fan?", "a level of noise", "The fan makes a noise of 48 dB."),
        ("How heavy is the box?", "a weight or a size", "The box weighs 9 kg and is 16 inches tall."),
        ("How far can my phone be?", "a distance", "Your phone must be within 30 feet."),
        ("What does the label cost?", "an amount of money", "A return label is not included with a gift; it costs $30."),
        ("How many letters are there for engraving?", "a number", "Engraving is limited to 20 letters."),
    ],
)
def test_what_is_asked_for_must_be_in_the_answer(question: str, kind: str, answer: str) -> None:
    assert kind == "a length of time" or 1.0 == fit(question, answer).score
    other = fit(question, "Keep the receipt." if kind != "a length of time" else answer)
    assert other.score < RELEVANT
    assert f"asks for {kind}" in other.reason


def test_a_sentence_that_begins_with_something_else_fits_less() -> None:
    question = "How long can a machine be returned after delivery?"
    assert fit(question, "A machine can be returned within 45 days of delivery.").score == 1.0
    assert "45 days" in fit(question, "Refurbished machines can be returned within 14 days of delivery.").reason


def test_what_is_said_in_other_words_is_judged_less_hard_than_what_repeats_another_sentence() -> None:
    question = "Can you send a machine by express shipping?"
    repeated, said = fit(question, "Express shipping costs $18."), fit(question, "The price for express shipping is $18, we think.")
    assert repeated.score < said.score < 1.0


def test_what_a_part_refers_to_counts_for_it() -> None:
    question = "Deliveries to Canada, please. How long do they take?"
    assert 1.0 == fit(question, TIME).score
    assert fit(question, "Express shipping takes 2 business days and is offered for flour, but not for machines.").score < 1.0


@pytest.mark.parametrize("answer", ["", "I don't know.", "Yes.", "I could not find that in the documents."])
def test_an_answer_that_claims_nothing_is_not_judged(answer: str) -> None:
    assert Relevance(score=1.0) == fit(TWO, answer)


@pytest.mark.parametrize("question", ["", "???", "Wie lange dauert das?", "hmm"])
def test_a_question_that_it_does_not_understand_is_not_judged(question: str) -> None:
    assert Relevance(score=1.0) == fit(question, TIME)


def test_without_documents_there_is_nothing_to_compare() -> None:
    assert Relevance(score=1.0) == relevance(TWO, TIME, sources=[])


def test_what_was_compared_before_need_not_be_again() -> None:
    grounding = check(MONEY, sources=[SHIPPING, RETURNS], question=TWO)
    assert fit(TWO, MONEY) == fit(TWO, MONEY, grounding=grounding)


def test_claims_that_were_found_in_other_documents_are_left_out() -> None:
    elsewhere = check("The moon is round.", sources=["x" * 500 + ". The moon is round."])
    assert Relevance(score=1.0) == fit(TWO, "The moon is round.", grounding=elsewhere)


def test_a_long_question_is_cut() -> None:
    assert fit("How much is express shipping? ", MONEY) == fit("How much is express shipping? ".ljust(MAX_QUESTION) + TWO, MONEY)


@pytest.mark.parametrize(("question", "answer"), [(7, "text"), ("text", 7)])
def test_what_is_no_text_is_refused(question: Any, answer: Any) -> None:
    with pytest.raises(BadInput, match="is a text, not int"):
        relevance(question, answer, sources=[SHIPPING])


@given(question=st.text(max_size=80), answer=st.text(max_size=80), source=st.text(min_size=1, max_size=120))
def test_any_texts_have_a_score_from_0_to_1_and_a_reason_where_it_is_less(question: str, answer: str, source: str) -> None:
    found = relevance(question, answer, sources=[source])
    assert 0.0 <= found.score <= 1.0
    assert (found.score == 1.0) == (found.reason == "") or found.score > 0.999
    assert found == relevance(question, answer, sources=[source])


@given(
    number=st.integers(min_value=0, max_value=95), page=st.integers(min_value=0, max_value=2), claims=st.integers(min_value=1, max_value=9)
)
def test_a_further_claim_makes_nothing_worse(number: int, page: int, claims: int) -> None:
    case = [case for case in help_desk.cases() if case.answerable][number]
    documents = help_desk.retrieve(case.question)
    answer = documents[page].text
    whole = check(answer, sources=documents)
    scores = [
        relevance(case.question, answer, sources=documents, grounding=replace(whole, claims=whole.claims[:many])).score
        for many in (claims, claims + 1)
    ]
    assert scores == sorted(scores)


def test_few_gold_answers_and_supported_probes_are_taken_for_none() -> None:
    cases = {case.id: case for case in help_desk.cases() if case.answerable}
    gold = [
        relevance(case.question, case.answer or "", sources=help_desk.retrieve(case.question)).score < RELEVANT for case in cases.values()
    ]
    whole = [
        relevance(probe.question, probe.answer, sources=probe.documents()).score < RELEVANT
        for probe in grounding_probes.probes()
        if probe.supported and not any(tag.startswith("two-") for tag in cases[probe.family].tags)
    ]
    assert sum(gold) / len(gold) <= 0.05
    assert sum(whole) / len(whole) <= 0.06
