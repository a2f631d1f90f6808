from __future__ import annotations

from typing import Any

import pytest
from scripted import Wire, ask, good, pipeline

import llmlab
from llmlab.errors import BadInput
from llmlab.pipeline.abstain import Abstain
from llmlab.pipeline.grounding.guard import GroundingGuard

DOCUMENTS = [{"id": "returns", "title": "Returns", "text": "You can return a machine within 30 days. The box is not needed."}]


def answered(text: str, **stages: Any) -> llmlab.Answer:
    return ask(Wire(good(text)), question="How long?", documents=DOCUMENTS, **stages)


def test_what_the_documents_say_is_answered() -> None:
    answer = answered("You can return a machine within 30 days [returns].", guards_out=[GroundingGuard()])
    assert ("ok", ()) == (answer.status, answer.findings)


def test_what_they_do_not_say_is_no_answer() -> None:
    text = "You can return a machine within 60 days [returns]."
    answer = answered(text, guards_out=[GroundingGuard()])
    assert ("abstained", ["claim"]) == (answer.status, [one.kind for one in answer.findings])
    assert "60" not in answer.text
    assert answer.text
    assert [("abstain", "grounding.claim")] == [(one.action, one.rule) for one in answer.trace.seen]


@pytest.mark.parametrize(("action", "status"), [("flag", "ok"), ("allow", "ok"), ("block", "blocked")])
def test_or_it_is_flagged_noted_or_blocked(action: str, status: str) -> None:
    assert status == answered("You can return a machine within 60 days.", guards_out=[GroundingGuard(action=action)]).status


def test_the_users_words_are_the_pipelines_own() -> None:
    words = Abstain(message="I am not sure.")
    answer = answered("You can return a machine within 60 days.", guards_out=[GroundingGuard()], abstain=words)
    assert answer.text.startswith("I am not sure.")


def test_a_model_that_does_not_know_abstains_where_that_is_wanted() -> None:
    text = "I don't know: the documents do not say."
    assert ("ok", "abstained") == (answered(text).status, answered(text, abstain=Abstain()).status)
    assert text == answered(text, abstain=Abstain()).text


def test_texts_inside_json_are_looked_at_and_their_spans_are_the_answers() -> None:
    guard = GroundingGuard(action="flag").for_request("How long?", llmlab.pipeline.prompt.as_documents(DOCUMENTS))
    text = '{"answer": "You can return a machine within 60 days.", "citations": ["returns"]}'
    (found,) = guard.check(text)
    assert "You can return a machine within 60 days." == text[found.start : found.end].strip('"')
    assert [] == guard.check(text.replace("60", "30"))


def test_an_answer_to_another_question_is_none_where_that_is_asked() -> None:
    documents = [{"id": "a", "title": "", "text": "A label costs $30. You can return a machine within 30 days of delivery."}]
    text = "A label costs $30."
    guards = [GroundingGuard(relevant=least).for_request("How long can I return a machine?", documents) for least in (0.0, 0.8)]
    plain, careful = (guard.check(text) for guard in guards)
    assert ([], [("question", "grounding.question", 0, len(text))]) == (plain, [(*one[:2], one.start, one.end) for one in careful])
    assert "a length of time" in careful[0].reason
    assert [] == guards[1].check("You can return a machine within 30 days of delivery.")
    assert [] == guards[1].check("")


def test_texts_inside_json_answer_a_question_together() -> None:
    documents = [{"id": "a", "title": "", "text": "A label costs $30. You can return a machine within 30 days of delivery."}]
    guard = GroundingGuard(relevant=0.8).for_request("How long can I return a machine, and what does a label cost?", documents)
    text = '{"time": "You can return a machine within 30 days of delivery.", "price": "A label costs $30."}'
    assert [] == guard.check(text)
    assert ["question"] == [one.kind for one in guard.check('{"time": "You can return a machine within 30 days of delivery."}')]


def test_a_stream_shows_nothing_before_it_was_compared() -> None:
    async def shown() -> list[Any]:
        asked = pipeline(Wire(good("You can return a machine ", "within 60 days.")), guards_out=[GroundingGuard()])
        return [event async for event in asked.stream("How long?", DOCUMENTS)]

    words, last = llmlab.simulate(shown())
    assert words.text == last.answer.text
    assert "60" not in words.text


@pytest.mark.parametrize("wrong", [{"threshold": 1.1}, {"threshold": True}, {"relevant": -0.1}, {"relevant": "yes"}, {"action": "redact"}])
def test_nonsense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match="GroundingGuard: "):
        GroundingGuard(**wrong)
