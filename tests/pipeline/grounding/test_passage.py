from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmlab.pipeline.grounding.passage import MAX_SENTENCE, Sources, indexed, lower, passage, sentences
from llmlab.pipeline.grounding.words import ALSO, EVEN, IF, NOT, ONLY, UNLESS


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ("Dr. Who pays 2.5 dollars, e.g. by card. Fine.", ["Dr. Who pays 2.5 dollars, e.g. by card.", "Fine."]),
        ("J. Smith (e.g. him) came.\n2. Next", ["J. Smith (e.g. him) came.", "2. Next"]),
        ("It costs 45. More", ["It costs 45.", "More"]),
        ("Open at 7 a.m. daily", ["Open at 7 a.m. daily"]),
        ('He said "Stop." Then he left.', ['He said "Stop."', "Then he left."]),
        ("in the 19th century.First for Women", ["in the 19th century.", "First for Women"]),
        ("- one\n- two\n\n", ["- one", "- two"]),
        ("保修两年。可以退货。", ["保修两年。", "可以退货。"]),
        ("", []),
        (" \n ", []),
    ],
)
def test_a_text_is_split_into_sentences(text: str, expected: list[str]) -> None:
    assert expected == [text[start:end] for start, end in sentences(text)]


def test_a_sentence_without_end_is_cut() -> None:
    assert [MAX_SENTENCE, MAX_SENTENCE, 500] == [end - start for start, end in sentences("x" * (2 * MAX_SENTENCE + 500))]


@given(st.text())
def test_lower_case_keeps_every_place(text: str) -> None:
    assert len(text) == len(lower(text))


def test_a_text_of_which_lower_case_is_longer_keeps_its_places() -> None:
    assert "İn bread".lower() != lower("İn Bread") == "İn bread"


def test_a_denial_reaches_the_words_behind_it_up_to_a_break() -> None:
    found = passage("We do not ship machines overseas, but flour goes by mail.")
    assert ({"ship", "machin", "oversea"}, {"ship"}) == (found.denied, found.heads)
    assert {"flour", "goe", "mail"} == found.affirmed


def test_a_denial_at_the_end_of_a_clause_reaches_back() -> None:
    assert {"machin"} == passage("flour may go, but a machine may not").heads


@pytest.mark.parametrize(("text", "denied"), [("No, it ships today", False), ("There is no fee", True), ("You can't return it", True)])
def test_no_at_the_beginning_is_an_answer_and_denies_nothing(text: str, denied: bool) -> None:
    assert denied is bool(passage(text).heads)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It is never sent", [NOT]),
        ("Only flour goes, if dry", [ONLY, 0, IF]),
        ("Send flour only", [0, ONLY]),
        ("Send flour, broken or not", [0, 0, EVEN]),
        ("A pause costs nothing and ends", [0, NOT, 0]),
        ("Nothing ends", [NOT]),
        ("Free of charge", [0, NOT]),
        ("No, flour is also sent", [0, ALSO]),
    ],
)
def test_what_turns_a_word_is_noted_at_it(text: str, expected: list[int]) -> None:
    assert expected == passage(text).marks


@pytest.mark.parametrize(("text", "bound"), [("sent if dry", IF), ("sent even if wet", EVEN), ("sent unless wet", UNLESS), ("sent", 0)])
def test_even_if_is_another_condition_than_if(text: str, bound: int) -> None:
    assert bound == passage(text).bound


def test_names_are_written_with_a_capital_within_the_sentence_or_with_a_digit() -> None:
    assert {"hearth", "us", "e5"} == passage("Flour for the Hearth comes from the US for us. E5 is harmless").names


def test_words_are_found_in_the_sentences_of_all_texts_by_stem() -> None:
    sources = Sources(("We ship bread. Shipping is free.", "A shipment of 45 loaves; no shipyard."))
    assert ([0, 1, 2], [2], []) == (sources.find("ship"), sources.find("45"), sources.find("yard"))
    assert [(0, 0, 14), (0, 15, 32), (1, 0, 24), (1, 25, 37)] == [sources.place(number) for number in range(4)]
    assert ({0, 1}, {2, 3}) == (sources.within([0]), sources.within([1]))


def test_a_sentence_is_repeated_where_all_of_it_is() -> None:
    sources = Sources(("No machine can go back. Flour can go back!", "Flour can go back."))
    assert [None, 1, 2, None] == [
        sources.repeated("machine can go back"),
        sources.repeated("flour can go back"),
        sources.repeated("flour can go back", {2}),
        sources.repeated("flour can"),
    ]


def test_looked_up_words_are_not_kept_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmlab.pipeline.grounding.passage._MEMORY", 2)
    sources = Sources(("one bread two flour",))
    assert [[0], [], [0], [0]] == [sources.find(key) for key in ("bread", "milk", "flour", "bread")]
    assert 2 == len(sources._found)


def test_texts_are_indexed_once_but_for_very_long_ones() -> None:
    long = ("bread " * 50_000,)
    assert (True, False) == (indexed(("bread",)) is indexed(("bread",)), indexed(long) is indexed(long))
