from __future__ import annotations

import re

import pytest

from llmlab.lab.pictures import Beside

PAGES = [
    {"id": "seal", "title": "The lid <seal>", "text": "Clean the lid seal once a month. A new lid seal costs $14."},
    {"id": "other", "title": "Other", "text": "The Hearth weighs 9 kg."},
]


@pytest.fixture
def shown() -> Beside:
    return Beside(question="What of the lid seal?", answer="Clean the lid seal once a month. A new lid seal costs $18.", documents=PAGES)


def test_a_claim_is_linked_to_the_sentence_that_it_rests_on(shown: Beside) -> None:
    html = shown._repr_html_()
    (link,) = re.findall(r'<a href="#([\w-]+)"[^>]*>Clean the lid seal once a month\.?</a>', html)
    assert f'<span id="{link}"></span><span style="background: #DCEBF5; color: #222">Clean the lid seal once a month' in html


def test_a_claim_without_a_source_says_so(shown: Beside) -> None:
    assert re.search(r">A new lid seal costs <span>\$</span>18\.?</span><span[^>]*>2: no source</span>", shown._repr_html_())


def test_two_dollars_are_no_formula(shown: Beside) -> None:
    assert 3 <= shown._repr_html_().count("$") == shown._repr_html_().count("<span>$</span>")


def test_a_document_on_which_nothing_rests_is_not_shown(shown: Beside) -> None:
    assert "weighs" not in shown._repr_html_()
    assert "what it rests on</p>nothing" in Beside(question="", answer="Pigs fly.", documents=PAGES)._repr_html_()


def test_the_table_says_the_same(shown: Beside) -> None:
    assert ["seal: Clean the lid seal once a month.", "no source"] == shown.table["source"].tolist()
    assert ["1.00", True] == [shown.table["score"][0], float(shown.table["score"][1]) < 0.55]
    assert "-> no source" in repr(shown)


def test_two_claims_may_rest_on_one_sentence() -> None:
    page = {"id": "a", "title": "A", "text": "The Hearth weighs 9 kg and costs $399."}
    shown = Beside(question="", answer="The Hearth weighs 9 kg. The Hearth costs $399.", documents=[page])
    assert re.search(r">1, 2</span>", shown._repr_html_())


def test_what_comes_from_outside_is_escaped() -> None:
    page = {"id": "a", "title": "<b>", "text": "<script>alert(1)</script> costs $14."}
    html = Beside(question="<i>?", answer="<script>alert(1)</script> costs $14. <img src=x>", documents=[page])._repr_html_()
    assert not re.search(r"<(?:script|img|i|b)>|<img", html.replace("<b>&lt;i&gt;", ""))


def test_an_answer_that_claims_nothing_has_no_table() -> None:
    assert "<table" not in Beside(question="", answer="I don't know.", documents=PAGES)._repr_html_()
