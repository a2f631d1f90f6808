"""What turns a sentence round though its words stay: small cases, and every sentence of the help desk."""

from __future__ import annotations

import re

import pytest

from llmlab.data import documents
from llmlab.pipeline.grounding import check

UNLESS = "The fee of an order is not refunded, unless the mistake was ours."
PRICES = re.compile(r"\b(?:free|fee|includ|cover|waive|cost)", re.IGNORECASE)
SAID = [(page, sentence) for page in documents() for sentence in re.split(r"(?<=[.!?])\s", page.text)]


@pytest.mark.parametrize(
    ("source", "claim", "reason"),
    [
        (UNLESS, "The fee of an order is refunded, unless the mistake was ours.", 'the source denies "refunded"'),
        (UNLESS, "The fee of an order is not refunded, even if the mistake was ours.", "is another one"),
        (UNLESS, "The fee of an order is not refunded, whether the mistake was ours or not.", "is another one"),
        ("It can be set in the app only.", "It cannot be set in the app only.", 'it denies "set"'),
        ("It can only be set in the app.", "It can also be set in the app.", '"only", and the other "also"'),
        ("A part counts as lost, and no repair brings it back.", "Every repair brings it back.", 'the source denies "repair"'),
        ("It reminds you, but does not feed the starter.", "It does not remind you, but does feed the starter.", 'it denies "remind"'),
        ("The line is open 24 hours a day.", "It is not open 24 hours a day.", 'it denies "open"'),
        ("The first repair of a motor is quick.", "Every repair of a motor is quick.", 'does not say "Every"'),
        ("Charges from us appear on your statement.", "Charges from us appear on your statement, at no extra cost.", "costs nothing"),
        ("Colors can be changed. Labels are free.", "Colors can be changed free of charge.", "costs nothing"),
        ("Boxes of bread ship within 2 days.", "Boxes of bread always ship within 2 days.", 'does not say "always"'),
        ("Boxes of bread can be sent by mail.", "Boxes of bread can only be sent by mail.", 'does not say "only" of "sent"'),
    ],
)
def test_a_sentence_that_is_turned_round_is_not_supported_and_the_reason_names_it(source: str, claim: str, reason: str) -> None:
    found = check(claim, sources=[source])
    assert not found.supported
    assert reason in " ".join(one.reason for one in found.claims)


@pytest.mark.parametrize(
    ("source", "claim"),
    [
        (UNLESS, "The fee is refunded only if the mistake was ours."),
        ("Machines can be returned only if faulty.", "Machines cannot be returned unless faulty."),
        ("It is not off for machines, but for parts.", "It is off for parts; a machine is excluded."),
        ("A pause costs nothing. A pause lasts 3 months at most.", "A pause lasts up to 3 months and costs nothing."),
        ("A plan can be ended, without a fee.", "A plan can be ended free of charge."),
        ("Labels are included. Colors can be changed in the app.", "Colors can be changed in the app, labels free of charge."),
    ],
)
def test_what_says_the_same_in_other_words_is_supported(source: str, claim: str) -> None:
    assert check(claim, sources=[source]).supported


@pytest.mark.parametrize("add", [", at no extra cost.", " free of charge.", ", without a fee."])
def test_what_is_free_on_no_page_is_a_doubt_wherever_it_is_said(add: str) -> None:
    said = [(page, sentence) for page, sentence in SAID if not PRICES.search(page.text)]
    assert len(said) > 50
    assert [] == [sentence for page, sentence in said if check(sentence.rstrip(".") + add, sources=[page]).supported]


@pytest.mark.parametrize(
    ("before", "after"), [("cannot", "can"), ("is not", "is"), ("do not", "do"), ("does not", "does"), ("only", "also")]
)
def test_every_denial_and_limit_of_the_help_desk_is_missed_where_it_is_left_out(before: str, after: str) -> None:
    turned = [(page, re.sub(rf"\b{before}\b", after, sentence)) for page, sentence in SAID if re.search(rf"\b{before}\b", sentence)]
    assert turned
    assert [] == [sentence for page, sentence in turned if check(sentence, sources=[page]).supported]


@pytest.mark.parametrize("word", ["never", "not", "always"])
def test_hardly_a_sentence_of_the_help_desk_can_be_turned_by_a_word(word: str) -> None:
    plain = [(page, sentence) for page, sentence in SAID if not re.search(r"\b(?:no|not|never|nothing|cannot)\b", sentence)]
    turned = [(page, re.sub(r"\b(can|is|are|will|must)\b", rf"\1 {word}", sentence, count=1)) for page, sentence in plain]
    turned = [(page, sentence) for page, sentence in turned if sentence not in page.text]
    assert len(turned) > 100
    assert 0.95 * len(turned) < sum(not check(sentence, sources=[page]).supported for page, sentence in turned)
