from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

import llmlab
from llmlab.data.help_desk import retrieve
from llmlab.errors import BadInput
from llmlab.pipeline.prompt import Document, as_documents

SHORT = llmlab.Prompt("Be brief.", "{% for document in documents %}[{{ document.id }}] {{ document.text }}\n{% endfor %}{{ question }}")


def test_a_question_and_documents_become_messages() -> None:
    expected = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "[a] Thirty days.\nWhen?"}]
    assert expected == SHORT.messages("When?", [{"id": "a", "title": "Returns", "text": "Thirty days."}])


def test_the_default_prompt_names_each_document() -> None:
    _, user = llmlab.Prompt().messages("When?", [Document("returns", "Returns", "Thirty days.")])
    assert '<document id="returns" title="Returns">\nThirty days.\n</document>\nQuestion: When?' == user["content"]
    assert "Question: When?" == llmlab.Prompt().messages("When?")[1]["content"]


@dataclass
class Page:
    id: str
    title: str
    text: str


@dataclass
class Note:
    text: str


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("Thirty days.", Document("document-1", "", "Thirty days.")),
        ({"text": "Thirty days."}, Document("document-1", "", "Thirty days.")),
        ({"id": 7, "title": None, "text": "Thirty days.", "more": 1}, Document("7", "", "Thirty days.")),
        (Page("a", "Returns", "Thirty days."), Document("a", "Returns", "Thirty days.")),
        (Note("Thirty days."), Document("document-1", "", "Thirty days.")),
        (Document("a", "Returns", "Thirty days."), Document("a", "Returns", "Thirty days.")),
    ],
)
def test_a_document_is_a_text_a_mapping_or_an_object(given: Any, expected: Document) -> None:
    assert (expected,) == as_documents([given])
    assert (expected,) == as_documents(one for one in [given])
    assert (expected,) == as_documents(as_documents([given]))


def test_the_help_desks_documents_are_documents() -> None:
    found = retrieve("Can I return it?")
    assert [document.id for document in found] == [document.id for document in as_documents(found)]


@pytest.mark.parametrize(
    "documents", ["text", {"text": "text"}, Document("a", "b", "c"), Page("a", "b", "c"), 7, None, [""], [{}], [{"text": 7}], [None]]
)
def test_what_is_no_document_is_refused(documents: Any) -> None:
    with pytest.raises(BadInput, match=r"documents is a list, as in \[document\], not one |document 1 has no text; give a string"):
        llmlab.Prompt().messages("When?", documents)


def test_history_stands_between_the_system_and_the_question() -> None:
    history = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello", "more": "dropped"}]
    messages = SHORT.messages("When?", history=history)
    assert ["system", "user", "assistant", "user"] == [message["role"] for message in messages]
    assert [{"role", "content"}] * 4 == [set(message) for message in messages]


@pytest.mark.parametrize(
    "history", ["Hi", {"role": "user", "content": "Hi"}, 7, ["Hi"], [{"role": "user"}], [{"role": "user", "content": None}]]
)
def test_what_is_no_history_is_refused(history: Any) -> None:
    with pytest.raises(BadInput, match="history"):
        SHORT.messages("When?", history=history)


def test_an_empty_system_template_is_no_message() -> None:
    assert [{"role": "user", "content": "When?"}] == llmlab.Prompt("", "{{ question }}").messages("When?")


def test_a_question_is_no_template() -> None:
    assert "{{ 7 * 7 }} {% endfor %}" == SHORT.messages("{{ 7 * 7 }} {% endfor %}")[-1]["content"]


# --- versions


def test_a_version_changes_with_a_template_and_with_nothing_else() -> None:
    version = SHORT.version
    SHORT.messages("When?", ["Thirty days."])
    assert version == SHORT.version == llmlab.Prompt(SHORT.system, SHORT.user).version
    others = [llmlab.Prompt(SHORT.system + " ", SHORT.user), llmlab.Prompt(SHORT.system, SHORT.user + "!"), llmlab.Prompt()]
    assert 4 == len({version, *(other.version for other in others)})
    assert 8 == len(version)
    int(version, 16)


def test_the_two_templates_do_not_run_into_each_other() -> None:
    assert llmlab.Prompt("a", "b").version != llmlab.Prompt("ab", "").version


# --- bad templates


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ question", "no valid template"),
        ("{% for %}", "no valid template"),
        ("{{ question | no_such_filter }}", "no valid template"),
        ("{{ user }} {{ name }}", "the prompt uses name, user, and there is: documents, question"),
        (7, "user is the text of a template, not int"),
    ],
)
def test_a_bad_template_is_refused_when_it_is_made(template: Any, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        llmlab.Prompt("", template)


@pytest.mark.parametrize(
    "template",
    [
        "{% for document in documents %}{{ document.author }}{% endfor %}",
        "{{ question.upper(1, 2) }}",
        "{{ 1 / 0 }}",
        "{{ question.__class__.__mro__ }}",
        "{{ documents[7].text }}",
        "{{ range(10 ** 9) }}",
    ],
)
def test_a_template_that_cannot_be_filled_in_is_misuse(template: str) -> None:
    with pytest.raises(BadInput, match="the prompt cannot be filled in: "):
        llmlab.Prompt("", template).messages("When?", ["Thirty days."])


def test_a_template_may_use_its_own_names_and_jinjas() -> None:
    template = "{% set n = documents | length %}{% for i in range(n) %}{{ loop.index }}{% endfor %} {{ question }}"
    assert "12 When?" == llmlab.Prompt("", template).messages("When?", ["a", "b"])[0]["content"]
