from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import llmlab
from llmlab.data import documents
from llmlab.errors import BadInput
from llmlab.pipeline.grounding import check
from llmlab.pipeline.grounding.check import MAX_ANSWER
from llmlab.pipeline.prompt import Document

WARRANTY = Document("warranty", "Warranty", "The Hearth has a warranty of 2 years. The motor is covered for 5 years.")
PRICES = Document("prices", "Prices", "The Hearth costs $549.")


def test_users_call_it_by_its_short_name() -> None:
    assert check is llmlab.grounding.check


def test_a_supported_claim_is_linked_to_its_sentence() -> None:
    answer = "Sure. It is $549 for a Hearth, and the motor is covered for 5 years."
    found = check(answer, sources=[WARRANTY, PRICES])
    assert (True, (), ()) == (found.supported, found.unsupported, found.findings)
    assert ["It is $549 for a Hearth", "the motor is covered for 5 years."] == [claim.text for claim in found.claims]
    assert all(claim.text == answer[claim.start : claim.end] for claim in found.claims)
    places = [(WARRANTY, PRICES)[claim.source].text[claim.source_start : claim.source_end] for claim in found.claims]
    assert ["The Hearth costs $549.", "The motor is covered for 5 years."] == places


def test_the_score_is_that_of_the_worst_claim() -> None:
    found = check("The Hearth costs $549. The Hearth costs $599.", sources=[PRICES])
    assert (found.score, [found.claims[1]]) == (min(claim.score for claim in found.claims), list(found.unsupported))
    assert [("claim", 23, 45)] == [(one.kind, one.start, one.end) for one in found.findings]


@pytest.mark.parametrize("answer", ["", " \n", "I don't know.", "I could not find that in the documents.", "!?"])
def test_an_answer_that_claims_nothing_is_supported(answer: str) -> None:
    found = check(answer, sources=[WARRANTY])
    assert (1.0, True, ()) == (found.score, found.supported, found.claims)


def test_without_sources_no_claim_is_supported() -> None:
    found = check("The Hearth costs $549.", sources=[])
    assert (0.0, None, "no source says anything like it") == (found.score, found.claims[0].source, found.claims[0].reason)


@pytest.mark.parametrize("sources", [[PRICES.text], [{"id": "prices", "text": PRICES.text}], [PRICES], (PRICES,), iter([PRICES])])
def test_sources_are_texts_mappings_or_objects(sources) -> None:
    assert check("The Hearth costs $549.", sources=sources).supported


def test_a_document_that_does_not_exist_is_a_finding_even_where_the_claim_is_true() -> None:
    found = check("The Hearth costs $549 [pricing].", sources=[PRICES])
    assert (False, True) == (found.supported, found.score <= 0.2)
    assert "there is no document 'pricing'" in [one.reason for one in found.findings]
    assert "it cites a document that does not exist" == found.claims[0].reason


def test_a_claim_is_held_to_the_document_that_it_cites() -> None:
    right, wrong = (check(f"The Hearth costs $549 [{name}].", sources=[WARRANTY, PRICES]) for name in ("prices", "warranty"))
    assert (True, ("prices",)) == (right.supported, right.claims[0].cited)
    assert "prices says it, and not the document that is cited" == wrong.unsupported[0].reason


@pytest.mark.parametrize(
    "answer",
    [
        "The Hearth costs $549. [prices] The motor is covered for 5 years. [warranty]",
        "The Hearth costs $549 [prices] and the motor is covered for 5 years [warranty].",
        "The Hearth costs $549 [2], and the motor is covered for 5 years [1].",
        "The motor is covered for 5 years, and the Hearth has a warranty of 2 years [warranty].",
        "The Hearth costs $549 [warranty, prices].",
        "Nobody knows [warranty].",
    ],
)
def test_a_citation_belongs_to_the_claim_before_it(answer: str) -> None:
    found = check(answer, sources=[WARRANTY, PRICES])
    assert ("Nobody" not in answer) is found.supported
    assert all(claim.cited for claim in found.claims)


def test_half_a_sentence_is_looked_up_without_its_citation() -> None:
    sources = [Document("feeding", "", "The Keeper does not feed: it reminds you; you do the feeding."), PRICES]
    found = check("It does not feed; you do the feeding [feeding].", sources=sources)
    assert [1.0] == [claim.score for claim in found.claims if "you" in claim.text]


def test_a_document_that_says_it_as_well_may_be_cited() -> None:
    again = Document("again", "", PRICES.text)
    assert check("The Hearth costs $549 [again].", sources=[PRICES, again]).supported


def test_a_quote_is_taken_at_its_word() -> None:
    right, wrong = (check(f'It says "the motor is covered for {n} years".', sources=[WARRANTY]) for n in (5, 6))
    assert (True, False) == (right.supported, wrong.supported)
    assert {"the quote is in no source"} == {one.reason for one in wrong.findings}


def test_the_threshold_is_for_the_caller_to_set() -> None:
    answer = "A Hearth sets you back $549."
    assert [True, False] == [check(answer, sources=[PRICES], threshold=threshold).supported for threshold in (0.0, 1.0)]


def test_what_is_too_long_is_checked_in_part_and_says_so() -> None:
    found = check("The Hearth costs $549. " * 220_000, sources=[PRICES])
    assert (0.0, MAX_ANSWER, False) == (found.score, found.claims[-1].start, found.supported)
    assert "only the first 100,000 characters" in found.claims[-1].reason


@pytest.mark.parametrize(
    "answer",
    ["9" * 99_999, "1," * 50_000, "[" * 99_999, '"a ' * 33_000, "(" * 50_000, "保" * 20_000, "no " * 33_000, "Go now [a]. " * 8_000],
)
def test_no_answer_takes_long_or_breaks_it(answer: str) -> None:
    assert 0 <= check(answer, sources=[page.text for page in documents()]).score <= 1


@given(st.text(max_size=200), st.lists(st.text(min_size=1, max_size=200), max_size=3), st.text(max_size=50))
def test_any_text_has_a_score_and_offsets_that_fit(answer: str, sources: list[str], question: str) -> None:
    found = check(answer, sources=sources, question=question)
    assert 0 <= found.score <= 1
    assert all(claim.text == answer[claim.start : claim.end] for claim in found.claims)
    assert all(0 <= claim.source_start <= claim.source_end <= len(sources[claim.source or 0]) for claim in found.claims if sources)


@given(st.sampled_from([page.text for page in documents()]))
def test_a_source_supports_itself(text: str) -> None:
    assert [] == [claim.reason for claim in check(text, sources=[text]).unsupported]


@pytest.mark.parametrize(
    "given",
    [
        {"answer": None, "sources": []},
        {"answer": b"text", "sources": []},
        {"answer": "text", "sources": "text"},
        {"answer": "text", "sources": [""]},
        {"answer": "text", "sources": [3]},
        {"answer": "text", "sources": None},
        {"answer": "text", "sources": [], "question": 3},
        {"answer": "text", "sources": [], "threshold": 1.5},
        {"answer": "text", "sources": [], "threshold": True},
        {"answer": "text", "sources": [], "threshold": "high"},
    ],
)
def test_misuse_is_refused(given: dict) -> None:
    with pytest.raises(BadInput):
        check(**given)
