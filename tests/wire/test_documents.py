from __future__ import annotations

import pytest

from llmlab.wire.documents import documents_in, flat
from llmlab.wire.finding import Document

FEES = "Express shipping costs $18, whatever the value of the order, and takes 2 business days."
RETURNS = "A machine can be returned within 45 days of delivery, even if you have baked with it."


def found(text: str, *, plain: bool = True) -> list[Document]:
    return documents_in(text, plain=plain)[0]


def test_tagged_documents_have_an_id_and_a_title() -> None:
    text = f'<document id="fees" title="What it costs">\n{FEES}\n</document>\n'
    text += f"<document id='returns'>{RETURNS}</document>\nQuestion: How much?"
    documents, rest = documents_in(text, plain=True)
    assert [Document("fees", "What it costs", FEES), Document("returns", "", RETURNS)] == documents
    assert "Question: How much?" == rest.strip()


@pytest.mark.parametrize(
    "text",
    [
        f'<documents><document id="fees" title="T">{FEES}</document></documents>',
        f'<document-7f3a id="fees" title="T">{FEES}</document-7f3a>',
        f'<source name="fees" title="T">{FEES}</source>',
        f'<doc id="fees"><title>T</title><text>{FEES}</text></doc>',
        f"[fees] T\n{FEES}",
        f"[fees]: T\n{FEES}\n\nQuestion: How much?",
        f"[fees] T\n{FEES}\nQuestion: How much?",
        f"[fees] T\n\n{FEES}\n\nHow much?",
        f'<document id="fees" title="T"><data-abcdefghijkl>{FEES}</data-abcdefghijkl></document>',
        f"[fees] T\n<data-abcdefghijkl>{FEES}</data-abcdefghijkl>\n\nHow much?",
    ],
)
def test_apps_write_documents_in_many_ways(text: str) -> None:
    assert [Document("fees", "T", FEES)] == found(text)


def test_bracketed_documents_end_where_the_next_begins() -> None:
    text = f"Use these.\n\n[1] {FEES}\n[2] {RETURNS}\n\nWhat now?"
    documents, rest = documents_in(text, plain=True)
    assert [Document("1", "", FEES), Document("2", "", RETURNS)] == documents
    assert "Use these." in rest
    assert "What now?" in rest


def test_headings_are_titles_unless_they_head_rules_or_the_question() -> None:
    text = f"# Instructions\nBe kind.\n\n## Fees\n{FEES}\n\n## Returns\n{RETURNS}\n\nHow much is express?"
    documents, rest = documents_in(text, plain=True)
    assert [Document("", "Fees", FEES), Document("", "Returns", RETURNS)] == documents
    assert "Be kind." in rest
    assert "How much is express?" in rest
    assert [Document("", "Fees", FEES)] == found(f"## Fees\n{FEES}\n\n## Question\nHow much is it?")
    assert [Document("", "Fees", f"{FEES}\n\n{RETURNS}")] == found(f"## Fees\n{FEES}\n\n{RETURNS}")


def test_plain_paragraphs_are_documents_of_a_user_only() -> None:
    text = f"What it costs\n{FEES}\n\n{RETURNS}\n\nHow much is express?"
    assert [Document("", "What it costs", FEES), Document("", "", RETURNS)] == found(text)
    assert [] == found(text, plain=False)


def test_a_label_makes_paragraphs_documents_anywhere() -> None:
    assert [Document("", "", FEES), Document("", "", RETURNS)] == found(f"Context: {FEES}\n\n{RETURNS}", plain=False)


def test_rules_short_remarks_and_questions_are_no_documents() -> None:
    rules = "Answer the question of the customer with nothing but what stands in the documents that follow here."
    assert [] == found(f"{rules}\n\nHi there!\n\nQuestion: {FEES}\n\nWell?")
    assert [] == found("## Empty\n\n## Also empty\n")
    assert [] == found("[x]\n")


def test_a_tools_result_reads_like_a_document() -> None:
    assert "The ship_date is 2." != flat('{"ship_date": 2, "state": "sent"}')
    assert "The ship date is 2. The state is sent." == flat('{"ship_date": 2, "state": "sent"}')
    assert "[1, 2]" == flat("[1, 2]")
    assert "It is sunny." == flat("It is sunny.")
