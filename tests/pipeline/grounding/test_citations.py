from __future__ import annotations

import pytest

from llmlab.pipeline.grounding.citations import citations, quotes, without
from llmlab.pipeline.prompt import as_documents

PAGES = as_documents([{"id": "warranty", "text": "Covered for “2 years”, or so."}, {"id": "care plan", "text": "It costs $69."}])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Yes [warranty].", [("warranty", 0)]),
        ("Yes [Warranty][nowhere].", [("Warranty", 0), ("nowhere", None)]),
        ("Yes [warranty, 2; 3]", [("warranty", 0), ("2", 1), ("3", None)]),
        ("Yes [ care plan ]", [("care plan", 1)]),
        ("See [the page](https://example.invalid) and [what I said before]", []),
        ("No [] and no [\n]", []),
    ],
)
def test_a_citation_is_resolved_to_a_document(text: str, expected: list[tuple[str, int | None]]) -> None:
    found = citations(text, PAGES)
    assert expected == [(one.id, one.source) for one in found]
    assert [one.id for one in found] == [text[one.start : one.end] for one in found]


def test_an_answer_without_citations_keeps_its_places() -> None:
    text = "One [warranty, 2]. Two [care plan]!"
    assert "One              . Two            !" == without(text, citations(text, PAGES))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('It says "covered for  2 years or so".', [(0,)]),
        ("It says “It costs $69.”", [(1,)]),
        ('It says "it costs $96."', [()]),
        ('The "old ring" glows', []),
        ('An open " and no more', []),
    ],
)
def test_a_quote_is_looked_up_to_the_letter(text: str, expected: list[tuple[int, ...]]) -> None:
    pages = as_documents(["Covered for 2 years\nor so.", "It costs\n$69. And more."])
    assert expected == [one.sources for one in quotes(text, pages)]
