from __future__ import annotations

import re

import pytest

from llmlab.data import documents
from llmlab.pipeline.courtesies import courteous, opened


@pytest.mark.parametrize(
    "clause",
    [
        "That's a great question",
        "Thank you for reaching out to us",
        "Thanks, and have a great day",
        "I'd be glad to help",
        "Please let us know if you have any other questions",
        "I hope that clears things up",
        "Feel free to contact us if anything is unclear",
        "Don't hesitate to ask",
        "Should you have any questions, feel free to ask",
        "Sorry for the inconvenience",
        "Of course",
        "Here is the answer to your question",
        "To summarize",
        "Is there anything else I can help you with",
    ],
)
def test_what_is_said_to_the_person_is_a_courtesy(clause: str) -> None:
    assert courteous(clause)


@pytest.mark.parametrize(
    "clause",
    [
        "It is free",
        "You can get help",
        "Contact us by phone",
        "Contact us within 30 days",
        "Let me know if the motor is loud",
        "Let us know if you want a refund",
        "Sorry, returns are not possible",
        "Thanks to the warranty it is covered",
        "I hope you kept the receipt",
        "Of course it is covered",
        "Certainly not",
        "Feel free to return it",
        "We are happy to refund it",
        "Here is your refund of $5",
        "Ask the courier to leave it",
        "Sorry for 5 days",
        "",
    ],
)
def test_what_says_something_of_the_matter_is_none(clause: str) -> None:
    assert not courteous(clause)


def test_no_sentence_of_the_help_desk_is_a_courtesy_or_loses_its_beginning() -> None:
    said = [sentence for page in documents() for sentence in re.split(r"(?<=[.!?;])\s", page.text)]
    assert [] == [sentence for sentence in said if courteous(sentence.strip(".!?;")) or opened(sentence, 0, len(sentence))]


@pytest.mark.parametrize(
    ("text", "matter"),
    [
        ("Good question: it is free", "it is free"),
        ("Thanks for asking! In short: it is free", "it is free"),
        ("Of course, it is free", "it is free"),
        ("Short, cold rests are best", "Short, cold rests are best"),
        ("It is free. Happy to help", "It is free. Happy to help"),
        ("In short: ", "In short: "),
    ],
)
def test_the_matter_begins_behind_the_openings(text: str, matter: str) -> None:
    assert matter == text[opened(text, 0, len(text)) :]
