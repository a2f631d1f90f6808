from __future__ import annotations

import re
from pathlib import Path

import pytest
from scripted import DONE, Wire, ask, event, good, pipeline, refusal, streamed, told

import llmlab
from llmlab import errors
from llmlab.errors import AttemptBroken, AttemptRefused
from llmlab.pipeline.routing import Retry
from llmlab.pipeline.state import Allowance
from llmlab.pipeline.taxonomy import OTHER_ROUTE, RETRY, SHRINK, STOP, TAXONOMY, action, taxonomy

PIPELINE = Path(__file__).parents[2] / "llmlab" / "pipeline"


def test_every_reason_that_the_pipeline_gives_has_its_row() -> None:
    written = set()
    for path in sorted(PIPELINE.glob("*.py")):
        written |= set(re.findall(r'Attempt(?:Broken|Refused|Unavailable|Timeout|Limited)\(\s*"(\w+)"', path.read_text("utf-8")))
    assert written - {advice.reason for advice in TAXONOMY} == set()
    assert len(written) > 8


def test_every_row_names_an_error_that_exists_and_stands_once() -> None:
    reasons = [advice.reason for advice in TAXONOMY]
    assert len(reasons) == len(set(reasons))
    assert {RETRY, OTHER_ROUTE, SHRINK, STOP} == {advice.action for advice in TAXONOMY}
    for advice in TAXONOMY:
        assert issubclass(getattr(errors, advice.error), errors.AttemptFailed)


def test_a_code_that_is_in_no_table_is_judged_by_its_status_or_by_itself() -> None:
    assert STOP == action(AttemptRefused("strange", "", retryable=False, status_code=400))
    assert OTHER_ROUTE == action(AttemptRefused("strange", "", retryable=False))
    assert RETRY == action(AttemptBroken("strange", "", retryable=True))


def test_the_table_is_for_people() -> None:
    assert ["reason", "error", "action", "client"] == list(taxonomy().columns)


TOO_LONG = refusal(400, {"message": "too long", "type": "invalid_request_error", "code": "context_length_exceeded"})


def test_a_request_that_is_too_long_is_sent_again_with_less() -> None:
    wire = Wire(TOO_LONG, TOO_LONG, good())
    answer = ask(wire, documents=["first", "second", "third"], retry=Retry(attempts=3))
    assert "ok" == answer.status
    assert [3, 2, 1] == documents_sent(wire)
    (note,) = [stage.note for stage in answer.trace.stages if stage.name == "routing"]
    assert 2 == note.count("documents left out for main: context_length_exceeded")


def documents_sent(wire: Wire) -> list[int]:
    """How many documents each attempt held."""
    return [body["messages"][-1]["content"].count("<document") for body in wire.bodies]


@pytest.mark.parametrize(("attempts", "sent"), [(None, [5]), (1, [5]), (2, [5, 4]), (3, [5, 4, 3])])
def test_asking_for_less_is_an_attempt_and_the_next_route_gets_all_of_it(attempts: int | None, sent: list[int]) -> None:
    long, other = Wire(TOO_LONG), Wire(good())
    answer = ask(long, other, documents=list("abcde"), retry=None if attempts is None else Retry(attempts=attempts))
    assert ("ok", sent, [5]) == (answer.status, documents_sent(long), documents_sent(other))


def test_asking_for_less_spends_the_budget_for_retries() -> None:
    wire = Wire(TOO_LONG)
    app = pipeline(wire, retry=Retry(attempts=2, max_extra=0.1))

    async def all_of_them() -> None:
        for _ in range(50):
            await app.ask("May I?", list("abcde"))

    llmlab.simulate(all_of_them())
    assert 50 + 10 + 50 * 0.1 - 1 <= len(wire.bodies) <= 50 + 10 + 50 * 0.1
    assert app.state.retries.level < 1


def test_without_budget_no_document_is_left_out_and_where_none_is_left_no_budget_is_spent() -> None:
    app = pipeline(Wire(TOO_LONG), Wire(good("So it is [d4].")), retry=Retry(attempts=2))
    assert app.state is not None
    documents = [{"id": f"d{number}", "text": "x"} for number in range(5)]
    llmlab.simulate(app.ask("May I?"))
    assert Allowance.BURST == app.state.retries.level
    app.state.retries.level = 0.0
    answer = llmlab.simulate(app.ask("May I?", documents))
    assert (2, ("d4",)) == (len(answer.attempts), answer.citations)


def test_an_answer_whose_tokens_are_used_up_is_asked_of_another_route_and_not_with_less() -> None:
    used_up = Wire(streamed([event({"reasoning": "Hm"}), event({}, "length"), DONE]))
    answer = ask(used_up, Wire(good()), documents=list("abc"), retry=Retry(attempts=3))
    assert [("primary", "main", "failed", "length"), ("fallback", "second", "ok", "")] == told(answer)
    assert [3] == documents_sent(used_up)


def test_where_nothing_is_left_out_the_next_route_is_asked() -> None:
    answer = ask(Wire(TOO_LONG), Wire(good()), retry=None)
    assert [("primary", "main", "failed", "context_length_exceeded"), ("fallback", "second", "ok", "")] == told(answer)


@pytest.mark.parametrize(
    ("reply", "sent"),
    [
        (refusal(400), ["main"]),
        (refusal(400, {"message": "no", "type": "x", "code": "content_filter"}), ["main"]),
        (refusal(401), ["main", "second"]),
        (refusal(404, {"message": "gone", "type": "x", "code": "model_not_found"}), ["main", "second"]),
        (refusal(429, {"message": "pay", "type": "insufficient_quota", "code": "insufficient_quota"}), ["main", "second"]),
        (refusal(500), ["main", "main", "second"]),
    ],
)
def test_a_failure_goes_where_it_can_be_mended(reply: object, sent: list[str]) -> None:
    answer = ask(Wire(reply), Wire(good()), retry=Retry(attempts=2))
    assert sent == [attempt.route for attempt in answer.attempts]
