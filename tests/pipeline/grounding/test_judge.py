from __future__ import annotations

import pytest
from scripted import Wire, ask, good, refusal

from llmlab.errors import BadInput
from llmlab.pipeline.grounding.judge import GroundingJudge

DOCUMENTS = [{"id": "returns", "title": "Returns", "text": "You can return a machine within 30 days."}]


@pytest.mark.parametrize(("verdict", "status"), [("yes", "abstained"), ("no", "ok")])
def test_a_model_says_whether_the_answer_goes_beyond_the_documents(verdict: str, status: str) -> None:
    wire = Wire(good("Within sixty days."), good(verdict))
    answer = ask(wire, question="How long?", documents=DOCUMENTS, guards_out=[GroundingJudge()])
    assert (status, ["primary", "judge"]) == (answer.status, [one.role for one in answer.attempts])
    asked = wire.bodies[1]["messages"][-1]["content"]
    assert all(part in asked for part in ("Returns", "within 30 days", "Question: How long?", "Answer: Within sixty days."))


def test_in_structured_output_it_reads_the_sentences() -> None:
    wire = Wire(good('{"answer": "Within \\"sixty\\" days.", "id": "x"}'), good("no"))
    assert "ok" == ask(wire, documents=DOCUMENTS, output=dict[str, str], guards_out=[GroundingJudge()]).status
    assert wire.bodies[1]["messages"][-1]["content"].count('Answer: Within "sixty" days.\n') == 1


@pytest.mark.parametrize(("on_error", "status"), [("closed", "failed"), ("open", "ok")])
def test_without_a_verdict_it_is_open_or_closed(on_error: str, status: str) -> None:
    wire = Wire(good("Within sixty days."), refusal(401))
    assert status == ask(wire, documents=DOCUMENTS, guards_out=[GroundingJudge(on_error=on_error)], retry=None).status


def test_nonsense_is_refused() -> None:
    with pytest.raises(BadInput, match="action is one of allow, flag, block, abstain, not 'redact'"):
        GroundingJudge(action="redact")
