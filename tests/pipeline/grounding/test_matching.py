"""One difference a case: what the source says, what the claim says, and what is named as the reason."""

from __future__ import annotations

import pytest

from llmlab.pipeline.grounding import check
from llmlab.pipeline.grounding.check import THRESHOLD

PLANS = "The Table plan brings 4 kg of flour a month for $26. The Feast plan brings 8 kg of flour a month for $46."
MACHINES = "The Hearth bakes loaves of up to 1,000 g and costs $549. The Cricket bakes loaves of up to 500 g and costs $329."
DIALS = "Hold the dial for 5 seconds to pair the machine. Hold the dial for 15 seconds to forget the network."


@pytest.mark.parametrize(
    ("source", "claim", "reason"),
    [
        (PLANS, "The Table plan brings 5 kg of flour a month.", "5 kg is in no source; the source says 4 kg"),
        (PLANS, "The Table plan brings 4 g of flour a month.", "4 g is in no source; the source says 4 kg"),
        (PLANS, "The Table plan brings 4 kg of flour a week.", "1 week is in no source"),
        (PLANS, "The Table plan brings 8 kg of flour for $46.", "something else"),
        (MACHINES, "The Cricket costs $549.", "549 $ is said of something else"),
        (MACHINES, "The Kiln bakes loaves of up to 500 g.", "Kiln is in no source that fits"),
        (
            "We pay $90 for a working Cricket and $20 for a broken one.",
            "We pay $20 for a working Cricket.",
            "20 $ is said of something else",
        ),
        ("Only machines bought here can go back.", "The Hearth can go back.", "Hearth"),
        ("Flour cannot be returned.", "Flour can be returned.", 'the source denies "returned"'),
        ("Flour can be returned.", "Flour cannot be returned.", 'it denies "returned"'),
        ("Send flour but not machines overseas.", "Send machines but not flour overseas.", "it denies"),
        ("The lid must be open during Burn-In.", "The lid must be closed during Burn-In.", 'the opposite: "open", not "closed"'),
        ("Ask at least 7 days before the ship date.", "Ask at least 7 days after the ship date.", '"before", not "after"'),
        ("You need more than 5 kg of salt.", "You need less than 5 kg of salt.", '"more", not "less"'),
        ("The rate is at most 5 calls.", "The rate is at least 5 calls.", '"most", not "least"'),
        (
            "Machines can go back even if you baked with them.",
            "Machines can go back unless you baked with them.",
            "is another one",
        ),
        (
            "The blue ring means that the network is lost. The red ring means heat.",
            "The blue ring means that the heat is lost.",
            'the source says "network", not "heat"',
        ),
        ("The Hearth comes in oat and slate. Moss is for pots.", "The Hearth comes in oat, slate and moss.", '"moss" is not in this'),
        (
            "A new pan and a set of foam cost $15. A label costs $30.",
            "A new pan and a set of foam cost $30.",
            "30 $ is said of something else",
        ),
        ("Bread is baked daily.", "Quantum physics explains gravity.", "no source says anything like it"),
        ("Bread is baked by hand in the old town.", "Bread dances nightly among purple elephants.", "too few"),
    ],
)
def test_a_claim_that_differs_in_one_thing_is_not_supported_and_the_reason_names_it(source: str, claim: str, reason: str) -> None:
    found = check(claim, sources=[source])
    assert not found.supported
    assert reason in " ".join(one.reason for one in found.claims)


@pytest.mark.parametrize(
    ("source", "claim"),
    [
        (PLANS, "Table is four kilos each month for twenty-six dollars."),
        (PLANS, "You get 48 kg of flour."),
        (MACHINES, "The Cricket costs $329."),
        (DIALS, "Press the dial for 15 seconds to forget the network."),
        ("Covered for 1 year.", "It is covered for twelve months."),
        ("The Nibble plan costs $14. Boxes to Alaska cost $6 more.", "In all it is $20: $14 for the plan and $6 for boxes to Alaska."),
        ("Keep 4 inches of space at the sides and 8 inches above, where steam leaves.", "Leave 4 inches around it and 8 above."),
        ("The recieved parcel counts as lost.", "The received parcel counts as lost."),
        ("The bread rises slowly.", "The bread rises SLOWLY!"),
        ("这台机器保修两年。", "机器保修两年。"),
    ],
)
def test_a_faithful_claim_is_supported(source: str, claim: str) -> None:
    assert ("48" not in claim) is check(claim, sources=[source]).supported


def test_the_words_of_the_question_are_no_news() -> None:
    source = "The emir lived in Paris, the capital of France, until he died."
    alone, asked = (
        check("The exiled general lived in Paris.", sources=[source], question=text).score for text in (None, "exiled general?")
    )
    assert alone < asked


def test_a_value_of_the_question_that_the_source_does_not_have_is_a_doubt_and_no_more() -> None:
    found = check(
        "Orders of $50 cost extra to ship.", sources=["Orders under $60 cost extra to ship."], question="I spend $50, is it free?"
    )
    assert (True, "50 $ is in the question, and not in the source") == (found.supported, found.claims[0].reason)


def test_a_value_of_the_question_does_not_stand_for_another_in_the_words_of_the_source() -> None:
    found = check(
        "The mill has a warranty of 1 year.", sources=["The mill has a warranty of 2 years."], question="Is it covered for 1 year?"
    )
    assert "1 year is in no source; the source says 2 year" == found.unsupported[0].reason


def test_another_sentence_that_fits_the_question_better_casts_doubt() -> None:
    sources = ["The Hearth has a warranty of 2 years.", "The Millstone grain mill has a warranty of 3 years."]
    question = "How long is the warranty of the Millstone grain mill?"
    scores = [check(f"It has a warranty of {years} years.", sources=sources, question=question).score for years in (2, 3)]
    assert scores[0] < THRESHOLD < scores[1]


@pytest.mark.parametrize(
    ("answer", "supported"), [("Paris", True), ("London", False), ("1846", True), ("1847", False), ("Arthur's Magazine", True)]
)
def test_an_answer_of_one_or_two_words_is_supported_where_it_occurs(answer: str, supported: bool) -> None:
    source = "Arthur's Magazine was an American periodical, published in Paris until 1846."
    assert supported is check(answer, sources=[source], question="Which one was it?").supported
